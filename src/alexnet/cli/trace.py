"""What a number of metrics.json rests on, link by link back to the archives, as it is on disk now.

The chain is dvc.lock's: whatever a stage read was another's output. DVC compares; its own notes of
what it has hashed before make that quick for files that nobody touched.
"""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dvc.dependency import ParamsDependency
from dvc.exceptions import DvcException
from dvc.repo import Repo

from alexnet.archives.reader import check_unchanged
from alexnet.cli.provenance import Link
from alexnet.dataset.index import load_index
from alexnet.dataset.manifest import read_manifest
from alexnet.inference.top_k import FIVE
from alexnet.runtime.errors import InputError

METRICS = "metrics.json"
DIGITS = 12  # of a hash


def explain(root: Path, metric: str, raw: Path | None) -> Link:
    """The links under `metric` of root/metrics.json; `raw`: the raw data set, where it is at hand.

    Raises InputError where there is no such number, or no run that DVC knows of.
    """
    value = _value(root, metric)
    try:
        stages = Repo(str(root)).stage.load_all(str(root / "dvc.yaml"))  # no experiment's
        chain = _Chain(root, raw, stages)
        link = chain.output(METRICS)
    except (DvcException, OSError) as error:
        raise InputError(f"{root}: DVC says: {error}", "dvc repro") from None
    return Link(metric, value, None, [*_counted(root, metric), link])


def _value(root: Path, metric: str) -> str:
    try:
        numbers = json.loads((root / METRICS).read_bytes())
        known = {name: value for name, value in numbers.items() if isinstance(value, int | float)}
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{root / METRICS} cannot be read: {error}", "dvc repro") from None
    if metric not in known:
        raise InputError(f"there is no {metric!r}", f"choose one of {', '.join(known) or 'none'}")
    if not metric.endswith("_error"):
        return f"{known[metric]:,}"
    wrong = known.get(metric.replace("_error", "_wrong"), "?")
    return f"{known[metric]:.2f} %: {wrong} of {known.get('images', '?')} images"


def _counted(root: Path, metric: str) -> Iterator[Link]:
    """The images that predictions.csv has wrong, counted again; it holds the ten views' answers."""
    if metric not in ("top1_error", "top5_error"):
        return
    path, k = root / "data/evaluate/predictions.csv", 1 if metric == "top1_error" else FIVE
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        wrong = sum(
            row["label"] not in [row.get(f"label{n}") for n in range(1, k + 1)] for row in rows
        )
        count = json.loads((root / METRICS).read_bytes())[metric.replace("_error", "_wrong")]
    except (OSError, KeyError, ValueError):
        return
    yield Link("counted again", f"{wrong:,} wrong in {path.name}", wrong == count)


class _Chain:
    """The stages by what they make; each is told in full where it is first met."""

    def __init__(self, root: Path, raw: Path | None, stages: list[Any]) -> None:
        self.root, self.raw = root, raw
        self.makers = {out.def_path: (stage, out) for stage in stages for out in stage.outs}
        self.told: set[str] = set()

    def output(self, path: str) -> Link:
        """A file or folder that a stage made, with what is in it and the stage."""
        stage, out = self.makers[self.maker(path)]
        links = list(_contents(self.root, path, self.raw))
        links.append(self.stage(stage))
        return Link(path, *_state(out), links)

    def maker(self, path: str) -> str:
        """The output that `path` is, or is in; none where no stage made it."""
        return next((made for made in self.makers if Path(path).is_relative_to(made)), "")

    def stage(self, stage: Any) -> Link:
        """A stage: its command, its code and parameters, and what it read."""
        if stage.name in self.told:
            return Link(stage.name, "as above", None)
        self.told.add(stage.name)
        params = [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
        files = [dep for dep in stage.deps if dep not in params]
        read = [dep for dep in files if self.maker(dep.def_path)]
        code = [dep for dep in files if dep not in read]
        links = [*_parameters(params), _code(code), *(self.read(dep) for dep in read)]
        return Link(stage.name, stage.cmd, not stage.cmd_changed, links)

    def read(self, dep: Any) -> Link:
        """What a stage read: as its maker's output, but compared with what this stage read."""
        link = self.output(dep.def_path)
        holds, told = _state(dep)[::-1]
        return Link(link.name, told, holds, link.because)


def _state(output: Any) -> tuple[str, bool]:
    """The start of the hash that dvc.lock has, and what DVC says of the file now."""
    value = (output.hash_info.value or "") if output.hash_info else ""
    changed = "".join(sorted(set(output.workspace_status().values())))
    if not value:
        return "not in dvc.lock", False
    says = {"": "", "modified": ", changed since", "deleted": ", missing now"}
    return f"{value[:DIGITS]}{says.get(changed, f', {changed}')}", not changed


def _code(files: list[Any]) -> Link:
    changed = [file.def_path for file in files if file.workspace_status()]
    told = f"{len(files)} files" + (f"; changed since: {', '.join(changed)}" if changed else "")
    return Link("code", told, not changed)


def _parameters(files: list[Any]) -> Iterator[Link]:
    for file in files:
        if not file.hash_info:
            yield Link(file.def_path, "not in dvc.lock", False)
            continue
        changed = sorted(file.status().get(file.def_path, {}))
        told = ", ".join(f"{name} {_short(value)}" for name, value in file.hash_info.value.items())
        since = f"; changed since: {', '.join(changed)}" if changed else ""
        yield Link(file.def_path, told + since, not changed)


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def _contents(root: Path, path: str, raw: Path | None) -> Iterator[Link]:
    """What is worth knowing of a folder beyond its hash: shards, archives, how the model came."""
    try:
        if path == "data/train":
            made = json.loads((root / path / "model.json").read_bytes())
            chosen = " · ".join(f"{key} {value}" for key, value in made["chosen"].items())
            yield Link("model.json", f"{chosen} · lr {made['lr']} · seed {made['seed']}", None)
        elif path.startswith("data/shards/"):
            yield from _shards(root / path)
        elif path == "data/index":
            yield from _archives(root / path, raw)
    except (OSError, ValueError, KeyError, TypeError, InputError) as error:
        yield Link(path, f"cannot be read: {error}", False)


def _shards(folder: Path) -> Iterator[Link]:
    """By name and size; every byte was part of the folder's own hash."""
    for shard in read_manifest(folder)["shards"]:
        file = folder / shard["file"]
        holds = file.exists() and file.stat().st_size == shard["bytes"]
        yield Link(
            shard["file"], f"{shard['records']:,} images, SHA-256 {shard['sha256'][:DIGITS]}", holds
        )


def _archives(folder: Path, raw: Path | None) -> Iterator[Link]:
    for path, size in load_index(folder).archives:
        holds, where = None, "not at hand"
        if raw is not None:
            try:
                check_unchanged(raw, [(path, size)])
                holds, where = True, "still so"
            except InputError:
                holds, where = False, "no longer so"
        yield Link(path, f"{size:,} bytes, {where}", holds)
