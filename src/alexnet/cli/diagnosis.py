"""What a run will find and need: raw data, disk, memory, hardware, versions, DVC's files."""

import os
import re
import shutil
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import distributions, version
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from alexnet.archives.reader import check_unchanged, locate_file, read_image
from alexnet.cli import dvc_repair
from alexnet.cli.raw_data import find_existing
from alexnet.config.compose import load_config
from alexnet.config.schema import Config
from alexnet.config.stage import PACKAGES
from alexnet.dataset.index import Index, load_index
from alexnet.dataset.shards import SIDE
from alexnet.index import layouts
from alexnet.model.layer_shapes import layer_shapes
from alexnet.model.net_config import NetConfig
from alexnet.resize.decode import UnreadableImageError, decode_image
from alexnet.resize.resample import resize_and_crop
from alexnet.resize.shard_writer import DISK_BYTES
from alexnet.runtime.errors import InputError
from alexnet.runtime.threads import usable_cores, usable_threads

SAMPLE = 64  # images to time, spread over the training set
GIGA = 1e9
DRIVER = Path("/proc/driver/nvidia/version")
DEVICES, GPUS = Path("/dev"), ("nvidia*", "kfd", "dxg")  # device files: NVIDIA, AMD, WSL
CGROUP = Path("/sys/fs/cgroup/memory.max")
BASE_BYTES = 700e6  # of a training process before its first batch
KEPT_OUTPUTS = 4  # float32 values kept per output in training; measured 3 to 4


class Finding(NamedTuple):
    """One line of the diagnosis; a problem if it has a fix."""

    name: str
    value: str
    fix: str = ""


class Cost(NamedTuple):
    """Mean cost of one image: seconds to read it uncached, CPU seconds to make it square."""

    read: float
    square: float


def diagnose(checkout: Path, parameters: list[str]) -> Iterator[Finding]:
    """Yield all findings; a failed check becomes a problem."""
    try:
        config = load_config(parameters)
    except InputError as error:
        yield _problem("parameters", error)
    else:
        yield from run_check("raw data", lambda: _check_raw(checkout, config.dataset))
        yield from run_check("training", lambda: check_training(config))
    yield from run_check("DVC's files", lambda: check_dvc_files(checkout))
    yield from check_machine()
    yield from check_versions(checkout / "requirements.lock")


def run_check(name: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield the findings of `check`; an error in it becomes a problem."""
    try:
        yield from check()
    except InputError as error:
        yield _problem(name, error)
    except OSError as error:
        fix = "check disk space and permissions"
        yield Finding(name, f"{error.filename}: {error.strerror}", fix)


def _problem(name: str, error: InputError) -> Finding:
    problem, _, fix = str(error).partition("; fix: ")
    return Finding(name, problem, fix or "see README.md")


def _check_raw(checkout: Path, dataset: Any) -> Iterator[Finding]:
    root = find_existing(dataset)
    if root is None:
        yield Finding("raw data", "miniature, not generated yet: dvc repro generates it")
        return
    layout = layouts.find_layout(root) if dataset.layout == "auto" else str(dataset.layout)
    yield Finding("raw data", f"{layouts.LAYOUTS[layout].description} in {root}")
    yield from run_check("data/index", lambda: check_index(checkout / "data", root))
    index = layouts.read_index(root, layout, dataset.seed, dataset.held_out)
    yield from describe_images(index)
    yield from check_resources(index, time_images(root, index, dataset), dataset, checkout)


def check_index(data: Path, root: Path) -> Iterator[Finding]:
    """Check that data/index describes the archives in `root`. Raises InputError if not."""
    if (data / "index").exists():
        check_unchanged(root, load_index(data / "index").archives)
        yield Finding("data/index", "matches these archives")


def describe_images(index: Index) -> Iterator[Finding]:
    """Yield the number of classes, and images and GB of each split."""
    yield Finding("classes", f"{len(index.synsets):,}")
    for split, rows in index.splits.items():
        size = rows["size"].sum() / GIGA
        yield Finding(f"{split} images", f"{len(rows):,}, {size:,.2f} GB")


def check_resources(index: Index, cost: Cost, dataset: Any, checkout: Path) -> Iterator[Finding]:
    """Yield the disk space, time and memory that resize and training need."""
    images = sum(len(rows) for rows in index.splits.values())
    written = images * DISK_BYTES[dataset.pixels]
    free = shutil.disk_usage(checkout).free
    yield Finding("shards", f"{written / GIGA:,.2f} GB as {dataset.pixels} pixels")
    too_full = free < written and not (checkout / "data/shards").exists()
    fix = "free disk space, or dataset.pixels=jpeg (about a fifth of the size)" if too_full else ""
    yield Finding("free disk", f"{free / GIGA:,.1f} GB in {checkout}", fix)
    seconds = images * (cost.square + cost.read) / usable_cores().count
    yield Finding("resize", f"about {_duration(seconds)}")
    costs = f"{1e3 * cost.read:.1f} ms to read at random, {1e3 * cost.square:.1f} ms CPU"
    yield Finding("per raw image", costs)
    train = len(index.splits["train"]) * DISK_BYTES[dataset.pixels]
    if train < memory():
        yield Finding("per epoch", f"reads {train / GIGA:,.2f} GB, which fits in memory")
    else:
        epoch = _duration(len(index.splits["train"]) * cost.read)
        yield Finding("per epoch", f"{epoch} of random reads: does not fit in memory")


def time_images(root: Path, index: Index, dataset: Any) -> Cost:
    """Measure a sample of training images, read from disk and made square.

    Raises InputError if the archives have changed since `index`.
    """
    check_unchanged(root, index.archives)
    rows = index.splits["train"]
    sample = rows[np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).astype(int)]
    costs = [_time_image(root, index, row, dataset) for row in sample]
    return Cost(*(statistics.mean(seconds) for seconds in zip(*costs, strict=True)))


def _time_image(root: Path, index: Index, row: Any, dataset: Any) -> Cost:
    _drop_from_page_cache(locate_file(root, index.archives, row))
    start = time.perf_counter()
    data = read_image(root, index.archives, row)
    read = time.perf_counter() - start
    start = time.process_time()
    with suppress(UnreadableImageError):
        pixels, _ = decode_image(data, apply_exif=dataset.apply_exif)
        resize_and_crop(pixels, SIDE, dataset.resample)
    return Cost(read, time.process_time() - start)


def _drop_from_page_cache(path: Path) -> None:
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def check_training(config: Config) -> Iterator[Finding]:
    """Check that training the configured net with 1,000 classes fits in memory."""
    model = asdict(config.model)
    del model["init_std"], model["init_bias"]
    net = NetConfig.from_mapping({"classes": 1000} | model)
    return check_training_memory(net, config.recipe.batch_size)


def check_training_memory(net: NetConfig, batch: int) -> Iterator[Finding]:
    """Estimate the memory of training."""
    shapes = layer_shapes(net).values()
    parameters = sum(shape.parameters for shape in shapes)
    outputs = sum(prod(shape.output) for shape in shapes if len(shape.output) == 3)
    needed = BASE_BYTES + 4 * (4 * parameters + batch * KEPT_OUTPUTS * outputs)
    gpu = next(iter(_gpus()), None)
    available = gpu.memory if gpu else memory()
    fix = "choose a smaller recipe.batch_size or model" if needed > available else ""
    place = "GPU memory" if gpu else "memory"
    size = f"{parameters:,} parameters for {net.classes:,} classes"
    value = f"{size}, batches of {batch}: about {needed / GIGA:,.1f} GB of {place}"
    yield Finding("training", value, fix)


def check_dvc_files(checkout: Path) -> Iterator[Finding]:
    """Yield a problem for each file that a killed DVC left half-written."""
    for line in dvc_repair.check(checkout):
        yield Finding("DVC's files", line, dvc_repair.COMMAND)


def check_machine() -> Iterator[Finding]:
    """Yield threads, memory and GPU; an unusable GPU is a problem."""
    yield Finding("threads", f"training will use {usable_threads()}")
    yield Finding("memory", f"{memory() / GIGA:,.1f} GB")
    names = ", ".join(gpu.name for gpu in _gpus())
    if not names and DRIVER.exists():
        fix = "install a torch built for CUDA, no newer than the driver supports"
        yield Finding("GPU", f"present, but torch {version('torch')} cannot use it", fix)
    else:
        yield Finding("GPU", names or "none: training will use the CPU")


class Gpu(NamedTuple):
    """A GPU that torch can use; memory in bytes."""

    name: str
    memory: int


def _gpus() -> list[Gpu]:
    """Return the GPUs that torch can use; import it only if needed."""
    if not any(next(DEVICES.glob(name), None) for name in GPUS):
        return []
    import torch

    devices = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    return [Gpu(device.name, device.total_memory) for device in devices]


def memory() -> float:
    """Return the bytes of memory available, limited by the container."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError):
        return min(physical, int(CGROUP.read_text()))
    return physical


def check_versions(lock: Path) -> Iterator[Finding]:
    """Yield the versions of packages; those that differ from `lock` are problems."""
    yield Finding("versions", ", ".join(f"{name} {version(name)}" for name in PACKAGES))
    if not lock.exists():
        return
    locked: dict[str, set[str]] = {}
    for name, number in re.findall(r"^([\w.-]+)==([^\s;]+)", lock.read_text(), re.MULTILINE):
        locked.setdefault(_normalise(name), set()).add(number)
    installed = {_normalise(d.name): d.version.partition("+")[0] for d in distributions()}
    wrong = [
        f"{name} {installed[name]}"
        for name in sorted(installed)
        if installed[name] not in locked.get(name, installed[name])
    ]
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        value = f"{', '.join(wrong[:5])}{more}: not the versions in {lock.name}"
        yield Finding("versions", value, "make -B .venv/made")


def _normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
