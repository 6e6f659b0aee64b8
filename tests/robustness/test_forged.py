"""Files with untruths in them, their seals and checksums right: an answer or a line, never else.

FORGED=3000 pytest -s tests/robustness/test_forged.py
forges three thousand, and says how each kind ended.
"""

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
from dataclasses import dataclass
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
from alexnet.dataset.checksummed import read_sealed, write_sealed
from alexnet.dataset.index import load_index
from alexnet.dataset.moments import load_moments
from alexnet.dataset.shards import Shards
from alexnet.evaluate.result import run_of
from alexnet.model import weights
from alexnet.model.model_file import MODEL
from alexnet.model.weights import load_model
from alexnet.resize.shard_writer import write_manifest, write_shard
from alexnet.runtime.errors import InputError
from alexnet.train.checkpoint import BEFORE, NEWEST
from images import write_split
from mutations import WIDE, mutated, mutated_value
from small_run import CHECKPOINTS

FORGED = int(os.environ.get("FORGED", "160"))
WAITING = 600
SECONDS, MEMORY = 10, 1 << 30  # for one of them, the memory beyond what the process has
PAGE, BRANCH = 4096, 1
SPLITS = ("train", "val", "paper")
VALUES = [float("nan"), float("inf"), float("-inf"), None, "3", "", [], {}, [1.0, 2.0]]


@contextmanager
def bounded() -> Iterator[None]:
    """TimeoutError or MemoryError in here, where there would be no end.

    Seconds of the processor, whatever else the machine does; WAITING for what sleeps for ever.
    """

    def too_long(*_: object) -> None:
        raise TimeoutError(f"{SECONDS} s are over")

    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    numbers = (signal.SIGALRM, signal.SIGPROF)
    before = [signal.signal(number, too_long) for number in numbers]
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, most))
    signal.alarm(WAITING)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def refused(read: Callable[..., Any], *args: Any) -> bool:
    """Whether it ended in a line; what else it raises goes on."""
    try:
        read(*args)
    except InputError as error:
        told = str(error)
    else:
        return False
    assert len(told.splitlines()) == 1
    return True


def shown(tables: Any) -> None:
    console = Console(file=io.StringIO(), width=120)
    for table in tables:
        console.print(table)


# What is forged. Each function writes new files, since the old may be mapped


def put(path: Path, data: bytes | bytearray) -> None:
    path.unlink()
    path.write_bytes(data)


def seal(path: Path, content: Any) -> None:
    """With a right seal, unless it is nothing that can have one."""
    if isinstance(content, dict):
        write_sealed(path, content)
    else:
        put(path, json.dumps(content).encode())


def forge_json(path: Path, chance: Random) -> None:
    content = read_sealed(path)
    for _ in range(chance.randint(1, 2)):
        content = mutated_value(content, chance)
    seal(path, content)


def forge_manifest(root: Path, chance: Random) -> None:
    forge_json(root / "data/shards" / chance.choice(SPLITS) / "manifest.json", chance)


def forge_labels(root: Path, chance: Random) -> None:
    folder = root / "data/shards" / chance.choice(SPLITS)
    data = changed_array(folder / "labels.npy", chance)
    put(folder / "labels.npy", data)
    told = {"labels": xxhash.xxh3_64_hexdigest(data)}
    seal(folder / "manifest.json", read_sealed(folder / "manifest.json") | told)


def changed_array(path: Path, chance: Random) -> bytes:
    """Other bytes, or another array."""
    if chance.random() < 0.5:
        return mutated(path.read_bytes(), chance, [path.read_bytes()])
    array = np.load(path)
    others = [array[:-1], array.astype(">f8"), array.astype("S3"), array[None], array * 0 - 1]
    file = io.BytesIO()
    np.save(file, chance.choice(others))
    return file.getvalue()


def forge_tree(root: Path, chance: Random) -> None:
    """Numbers of the pages that lead to the records: flags, places, pages, lengths, keys."""
    folder = root / "data/shards" / chance.choice(SPLITS)
    manifest = read_sealed(folder / "manifest.json")
    entry = chance.choice(manifest["shards"])
    pages, data = entry["tree"]["pages"], bytearray((folder / entry["file"]).read_bytes())
    for _ in range(chance.randint(1, 3)):
        size = chance.choice([2, 2, 4, 8])
        page = chance.choice(pages) * PAGE
        at = page + chance.choice([10, 12, 16, 128, 144, chance.randrange(0, PAGE, 2)])
        value = chance.choice([*WIDE, *pages, chance.randrange(PAGE)]) & ((1 << 8 * size) - 1)
        data[at : at + size] = value.to_bytes(size, "little")
    rewrite_shard(folder, entry["file"], data)


def rewrite_shard(folder: Path, name: str, data: bytes | bytearray) -> None:
    """In place of a shard, its tree's checksum renewed."""
    manifest = read_sealed(folder / "manifest.json")
    (entry,) = (entry for entry in manifest["shards"] if entry["file"] == name)
    digest = xxhash.xxh3_64()
    for page in entry["tree"]["pages"]:
        digest.update(data[page * PAGE : (page + 1) * PAGE])
    entry["tree"]["xxh3"], entry["bytes"] = digest.hexdigest(), len(data)
    put(folder / name, data)
    seal(folder / "manifest.json", manifest)


def forge_moments(root: Path, chance: Random) -> None:
    forge_json(root / "data/moments/moments.json", chance)


def forge_mean(root: Path, chance: Random) -> None:
    folder = root / "data/moments"
    save_mean(folder, changed_array(folder / "mean_image.npy", chance))


def save_mean(folder: Path, data: bytes) -> None:
    put(folder / "mean_image.npy", data)
    told = {"mean_image": xxhash.xxh3_64_hexdigest(data)}
    seal(folder / "moments.json", read_sealed(folder / "moments.json") | told)


def forge_state(path: Path, chance: Random) -> None:
    """Of a file of tensors what it tells, or a tensor."""
    tensors, state = weights.load(path)
    if chance.random() < 0.8:
        state = mutated_value(state, chance)
    else:
        name = chance.choice(sorted(tensors))
        others = [tensors[name][None], tensors[name].double(), tensors[name].flatten()[:0].clone()]
        tensors[name] = chance.choice(others)
        tensors = {name: t for name, t in tensors.items() if chance.random() < 0.99}
    if isinstance(state, dict):
        weights.save(path, tensors, state)


def forge_model(root: Path, chance: Random) -> None:
    forge_state(root / "data/train" / MODEL, chance)


def forge_checkpoint(root: Path, chance: Random) -> None:
    forge_state(root / CHECKPOINTS / NEWEST, chance)


def forge_index(root: Path, chance: Random) -> None:
    folder = root / "data/index"
    if chance.random() < 0.5:
        path = folder / "archives.json"
        content = mutated_value(json.loads(path.read_bytes()), chance)
        return put(path, json.dumps(content).encode())
    path = folder / f"{chance.choice(['train', 'val'])}.npy"
    rows, file = np.load(path), io.BytesIO()
    field = chance.choice(rows.dtype.names[:4])
    bits = 8 * rows.dtype[field].itemsize
    value = chance.choice([*WIDE, -1, 1, 2]) & ((1 << bits) - 1)
    rows[field][chance.randrange(len(rows))] = value - (value >> (bits - 1) << bits)
    np.save(file, rows)
    put(path, file.getvalue())


# What reads it


def read_shards(root: Path) -> bool:
    return sum(read_split(root / "data/shards" / split) for split in SPLITS) > 0


def read_split(folder: Path) -> bool:
    """All that a reader can ask of a split; whether any of it was refused."""
    if refused(Shards, folder):
        return True
    shards = Shards(folder)
    told = [refused(shape_of, shards, record) for record in range(len(shards.labels))]
    corners = np.zeros(1, np.int64)
    for record in shards.records[:4]:
        into = np.zeros((1, 224, 224, 3), np.uint8)
        some = np.array([record])
        told.append(refused(shards.gather, some, corners, corners, into))
        told.append(refused(shards.prefetch, some))
    for n in range(len(shards.manifest["shards"])):
        told.append(refused(lambda n: shards.records_of(n), n) or bool(list(shards.damage(n))))
    shown(shards_tables(folder))
    return any(told)


def shape_of(shards: Shards, record: int) -> None:
    pixels = shards.read(record)
    assert (pixels.shape, pixels.dtype) == ((256, 256, 3), np.uint8)


def read_moments(root: Path) -> bool:
    if refused(load_moments, root / "data/moments"):
        return True
    moments = load_moments(root / "data/moments")
    for name, shape in (("mean_image", (256, 256, 3)), ("eigenvalues", (3,))):
        value = getattr(moments, name)
        assert value.shape == shape
        assert (value >= 0).all()
        assert np.isfinite(value).all()
    assert moments.eigenvectors.shape == (3, 3)
    assert np.isfinite(moments.eigenvectors).all()
    shown([moments_table(root / "data/moments")])
    return False


def read_model(root: Path) -> bool:
    if refused(load_model, root / "data/train"):
        return True
    net, _, described = load_model(root / "data/train")
    assert len(described["synsets"]) == len(net.fc8.bias)
    return refused(run_of, described, "val")


def read_checkpoint(root: Path) -> bool:
    """A refused one is put away, and another taken whole; an answer is a place one can go on at."""
    there = (root / CHECKPOINTS / NEWEST).exists()
    small_run.resumed(root)
    return there and not (root / CHECKPOINTS / NEWEST).exists()


def read_index(root: Path) -> bool:
    if refused(load_index, root / "data/index"):
        return True
    for path, _ in load_index(root / "data/index").archives:
        assert os.path.normpath(f"/raw/{path}").startswith("/raw")
        assert not path.startswith("/")
    return refused(lambda: shown(index_tables(root / "data/index")))


@dataclass(frozen=True)
class Kind:
    """What is forged in a run, in which of its folders, and what reads it there."""

    part: str
    forge: Callable[[Path, Random], None]
    read: Callable[[Path], bool]


KINDS = {
    "manifest": Kind("data/shards", forge_manifest, read_shards),
    "labels": Kind("data/shards", forge_labels, read_shards),
    "tree": Kind("data/shards", forge_tree, read_shards),
    "moments": Kind("data/moments", forge_moments, read_moments),
    "mean": Kind("data/moments", forge_mean, read_moments),
    "model": Kind("data/train", forge_model, read_model),
    "checkpoint": Kind(str(CHECKPOINTS), forge_checkpoint, read_checkpoint),
    "index": Kind("data/index", forge_index, read_index),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, and beside its splits one of so small records that they make a tree of branches."""
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
def test_what_is_forged_ends_in_an_answer_or_a_line(name: str, copy: Path) -> None:
    kind, counts, wrong = KINDS[name], Counter[str](), []
    whole = {path: path.read_bytes() for path in small_run.files_of(copy / kind.part)}
    assert not kind.read(copy)
    for seed in range(FORGED // len(KINDS)):
        kind.forge(copy, Random(seed))
        try:
            with bounded():
                counts["refused" if kind.read(copy) else "answered"] += 1
        except Exception as error:
            wrong.append(f"{seed}: {error!r}")
            counts[type(error).__name__] += 1
        for path, data in whole.items():
            if not path.exists() or path.read_bytes() != data:
                path.unlink(missing_ok=True)
                path.write_bytes(data)
    print(f"\n{name}: {counts.total():,} forged: {dict(sorted(counts.items()))}")
    assert not wrong, "\n".join([f"{len(wrong)} of {counts.total()}", *wrong[:10]])
    assert counts["refused"]


# What chance would seldom forge


def test_a_shard_beside_its_split_is_never_read(run: Path, tmp_path: Path) -> None:
    """Not by another way to write its place either; it is whole, and would be read."""
    folder, other = tmp_path / "a", run / "data/shards/train"
    shutil.copytree(other, folder)
    (folder / "00000.lmdb").unlink()
    shutil.copy(other / "00000.lmdb", tmp_path / "00000.lmdb")
    places = ["../00000.lmdb", str(tmp_path / "00000.lmdb"), "b/../../00000.lmdb", "..", "."]
    for place in places:
        manifest = read_sealed(other / "manifest.json")
        manifest["shards"][0]["file"] = place
        seal(folder / "manifest.json", manifest)
        with pytest.raises(InputError, match="a is not a whole split"):
            Shards(folder)


def leaf_of(data: bytes | bytearray, pages: list[int]) -> int:
    """Where the page with the records begins."""
    leaves = [n * PAGE for n in pages if struct.unpack_from("<H", data, n * PAGE + 10)[0] == 2]
    keyed = [at for at in leaves if data[at + 16 : at + 18] != b"\0\0"]
    return max(keyed, key=lambda at: struct.unpack_from("<H", data, at + 12)[0])


def node_of(data: bytearray, leaf: int) -> int:
    return leaf + int(struct.unpack_from("<H", data, leaf + 16)[0])


def loop(data: bytearray, leaf: int) -> None:
    """A branch that is its own child."""
    struct.pack_into("<H", data, leaf + 10, BRANCH)
    struct.pack_into("<HHH", data, node_of(data, leaf), leaf // PAGE, 0, 0)


def many_places(data: bytearray, leaf: int) -> None:
    """More nodes than a page has room for."""
    struct.pack_into("<H", data, leaf + 12, 0xFFFF)


def value_far_away(page: int) -> Callable[[bytearray, int], None]:
    def change(data: bytearray, leaf: int) -> None:
        node = node_of(data, leaf)
        struct.pack_into("<Q", data, node + 8 + 16, page)

    return change


def longer(data: bytearray, leaf: int) -> None:
    """A value of 4 GB."""
    struct.pack_into("<HH", data, node_of(data, leaf), 0xFFFF, 0xFFFF)


def record(number: int) -> Callable[[bytearray, int], None]:
    def change(data: bytearray, leaf: int) -> None:
        struct.pack_into(">Q", data, node_of(data, leaf) + 8, number)

    return change


@pytest.mark.parametrize(
    "change",
    [
        *(loop, many_places, longer),
        *(value_far_away(page) for page in (100_000, 1 << 40, (1 << 64) - 1)),
        *(record(number) for number in (2, 4, 1 << 40, 1 << 63, (1 << 64) - 1)),
    ],
)
def test_a_forged_tree_is_refused(copy: Path, change: Callable[[bytearray, int], None]) -> None:
    """By whatever asks first; record 2 is of the other shard, of which it would be believed."""
    folder = copy / "data/shards/train"
    entry = read_sealed(folder / "manifest.json")["shards"][0]
    data = bytearray((folder / "00000.lmdb").read_bytes())
    change(data, leaf_of(data, entry["tree"]["pages"]))
    rewrite_shard(folder, "00000.lmdb", data)
    corner, into = np.zeros(1, np.int64), np.zeros((1, 224, 224, 3), np.uint8)
    with bounded():
        assert refused(Shards(folder).read, 0)
        assert refused(Shards(folder).prefetch, np.array([0]))
        assert refused(Shards(folder).gather, np.array([0]), corner, corner, into)
        shape_of(Shards(folder), 2)


def split_of(folder: Path, values: list[bytes], pixels: str) -> Path:
    """Of values that are no pictures, as the writer of a forged split would have it."""
    folder.mkdir()

    class Raw:
        def __init__(self, value: bytes) -> None:
            self.value = value

        def tobytes(self) -> bytes:
            return self.value

    images: Any = [(n, Raw(value)) for n, value in enumerate(values)]
    entry = write_shard(folder / "00000.lmdb", images, "raw") | {"first": 0}
    write_manifest(folder, np.zeros(len(values), np.int32), pixels, [entry], [])
    return folder


def picture(size: tuple[int, int], mode: str, kind: str) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, kind)
    return file.getvalue()


def bomb() -> bytes:
    """A JPEG whose header says 65,000 × 65,000."""
    data = picture((256, 256), "RGB", "JPEG")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", 65_000, 65_000) + data[at + 4 :]


@pytest.mark.parametrize(
    ("pixels", "value"),
    [
        *[("raw", bytes(size)) for size in (0, 1, 100, 196_607, 196_609, 400_000)],
        *[("jpeg", picture(size, "RGB", "JPEG")) for size in ((1, 1), (256, 255), (300, 300))],
        ("jpeg", picture((256, 256), "L", "JPEG")),
        ("jpeg", picture((256, 256), "RGB", "PNG")),
        *[("jpeg", value) for value in (b"", b"\xff\xd8", bytes(196_608), bomb())],
    ],
)
def test_a_value_that_is_no_picture_is_refused_each_time(
    tmp_path: Path, pixels: str, value: bytes
) -> None:
    shards = Shards(split_of(tmp_path / "split", [value], pixels))
    corner, into = np.zeros(1, np.int64), np.zeros((1, 224, 224, 3), np.uint8)
    for _ in range(2):
        assert refused(shards.read, 0)
        assert refused(shards.gather, np.array([0]), corner, corner, into)
    assert not into.any()


@pytest.mark.parametrize("name", ["eigenvalues", "eigenvectors", "sqrt_eigenvalues", "covariance"])
@pytest.mark.parametrize("value", VALUES, ids=str)
def test_moments_of_no_numbers_are_refused(copy: Path, name: str, value: Any) -> None:
    """Neither one among them nor all of them."""
    path = copy / "data/moments/moments.json"
    told = read_sealed(path)
    is_vector = isinstance(told[name][0], float)
    for first in (value, [value] * 3, [told[name][0]] * 2):
        for other in (first, [first, *told[name][1:]]):
            seal(path, told | {name: other})
            assert refused(load_moments, path.parent), other
    if is_vector:
        seal(path, told | {name: [*told[name][:2], -1.0]})
        assert refused(load_moments, path.parent)


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
def test_a_mean_image_of_another_kind_is_refused(copy: Path, mean: Any) -> None:
    file = io.BytesIO()
    np.save(file, mean)
    save_mean(copy / "data/moments", file.getvalue())
    assert refused(load_moments, copy / "data/moments")


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
def test_labels_are_no_more_than_their_bytes(copy: Path, header: str) -> None:
    folder = copy / "data/shards/train"
    labels = (folder / "labels.npy").read_bytes()
    text = header.encode() + b"\n"
    data = b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text + labels[-16:]
    put(folder / "labels.npy", data)
    told = {"labels": xxhash.xxh3_64_hexdigest(data)}
    for rows in (4, 1 << 62):
        manifest = read_sealed(folder / "manifest.json") | told | {"rows": rows}
        seal(folder / "manifest.json", manifest)
        with bounded():
            assert refused(Shards, folder)


def test_deep_json_is_refused(copy: Path) -> None:
    for path, read in (
        (copy / "data/shards/train/manifest.json", Shards),
        (copy / "data/moments/moments.json", load_moments),
        (copy / "data/index/archives.json", load_index),
    ):
        for depth in (500, 100_000):
            put(path, b'{"a": ' + b"[" * depth + b"]" * depth + b"}")
            assert refused(read, path.parent)


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
def test_of_a_forged_checkpoint_nothing_is_taken(
    run: Path, copy: Path, edit: Callable[[dict[str, Any]], Any]
) -> None:
    """Not its weights either: a run goes on from the one before, or begins, as if it had none."""
    newest, before = (copy / CHECKPOINTS / name for name in (NEWEST, BEFORE))
    tensors, state = weights.load(newest)
    edit(state)
    weights.save(newest, tensors, state)
    before.unlink()
    shutil.copy(newest, before)
    going, said = small_run.resumed(copy)
    assert len(re.findall("going on from the one before", said)) == 2
    assert not newest.exists()
    assert going == small_run.resumed(copy)[0]  # the start: nothing is left to go on from


@pytest.mark.parametrize("path", ["/etc/passwd", "../raw", "a/../../b", 3, None])
def test_an_archive_outside_the_raw_data_is_refused(copy: Path, path: Any) -> None:
    put(copy / "data/index/archives.json", json.dumps([{"path": path, "size": 1}]).encode())
    assert refused(load_index, copy / "data/index")
