"""The outputs on disk compared with dvc.lock, every byte hashed again.

DVC keeps the hash of a file while its size and time stay the same, but bit rot changes neither.
`dvc data status` with an empty site cache hashes every file: 0.9 s plus 3 s per GB. Shards are left
out, 267 GB on ILSVRC-2012: `verify` reads them and compares the SHA-256 in their manifest.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from alexnet.runtime.errors import InputError

SHARDS, MANIFEST = "*.lmdb", "manifest.json"
LIST_LOST = "is checked by its manifests alone: DVC's cache has lost its list of files"


@dataclass(frozen=True)
class Output:
    """An output of dvc.yaml: its stage, path in the checkout, and MD5 in dvc.lock ("" if none)."""

    stage: str
    path: str
    md5: str


@dataclass(frozen=True)
class Comparison:
    """An output compared with dvc.lock.

    changed: paths in the checkout that differ, are missing or are extra; the output itself if
    DVC's cache has lost its list of files. skipped: why it could not be compared, "" if it was.
    """

    path: str
    changed: list[str]
    skipped: str = ""


def report(root: Path, output: Comparison, note: Callable[[str], None]) -> Iterator[str]:
    """Yield a line per changed path; note why an output was skipped."""
    if output.skipped:
        note(f"{output.path} {output.skipped}")
    for path in output.changed:
        yield f"{path} differs from dvc.lock; fix: {_remove_command(root / path)}dvc repro"


def _remove_command(path: Path) -> str:
    """Return the command that removes a file and DVC's linked copy."""
    if not path.exists():
        return ""
    linked = path.is_symlink() or (path.is_file() and path.stat().st_nlink > 1)
    remove_copy = f'find -H "$(dvc cache dir)" -samefile {path} -delete; ' if linked else ""
    return f"{remove_copy}rm -rf {path}; "


def compare_outputs(root: Path) -> list[Comparison]:
    """Compare each output of root/dvc.yaml. Raises InputError if DVC fails."""
    lock = _read_stages(root / "dvc.lock") if (root / "dvc.lock").exists() else {}
    outputs = list(_outputs(_read_stages(root / "dvc.yaml"), lock))
    paths = [output.path for output in outputs if (root / output.path).exists()]
    targets = [target for path in paths for target in _targets(root, path)]
    status = _run_dvc(root, "data", "status", "--granular", *targets) if targets else {}
    comparisons = [_compare(root, output, status) for output in outputs]
    if any(comparison.changed for comparison in comparisons):
        reasons = _outdated(root, lock, outputs)
        pairs = zip(outputs, comparisons, strict=True)
        return [_unless_outdated(comparison, reasons[output.stage]) for output, comparison in pairs]
    return comparisons


def _unless_outdated(comparison: Comparison, reason: str) -> Comparison:
    if not (comparison.changed and reason):
        return comparison
    skipped = f"is not compared: dvc.lock is from an earlier run ({reason}); run dvc repro"
    return Comparison(comparison.path, [], skipped)


def _read_stages(path: Path) -> dict[str, Any]:
    """Return the stages of dvc.yaml or dvc.lock, by name."""
    try:
        stages: dict[str, Any] = yaml.safe_load(path.read_bytes())["stages"]
    except (OSError, TypeError, KeyError, yaml.YAMLError) as error:
        problem = f"{path} is not a valid DVC file: {error}"
        raise InputError(problem, f"git checkout {path.name}") from None
    return stages


def _outputs(stages: dict[str, Any], lock: dict[str, Any]) -> Iterator[Output]:
    """Yield all outputs; dvc.yaml lists a path or {path: options}."""
    locked = [output for stage in lock.values() for output in stage.get("outs", [])]
    md5s = {output["path"]: output.get("md5", "") for output in locked}
    for name, stage in stages.items():
        for kind in ("outs", "metrics", "plots"):
            for entry in stage.get(kind, []):
                path = entry if isinstance(entry, str) else next(iter(entry))
                yield Output(name, path, md5s.get(path, ""))


def _targets(root: Path, path: str) -> Iterator[str]:
    """Yield what DVC has to hash: a folder, or its files except shards."""
    if not _has_shards(root / path):
        yield path
        return
    files = [file for file in (root / path).rglob("*") if file.is_file()]
    manifests = {file.parent / MANIFEST for file in files if file.match(SHARDS)}
    others = {file for file in files if not file.match(SHARDS)}
    yield from sorted(str(file.relative_to(root)) for file in manifests | others)


def _compare(root: Path, output: Output, status: dict[str, Any]) -> Comparison:
    path = root / output.path
    if not path.exists():
        return Comparison(output.path, [], "is missing; run dvc repro or dvc pull")
    if not output.md5:
        return Comparison(output.path, [], "is not compared: it is not in dvc.lock; run dvc repro")
    if path.is_file():  # DVC's status omits what is not cached: metrics.json
        with path.open("rb") as file:
            md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
        return Comparison(output.path, [output.path] if md5.hexdigest() != output.md5 else [])
    return _compare_folder(path, output, status.get("uncommitted", {}))


def _compare_folder(path: Path, output: Output, changes: dict[str, Any]) -> Comparison:
    """Return the files that DVC found changed in a folder.

    The hash of the folder is in dvc.lock, the list of its files in DVC's cache, where it can be
    lost or damaged: the list is used only if the hash differs too.
    """
    folder = f"{output.path}/"
    added = {name for name in changes.get("added", []) if name.startswith(folder)}
    renamed = {name for pair in changes.get("renamed", []) for name in pair.values()}
    names = [*changes.get("modified", []), *changes.get("deleted", []), *renamed]
    changed = {name for name in names if name.startswith(folder)}
    if _has_shards(path):
        lost = any(name.startswith(folder) for name in changes.get("unknown", []))
        list_damaged = any(name.endswith(MANIFEST) for name in added)
        changed |= set() if list_damaged else added
        return Comparison(output.path, sorted(changed), LIST_LOST if lost else "")
    if folder not in changed | added:
        return Comparison(output.path, [])
    return Comparison(output.path, sorted((changed | added) - {folder}) or [output.path])


def _has_shards(path: Path) -> bool:
    return next(path.rglob(SHARDS), None) is not None


def _outdated(root: Path, lock: dict[str, Any], outputs: list[Output]) -> dict[str, str]:
    """Return what changed of each stage or upstream since dvc.lock, "" if nothing."""
    changes = _run_dvc(root, "status", "dvc.yaml", keep_cache=True)

    def maker(path: str) -> str:
        return next((o.stage for o in outputs if Path(path).is_relative_to(o.path)), "")

    def reason(stage: str) -> str:
        if own := _own_change(changes.get(stage, []), maker):
            return own
        deps = lock.get(stage, {}).get("deps", [])
        upstream = sorted({maker(dep["path"]) for dep in deps} - {""})
        return next((f"{name}: {why}" for name in upstream if (why := reason(name))), "")

    return {output.stage: reason(output.stage) for output in outputs}


def _own_change(entries: list[Any], maker: Callable[[str], str]) -> str:
    """Return what changed of a stage's command, code or parameters since dvc.lock."""
    if "changed command" in entries:
        return "its command changed"
    deps = [dep for e in entries if isinstance(e, dict) for dep in e.get("changed deps", {})]
    own = [dep for dep in deps if not maker(dep)]
    more = f" and {len(own) - 1} more" if own[1:] else ""
    return f"{min(own)}{more} changed" if own else ""


def _run_dvc(root: Path, *arguments: str, keep_cache: bool = False) -> dict[str, Any]:
    """Return a DVC command's JSON; it hashes every file unless `keep_cache`."""
    command = [sys.executable, "-m", "dvc", *arguments, "--json"]
    with TemporaryDirectory() as empty:
        env = dict(os.environ) if keep_cache else os.environ | {"DVC_SITE_CACHE_DIR": empty}
        ran = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True)
    if ran.returncode:
        reason = ran.stderr.strip().removeprefix("ERROR: ")
        raise InputError(f"{root}: dvc {arguments[0]} failed: {reason}", "dvc repro")
    status: dict[str, Any] = json.loads(ran.stdout)
    return status
