"""The outputs on disk against dvc.lock, every byte hashed again.

DVC takes a file for what it was while its size and time are: bits that rot leave both as they were.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.dependency import ParamsDependency
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc_data.hashfile.tree import Tree

from alexnet.runtime.errors import InputError

SHARD = ".lmdb"  # 267 GB of them, and each has its SHA-256 in its manifest: compared by name alone
ITSELF = "."  # the one file of an output that is no folder


@dataclass(frozen=True)
class Output:
    """What dvc.lock has of an output.

    path: relative to the checkout. md5: "" where it is in no lock. files: the MD5 of each by its
    path in the folder; None where DVC's cache has the list no longer. since: what made the lock
    old, "" if nothing. cache: where DVC keeps its objects.
    """

    path: Path
    md5: str
    files: dict[str, str] | None
    since: str
    cache: Path


def outputs(root: Path) -> list[Output]:
    """Those of root/dvc.yaml. Raises InputError where DVC finds no pipeline there."""
    try:
        stages = Repo(str(root)).stage.load_all(str(root / "dvc.yaml"))  # no experiment's
        since = _since(stages)
        return [_output(out, since[stage.name]) for stage in stages for out in stage.outs]
    except (DvcException, OSError) as error:
        raise InputError(f"{root}: DVC says: {error}", "dvc repro") from None


def damage(root: Path, output: Output, note: Callable[[str], None]) -> Iterator[str]:
    """A line for each file that is not that of dvc.lock; what cannot be known goes to `note`."""
    if not (root / output.path).exists():
        note(f"{output.path} is not there: dvc repro makes it, dvc pull brings it")
    elif not output.md5:
        note(f"{output.path} is in no dvc.lock, so not compared: dvc repro notes it there")
    elif names := differing(root, output):
        if output.since:
            what = f"dvc.lock is of an earlier run ({output.since})"
            note(f"{output.path} is not compared, {what}: dvc repro makes both anew")
            return
        for name in names:
            fix = f"{_remedy(root, output, name)}; dvc repro"
            yield f"{output.path / name} is not that of dvc.lock; fix: {fix}"
    elif output.files is None and _has_shards(root / output.path):
        note(f"{output.path}: DVC's cache has lost its list of files, so manifests stand alone")


def differing(root: Path, output: Output) -> list[str]:
    """The files of an output that are other than in dvc.lock, too many or missing, by name.

    ITSELF where the list of its files is lost, or it is one file. A shard has only to be there.
    """
    path = root / output.path
    there = _files(path)
    if output.files is None:
        return [] if _has_shards(path) or _digest(there) == output.md5 else [ITSELF]
    names = sorted(there.keys() | output.files.keys())
    return [name for name in names if not _is_same(there.get(name), output.files.get(name))]


def _remedy(root: Path, output: Output, name: str) -> str:
    """Away with the file, and with its twin in DVC's cache, should they be one on the disk."""
    file, md5 = root / output.path / name, (output.files or {}).get(name, "")
    twin = output.cache / md5[:2] / md5[2:]
    linked = file.exists() and twin.is_file() and twin.samefile(file)
    return f"rm -rf {file} {twin}" if linked else f"rm -rf {file}"


def _output(out: Any, since: str) -> Output:
    md5 = out.hash_info.value if out.hash_info else ""
    cache = Path(out.repo.cache.local.path)
    return Output(Path(out.def_path), md5 or "", _listed(out) if md5 else None, since, cache)


def _listed(out: Any) -> dict[str, str] | None:
    """What DVC's cache says is in a folder, unless that was damaged too."""
    if not out.hash_info.isdir:
        return {ITSELF: out.hash_info.value}
    tree = out.get_obj()
    if not isinstance(tree, Tree):
        return None
    files = {"/".join(key): str(entry.value) for key, _, entry in tree}
    return files if _tree_digest(files) == out.hash_info.value else None


def _files(path: Path) -> dict[str, Path]:
    if not path.is_dir():
        return {ITSELF: path}
    return {str(file.relative_to(path)): file for file in path.rglob("*") if not file.is_dir()}


def _has_shards(path: Path) -> bool:
    return next(path.rglob(f"*{SHARD}"), None) is not None


def _is_same(file: Path | None, md5: str | None) -> bool:
    if file is None or md5 is None:  # missing, or one too many
        return False
    return file.suffix == SHARD or _md5(file) == md5


def _digest(files: dict[str, Path]) -> str:
    return _tree_digest({name: _md5(file) for name, file in files.items()})


def _tree_digest(files: dict[str, str]) -> str:
    tree = Tree.from_list([{"relpath": name, "md5": md5} for name, md5 in files.items()])
    tree.digest()
    return str(tree.hash_info.value)


def _md5(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(
                opened, lambda: hashlib.md5(usedforsecurity=False)
            ).hexdigest()
    except OSError:
        return ""


def _since(stages: list[Any]) -> dict[str, str]:
    """What has changed of each stage since its run in dvc.lock, or of one it reads from."""
    makers = {Path(out.def_path): stage.name for stage in stages for out in stage.outs}
    since, reads = {}, {}
    for stage in stages:
        made = {dep: _maker(Path(dep.def_path), makers) for dep in stage.deps}
        reads[stage.name] = set(filter(None, made.values()))
        own = [dep for dep, maker in made.items() if not maker]
        since[stage.name] = "its command changed" if stage.cmd_changed else _changed(own)
    for _ in stages:  # from stage to stage, once along the longest way
        for name in since:
            olds = sorted(maker for maker in reads[name] if since[maker])
            since[name] = since[name] or (f"{olds[0]}: {since[olds[0]]}" if olds else "")
    return since


def _maker(path: Path, makers: dict[Path, str]) -> str:
    return next((name for out, name in makers.items() if path.is_relative_to(out)), "")


def _changed(deps: list[Any]) -> str:
    changed = [
        dep.def_path
        for dep in deps
        if (dep.status() if isinstance(dep, ParamsDependency) else dep.workspace_status())
    ]
    more = f" and {len(changed) - 1} more" if changed[1:] else ""
    return f"{min(changed)}{more} changed since" if changed else ""
