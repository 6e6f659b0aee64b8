"""Random damage to files, as test_damage.py does it to a run.

A fault writes new files in place of old ones, with the time of the old: as rot does, unlike people.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import xxhash

from alexnet.dataset.checksummed import SEAL, write_checksummed_json

PAGE = 4096


@dataclass(frozen=True)
class Scene:
    """A copy of a run to be harmed, a run of other images and weights, and what chance draws."""

    root: Path
    other: Path
    files: list[Path]  # those of the part that is to be harmed, relative
    rng: np.random.Generator

    def pick(self, *suffixes: str) -> Path:
        """One of the files, with one of the suffixes where they are given."""
        fit = [file for file in self.files if not suffixes or file.suffix in suffixes]
        return fit[self.rng.integers(len(fit))]

    def write(self, file: Path, data: bytes | bytearray) -> Path:
        path = self.root / file
        was = path.stat()
        path.unlink()  # it may be mapped, or have a twin
        path.write_bytes(data)
        os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
        return file

    def bytes(self, file: Path) -> bytearray:
        return bytearray((self.root / file).read_bytes())


Fault = Callable[[Scene], set[Path]]  # does its harm, and gives the files it touched


def flipped_bits(scene: Scene) -> set[Path]:
    file = scene.pick()
    data = scene.bytes(file)
    for place in scene.rng.integers(0, len(data), scene.rng.integers(1, 4)):
        data[place] ^= 1 << scene.rng.integers(8)
    return {scene.write(file, data)}


def flipped_in_the_head(scene: Scene) -> set[Path]:
    """Where formats keep what they believe."""
    file = scene.pick()
    data = scene.bytes(file)
    data[scene.rng.integers(min(len(data), 160))] ^= 1 << scene.rng.integers(8)
    return {scene.write(file, data)}


def another_byte(scene: Scene) -> set[Path]:
    file = scene.pick()
    data = scene.bytes(file)
    data[scene.rng.integers(len(data))] = scene.rng.integers(256)
    return {scene.write(file, data)}


def zeroed_pages(scene: Scene) -> set[Path]:
    file = scene.pick()
    data = scene.bytes(file)
    start = int(scene.rng.integers(-(-len(data) // PAGE))) * PAGE
    stop = min(start + PAGE * int(scene.rng.integers(1, 9)), len(data))
    data[start:stop] = bytes(stop - start)
    return {scene.write(file, data)}


def cut_short(scene: Scene) -> set[Path]:
    file = scene.pick()
    data = scene.bytes(file)
    whole_pages = (len(data) - 1) // PAGE * PAGE
    ends = [0, int(scene.rng.integers(len(data))), len(data) - 1, whole_pages]
    return {scene.write(file, data[: scene.rng.choice(ends)])}


def extended(scene: Scene) -> set[Path]:
    file = scene.pick()
    more = scene.rng.bytes(int(scene.rng.choice([1, 100, PAGE, 10 * PAGE])))
    return {
        scene.write(
            file, scene.bytes(file) + (more if scene.rng.random() < 0.5 else bytes(len(more)))
        )
    }


def deleted(scene: Scene) -> set[Path]:
    file = scene.pick()
    (scene.root / file).unlink()
    return {file}


def of_another_run(scene: Scene) -> set[Path]:
    """Whole in itself: another split's shard or labels, another's model, a stale manifest."""
    file = scene.pick()
    return {scene.write(file, (scene.other / file).read_bytes())}


def exchanged(scene: Scene) -> set[Path]:
    """Two files of a kind, each in the other's place; else one of another kind comes instead."""
    one = scene.pick()
    alike = [file for file in scene.files if file.suffix == one.suffix and file != one]
    two = alike[scene.rng.integers(len(alike))] if alike else scene.pick()
    first, second = scene.bytes(one), scene.bytes(two)
    return {scene.write(one, second), scene.write(two, first)}


def edited_text(scene: Scene) -> set[Path]:
    """A digit of a manifest or of the moments, its seal as it was."""
    file = scene.pick(".json")
    data = scene.bytes(file)
    digits = [place for place, byte in enumerate(data) if chr(byte).isdigit()]
    place = int(scene.rng.choice(digits))
    data[place] = ord("0") + (data[place] - ord("0") + 1) % 10
    return {scene.write(file, data)}


BYTES: list[Fault] = [
    *(flipped_bits, flipped_in_the_head, another_byte, zeroed_pages, cut_short, extended),
    *(deleted, of_another_run, exchanged),
]

# Of shards


def flipped_beside_pixels(scene: Scene) -> set[Path]:
    """In the tree or in a header: pixels are nearly all of a shard, and so are seldom missed."""
    file = scene.pick(".lmdb")
    data = scene.bytes(file)
    beside = np.ones(len(data), bool)
    for start, stop in places(scene.root / file).values():
        beside[start:stop] = False
    data[scene.rng.choice(np.flatnonzero(beside))] ^= 1 << scene.rng.integers(8)
    return {scene.write(file, data)}


def swapped_records(scene: Scene) -> set[Path]:
    """The values of two records, as far as the shorter goes."""
    file = scene.pick(".lmdb")
    data, (one, two) = scene.bytes(file), list(places(scene.root / file).values())
    length = min(one[1] - one[0], two[1] - two[0])
    first, second = (data[start : start + length] for start, _ in (one, two))
    data[one[0] : one[0] + length], data[two[0] : two[0] + length] = second, first
    return {scene.write(file, data)}


def places(shard: Path) -> dict[int, tuple[int, int]]:
    """From where to where the value of each record lies in a whole shard, as LMDB finds it."""
    data = shard.read_bytes()
    with lmdb.open(str(shard), subdir=False, readonly=True, lock=False) as env, env.begin() as all_:
        values = {int.from_bytes(key[:8], "big"): bytes(value) for key, value in all_.cursor()}
    starts = {record: data.index(value) for record, value in values.items()}
    return {record: (at, at + len(values[record])) for record, at in starts.items()}


# With the seal renewed: nothing in the file itself tells of it


def resealed_edit(scene: Scene) -> set[Path]:
    """Any value of a manifest or of the moments: another, of another kind, or gone."""
    sealed = [file for file in scene.files if file.name in ("manifest.json", "moments.json")]
    file = sealed[scene.rng.integers(len(sealed))]
    content = json.loads(scene.bytes(file))
    content.pop(SEAL)
    _edit(content, scene.rng)
    return {_reseal(scene, file, content)}


def relabelled(scene: Scene) -> set[Path]:
    """Another label, and a manifest that knows it."""
    file = scene.pick(".npy")
    data = scene.bytes(file)
    data[-4 * int(scene.rng.integers(1, 5))] ^= 1
    manifest = file.with_name("manifest.json")
    content = json.loads(scene.bytes(manifest)) | {"labels": xxhash.xxh3_64_hexdigest(data)}
    content.pop(SEAL)
    return {scene.write(file, data), _reseal(scene, manifest, content)}


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


def _reseal(scene: Scene, file: Path, content: dict[str, Any]) -> Path:
    path = scene.root / file
    path.unlink()
    write_checksummed_json(path, content)
    return file


FORGED: list[Fault] = [resealed_edit, relabelled]
