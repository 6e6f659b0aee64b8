"""Rows, the seeded held-out part, and what is saved is what is loaded."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from alexnet.dataset.index import (
    ROW,
    Index,
    Rows,
    Synset,
    held_out,
    load_index,
    load_synsets,
    rows_of,
    save_index,
    shuffled,
)
from alexnet.runtime.errors import InputError
from images import files_end_at

COUNTS = [1, 2, 3, 10, 101]


@pytest.fixture
def rows() -> Rows:
    """COUNTS[label] rows of each label."""
    return np.concatenate(
        [
            rows_of([(f"{label}_{n:03d}".encode(), n, 10) for n in range(count)], label, 0)
            for label, count in enumerate(COUNTS)
        ]
    )


@pytest.fixture
def index(rows: Rows) -> Index:
    synsets = [Synset(0, f"n{label}", f"words, of «{label}»") for label in range(len(COUNTS))]
    return Index({"train": rows, "val": rows[::2]}, [("a/ü.tar", 1 << 40)], synsets)


def test_rows_are_in_order_of_their_names() -> None:
    rows = rows_of([(b"b", 5, 1), (b"a", 7, 2)], label=3, archive=4)
    assert rows.tolist() == [(3, 4, 7, 2, b"a"), (3, 4, 5, 1, b"b")]
    assert rows_of([], 0, 0).dtype == ROW
    assert rows_of([(b"x" * 96, 0, 0)], 0, 0)["name"][0] == b"x" * 96
    with pytest.raises(InputError, match="longer than 96 bytes; fix: shorten it"):
        rows_of([(b"a", 0, 0), (b"x" * 97, 0, 0)], 0, 0)


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5, 0.99])
def test_of_each_class_a_part_is_held_out(rows: Rows, fraction: float) -> None:
    train, val = held_out(rows, fraction, seed=3)
    assert sorted([*train.tolist(), *val.tolist()]) == sorted(rows.tolist())
    taken = np.bincount(val["label"], minlength=len(COUNTS)).tolist()
    assert taken == [min(max(int(n * fraction), 1), n - 1) for n in COUNTS]


def test_the_held_out_part_is_drawn_by_the_seed(rows: Rows) -> None:
    drawn = [held_out(rows, 0.5, seed)[1] for seed in (1, 1, 2)]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    often = np.mean([np.isin(rows, held_out(rows, 0.5, seed)[1]) for seed in range(100)], axis=0)
    assert often[COUNTS[0] :].min() > 0.25
    assert often.max() < 0.75  # every image of a larger class has its chance


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0, float("nan")])
def test_a_fraction_that_is_none_is_refused(rows: Rows, fraction: float) -> None:
    with pytest.raises(InputError, match=r"choose dataset\.held_out above"):
        held_out(rows, fraction, 0)


def test_shuffling_is_by_the_seed_alone(rows: Rows) -> None:
    assert np.array_equal(shuffled(rows, 1), shuffled(rows, 1))
    assert not np.array_equal(shuffled(rows, 1), shuffled(rows, 2))
    assert sorted(shuffled(rows, 1).tolist()) == sorted(rows.tolist())


@pytest.mark.parametrize("splits", [["train", "val"], ["train", "val", "test"]])
def test_saved_and_loaded(tmp_path: Path, index: Index, splits: list[str]) -> None:
    for split in splits:
        index.splits.setdefault(split, index.splits["val"][:3])
    save_index(index, tmp_path)
    loaded = load_index(tmp_path)
    assert loaded.synsets == index.synsets == load_synsets(tmp_path)
    assert loaded.archives == index.archives
    assert list(loaded.splits) == splits
    for split, rows in index.splits.items():
        assert np.array_equal(loaded.splits[split], rows)


@pytest.mark.parametrize("name", ["train.npy", "val.npy", "archives.json", "classes.csv"])
def test_a_damaged_index_names_its_mend(tmp_path: Path, index: Index, name: str) -> None:
    with pytest.raises(InputError, match=r"fix: .*dvc repro -f index"):
        load_index(tmp_path)
    save_index(index, tmp_path)
    (tmp_path / name).write_bytes(b"{")
    with pytest.raises(InputError, match=r"fix: .*dvc repro -f index"):
        load_index(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match=r"fix: .*dvc repro -f index"):
        load_index(tmp_path)


@pytest.mark.parametrize(
    ("was", "other"),
    [
        (b"'label'", b"'mabel'"),
        (b"'<i4'), ('a", b"'>i4'), ('a"),
        (b"}  ", b"} ("),
        (b"(3,)", b"(3, "),
    ],
)
def test_rows_with_another_head_are_refused(
    tmp_path: Path, index: Index, was: bytes, other: bytes
) -> None:
    """Of another dtype, or of none: numpy lets an error of the tokenizer pass."""
    rows = {split: np.zeros(3, ROW) for split in ("train", "val")}
    save_index(Index(rows, index.archives, index.synsets), tmp_path)
    load_index(tmp_path)
    data = (tmp_path / "val.npy").read_bytes()
    assert was in data
    (tmp_path / "val.npy").write_bytes(data.replace(was, other, 1))
    with pytest.raises(InputError, match=r"holds no index: val\.npy: "):
        load_index(tmp_path)


def test_not_one_byte_is_lost_in_silence(tmp_path: Path, index: Index) -> None:
    """numpy's own way to write to a file left the last few out where the disk was full."""
    save_index(index, tmp_path)
    size = (tmp_path / "val.npy").stat().st_size
    whole = (tmp_path / "train.npy").stat().st_size
    for end in (100, size - 1, whole - 4000, whole - 1):
        with files_end_at(end), pytest.raises(OSError, match="too large"):
            save_index(index, tmp_path)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("train.npy", lambda whole: whole.replace(b"}", b"(")),  # no Python words: a TokenError
        ("train.npy", lambda whole: whole.replace(b"'<i4'", b"'<f4'")),
        ("archives.json", lambda _: b'[{"path": ["a"], "size": 1e999}]'),
        ("classes.csv", lambda whole: whole + b"9,9\n"),
    ],
)
def test_no_damage_to_an_index_is_a_traceback(
    index: Index, tmp_path: Path, name: str, data: Callable[[bytes], bytes]
) -> None:
    save_index(index, tmp_path)
    whole = (tmp_path / name).read_bytes()
    assert data(whole) != whole
    (tmp_path / name).write_bytes(data(whole))
    with pytest.raises(InputError, match=r"holds no index.*fix: .*dvc repro -f index"):
        load_index(tmp_path)
