"""Forged files with valid checksums: each is read, or rejected with one line.

FORGED=3000 pytest -s tests/robustness/test_forged.py
forges 3,000 files and prints how many of each kind were accepted and rejected.
"""

import hashlib
import io
import json
import os
import re
import resource
import shutil
import signal
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import xxhash
from PIL import Image
from rich.console import Console

import small_run
from alexnet.cli.data_summary import index_tables, moments_table, shards_tables
from alexnet.dataset.checksummed import read_checksummed_json, save_array, write_checksummed_json
from alexnet.dataset.index import load_index
from alexnet.dataset.manifest import read_manifest
from alexnet.dataset.moments import load_moments
from alexnet.dataset.shards import Shards
from alexnet.evaluate.result import run_of
from alexnet.model.model_file import MODEL
from alexnet.model.tensor_file import load_tensors, save_tensors
from alexnet.model.weights import load_model
from alexnet.resize.shard_writer import write_manifest, write_shard
from alexnet.runtime.errors import InputError
from alexnet.train.checkpoint import NEWEST, PREVIOUS
from images import rewrite_manifest, write_split
from mutations import WIDE, mutate, mutate_value
from small_run import CHECKPOINTS

FORGED = int(os.environ.get("FORGED", "180"))
WAITING = 600  # seconds, for a read that sleeps for ever
SECONDS, MEMORY = 10, 1 << 30  # CPU seconds and additional bytes for one read
SPLITS = ("train", "val", "paper")
VALUES = [float("nan"), float("inf"), float("-inf"), None, "3", "", [], {}, [1.0, 2.0]]


@contextmanager
def bounded() -> Iterator[None]:
    """Limit time and memory: TimeoutError after SECONDS of CPU or WAITING, or MemoryError."""

    def time_out(*_: object) -> None:
        raise TimeoutError(f"more than {SECONDS} s")

    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    numbers = (signal.SIGALRM, signal.SIGPROF)
    before = [signal.signal(number, time_out) for number in numbers]
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, hard))
    signal.alarm(WAITING)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def is_rejected(read: Callable[..., Any], *args: Any) -> bool:
    """Return whether `read` raises InputError, which must be one line."""
    try:
        read(*args)
    except InputError as error:
        lines = str(error).splitlines()
    else:
        return False
    assert len(lines) == 1
    return True


def print_tables(tables: Any) -> None:
    console = Console(file=io.StringIO(), width=120)
    for table in tables:
        console.print(table)


# Forging. Each function writes new files, since the old ones may be mapped


def put(path: Path, data: bytes | bytearray) -> None:
    path.unlink()
    path.write_bytes(data)


def put_json(path: Path, content: Any) -> None:
    """Write JSON with a valid checksum, if it is an object."""
    if isinstance(content, dict):
        write_checksummed_json(path, content)
    else:
        put(path, json.dumps(content).encode())


def forge_json(path: Path, rng: Random) -> None:
    content = read_checksummed_json(path)
    for _ in range(rng.randint(1, 2)):
        content = mutate_value(content, rng)
    put_json(path, content)


def forge_manifest(root: Path, rng: Random) -> None:
    forge_json(root / "data/shards" / rng.choice(SPLITS) / "manifest.json", rng)


def forge_labels(root: Path, rng: Random) -> None:
    folder = root / "data/shards" / rng.choice(SPLITS)
    data = changed_array(folder / "labels.npy", rng)
    put(folder / "labels.npy", data)
    rewrite_manifest(folder, labels=xxhash.xxh3_64_hexdigest(data))


def changed_array(path: Path, rng: Random) -> bytes:
    """Return the .npy file with mutated bytes, or with another array."""
    if rng.random() < 0.5:
        return mutate(path.read_bytes(), rng, [path.read_bytes()])
    array = np.load(path)
    others = [array[:-1], array[None], array.view(np.uint8), array.astype(object)]
    if not array.dtype.names:
        others += [array.astype(">f8"), array.astype("S3"), array * 0 - 1]
    file = io.BytesIO()
    np.save(file, rng.choice(others))
    return file.getvalue()


def forge_records(root: Path, rng: Random) -> None:
    """Change offsets, sizes and checksums of records, or the array that holds them."""
    folder = root / "data/shards" / rng.choice(SPLITS)
    path = folder / "records.npy"
    if rng.random() < 0.3:
        put(path, changed_array(path, rng))
        return rewrite_manifest(folder, records=xxhash.xxh3_64_hexdigest(path.read_bytes()))
    table = np.load(path)
    for _ in range(rng.randint(1, 3)):
        row, field = rng.randrange(len(table)), rng.choice(table.dtype.names)
        bits = 8 * table.dtype[field].itemsize
        value = rng.choice([*WIDE, int(table[field][row]) + rng.choice([-1, 1, 4096]), -1])
        value &= (1 << bits) - 1
        is_negative = field != "xxh3" and value >> (bits - 1)
        table[field][row] = value - (1 << bits) if is_negative else value
    path.unlink()
    rewrite_manifest(folder, records=save_array(path, table))


def forge_shard(root: Path, rng: Random) -> None:
    """Change a shard and enter its size and checksums, its records' ones too, in the tables."""
    folder = root / "data/shards" / rng.choice(SPLITS)
    manifest, table = read_manifest(folder), np.load(folder / "records.npy")
    n = rng.randrange(len(manifest.shards))
    path = folder / manifest.shards[n].file
    data = mutate(path.read_bytes(), rng, [path.read_bytes()]) or b"\0"
    put(path, data)
    first, end = manifest.bounds()[n : n + 2].tolist()
    for row in table[first:end]:
        stored = data[row["offset"] : row["offset"] + row["size"]]
        row["xxh3"] = xxhash.xxh3_64_intdigest(stored)
    entry = replace(manifest.shards[n], bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    (folder / "records.npy").unlink()
    rewrite_manifest(
        folder,
        shards=[*manifest.shards[:n], entry, *manifest.shards[n + 1 :]],
        records=save_array(folder / "records.npy", table),
    )


def forge_moments(root: Path, rng: Random) -> None:
    forge_json(root / "data/moments/moments.json", rng)


def forge_mean(root: Path, rng: Random) -> None:
    folder = root / "data/moments"
    save_mean(folder, changed_array(folder / "mean_image.npy", rng))


def save_mean(folder: Path, data: bytes) -> None:
    put(folder / "mean_image.npy", data)
    checksum = {"mean_image": xxhash.xxh3_64_hexdigest(data)}
    put_json(folder / "moments.json", read_checksummed_json(folder / "moments.json") | checksum)


def forge_state(path: Path, rng: Random) -> None:
    """Change the metadata of a tensor file, or one of its tensors."""
    tensors, state = load_tensors(path)
    if rng.random() < 0.8:
        state = mutate_value(state, rng)
    else:
        name = rng.choice(sorted(tensors))
        others = [tensors[name][None], tensors[name].double(), tensors[name].flatten()[:0].clone()]
        tensors[name] = rng.choice(others)
        tensors = {name: t for name, t in tensors.items() if rng.random() < 0.99}
    if isinstance(state, dict):
        save_tensors(path, tensors, state)


def forge_model(root: Path, rng: Random) -> None:
    forge_state(root / "data/train" / MODEL, rng)


def forge_checkpoint(root: Path, rng: Random) -> None:
    forge_state(root / CHECKPOINTS / NEWEST, rng)


def forge_index(root: Path, rng: Random) -> None:
    folder = root / "data/index"
    if rng.random() < 0.5:
        path = folder / "archives.json"
        content = mutate_value(json.loads(path.read_bytes()), rng)
        return put(path, json.dumps(content).encode())
    path = folder / f"{rng.choice(['train', 'val'])}.npy"
    rows, file = np.load(path), io.BytesIO()
    field = rng.choice(rows.dtype.names[:4])
    bits = 8 * rows.dtype[field].itemsize
    value = rng.choice([*WIDE, -1, 1, 2]) & ((1 << bits) - 1)
    rows[field][rng.randrange(len(rows))] = value - (value >> (bits - 1) << bits)
    np.save(file, rows)
    put(path, file.getvalue())


# Reading. Each function returns whether anything was rejected


def read_shards(root: Path) -> bool:
    return sum(read_split(root / "data/shards" / split) for split in SPLITS) > 0


def read_split(folder: Path) -> bool:
    """Use a split in every way."""
    if is_rejected(Shards, folder):
        return True
    shards = Shards(folder)
    rejected = [is_rejected(check_shape, shards, record) for record in range(len(shards.labels))]
    corners, into = np.zeros(1, np.int64), np.zeros((1, 224, 224, 3), np.uint8)
    for record in shards.records[:4]:
        records = np.array([record])
        rejected.append(is_rejected(shards.gather, records, corners, corners, into))
        rejected.append(is_rejected(shards.prefetch, records))
    for n in range(len(shards.manifest.shards)):
        assert set(shards.records_in(n)) <= set(shards.records)
        rejected.append(bool(list(shards.find_damage(n))))
    print_tables(shards_tables(folder))
    return any(rejected)


def check_shape(shards: Shards, record: int) -> None:
    pixels = shards.read(record)
    assert (pixels.shape, pixels.dtype) == ((256, 256, 3), np.uint8)


def read_moments(root: Path) -> bool:
    if is_rejected(load_moments, root / "data/moments"):
        return True
    moments = load_moments(root / "data/moments")
    for name, shape in (("mean_image", (256, 256, 3)), ("eigenvalues", (3,))):
        value = getattr(moments, name)
        assert value.shape == shape
        assert (value >= 0).all()
        assert np.isfinite(value).all()
    assert moments.eigenvectors.shape == (3, 3)
    assert np.isfinite(moments.eigenvectors).all()
    print_tables([moments_table(root / "data/moments")])
    return False


def read_model(root: Path) -> bool:
    if is_rejected(load_model, root / "data/train"):
        return True
    net, _, description = load_model(root / "data/train")
    assert len(description.synsets) == len(net.fc8.bias)
    return is_rejected(run_of, description, "val")


def read_checkpoint(root: Path) -> bool:
    """Resume; a rejected checkpoint is moved away."""
    existed = (root / CHECKPOINTS / NEWEST).exists()
    small_run.resumed(root)
    return existed and not (root / CHECKPOINTS / NEWEST).exists()


def read_index(root: Path) -> bool:
    if is_rejected(load_index, root / "data/index"):
        return True
    for path, _ in load_index(root / "data/index").archives:
        assert os.path.normpath(f"/raw/{path}").startswith("/raw")
        assert not path.startswith("/")
    return is_rejected(lambda: print_tables(index_tables(root / "data/index")))


@dataclass(frozen=True)
class Kind:
    """A kind of forgery: the folder of a run, what forges in it, and what reads it."""

    part: str
    forge: Callable[[Path, Random], None]
    read: Callable[[Path], bool]


KINDS = {
    "manifest": Kind("data/shards", forge_manifest, read_shards),
    "labels": Kind("data/shards", forge_labels, read_shards),
    "records": Kind("data/shards", forge_records, read_shards),
    "shard": Kind("data/shards", forge_shard, read_shards),
    "moments": Kind("data/moments", forge_moments, read_moments),
    "mean": Kind("data/moments", forge_mean, read_moments),
    "model": Kind("data/train", forge_model, read_model),
    "checkpoint": Kind(str(CHECKPOINTS), forge_checkpoint, read_checkpoint),
    "index": Kind("data/index", forge_index, read_index),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a further split of records so small that they lie within LMDB's tree."""
    root = tmp_path_factory.mktemp("forged") / "run"
    small_run.write_run(root, 0)
    paper = np.full((40, 256, 256, 3), 255, np.uint8)
    write_split(root / "data/shards/paper", paper, [0] * 40, 40, "jpeg")
    return root


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    shutil.copytree(run, tmp_path / "run", copy_function=os.link)
    return tmp_path / "run"


@pytest.mark.parametrize("name", KINDS)
def test_a_forged_file_is_accepted_or_rejected_in_one_line(name: str, copy: Path) -> None:
    kind, counts, failures = KINDS[name], Counter[str](), []
    originals = {path: path.read_bytes() for path in small_run.files_of(copy / kind.part)}
    assert not kind.read(copy)
    for seed in range(FORGED // len(KINDS)):
        kind.forge(copy, Random(seed))
        try:
            with bounded():
                counts["rejected" if kind.read(copy) else "accepted"] += 1
        except Exception as error:
            failures.append(f"{seed}: {error!r}")
            counts[type(error).__name__] += 1
        for path, data in originals.items():
            if not path.exists() or path.read_bytes() != data:
                path.unlink(missing_ok=True)
                path.write_bytes(data)
    print(f"\n{name}: {counts.total():,} forged: {dict(sorted(counts.items()))}")
    assert not failures, "\n".join([f"{len(failures)} of {counts.total()}", *failures[:10]])
    assert counts["rejected"]


# Forgeries that random changes would seldom produce


def test_a_shard_outside_its_split_is_never_read(run: Path, tmp_path: Path) -> None:
    """However its path is written; the file itself is valid."""
    folder, other = tmp_path / "a", run / "data/shards/train"
    shutil.copytree(other, folder)
    (folder / "00000.lmdb").unlink()
    shutil.copy(other / "00000.lmdb", tmp_path / "00000.lmdb")
    places = ["../00000.lmdb", str(tmp_path / "00000.lmdb"), "b/../../00000.lmdb", "..", "."]
    for place in places:
        manifest = read_checksummed_json(other / "manifest.json")
        manifest["shards"][0]["file"] = place
        put_json(folder / "manifest.json", manifest)
        with pytest.raises(InputError, match="a is not a valid split"):
            Shards(folder)


def write_values(folder: Path, values: list[bytes], pixels: str) -> Path:
    """Write a split whose records are `values`, as a forger would."""
    folder.mkdir()

    class Value:
        def __init__(self, value: bytes) -> None:
            self.value = value

        def tobytes(self) -> bytes:
            return self.value

    rows = range(len(values))
    images: Any = [(row, Value(value)) for row, value in zip(rows, values, strict=True)]
    shard = write_shard(folder / "00000.lmdb", images, "raw", rows)
    write_manifest(folder, np.zeros(len(values), np.int32), pixels, [shard])
    return folder


def picture(size: tuple[int, int], mode: str, kind: str) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, kind)
    return file.getvalue()


def bomb() -> bytes:
    """Return a JPEG whose header claims 65,000 × 65,000 pixels."""
    data = picture((256, 256), "RGB", "JPEG")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", 65_000, 65_000) + data[at + 4 :]


@pytest.mark.parametrize(
    ("pixels", "value"),
    [
        *[("raw", bytes(size)) for size in (0, 1, 100, 196_607, 196_609, 400_000)],
        *[("jpeg", picture(size, "RGB", "JPEG")) for size in ((1, 1), (256, 255), (300, 300))],
        ("jpeg", picture((256, 256), "L", "JPEG")),
        ("jpeg", picture((256, 256), "CMYK", "JPEG")),
        ("jpeg", picture((256, 256), "RGB", "PNG")),
        *[("jpeg", value) for value in (b"", b"\xff\xd8", bytes(196_608), bomb())],
    ],
)
def test_a_record_that_is_not_an_image_is_rejected_each_time(
    tmp_path: Path, pixels: str, value: bytes
) -> None:
    shards = Shards(write_values(tmp_path / "split", [value], pixels))
    corner, into = np.zeros(1, np.int64), np.zeros((1, 224, 224, 3), np.uint8)
    for _ in range(2):
        assert is_rejected(shards.read, 0)
        assert is_rejected(shards.gather, np.array([0]), corner, corner, into)
    assert not into.any()


@pytest.mark.parametrize("name", ["eigenvalues", "eigenvectors", "sqrt_eigenvalues", "covariance"])
@pytest.mark.parametrize("value", VALUES, ids=str)
def test_invalid_moments_are_rejected(copy: Path, name: str, value: Any) -> None:
    """One invalid value, or all of them."""
    path = copy / "data/moments/moments.json"
    content = read_checksummed_json(path)
    is_vector = isinstance(content[name][0], float)
    for first in (value, [value] * 3, [content[name][0]] * 2):
        for other in (first, [first, *content[name][1:]]):
            put_json(path, content | {name: other})
            assert is_rejected(load_moments, path.parent), other
    if is_vector:
        put_json(path, content | {name: [*content[name][:2], -1.0]})
        assert is_rejected(load_moments, path.parent)


@pytest.mark.parametrize(
    "mean",
    [
        *(np.full((256, 256, 3), value, np.float32) for value in (np.nan, np.inf, -1, 256)),
        *(np.zeros((256, 256, 3), dtype) for dtype in (np.float64, np.uint8, ">f4", "S4")),
        *(np.zeros(shape, np.float32) for shape in ((), (3,), (1, 256, 256, 3), (256, 3, 256))),
        np.asfortranarray(np.zeros((256, 256, 3), np.float32)),
    ],
    ids=lambda mean: f"{mean.shape} {mean.dtype} {mean.flat[0]}",
)
def test_a_mean_image_of_another_kind_is_rejected(copy: Path, mean: Any) -> None:
    file = io.BytesIO()
    np.save(file, mean)
    save_mean(copy / "data/moments", file.getvalue())
    assert is_rejected(load_moments, copy / "data/moments")


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<i4', 'fortran_order': False, 'shape': (4611686018427387904,)}",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (4,)}",
        "{'descr': '<i4', 'fortran_order': False, 'shape': 4}",
        "{'descr': ('x',), 'fortran_order': False, 'shape': (4,)}",
        "[" * 500,
        "-" * 9000 + "1",
        "(",
        "'",
        "{}",
        "4",
    ],
)
def test_an_array_header_that_exceeds_its_data_is_rejected(copy: Path, header: str) -> None:
    folder = copy / "data/shards/train"
    labels = (folder / "labels.npy").read_bytes()
    text = header.encode() + b"\n"
    data = b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text + labels[-16:]
    put(folder / "labels.npy", data)
    content = read_checksummed_json(folder / "manifest.json")
    content["labels"] = xxhash.xxh3_64_hexdigest(data)
    for rows in (4, 1 << 62):
        put_json(folder / "manifest.json", content | {"rows": rows})
        with bounded():
            assert is_rejected(Shards, folder)


def test_deeply_nested_json_is_rejected(copy: Path) -> None:
    for path, read in (
        (copy / "data/shards/train/manifest.json", Shards),
        (copy / "data/moments/moments.json", load_moments),
        (copy / "data/index/archives.json", load_index),
    ):
        for depth in (500, 100_000):
            put(path, b'{"a": ' + b"[" * depth + b"]" * depth + b"}")
            assert is_rejected(read, path.parent)


@pytest.mark.parametrize(
    "edit",
    [
        lambda state: state.pop("history"),
        lambda state: state.pop("schedule"),
        lambda state: state.update(schedule=[]),
        lambda state: state.update(epoch="2"),
        lambda state: state.update(step=-1),
        lambda state: state.update(batch=True),
        lambda state: state.update(epoch=3),
        lambda state: state.update(more=1),
        lambda state: state["schedule"].update(epoch="x"),
        lambda state: state["history"].append("row"),
        lambda state: state["history"][0].update(lr="x"),
        lambda state: state["history"][0].pop("lr"),
    ],
)
def test_nothing_is_taken_from_a_forged_checkpoint(
    run: Path, copy: Path, edit: Callable[[dict[str, Any]], Any]
) -> None:
    """Not even its weights: training resumes from the previous one, or from scratch without one."""
    newest, before = (copy / CHECKPOINTS / name for name in (NEWEST, PREVIOUS))
    tensors, state = load_tensors(newest)
    edit(state)
    save_tensors(newest, tensors, state)
    before.unlink()
    shutil.copy(newest, before)
    state_after, output = small_run.resumed(copy)
    assert len(re.findall("falling back to the previous checkpoint", output)) == 2
    assert not newest.exists()
    assert state_after == small_run.resumed(copy)[0]  # the start: no checkpoint is left


@pytest.mark.parametrize("path", ["/etc/passwd", "../raw", "a/../../b", 3, None])
def test_an_archive_outside_the_raw_data_is_rejected(copy: Path, path: Any) -> None:
    put(copy / "data/index/archives.json", json.dumps([{"path": path, "size": 1}]).encode())
    assert is_rejected(load_index, copy / "data/index")
