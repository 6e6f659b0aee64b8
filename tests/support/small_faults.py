"""Each write with every fault that a disk can have; test_faults.py judges the outcome.

LD_PRELOAD=shim.so python tests/support/small_faults.py FOLDER SHARE
tries SHARE of the faults of each kind
and subject, all where it is 1, and prints a line of JSON for each. The shim is small_faults.c;
without one the faults are those of small_python_faults.py.
"""

import ctypes
import errno
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

import numpy as np
import torch
from PIL import Image

from alexnet.config.stage import errors_in_one_line
from alexnet.dataset.index import Index, load_index, save_index
from alexnet.dataset.moments import load_moments
from alexnet.dataset.shards import Shards
from alexnet.evaluate.result import read_result, write_result
from alexnet.index.layouts import read_index
from alexnet.model.alexnet import AlexNet
from alexnet.model.weights import load_model, save_model
from alexnet.moments.pca import save_moments
from alexnet.moments.sums import sums_of
from alexnet.resize import jobs as jobs_module
from alexnet.resize import shard_writer
from alexnet.runtime.files import move_into_place, replace_folder
from alexnet.train import checkpoint
from alexnet.train.loop import write_history
from alexnet.train.optimizer import Multistep
from small_model import described, moments
from small_python_faults import PythonFaults

SECONDS = 600  # a write that takes longer hangs, on a busy machine too
ONCE, DEAD, FULL, SHORT, CUT, KILLED, SLOW = range(1, 8)  # as in small_faults.c
SLOWNESS = 20  # ms, of each call
KINDS = {  # name → what happens at call n, and the error it gives
    "no space, once": (ONCE, errno.ENOSPC),
    "I/O error, once": (ONCE, errno.EIO),
    "I/O errors from then on": (DEAD, errno.EIO),
    "no space from then on": (FULL, errno.ENOSPC),
    "a short write": (SHORT, 0),
    "a short write, then no space": (CUT, errno.ENOSPC),
    "SIGKILL": (KILLED, 0),
}
WRITES = ("write", "pwrite", "pwrite64", "writev", "pwritev", "pwritev64")


class Subject(NamedTuple):
    """`before` makes the old state in a folder, `write` the new one; `read` tells which is there.

    `read` is what a later run, or a reader, makes of the folder.
    """

    before: Callable[[Path], None]
    write: Callable[[Path], None]
    read: Callable[[Path], str]


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def digest_of(folder: Path) -> str:
    return digest(
        b"".join(n.encode() + (folder / n).read_bytes() for n in sorted(files_of(folder)))
    )


class Here(Executor):
    """Does each job at once, in this process; or none, to tell which are asked for."""

    def __init__(self, works: bool = True) -> None:
        self.works, self.asked = works, []  # type: ignore[var-annotated]

    def submit(self, job: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.asked.append(arguments[0].path.name)
        try:
            future.set_result(job(*arguments, **named) if self.works else None)
        except Exception as error:
            future.set_exception(error)
        return future


def raw_images(folder: Path) -> None:
    """Five for training, in two shards, and two more, with their index."""
    for n in range(7):
        path = folder / "photos" / ("val" if n > 4 else "train") / str(n % 2) / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(n).integers(0, 256, (256, 256, 3), np.uint8)
        Image.fromarray(noise).save(path, compress_level=0)
    (folder / "index").mkdir()
    save_index(read_index(folder / "photos", "folder", seed=3, held_out=0.5), folder / "index")


def jobs_of(folder: Path, first: int = 0) -> list[jobs_module.Job]:
    rows = load_index(folder / "index").splits["train"]
    jobs = jobs_module.shard_jobs(
        folder / "work", rows, records=3, index=folder / "index", root=folder / "photos",
        split="train", resample="bicubic", pixels="raw", apply_exif=True, on_error="skip",
    )  # fmt: skip
    return jobs[first:]


def resize(folder: Path, jobs: slice = slice(None)) -> None:
    jobs_module.resize(Here(), jobs_of(folder)[jobs], lambda n: None)


def join(folder: Path) -> None:
    rows = load_index(folder / "index").splits["train"]
    jobs_module.join(folder / "work/shards/train", rows, jobs_of(folder))


def shards_done(folder: Path) -> str:
    """What the next run takes for done, and what it makes of it."""
    later = Here(works=False)
    jobs_module.resize(later, jobs_of(folder), lambda n: None)
    if later.asked:
        done = [folder / "work/shards/train/00000.lmdb", folder / "work/train-00000.json"]
        return f"{later.asked} to do; {[digest(path.read_bytes()) for path in done]}"
    join(folder)
    return pixels_of(folder / "work/shards")


def one_shard_done(folder: Path) -> None:
    raw_images(folder)
    resize(folder, slice(1))


def two_splits(folder: Path) -> None:
    """One in its place, and another, finished, to replace it."""
    raw_images(folder)
    resize(folder)
    join(folder)
    shutil.copytree(folder / "work/shards", folder / "data/shards")
    labels = np.array([4, 3, 2, 1, 0], np.int32)
    split = folder / "data/shards/train"
    entries = Shards(split).manifest["shards"]
    shard_writer.write_manifest(split, labels, "raw", entries, [])


def place_split(folder: Path) -> None:
    resize(folder)  # nothing to do, but where it was in its place before the stage failed
    join(folder)
    move_into_place(folder / "work/shards", folder / "data/shards")


def pixels_of(folder: Path) -> str:
    split = Shards(folder / "train")
    assert not [told for shard in range(2) for told in split.damage(shard)]
    images = [split.read(int(record)).tobytes() for record in split.records]
    return digest(b"".join([split.labels.tobytes(), *images]))


def write_moments(seed: int) -> Callable[[Path], None]:
    images = np.random.default_rng(seed).integers(0, 256, (2, 256, 256, 3), np.uint8)
    sums = sums_of(images)

    def write(folder: Path) -> None:
        with replace_folder(folder / "moments") as new:
            save_moments(new, sums)

    return write


def read_moments(folder: Path) -> str:
    load_moments(folder / "moments")
    return digest_of(folder / "moments")


def write_index(seed: int) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        synsets, splits = whole.synsets[::seed], whole.splits
        with replace_folder(folder / "index") as new:
            save_index(Index(splits, whole.archives, synsets), new)

    whole = load_index(INDEX)
    return write


def read_index_again(folder: Path) -> str:
    load_index(folder / "index")
    return digest_of(folder / "index")


def net_of(seed: int) -> AlexNet:
    torch.manual_seed(seed)
    return AlexNet(7, 16)


def write_model(seed: int) -> Callable[[Path], None]:
    net, rows = net_of(seed), [{"epoch": 1.0, "lr": 0.1 * seed}]

    def write(folder: Path) -> None:
        with replace_folder(folder / "train") as new:
            save_model(new, net, moments(), described() | {"seed": seed})
            write_history(new / "history.csv", rows)

    return write


def read_model(folder: Path) -> str:
    load_model(folder / "train")
    return digest_of(folder / "train")


RUN = "run"  # a checkpoint tells the name of its folder


def write_checkpoint(step: int) -> Callable[[Path], None]:
    net = net_of(step)
    velocities = {name: weight * 2 for name, weight in net.state_dict().items()}
    at = checkpoint.Position(0, step, step, Multistep([5]), [])

    def write(folder: Path) -> None:
        checkpoint.save(folder / RUN, net, velocities, torch.tensor(float(step)), at)

    return write


def two_checkpoints(folder: Path) -> None:
    (folder / RUN).mkdir()
    for step in (1, 2):
        write_checkpoint(step)(folder)


def read_checkpoint(folder: Path) -> str:
    """Where the next run goes on from, and with what."""
    net, loss = net_of(9), torch.zeros(())
    velocities = {name: torch.zeros_like(weight) for name, weight in net.state_dict().items()}
    start = checkpoint.Position(0, 0, 0, Multistep([5]), [])
    with redirect_stdout(None):
        at = checkpoint.resume(folder / RUN, net, velocities, loss, start)
    assert float(loss) == at.step
    wanted = net_of(at.step).state_dict()
    for name, weight in net.state_dict().items():
        assert torch.equal(weight, wanted[name])
        assert torch.equal(velocities[name], 2 * weight)
    return f"step {at.step}"


def write_metrics(top1: float) -> Callable[[Path], None]:
    run = dict.fromkeys(("dataset", "split", "model", "recipe", "parameters", "seed", "lr"), "")
    counts = {"top1_error": top1, "top5_error": 0, "top1_wrong": 0, "top5_wrong": 0, "images": 9}
    result = {**counts, "run": {**run, "classes": 3}}
    return lambda folder: write_result(folder / "metrics.json", result)


def subjects() -> dict[str, Subject]:
    return {
        "shard": Subject(one_shard_done, resize, shards_done),
        "split": Subject(two_splits, place_split, lambda f: pixels_of(f / "data/shards")),
        "moments": Subject(write_moments(0), write_moments(1), read_moments),
        "checkpoint": Subject(two_checkpoints, write_checkpoint(3), read_checkpoint),
        "model": Subject(write_model(0), write_model(1), read_model),
        "index": Subject(write_index(1), write_index(-1), read_index_again),
        "metrics": Subject(
            write_metrics(1), write_metrics(2), lambda f: str(read_result(f / "metrics.json"))
        ),
    }


def faulty(write: Callable[[Path], None], folder: Path, kind: int, n: int, code: int) -> str:
    """Write in a process of its own, with the fault: what it says, and how it ends.

    "" is success; then there are one line, a traceback, or the number of the signal.
    """
    reading, writing = os.pipe()
    if not (child := os.fork()):
        signal.alarm(SECONDS)
        told = ""
        SHIM.faults_begin(os.fsencode(folder), kind, n, code)
        try:
            with errors_in_one_line():
                write(folder)
        except SystemExit as end:
            told = str(end.code)
        except BaseException:
            told = traceback.format_exc()
        calls = SHIM.faults_end()
        names = [] if kind else [SHIM.faults_name(n).decode() for n in range(calls)]
        os.write(writing, json.dumps([told, names]).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    return told or json.dumps([f"signal {os.waitstatus_to_exitcode(status)}", []])


def state_of(subject: Subject, folder: Path) -> str:
    """As `read`; where an output is gone, what it is when the next run has brought it back."""
    try:
        return subject.read(folder)
    except BaseException as error:
        for moved in folder.rglob(".*.old"):
            back = moved.with_name(moved.name[1:].removesuffix(".old"))
            if not back.exists():
                shutil.copytree(moved, back)
                found = state_of(subject, folder)
                shutil.rmtree(back)
                return f"beside: {found}"
        return f"unreadable: {error}"


def points_of(calls: list[str], share: float, draw: random.Random) -> Iterator[tuple[str, int]]:
    """Of each kind of fault a share of the calls where it can occur, and at least one."""
    for kind, (what, _) in KINDS.items():
        places = [n for n in range(len(calls)) if what not in (SHORT, CUT) or calls[n] in WRITES]
        for n in sorted(draw.sample(places, max(1, round(share * len(places))))):
            yield kind, n
    yield "slow", SLOWNESS


def faults(name: str, subject: Subject, top: Path, share: float) -> Iterator[dict[str, Any]]:
    """Each fault tried, with what was there afterwards and what after the same write again."""
    old, new, folder = top / "old", top / "new", top / "folder"
    old.mkdir()
    subject.before(old)
    copy(old, folder)
    said, calls = json.loads(faulty(subject.write, folder, 0, 0, 0))
    copy(folder, new)
    states = {state_of(subject, fresh): told for fresh, told in ((old, "old"), (new, "new"))}
    yield {"subject": name, "calls": calls, "told": said, "states": sorted(states.values())}
    for kind, n in points_of(calls, share, random.Random(name)):
        copy(old, folder)
        what, code = KINDS.get(kind, (SLOW, 0))
        told, _ = json.loads(faulty(subject.write, folder, what, n, code))
        left = files_of(folder) - files_of(old) - files_of(new)
        found = state_of(subject, folder)
        again, _ = json.loads(faulty(subject.write, folder, 0, 0, 0))
        yield {
            "subject": name,
            "kind": kind,
            "call": calls[n] if n < len(calls) else "",
            "n": n,
            "told": told,
            "state": states.get(found.removeprefix("beside: "), found),
            "beside": found.startswith("beside: "),
            "left": sorted(left),
            "again": again or states.get(state_of(subject, folder), "another"),
            "remains": sorted(files_of(folder) ^ files_of(new)),
        }


def copy(old: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(old, folder)


def main() -> None:
    top, share = Path(sys.argv[1]), float(sys.argv[2])
    for name, subject in subjects().items():
        (top / name).mkdir()
        for fault in faults(name, subject, top / name, share):
            print(json.dumps(fault), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    shard_writer.RECORDS_A_TRANSACTION = 1  # to see several
    SHIM: Any = PythonFaults()
    if shim := os.environ.get("LD_PRELOAD"):
        SHIM = ctypes.CDLL(shim)
        SHIM.faults_name.restype = ctypes.c_char_p
    INDEX = Path(sys.argv[1]) / "raw"
    INDEX.mkdir()
    raw_images(INDEX)
    INDEX = INDEX / "index"
    main()
