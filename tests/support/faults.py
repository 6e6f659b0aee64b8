"""Random damage to files, which test_damage.py does to a run.

A fault replaces files by new ones with the old modification time, as a failing disk would.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from alexnet.dataset.checksummed import CHECKSUM, save_array, write_checksummed_json
from alexnet.dataset.manifest import read_manifest

PAGE = 4096


@dataclass(frozen=True)
class Scene:
    """A copy of a run to damage, a run of other images and weights, and a random generator."""

    root: Path
    other: Path
    files: list[Path]  # of the part to damage, relative to the root
    rng: np.random.Generator

    def pick(self, *endings: str) -> Path:
        """Return a random file, whose name ends in one of `endings` if given."""
        files = [file for file in self.files if not endings or file.name.endswith(endings)]
        return files[self.rng.integers(len(files))]

    def write(self, file: Path, data: bytes | bytearray) -> Path:
        path = self.root / file
        before = path.stat()
        path.unlink()  # it may be mapped or hard-linked
        path.write_bytes(data)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        return file

    def bytes(self, file: Path) -> bytearray:
        return bytearray((self.root / file).read_bytes())


Fault = Callable[[Scene], set[Path]]  # does damage and returns the files it touched


def flip_bits(scene: Scene) -> set[Path]:
    file = scene.pick()
    data = scene.bytes(file)
    for place in scene.rng.integers(0, len(data), scene.rng.integers(1, 4)):
        data[place] ^= 1 << scene.rng.integers(8)
    return {scene.write(file, data)}


def flip_a_bit_of_the_header(scene: Scene) -> set[Path]:
    file = scene.pick()
    data = scene.bytes(file)
    data[scene.rng.integers(min(len(data), 160))] ^= 1 << scene.rng.integers(8)
    return {scene.write(file, data)}


def change_a_byte(scene: Scene) -> set[Path]:
    file = scene.pick()
    data = scene.bytes(file)
    data[scene.rng.integers(len(data))] = scene.rng.integers(256)
    return {scene.write(file, data)}


def zero_pages(scene: Scene) -> set[Path]:
    file = scene.pick()
    data = scene.bytes(file)
    start = int(scene.rng.integers(-(-len(data) // PAGE))) * PAGE
    stop = min(start + PAGE * int(scene.rng.integers(1, 9)), len(data))
    data[start:stop] = bytes(stop - start)
    return {scene.write(file, data)}


def truncate(scene: Scene) -> set[Path]:
    file = scene.pick()
    data = scene.bytes(file)
    whole_pages = (len(data) - 1) // PAGE * PAGE
    ends = [0, int(scene.rng.integers(len(data))), len(data) - 1, whole_pages]
    return {scene.write(file, data[: scene.rng.choice(ends)])}


def extend(scene: Scene) -> set[Path]:
    file = scene.pick()
    more = scene.rng.bytes(int(scene.rng.choice([1, 100, PAGE, 10 * PAGE])))
    return {
        scene.write(
            file, scene.bytes(file) + (more if scene.rng.random() < 0.5 else bytes(len(more)))
        )
    }


def delete(scene: Scene) -> set[Path]:
    file = scene.pick()
    (scene.root / file).unlink()
    return {file}


def replace_by_another_run(scene: Scene) -> set[Path]:
    """Each file is valid in itself: another run's shard, labels, model or manifest."""
    file = scene.pick()
    return {scene.write(file, (scene.other / file).read_bytes())}


def exchange(scene: Scene) -> set[Path]:
    """Exchange two files of the same kind, or of any kind if there is only one."""
    one = scene.pick()
    alike = [file for file in scene.files if file.suffix == one.suffix and file != one]
    two = alike[scene.rng.integers(len(alike))] if alike else scene.pick()
    first, second = scene.bytes(one), scene.bytes(two)
    return {scene.write(one, second), scene.write(two, first)}


def edit_a_digit(scene: Scene) -> set[Path]:
    """Change a digit of a JSON file and keep its checksum."""
    file = scene.pick(".json")
    data = scene.bytes(file)
    digits = [place for place, byte in enumerate(data) if chr(byte).isdigit()]
    place = int(scene.rng.choice(digits))
    data[place] = ord("0") + (data[place] - ord("0") + 1) % 10
    return {scene.write(file, data)}


BYTES: list[Fault] = [
    *(flip_bits, flip_a_bit_of_the_header, change_a_byte, zero_pages, truncate, extend),
    *(delete, replace_by_another_run, exchange),
]

# Of shards


def flip_a_bit_outside_the_records(scene: Scene) -> set[Path]:
    """In LMDB's tree or a page header; records are nearly all of a shard."""
    file = scene.pick(".lmdb")
    data = scene.bytes(file)
    outside = np.ones(len(data), bool)
    for start, stop in spans(scene.root / file).values():
        outside[start:stop] = False
    data[scene.rng.choice(np.flatnonzero(outside))] ^= 1 << scene.rng.integers(8)
    return {scene.write(file, data)}


def swap_records(scene: Scene) -> set[Path]:
    """Swap the bytes of two records, up to the length of the shorter."""
    file = scene.pick(".lmdb")
    data, (one, two) = scene.bytes(file), list(spans(scene.root / file).values())
    length = min(one[1] - one[0], two[1] - two[0])
    first, second = (data[start : start + length] for start, _ in (one, two))
    data[one[0] : one[0] + length], data[two[0] : two[0] + length] = second, first
    return {scene.write(file, data)}


def spans(shard: Path) -> dict[int, tuple[int, int]]:
    """Return from where to where each record of an intact shard lies."""
    manifest = read_manifest(shard.parent)
    first, end = manifest.bounds()[int(shard.stem) :][:2].tolist()
    table = np.load(shard.parent / "records.npy").tolist()
    return {row: (table[row][0], table[row][0] + table[row][1]) for row in range(first, end)}


# With valid checksums: the file itself does not reveal the change


def edit_json(scene: Scene) -> set[Path]:
    """Change or delete any value of a manifest or of the moments."""
    files = [file for file in scene.files if file.name in ("manifest.json", "moments.json")]
    file = files[scene.rng.integers(len(files))]
    content = json.loads(scene.bytes(file))
    content.pop(CHECKSUM)
    _edit(content, scene.rng)
    return {_write_json(scene, file, content)}


def relabel(scene: Scene) -> set[Path]:
    """Change a label."""
    file = scene.pick("labels.npy")
    data = scene.bytes(file)
    data[-4 * int(scene.rng.integers(1, 5))] ^= 1
    checksum = xxhash.xxh3_64_hexdigest(data)
    return {scene.write(file, data), _set_in_manifest(scene, file, "labels", checksum)}


def edit_records(scene: Scene) -> set[Path]:
    """Change a record's offset, size or checksum, or exchange two records."""
    file = scene.pick("records.npy")
    table = np.load(scene.root / file)
    one, two = scene.rng.permutation(len(table))[:2]
    if scene.rng.random() < 0.3:
        table[[one, two]] = table[[two, one]]
    else:
        table[scene.rng.choice(table.dtype.names)][one] += int(scene.rng.choice([1, 2, 4096]))
    (scene.root / file).unlink()
    checksum = save_array(scene.root / file, table)
    return {file, _set_in_manifest(scene, file, "records", checksum)}


def _set_in_manifest(scene: Scene, file: Path, key: str, value: Any) -> Path:
    manifest = file.with_name("manifest.json")
    content = json.loads(scene.bytes(manifest)) | {key: value}
    content.pop(CHECKSUM)
    return _write_json(scene, manifest, content)


def _edit(content: Any, rng: np.random.Generator) -> None:
    keys = list(content) if isinstance(content, dict) else list(range(len(content)))
    key = keys[rng.integers(len(keys))]
    value = content[key]
    if isinstance(value, dict | list) and value and rng.random() < 0.8:
        _edit(value, rng)
    elif rng.random() < 0.2:
        del content[key]
    elif type(value) in (int, float) and rng.random() < 0.6:
        content[key] = value + int(rng.choice([-1, 1, 4096, -(2**40), 2**70]))
    elif isinstance(value, str) and rng.random() < 0.6:
        content[key] = str(rng.choice(["", "jpeg", "raw", "labels.npy", "\0", "é" * 300, ".."]))
    else:
        content[key] = [None, [], {}, "x", -1, 0.5, True][rng.integers(7)]


def _write_json(scene: Scene, file: Path, content: dict[str, Any]) -> Path:
    path = scene.root / file
    path.unlink()
    write_checksummed_json(path, content)
    return file


FORGED: list[Fault] = [edit_json, relabel, edit_records]
