"""Runs each write of the project with simulated disk faults, for test_faults.py.

LD_PRELOAD=shim.so python tests/support/small_faults.py FOLDER SHARE
tries a SHARE of the faults of each kind and subject (1: all of them) and prints a line of JSON for
each. The shim is small_faults.c; without it small_python_faults.py simulates the faults.
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
from dataclasses import replace
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
from alexnet.evaluate.result import Result, Run, read_result, write_result
from alexnet.index.layouts import read_index
from alexnet.model.alexnet import AlexNet
from alexnet.model.net_config import NetConfig
from alexnet.model.weights import load_model, save_model
from alexnet.moments.sums import sum_images
from alexnet.resize import jobs as jobs_module
from alexnet.resize import shard_writer
from alexnet.runtime.files import move_into_place, replace_folder
from alexnet.train import checkpoint
from alexnet.train.history import write_csv
from alexnet.train.schedule import Multistep
from alexnet.train.state import TrainState
from images import relabel, save_moments_of
from small_model import moments, small_description
from small_python_faults import PythonFaults

SECONDS = 600  # after which a write hangs, even on a busy machine
ONCE, DEAD, FULL, SHORT, CUT, KILLED, SLOW = range(1, 8)  # as in small_faults.c
SLOWNESS = 20  # ms a call
KINDS = {  # name → what happens at call n, and the error number
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
    """A write to be disturbed: `before` makes the old state in a folder, `write` the new one.

    `read` returns what a later run, or a reader, finds in the folder.
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


class ImmediateExecutor(Executor):
    """Runs each job when it is submitted, in this process; or none, and only records them."""

    def __init__(self, works: bool = True) -> None:
        self.works = works
        self.submitted: list[str] = []

    def submit(self, job: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.submitted.append(arguments[0].path.name)
        try:
            future.set_result(job(*arguments, **named) if self.works else None)
        except Exception as error:
            future.set_exception(error)
        return future


def write_raw_images(folder: Path) -> None:
    """Write five images for training, in two shards, two for validation, and their index."""
    for n in range(7):
        path = folder / "photos" / ("val" if n > 4 else "train") / str(n % 2) / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(n).integers(0, 256, (256, 256, 3), np.uint8)
        Image.fromarray(noise).save(path, compress_level=0)
    (folder / "index").mkdir()
    save_index(read_index(folder / "photos", "folder", seed=3, held_out=0.5), folder / "index")


def jobs_of(folder: Path, first: int = 0) -> list[jobs_module.Job]:
    rows = load_index(folder / "index").splits["train"]
    source = jobs_module.Source(folder / "index", folder / "photos", "train")
    options = jobs_module.ResizeOptions("bicubic", "raw", apply_exif=True, on_error="skip")
    jobs = jobs_module.plan_jobs(folder / "work", rows, source, options, records=3)
    return jobs[first:]


def resize(folder: Path, jobs: slice = slice(None)) -> None:
    jobs_module.run_jobs(ImmediateExecutor(), jobs_of(folder)[jobs], lambda n: None)


def join(folder: Path) -> None:
    rows = load_index(folder / "index").splits["train"]
    jobs_module.join_shards(folder / "work/shards/train", rows, jobs_of(folder))


def read_shard_state(folder: Path) -> str:
    """Return which shards the next run would write; if none, a digest of the split."""
    next_run = ImmediateExecutor(works=False)
    jobs_module.run_jobs(next_run, jobs_of(folder), lambda n: None)
    if next_run.submitted:
        done = [folder / "work/shards/train/00000.lmdb", folder / "work/train-00000.json"]
        return f"{next_run.submitted} to do; {[digest(path.read_bytes()) for path in done]}"
    join(folder)
    return pixels_of(folder / "work/shards")


def write_one_shard(folder: Path) -> None:
    write_raw_images(folder)
    resize(folder, slice(1))


def write_two_splits(folder: Path) -> None:
    """Write a split in its place, and a finished one to replace it."""
    write_raw_images(folder)
    resize(folder)
    join(folder)
    shutil.copytree(folder / "work/shards", folder / "data/shards")
    relabel(folder / "data/shards/train", [4, 3, 2, 1, 0])


def place_split(folder: Path) -> None:
    resize(folder)  # does something only if the split was moved before the stage failed
    join(folder)
    move_into_place(folder / "work/shards", folder / "data/shards")


def pixels_of(folder: Path) -> str:
    split = Shards(folder / "train")
    assert not [line for shard in range(2) for line in split.find_damage(shard)]
    images = [split.read(int(record)).tobytes() for record in split.records]
    return digest(b"".join([split.labels.tobytes(), *images]))


def write_moments(seed: int) -> Callable[[Path], None]:
    images = np.random.default_rng(seed).integers(0, 256, (2, 256, 256, 3), np.uint8)
    sums = sum_images(images)

    def write(folder: Path) -> None:
        with replace_folder(folder / "moments") as new:
            save_moments_of(new, sums)

    return write


def read_moments(folder: Path) -> str:
    load_moments(folder / "moments")
    return digest_of(folder / "moments")


def write_index(seed: int) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        with replace_folder(folder / "index") as new:
            save_index(Index(index.splits, index.archives, index.synsets[::seed]), new)

    index = load_index(INDEX)
    return write


def read_saved_index(folder: Path) -> str:
    load_index(folder / "index")
    return digest_of(folder / "index")


def net_of(seed: int) -> AlexNet:
    torch.manual_seed(seed)
    return AlexNet(NetConfig(7, 16))


def write_model(seed: int) -> Callable[[Path], None]:
    net, rows = net_of(seed), [{"epoch": 1.0, "lr": 0.1 * seed}]

    def write(folder: Path) -> None:
        with replace_folder(folder / "train") as new:
            save_model(new, net, moments(), replace(small_description(), seed=seed))
            write_csv(new / "history.csv", rows)

    return write


def read_model(folder: Path) -> str:
    load_model(folder / "train")
    return digest_of(folder / "train")


RUN = "run"  # a checkpoint holds the name of its folder


def write_checkpoint(step: int) -> Callable[[Path], None]:
    net = net_of(step)
    velocities = {name: weight * 2 for name, weight in net.state_dict().items()}
    loss_sum = torch.tensor(float(step))

    def write(folder: Path) -> None:
        state = TrainState(net, Multistep([5]), velocities, loss_sum, batch=step, step=step)
        checkpoint.save(folder / RUN, state)

    return write


def write_two_checkpoints(folder: Path) -> None:
    (folder / RUN).mkdir()
    for step in (1, 2):
        write_checkpoint(step)(folder)


def read_checkpoint(folder: Path) -> str:
    """Return the step from which the next run resumes; check what it resumes with."""
    with redirect_stdout(None):
        state = checkpoint.resume(folder / RUN, TrainState.start(net_of(9), Multistep([5])))
    assert float(state.loss_sum) == state.step
    wanted = net_of(state.step).state_dict()
    for name, weight in state.net.state_dict().items():
        assert torch.equal(weight, wanted[name])
        assert torch.equal(state.velocities[name], 2 * weight)
    return f"step {state.step}"


def write_metrics(top1_wrong: int) -> Callable[[Path], None]:
    run = Run("folder", "val", 3, "paper", "paper", "0a1b2c3d", 0, 0.01)
    result = Result({"top1_wrong": top1_wrong, "top5_wrong": 0}, 9, run)
    return lambda folder: write_result(folder / "metrics.json", result)


def subjects() -> dict[str, Subject]:
    return {
        "shard": Subject(write_one_shard, resize, read_shard_state),
        "split": Subject(write_two_splits, place_split, lambda f: pixels_of(f / "data/shards")),
        "moments": Subject(write_moments(0), write_moments(1), read_moments),
        "checkpoint": Subject(write_two_checkpoints, write_checkpoint(3), read_checkpoint),
        "model": Subject(write_model(0), write_model(1), read_model),
        "index": Subject(write_index(1), write_index(-1), read_saved_index),
        "metrics": Subject(
            write_metrics(1), write_metrics(2), lambda f: str(read_result(f / "metrics.json"))
        ),
    }


def write_with_fault(
    write: Callable[[Path], None], folder: Path, kind: int, n: int, code: int
) -> str:
    """Write with a fault, in a forked process; return its error and its calls, as JSON.

    The error is "" for success, else a line, a traceback, or the number of a signal.
    """
    reading, writing = os.pipe()
    if not (child := os.fork()):
        signal.alarm(SECONDS)
        error = ""
        SHIM.faults_begin(os.fsencode(folder), kind, n, code)
        try:
            with errors_in_one_line():
                write(folder)
        except SystemExit as end:
            error = str(end.code)
        except BaseException:
            error = traceback.format_exc()
        calls = SHIM.faults_end()
        names = [] if kind else [SHIM.faults_name(n).decode() for n in range(calls)]
        os.write(writing, json.dumps([error, names]).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        result = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    return result or json.dumps([f"signal {os.waitstatus_to_exitcode(status)}", []])


def state_of(subject: Subject, folder: Path) -> str:
    """Return what `read` returns; if an output is missing, after the next run has restored it."""
    try:
        return subject.read(folder)
    except BaseException as error:
        for moved in folder.rglob(".*.old"):
            restored = moved.with_name(moved.name[1:].removesuffix(".old"))
            if not restored.exists():
                shutil.copytree(moved, restored)
                state = state_of(subject, folder)
                shutil.rmtree(restored)
                return f"beside: {state}"
        return f"unreadable: {error}"


def choose_faults(calls: list[str], share: float, draw: random.Random) -> Iterator[tuple[str, int]]:
    """Yield each kind of fault with a share of the calls where it can occur, at least one."""
    for kind, (fault, _) in KINDS.items():
        places = [n for n in range(len(calls)) if fault not in (SHORT, CUT) or calls[n] in WRITES]
        for n in sorted(draw.sample(places, max(1, round(share * len(places))))):
            yield kind, n
    yield "slow", SLOWNESS


def try_faults(name: str, subject: Subject, top: Path, share: float) -> Iterator[dict[str, Any]]:
    """Yield for each fault the state after it, and after the same write again."""
    old, new, folder = top / "old", top / "new", top / "folder"
    old.mkdir()
    subject.before(old)
    copy(old, folder)
    error, calls = json.loads(write_with_fault(subject.write, folder, 0, 0, 0))
    copy(folder, new)
    states = {state_of(subject, path): state for path, state in ((old, "old"), (new, "new"))}
    yield {"subject": name, "calls": calls, "error": error, "states": sorted(states.values())}
    for kind, n in choose_faults(calls, share, random.Random(name)):
        copy(old, folder)
        fault, code = KINDS.get(kind, (SLOW, 0))
        error, _ = json.loads(write_with_fault(subject.write, folder, fault, n, code))
        left = files_of(folder) - files_of(old) - files_of(new)
        state = state_of(subject, folder)
        again, _ = json.loads(write_with_fault(subject.write, folder, 0, 0, 0))
        yield {
            "subject": name,
            "kind": kind,
            "call": calls[n] if n < len(calls) else "",
            "n": n,
            "error": error,
            "state": states.get(state.removeprefix("beside: "), state),
            "beside": state.startswith("beside: "),
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
        for fault in try_faults(name, subject, top / name, share):
            print(json.dumps(fault), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    shard_writer.RECORDS_A_TRANSACTION = 1  # so that a shard takes several
    SHIM: Any = PythonFaults()
    if shim := os.environ.get("LD_PRELOAD"):
        SHIM = ctypes.CDLL(shim)
        SHIM.faults_name.restype = ctypes.c_char_p
    INDEX = Path(sys.argv[1]) / "raw"
    INDEX.mkdir()
    write_raw_images(INDEX)
    INDEX = INDEX / "index"
    main()
