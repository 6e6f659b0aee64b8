"""What a run would do, before it does it: what is there, what it needs, what is to be fixed."""

import os
import re
import shutil
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from importlib.metadata import distributions, version
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from alexnet.archives.reader import check_unchanged, file_of, read_image
from alexnet.config.stage import PACKAGES
from alexnet.dataset.index import Index, load_index
from alexnet.dataset.shards import SIDE
from alexnet.model.layer_shapes import NetConfig, layer_shapes
from alexnet.resize.decode import UnreadableImageError, square
from alexnet.resize.shard_writer import RECORD_BYTES
from alexnet.runtime.errors import InputError
from alexnet.runtime.threads import usable_cores, usable_threads

TRIED = 64  # images, spread over the set
GIGA = 1e9
DRIVER = Path("/proc/driver/nvidia/version")
DEVICES, GPUS = Path("/dev"), ("nvidia*", "kfd", "dxg")  # NVIDIA's, AMD's, and those of WSL
CGROUP = Path("/sys/fs/cgroup/memory.max")
BASE_BYTES = 700e6  # of a training process before its first batch
KEPT = 4  # float32 values of each output, in training; measured 3 to 4


class Finding(NamedTuple):
    """A line of what was found; with a fix it is a problem."""

    name: str
    value: str
    fix: str = ""


class Cost(NamedTuple):
    """Of one image: seconds to read it where it was not cached, CPU seconds to make it square."""

    read: float
    square: float


def attempted(name: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What `look` finds; where it meets bad input, that as a problem: the next look goes on."""
    try:
        yield from look()
    except InputError as error:
        yield problem(name, error)
    except OSError as error:
        yield Finding(name, f"{error.filename}: {error.strerror}", "see to the disk and its rights")


def problem(name: str, error: InputError) -> Finding:
    """Bad input as a finding."""
    what, _, fix = str(error).partition("; fix: ")
    return Finding(name, what, fix or "see README.md")


def machine() -> Iterator[Finding]:
    """What there is to work with."""
    yield Finding("threads", f"training will use {usable_threads()}")
    yield Finding("memory", f"{memory() / GIGA:,.1f} GB")
    names = ", ".join(gpu.name for gpu in _gpus())
    if not names and DRIVER.exists():
        fix = "install a torch built for CUDA, of the driver's version or below"
        yield Finding("GPU", f"there is one, and torch {version('torch')} cannot use it", fix)
    else:
        yield Finding("GPU", names or "none: training will use the CPU")


class Gpu(NamedTuple):
    """A GPU that torch can use; memory in bytes."""

    name: str
    memory: int


def _gpus() -> list[Gpu]:
    """Those that torch can use. It takes seconds to import: not where there is no device file."""
    if not any(next(DEVICES.glob(name), None) for name in GPUS):
        return []
    import torch

    found = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    return [Gpu(each.name, each.total_memory) for each in found]


def memory() -> float:
    """Bytes that processes may use here: a container may have less than the machine."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError):
        return min(physical, int(CGROUP.read_text()))
    return physical


def versions(lock: Path) -> Iterator[Finding]:
    """The packages that a result depends on; those that are not of the versions in `lock`."""
    yield Finding("versions", ", ".join(f"{name} {version(name)}" for name in PACKAGES))
    if not lock.exists():
        return
    locked: dict[str, set[str]] = {}
    for name, number in re.findall(r"^([\w.-]+)==([^\s;]+)", lock.read_text(), re.MULTILINE):
        locked.setdefault(_plain(name), set()).add(number)
    here = {_plain(found.name): found.version.partition("+")[0] for found in distributions()}
    wrong = [
        f"{name} {here[name]}"
        for name in sorted(here)
        if here[name] not in locked.get(name, here[name])
    ]
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        what = f"{', '.join(wrong[:5])}{more}: not as in {lock.name}"
        yield Finding("versions", what, "make -B .venv/made")


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def raw(index: Index) -> Iterator[Finding]:
    """What the raw data set holds."""
    yield Finding("classes", f"{len(index.synsets):,}")
    for split, rows in index.splits.items():
        size = rows["size"].sum() / GIGA
        yield Finding(f"{split} images", f"{len(rows):,}, {size:,.2f} GB")


def drift(data: Path, root: Path) -> Iterator[Finding]:
    """Whether the raw data is still what data/index is of."""
    if (data / "index").exists():
        check_unchanged(root, load_index(data / "index").archives)
        yield Finding("data/index", "is of these archives")


def needs(index: Index, cost: Cost, how: Any, checkout: Path) -> Iterator[Finding]:
    """What the stages index, resize and moments will write and take; `how`: conf/dataset's."""
    images = sum(len(rows) for rows in index.splits.values())
    written = images * RECORD_BYTES[how.pixels]
    free = shutil.disk_usage(checkout).free
    yield Finding("to be written", f"{written / GIGA:,.2f} GB as {how.pixels} shards")
    lacks = free < written and not (checkout / "data/shards").exists()
    fix = "free the disk, or dataset.pixels=jpeg: about a fifth" if lacks else ""
    yield Finding("free disk", f"{free / GIGA:,.1f} GB in {checkout}", fix)
    seconds = images * (cost.square + cost.read) / usable_cores().count
    yield Finding("resize", f"about {_hours(seconds)}")
    apart = f"{1e3 * cost.read:.1f} ms to read at random, {1e3 * cost.square:.1f} ms CPU"
    yield Finding("a raw image", apart)
    train = len(index.splits["train"]) * RECORD_BYTES[how.pixels]
    if train < memory():
        yield Finding("an epoch", f"reads {train / GIGA:,.2f} GB, which memory can hold")
    else:
        epoch = _hours(len(index.splits["train"]) * cost.read)
        yield Finding(
            "an epoch", f"{epoch} to read at random from this disk: more than memory holds"
        )


def training(model: Mapping[str, Any], batch: int) -> Iterator[Finding]:
    """What training with 1000 classes takes of its memory; `model`: AlexNet's other arguments."""
    shapes = layer_shapes(NetConfig(**model))
    parameters = sum(each.parameters for each in shapes.values())
    outputs = sum(prod(each.output) for each in shapes.values() if len(each.output) == 3)
    taken = BASE_BYTES + 4 * (4 * parameters + batch * KEPT * outputs)
    gpu = next(iter(_gpus()), None)
    there = gpu.memory if gpu else memory()
    fix = "a smaller recipe.batch_size or model" if taken > there else ""
    where = "the GPU's memory" if gpu else "memory"
    size = f"{parameters:,} parameters for 1,000 classes"
    told = f"{size}, batches of {batch}: about {taken / GIGA:,.1f} GB of {where}"
    yield Finding("training", told, fix)


def tried(root: Path, index: Index, how: Any) -> Cost:
    """What some images cost, read from the disk itself and made square.

    Raises InputError where the raw data is no longer what was indexed.
    """
    check_unchanged(root, index.archives)
    rows = index.splits["train"]
    chosen = rows[np.linspace(0, len(rows) - 1, min(TRIED, len(rows))).astype(int)]
    costs = [_cost(root, index, row, how) for row in chosen]
    return Cost(*(statistics.mean(each) for each in zip(*costs, strict=True)))


def _cost(root: Path, index: Index, row: Any, how: Any) -> Cost:
    _forget(file_of(root, index.archives, row))
    begun = time.perf_counter()
    data = read_image(root, index.archives, row)
    read = time.perf_counter() - begun
    begun = time.process_time()
    with suppress(UnreadableImageError):
        square(data, SIDE, resample=how.resample, apply_exif=how.apply_exif)
    return Cost(read, time.process_time() - begun)


def _forget(path: Path) -> None:
    """Have the system drop what it holds of a file, so that reading it asks the disk."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _hours(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
