"""No damage under data/ or to a checkpoint goes by untold, gives other pixels, or ends a process.

DAMAGE=10500 pytest -s tests/robustness/test_damage.py
does ten thousand faults, and says how each was told.
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
from alexnet.train.checkpoint import BEFORE, NEWEST
from faults import BYTES, FORGED, Fault, Scene
from small_run import CHECKPOINTS, REFUSED

DAMAGE = int(os.environ.get("DAMAGE", "200"))
FORK = multiprocessing.get_context("fork")
A_CHILD = 100  # faults in one process


Read = Callable[[Path], dict[str, str]]


@dataclass(frozen=True)
class Part:
    """What is harmed, its share of all faults in percent, how it is harmed, and what reads it."""

    where: tuple[str, ...]
    share: int
    kinds: list[Fault]
    readers: list[Read]


SHARDS = [*BYTES, *FORGED, faults.edited_text, faults.flipped_beside_pixels, faults.swapped_records]
PARTS = {
    "shards": Part(
        ("data/shards",),
        40,
        SHARDS,
        [partial(small_run.shards, split=split) for split in small_run.SPLITS],
    ),
    "moments": Part(
        ("data/moments",),
        15,
        [*BYTES, faults.edited_text, faults.resealed_edit],
        [small_run.moments],
    ),
    "model": Part(("data/train",), 15, [*BYTES, faults.edited_text], [small_run.model]),
    "index": Part(("data/index",), 15, [*BYTES, faults.edited_text], [small_run.index]),
    "checkpoints": Part(
        (str(CHECKPOINTS),),
        10,
        BYTES,
        [partial(small_run.loaded, name=name) for name in (NEWEST, BEFORE)],
    ),
    "results": Part(
        ("data/evaluate", "data/retrieve", "data/report", "metrics.json"), 5, BYTES, []
    ),
}


@dataclass(frozen=True)
class Run:
    """An undisturbed run, what is read from it, and what dvc.lock would have of it."""

    root: Path
    other: Path
    loaded: dict[str, str]
    locked: dict[str, str]
    goes_on: list[str]  # from the newest checkpoint, from the one before, from the start


@dataclass
class Seen:
    """Of a fault: the files that are other than they were, what is read now, and what is told.

    hurt: the records whose bytes are others. resumed: where training goes on; then: where it would
    without the newest checkpoint.
    """

    kind: str
    changed: set[str]
    hurt: set[str]
    loaded: dict[str, str]
    refused: list[str]
    told: list[str]
    resumed: str = ""
    then: str = ""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    top = tmp_path_factory.mktemp("damage")
    for seed, name in enumerate(("whole", "other")):
        small_run.write_run(top / name, seed)
    root = top / "whole"
    loaded: dict[str, str] = {}
    for part in PARTS.values():
        for read in part.readers:
            loaded |= read(root)
    assert not any(value.startswith(REFUSED) for value in loaded.values())
    going = [small_run.resumed(root)[0]]
    shutil.copytree(root, top / "copy")
    for name in (NEWEST, BEFORE):
        (top / "copy" / CHECKPOINTS / name).unlink()
        going.append(small_run.resumed(top / "copy")[0])
    assert len(set(going)) == 3
    return Run(root, top / "other", loaded, small_run.locked_md5s(root), going)


class AtOnce(Executor):
    """Each job as it is given: what it reads is what is looked at, not how it is shared out."""

    def submit(self, work: Callable[..., Any], *args: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(work(*args, **named))
        return future


def harmed(seed: int, run: Run, part: Part, root: Path) -> Seen:
    """Do one fault to `root`, a copy of the run, look at it, and make it whole again."""
    every = [path.relative_to(run.root) for path in small_run.files_of(run.root)]
    files = [path for path in every if str(path).startswith(part.where)]
    kind = part.kinds[seed % len(part.kinds)]
    touched = kind(Scene(root, run.other, files, np.random.default_rng(seed)))
    try:
        return looked_at(run, part, root, kind.__name__, touched)
    finally:
        undo(run, root, touched | {CHECKPOINTS / name for name in (NEWEST, BEFORE)})


def looked_at(run: Run, part: Part, root: Path, kind: str, touched: set[Path]) -> Seen:
    changed = {str(file) for file in touched if not is_same(root / file, run.root / file)}
    hurt = {record for name in changed for record in hurt_records(run.root / name, root / name)}
    seen = Seen(kind, changed, hurt, {}, [], [])
    for read in part.readers:
        try:
            seen.loaded |= read(root)
        except InputError as error:
            seen.refused.append(str(error))
    if part is PARTS["checkpoints"]:
        go_on(root, seen)
    else:
        seen.told += reported(root, run)
    return seen


def reported(root: Path, run: Run) -> list[str]:
    """What `verify` prints of the data in `root`, problems and notes."""
    lines = list(check_data(AtOnce(), root / "data"))
    for output in small_run.compare_with_lock(root, run.locked):
        lines += dvc_lock.report(root, output, lines.append)
    return lines


def undo(run: Run, root: Path, files: set[Path]) -> None:
    for file in files:
        (root / file).unlink(missing_ok=True)
        os.link(run.root / file, root / file)


def go_on(root: Path, seen: Seen) -> None:
    """As training would, and without the newest, should that be the whole one of the two."""
    seen.resumed, said = small_run.resumed(root)
    if str(CHECKPOINTS / NEWEST) not in seen.changed:
        (root / CHECKPOINTS / NEWEST).unlink()
        seen.then, more = small_run.resumed(root)
        said += more
    seen.told += [line for line in said.splitlines() if "going on from the one before" in line]


def is_same(one: Path, two: Path) -> bool:
    return one.exists() and one.read_bytes() == two.read_bytes()


def hurt_records(whole: Path, harmed: Path) -> set[str]:
    if whole.suffix != ".lmdb" or not harmed.exists():
        return set()
    before, after = whole.read_bytes(), harmed.read_bytes()
    spans = faults.places(whole).items()
    hurt = {n for n, (start, stop) in spans if before[start:stop] != after[start:stop]}
    return {f"{whole.parent.name} {n}" for n in hurt}


def in_children(work: Callable[[int], Any], seeds: list[int]) -> Iterator[tuple[int, Any]]:
    """What `work` gives for each seed, or its traceback, in processes that must end well."""
    for first in range(0, len(seeds), A_CHILD):
        some = seeds[first : first + A_CHILD]
        mine, its = FORK.Pipe(duplex=False)
        child = FORK.Process(target=_work, args=(work, some, its))
        child.start()
        its.close()
        for seed in some:
            try:
                yield seed, mine.recv()
            except EOFError:
                pytest.fail(f"fault {seed} ended the process")
        child.join()
        assert child.exitcode == 0


def _work(work: Callable[[int], Any], seeds: list[int], its: Any) -> None:
    torch.set_num_threads(1)
    for seed in seeds:
        try:
            its.send(work(seed))
        except Exception:
            its.send(traceback.format_exc())


def check(run: Run, part: Part, seen: Seen) -> str:
    """That nothing is silent; returns in a few words how it was told."""
    other = {name for name, value in seen.loaded.items() if value != run.loaded[name]}
    refused = {name for name in other if seen.loaded[name].startswith(REFUSED)}
    lines = seen.refused + [seen.loaded[name] for name in refused]
    if not seen.changed:
        assert [*other, *lines, *seen.told] == []
        return "changed nothing"
    if part is PARTS["checkpoints"]:
        return check_resumed(run, seen, other, lines)
    for name in seen.changed:
        assert any(name in line for line in seen.told), f"{name} is not named"
    assert all(any(where in line for where in part.where) for line in lines)
    assert seen.refused or seen.hurt <= refused or "manifest.json" in str(seen.changed)
    check_records(seen, refused)
    if lines:
        return "told on use, and by verify"
    if not other:
        return "told by verify; nothing else was read"
    forged = seen.kind in [fault.__name__ for fault in FORGED]
    whole_in_itself = part is PARTS["model"] and seen.kind == "of_another_run"
    assert part is PARTS["index"] or forged or whole_in_itself, f"others were read: {other}"
    return "told by verify alone, though others were read"


def check_records(seen: Seen, refused: set[str]) -> None:
    """Where the way to the records is whole, each that is refused is named, and no other."""
    named = {
        f"{match[1]} {match[2]}"
        for line in seen.told
        if (match := re.search(r"(\w+)/\d+\.lmdb: record (\d+) is damaged", line))
    }
    if named:
        assert named == refused >= seen.hurt


def check_resumed(run: Run, seen: Seen, other: set[str], lines: list[str]) -> str:
    """A checkpoint is taken whole, or it is told and the one before is taken, or the start."""
    newest, before, start = run.goes_on
    for name in seen.changed:
        if "exchanged" != seen.kind != "deleted":  # then the run goes on from an older one: rightly
            assert any(name in line for line in lines + seen.told), f"{name} is not named"
    if seen.then:
        assert seen.resumed == newest
        assert seen.then in (start, newest)
        return "told as soon as it is needed"
    assert seen.resumed in (before, start)
    return "told on resume" if seen.told else "gone on from the one before"


@pytest.mark.parametrize("name", PARTS)
def test_no_damage_is_silent(name: str, run: Run, tmp_path: Path) -> None:
    """200 faults over all parts. Of DAMAGE=10500 ten thousand change something."""
    part, counts = PARTS[name], Counter[str]()
    shutil.copytree(run.root, tmp_path / "copy", copy_function=os.link)
    work = partial(harmed, run=run, part=part, root=tmp_path / "copy")
    failures = []
    for seed, seen in in_children(work, list(range(DAMAGE * part.share // 100))):
        try:
            assert isinstance(seen, Seen)
            counts[check(run, part, seen)] += 1
        except AssertionError as error:
            failures.append(f"fault {seed}: {error}\n{pformat(seen)}")
    told = "; ".join(f"{n:,} {how}" for how, n in counts.items())
    print(f"\n{name}: {counts.total():,} faults: {told}")
    assert counts["changed nothing"] < counts.total() / 10
    assert not failures, "\n".join([f"{len(failures)} failures", *failures[:10]])


def test_a_whole_run_has_no_damage(run: Run) -> None:
    assert reported(run.root, run) == []
