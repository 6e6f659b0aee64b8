"""A reader while a writer replaces what it reads: every interleaving, and the outcome of each.

A reader gets the old state, whole, or the new one, or one line that says that it got neither; never
a mixture. What else happens under load is tested where it belongs: several `dvc repro` at once in
test_interrupted.py, queued experiments in test_sweeps.py, lost workers and schedulers in
test_kills.py, lost ranks in test_launching.py, a slow disk in test_faults.py. The loader has
threads alone: none can be killed.
"""

import builtins
import hashlib
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from alexnet.dataset.index import Index, Synset, load_index, rows_of, save_index
from alexnet.dataset.moments import load_moments
from alexnet.dataset.shards import Shards
from alexnet.model.alexnet import AlexNet
from alexnet.model.weights import load_model, save_model
from alexnet.moments.pca import save_moments
from alexnet.moments.sums import sums_of
from alexnet.runtime.errors import InputError
from alexnet.runtime.files import replace_folder
from images import random_images, write_split
from small_model import described, moments

Write = Callable[[Path, int], None]
Read = Callable[[Path], Any]


def write_index(folder: Path, seed: int) -> None:
    rows = rows_of([(f"{seed}-{n}".encode(), n, 10) for n in range(9)], label=seed, archive=0)
    archives, synsets = (
        [(f"{seed}.tar", seed)],
        [Synset(n, f"n{n}", "word") for n in range(seed + 1)],
    )
    save_index(Index({"train": rows, "val": rows}, archives, synsets), folder)


def digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()


def read_index(folder: Path) -> Any:
    index = load_index(folder)
    splits = {split: digest(rows.tobytes()) for split, rows in index.splits.items()}
    return splits, index.archives, index.synsets


def write_shards(folder: Path, seed: int) -> None:
    write_split(folder / "train", random_images(3, seed), [seed, 1, 2], records=2)


def read_shards(folder: Path) -> Any:
    shards = Shards(folder / "train")
    images = (shards.read(int(n)).tobytes() for n in shards.records)
    return shards.labels.tolist(), digest(*images)


def write_moments(folder: Path, seed: int) -> None:
    save_moments(folder, sums_of(random_images(2, seed)))


def read_moments(folder: Path) -> Any:
    return digest(*(value.tobytes() for value in vars(load_moments(folder)).values()))


def write_model(folder: Path, seed: int) -> None:
    net = AlexNet(7, 16)
    for weight in net.parameters():
        weight.data.fill_(seed)
    save_model(folder, net, moments(), described() | {"seed": seed})


def read_model(folder: Path) -> Any:
    net, _, told = load_model(folder)
    return {float(weight.data.mean()) for weight in net.parameters()}, told["seed"]


@pytest.mark.parametrize(
    ("write", "read"),
    [
        (write_index, read_index),
        (write_shards, read_shards),
        (write_moments, read_moments),
        (write_model, read_model),
    ],
)
def test_a_reader_meets_a_writer_between_any_two_files(
    tmp_path: Path, write: Write, read: Read
) -> None:
    folder, states = tmp_path / "out", []
    for seed in (1, 2):
        write_whole(folder, write, seed)
        states.append(read(folder))
    files = count_opened(folder, read)
    outcomes: list[int | str] = []
    for n in range(files + 1):
        write_whole(folder, write, 1)
        with at_opening(folder, n, lambda: write_whole(folder, write, 2)) as opened:
            try:
                outcomes.append(states.index(read(folder)))
            except InputError as error:
                outcomes.append(str(error))
        assert len(opened) >= n
    refused = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert all(re.fullmatch(r".+; fix: .+", line) for line in refused)
    assert files >= 1
    assert outcomes[0] != 0  # before the first file: the new state, or none
    assert outcomes[-1] == 0  # after the last: the old one


def write_whole(folder: Path, write: Write, seed: int) -> None:
    with replace_folder(folder) as new:
        write(new, seed)


def count_opened(folder: Path, read: Read) -> int:
    with at_opening(folder, -1, lambda: None) as opened:
        read(folder)
    return len(opened)


class at_opening:
    """While entered, something happens just before the n-th file of a folder is opened."""

    def __init__(self, folder: Path, n: int, happens: Callable[[], None]) -> None:
        self.folder, self.n, self.happens = folder, n, happens
        self.opened: list[Path] = []
        self.patches = [patch.object(module, "open", self._open) for module in (io, builtins)]
        self.real = io.open

    def __enter__(self) -> list[Path]:
        for each in self.patches:
            each.start()
        return self.opened

    def __exit__(self, *_: object) -> None:
        for each in self.patches:
            each.stop()

    def _open(self, path: Any, *more: Any, **named: Any) -> Any:
        if not isinstance(path, int) and Path(path).is_relative_to(self.folder):
            self.opened.append(Path(path))
            if len(self.opened) == self.n + 1:
                self.happens()
        return self.real(path, *more, **named)
