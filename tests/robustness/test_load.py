"""A reader gets the old state or the new while a writer replaces it, or one error line.

It never gets a mixture: every interleaving of reader and writer is tried. Other concurrency is
tested elsewhere: several `dvc repro` at once in test_interrupted.py, queued experiments in
test_sweeps.py, lost workers and schedulers in test_kills.py, lost ranks in
launch/test_torchrun.py, a slow disk in test_faults.py. The loader has only threads, which cannot
be killed.
"""

import builtins
import hashlib
import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from alexnet.dataset.index import Index, Synset, load_index, make_rows, save_index
from alexnet.dataset.moments import load_moments
from alexnet.dataset.shards import Shards
from alexnet.model.alexnet import AlexNet
from alexnet.model.net_config import NetConfig
from alexnet.model.weights import load_model, save_model
from alexnet.moments.sums import sum_images
from alexnet.runtime.errors import InputError
from alexnet.runtime.files import replace_folder
from images import random_images, save_moments_of, write_split
from small_model import moments, small_description

Write = Callable[[Path, int], None]
Read = Callable[[Path], Any]


def write_index(folder: Path, seed: int) -> None:
    rows = make_rows([(f"{seed}-{n}".encode(), n, 10) for n in range(9)], label=seed, archive=0)
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
    save_moments_of(folder, sum_images(random_images(2, seed)))


def read_moments(folder: Path) -> Any:
    return digest(*(value.tobytes() for value in vars(load_moments(folder)).values()))


def write_model(folder: Path, seed: int) -> None:
    net = AlexNet(NetConfig(7, 16))
    for weight in net.parameters():
        weight.data.fill_(seed)
    save_model(folder, net, moments(), replace(small_description(), seed=seed))


def read_model(folder: Path) -> Any:
    net, _, description = load_model(folder)
    return {float(weight.data.mean()) for weight in net.parameters()}, description.seed


@pytest.mark.parametrize(
    ("write", "read"),
    [
        (write_index, read_index),
        (write_shards, read_shards),
        (write_moments, read_moments),
        (write_model, read_model),
    ],
)
def test_a_reader_gets_one_state_while_a_writer_replaces_it(
    tmp_path: Path, write: Write, read: Read
) -> None:
    folder, states = tmp_path / "out", []
    for seed in (1, 2):
        write_state(folder, write, seed)
        states.append(read(folder))
    files = count_opened_files(folder, read)
    outcomes: list[int | str] = []
    for n in range(files + 1):
        write_state(folder, write, 1)
        with call_before_opening(folder, n, lambda: write_state(folder, write, 2)) as opened:
            try:
                outcomes.append(states.index(read(folder)))
            except InputError as error:
                outcomes.append(str(error))
        assert len(opened) >= n
    errors = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert all(re.fullmatch(r".+; fix: .+", line) for line in errors)
    assert files >= 1
    assert outcomes[0] != 0  # replaced before the first file: the new state, or an error
    assert outcomes[-1] == 0  # replaced after the last file: the old state


def write_state(folder: Path, write: Write, seed: int) -> None:
    with replace_folder(folder) as new:
        write(new, seed)


def count_opened_files(folder: Path, read: Read) -> int:
    with call_before_opening(folder, -1, lambda: None) as opened:
        read(folder)
    return len(opened)


class call_before_opening:
    """Context in which a function is called just before a folder's n-th file is opened."""

    def __init__(self, folder: Path, n: int, function: Callable[[], None]) -> None:
        self.folder, self.n, self.function = folder, n, function
        self.opened: list[Path] = []
        self.patches = [patch.object(module, "open", self._open) for module in (io, builtins)]
        self.real = io.open

    def __enter__(self) -> list[Path]:
        for replacement in self.patches:
            replacement.start()
        return self.opened

    def __exit__(self, *_: object) -> None:
        for replacement in self.patches:
            replacement.stop()

    def _open(self, path: Any, *more: Any, **named: Any) -> Any:
        if not isinstance(path, int) and Path(path).is_relative_to(self.folder):
            self.opened.append(Path(path))
            if len(self.opened) == self.n + 1:
                self.function()
        return self.real(path, *more, **named)
