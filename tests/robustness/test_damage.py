"""Damage under data/ or to a checkpoint is always reported, and never crashes a reader.

DAMAGE=10500 pytest -s tests/robustness/test_damage.py
does ten thousand faults and prints how each was reported.
"""

import multiprocessing
import os
import re
import shutil
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from pprint import pformat
from typing import Any

import numpy as np
import pytest
import torch

import faults
import small_run
from alexnet.cli import dvc_lock
from alexnet.cli.integrity import check_data
from alexnet.runtime.errors import InputError
from alexnet.train.checkpoint import NEWEST, PREVIOUS
from faults import BYTES, FORGED, Fault, Scene
from small_run import CHECKPOINTS, REJECTED

DAMAGE = int(os.environ.get("DAMAGE", "200"))
FORK = multiprocessing.get_context("fork")
FAULTS_A_CHILD = 100


Read = Callable[[Path], dict[str, str]]


@dataclass(frozen=True)
class Part:
    """A part of a run: its paths, its share of all faults in %, the faults, and its readers."""

    paths: tuple[str, ...]
    share: int
    kinds: list[Fault]
    readers: list[Read]


SHARDS = [*BYTES, *FORGED, faults.edit_a_digit, faults.flip_a_bit_outside_the_records]
PARTS = {
    "shards": Part(
        ("data/shards",),
        40,
        [*SHARDS, faults.swap_records],
        [partial(small_run.read_shards, split=split) for split in small_run.SPLITS],
    ),
    "moments": Part(
        ("data/moments",),
        15,
        [*BYTES, faults.edit_a_digit, faults.edit_json],
        [small_run.read_moments],
    ),
    "model": Part(("data/train",), 15, [*BYTES, faults.edit_a_digit], [small_run.read_model]),
    "index": Part(("data/index",), 15, [*BYTES, faults.edit_a_digit], [small_run.read_index]),
    "checkpoints": Part(
        (str(CHECKPOINTS),),
        10,
        BYTES,
        [partial(small_run.read_checkpoint, name=name) for name in (NEWEST, PREVIOUS)],
    ),
    "results": Part(
        ("data/evaluate", "data/retrieve", "data/report", "metrics.json"), 5, BYTES, []
    ),
}


@dataclass(frozen=True)
class Run:
    """An undamaged run, what is read from it, and its outputs as dvc.lock lists them."""

    root: Path
    other: Path
    contents: dict[str, str]
    locked: dict[str, str]
    resumed: list[str]  # state from the newest checkpoint, from the previous one, from the start


@dataclass
class Outcome:
    """The files that a fault changed, what is read after it, and what is reported.

    damaged: the records whose bytes changed. resumed: the state from which training resumes;
    resumed_without_newest: the state if the newest checkpoint is missing too.
    """

    kind: str
    changed: set[str]
    damaged: set[str]
    contents: dict[str, str]
    errors: list[str]
    reports: list[str]
    resumed: str = ""
    resumed_without_newest: str = ""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    top = tmp_path_factory.mktemp("damage")
    for seed, name in enumerate(("run", "other")):
        small_run.write_run(top / name, seed)
    root = top / "run"
    contents: dict[str, str] = {}
    for part in PARTS.values():
        for read in part.readers:
            contents |= read(root)
    assert not any(value.startswith(REJECTED) for value in contents.values())
    states = [small_run.resumed(root)[0]]
    shutil.copytree(root, top / "copy")
    for name in (NEWEST, PREVIOUS):
        (top / "copy" / CHECKPOINTS / name).unlink()
        states.append(small_run.resumed(top / "copy")[0])
    assert len(set(states)) == 3
    return Run(root, top / "other", contents, small_run.locked_md5s(root), states)


class ImmediateExecutor(Executor):
    """Runs each job when it is submitted, in this process."""

    def submit(self, work: Callable[..., Any], *args: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(work(*args, **named))
        return future


def try_fault(seed: int, run: Run, part: Part, root: Path) -> Outcome:
    """Do one fault to `root`, a copy of the run, read it, and restore the copy."""
    names = [path.relative_to(run.root) for path in small_run.files_of(run.root)]
    files = [name for name in names if str(name).startswith(part.paths)]
    kind = part.kinds[seed % len(part.kinds)]
    touched = kind(Scene(root, run.other, files, np.random.default_rng(seed)))
    try:
        return read_all(run, part, root, kind.__name__, touched)
    finally:
        restore(run, root, touched | {CHECKPOINTS / name for name in (NEWEST, PREVIOUS)})


def read_all(run: Run, part: Part, root: Path, kind: str, touched: set[Path]) -> Outcome:
    changed = {str(file) for file in touched if not is_same(root / file, run.root / file)}
    damaged = {r for name in changed for r in damaged_records(run.root / name, root / name)}
    outcome = Outcome(kind, changed, damaged, {}, [], [])
    for read in part.readers:
        try:
            outcome.contents |= read(root)
        except InputError as error:
            outcome.errors.append(str(error))
    if part is PARTS["checkpoints"]:
        resume(root, outcome)
    else:
        outcome.reports += reported(root, run)
    return outcome


def reported(root: Path, run: Run) -> list[str]:
    """Return what `verify` prints about the data in `root`: problems and notes."""
    lines = list(check_data(ImmediateExecutor(), root / "data"))
    for output in small_run.compare_with_lock(root, run.locked):
        lines += dvc_lock.report(root, output, lines.append)
    return lines


def restore(run: Run, root: Path, files: set[Path]) -> None:
    for file in files:
        (root / file).unlink(missing_ok=True)
        os.link(run.root / file, root / file)


def resume(root: Path, outcome: Outcome) -> None:
    """Resume as training would; then without the newest checkpoint, if that one is intact."""
    outcome.resumed, output = small_run.resumed(root)
    if str(CHECKPOINTS / NEWEST) not in outcome.changed:
        (root / CHECKPOINTS / NEWEST).unlink()
        outcome.resumed_without_newest, more = small_run.resumed(root)
        output += more
    lines = output.splitlines()
    outcome.reports += [line for line in lines if "falling back to the previous checkpoint" in line]


def is_same(one: Path, two: Path) -> bool:
    return one.exists() and one.read_bytes() == two.read_bytes()


def damaged_records(original: Path, copy: Path) -> set[str]:
    if original.suffix != ".lmdb" or not copy.exists():
        return set()
    before, after = original.read_bytes(), copy.read_bytes()
    spans = faults.spans(original).items()
    damaged = {n for n, (start, stop) in spans if before[start:stop] != after[start:stop]}
    return {f"{original.parent.name} {n}" for n in damaged}


def in_children(work: Callable[[int], Any], seeds: list[int]) -> Iterator[tuple[int, Any]]:
    """Yield what `work` returns for each seed, or its traceback.

    Works in forked processes, which must exit normally.
    """
    for first in range(0, len(seeds), FAULTS_A_CHILD):
        batch = seeds[first : first + FAULTS_A_CHILD]
        receiver, sender = FORK.Pipe(duplex=False)
        child = FORK.Process(target=_work, args=(work, batch, sender))
        child.start()
        sender.close()
        for seed in batch:
            try:
                yield seed, receiver.recv()
            except EOFError:
                pytest.fail(f"fault {seed} crashed the process")
        child.join()
        assert child.exitcode == 0


def _work(work: Callable[[int], Any], seeds: list[int], sender: Any) -> None:
    torch.set_num_threads(1)
    for seed in seeds:
        try:
            sender.send(work(seed))
        except Exception:
            sender.send(traceback.format_exc())


def check(run: Run, part: Part, outcome: Outcome) -> str:
    """Assert that the damage was reported; return a short description of how."""
    different = {name for name, value in outcome.contents.items() if value != run.contents[name]}
    rejected = {name for name in different if outcome.contents[name].startswith(REJECTED)}
    lines = outcome.errors + [outcome.contents[name] for name in rejected]
    if not outcome.changed:
        assert [*different, *lines, *outcome.reports] == []
        return "changed nothing"
    if part is PARTS["checkpoints"]:
        return check_resumed(run, outcome, different, lines)
    for name in outcome.changed:
        assert any(name in line for line in outcome.reports), f"{name} is not reported"
    assert all(any(path in line for path in part.paths) for line in lines)
    is_another_manifest = "manifest.json" in str(outcome.changed)
    assert outcome.errors or outcome.damaged <= rejected or is_another_manifest
    check_records(outcome, rejected)
    if lines:
        return "reported on use and by verify"
    if not different:
        return "reported by verify; everything read is unchanged"
    is_forged = outcome.kind in [fault.__name__ for fault in FORGED]
    is_another_model = part is PARTS["model"] and outcome.kind == "replace_by_another_run"
    assert part is PARTS["index"] or is_forged or is_another_model, f"wrong contents: {different}"
    return "reported by verify only, though contents differ"


def check_records(outcome: Outcome, rejected: set[str]) -> None:
    """Assert that verify reports each rejected record, and no other."""
    reported = {
        f"{match[1]} {match[2]}"
        for line in outcome.reports
        if (match := re.search(r"(\w+)/\d+\.lmdb: record (\d+) is damaged", line))
    }
    if reported:
        assert reported == rejected >= outcome.damaged


def check_resumed(run: Run, outcome: Outcome, different: set[str], lines: list[str]) -> str:
    """Assert that a damaged checkpoint is reported, and the previous one or none is used."""
    newest, previous, start = run.resumed
    for name in outcome.changed:
        if outcome.kind not in ("exchange", "delete"):  # these leave a valid, older checkpoint
            assert any(name in line for line in lines + outcome.reports), f"{name} is not reported"
    if outcome.resumed_without_newest:
        assert outcome.resumed == newest
        assert outcome.resumed_without_newest in (start, newest)
        return "reported as soon as it is needed"
    assert outcome.resumed in (previous, start)
    return "reported on resume" if outcome.reports else "resumed from the previous checkpoint"


@pytest.mark.parametrize("name", PARTS)
def test_damage_is_always_reported(name: str, run: Run, tmp_path: Path) -> None:
    """200 faults over all parts by default; of DAMAGE=10500, ten thousand change something."""
    part, counts = PARTS[name], Counter[str]()
    shutil.copytree(run.root, tmp_path / "copy", copy_function=os.link)
    work = partial(try_fault, run=run, part=part, root=tmp_path / "copy")
    failures = []
    for seed, outcome in in_children(work, list(range(DAMAGE * part.share // 100))):
        try:
            assert isinstance(outcome, Outcome), outcome
            counts[check(run, part, outcome)] += 1
        except AssertionError as error:
            failures.append(f"fault {seed}: {error}\n{pformat(outcome)}")
    summary = "; ".join(f"{n:,} {how}" for how, n in counts.items())
    print(f"\n{name}: {counts.total():,} faults: {summary}")
    assert counts["changed nothing"] < counts.total() / 10
    assert not failures, "\n".join([f"{len(failures)} failures", *failures[:10]])


def test_an_intact_run_has_no_damage(run: Run) -> None:
    assert reported(run.root, run) == []
