"""What a metric was computed from, back to the raw archives, and what has changed.

The chain is that of dvc.lock: what a stage read is an output of another. DVC compares each file
with the lock; its cached hashes make that fast for files that nobody has touched.
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
from alexnet.inference.top_k import TOP_K
from alexnet.runtime.errors import InputError

METRICS = "metrics.json"
DIGITS = 12  # of a hash


def trace_metric(root: Path, metric: str, raw: Path | None) -> Link:
    """Return the chain behind a metric of root/metrics.json.

    `raw`: the raw data set, if found. Raises InputError if there is no such metric, or DVC cannot
    read the pipeline.
    """
    value = _read_metric(root, metric)
    try:
        stages = Repo(str(root)).stage.load_all(str(root / "dvc.yaml"))  # not the experiments'
        link = _Tracer(root, raw, stages).output(METRICS)
    except (DvcException, OSError) as error:
        raise InputError(f"{root}: DVC reports: {error}", "dvc repro") from None
    return Link(metric, value, None, [*_recount(root, metric), link])


def _read_metric(root: Path, metric: str) -> str:
    try:
        content = json.loads((root / METRICS).read_bytes())
        metrics = {name: value for name, value in content.items() if isinstance(value, int | float)}
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{root / METRICS} cannot be read: {error}", "dvc repro") from None
    if metric not in metrics:
        known = ", ".join(metrics) or "none"
        raise InputError(f"{METRICS} has no metric {metric!r}", f"choose one of {known}")
    if not metric.endswith("_error"):
        return f"{metrics[metric]:,}"
    wrong = metrics.get(metric.replace("_error", "_wrong"), "?")
    return f"{metrics[metric]:.2f} %: {wrong} of {metrics.get('images', '?')} images"


def _recount(root: Path, metric: str) -> Iterator[Link]:
    """Count the images that predictions.csv (ten views) has wrong."""
    if metric not in ("top1_error", "top5_error"):
        return
    path, k = root / "data/evaluate/predictions.csv", 1 if metric == "top1_error" else TOP_K
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        wrong = sum(
            row["label"] not in [row.get(f"label{n}") for n in range(1, k + 1)] for row in rows
        )
        count = json.loads((root / METRICS).read_bytes())[metric.replace("_error", "_wrong")]
    except (OSError, KeyError, ValueError):
        return
    yield Link("recount", f"{wrong:,} wrong in {path.name}", wrong == count)


class _Tracer:
    """Follows outputs to stages and stages to inputs; expands each once."""

    def __init__(self, root: Path, raw: Path | None, stages: list[Any]) -> None:
        self.root, self.raw = root, raw
        self.makers = {out.def_path: (stage, out) for stage in stages for out in stage.outs}
        self.expanded: set[str] = set()

    def output(self, path: str) -> Link:
        """Return an output with its contents and the stage that wrote it."""
        stage, out = self.makers[self.maker(path)]
        sources = list(_contents(self.root, path, self.raw))
        sources.append(self.stage(stage))
        return Link(path, *_compare(out), sources)

    def maker(self, path: str) -> str:
        """Return the output that contains `path`; "" if no stage wrote it."""
        return next((output for output in self.makers if Path(path).is_relative_to(output)), "")

    def stage(self, stage: Any) -> Link:
        """Return a stage with its command, parameters, code and inputs."""
        if stage.name in self.expanded:
            return Link(stage.name, "see above", None)
        self.expanded.add(stage.name)
        params = [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
        files = [dep for dep in stage.deps if dep not in params]
        inputs = [dep for dep in files if self.maker(dep.def_path)]
        code = [dep for dep in files if dep not in inputs]
        sources = [*_parameters(params), _code(code), *(self.input(dep) for dep in inputs)]
        return Link(stage.name, stage.cmd, not stage.cmd_changed, sources)

    def input(self, dep: Any) -> Link:
        """Return an input of a stage, compared with what it read."""
        link = self.output(dep.def_path)
        return Link(link.name, *_compare(dep), link.sources)


def _compare(file: Any) -> tuple[str, bool]:
    """Return hash and DVC's verdict as text, and whether they agree."""
    value = (file.hash_info.value or "") if file.hash_info else ""
    status = "".join(sorted(set(file.workspace_status().values())))
    if not value:
        return "not in dvc.lock", False
    verdicts = {"": "", "modified": ", changed since", "deleted": ", missing"}
    return f"{value[:DIGITS]}{verdicts.get(status, f', {status}')}", not status


def _code(files: list[Any]) -> Link:
    changed = [file.def_path for file in files if file.workspace_status()]
    since = f"; changed since: {', '.join(changed)}" if changed else ""
    return Link("code", f"{len(files)} files and folders{since}", not changed)


def _parameters(files: list[Any]) -> Iterator[Link]:
    for file in files:
        if not file.hash_info:
            yield Link(file.def_path, "not in dvc.lock", False)
            continue
        changed = sorted(file.status().get(file.def_path, {}))
        values = ", ".join(
            f"{name} {_short(value)}" for name, value in file.hash_info.value.items()
        )
        since = f"; changed since: {', '.join(changed)}" if changed else ""
        yield Link(file.def_path, values + since, not changed)


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def _contents(root: Path, path: str, raw: Path | None) -> Iterator[Link]:
    """Yield details beyond a folder's hash: shards, archives, training settings."""
    try:
        if path == "data/train":
            made = json.loads((root / path / "model.json").read_bytes())
            chosen = " · ".join(f"{key} {value}" for key, value in made["choices"].items())
            yield Link("model.json", f"{chosen} · lr {made['lr']} · seed {made['seed']}", None)
        elif path.startswith("data/shards/"):
            yield from _shards(root / path)
        elif path == "data/index":
            yield from _archives(root / path, raw)
    except (OSError, ValueError, KeyError, TypeError, InputError) as error:
        yield Link(path, f"cannot be read: {error}", False)


def _shards(folder: Path) -> Iterator[Link]:
    """Compare shards by size; the folder's hash covers every byte."""
    for shard in read_manifest(folder).shards:
        file = folder / shard.file
        holds = file.exists() and file.stat().st_size == shard.bytes
        yield Link(shard.file, f"{shard.records:,} images, SHA-256 {shard.sha256[:DIGITS]}", holds)


def _archives(folder: Path, raw: Path | None) -> Iterator[Link]:
    for path, size in load_index(folder).archives:
        holds, verdict = None, "raw data not found"
        if raw is not None:
            try:
                check_unchanged(raw, [(path, size)])
                holds, verdict = True, "unchanged"
            except InputError:
                holds, verdict = False, "changed or missing"
        yield Link(path, f"{size:,} bytes, {verdict}", holds)
