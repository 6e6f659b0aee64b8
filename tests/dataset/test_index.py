"""Rows of the index, the seeded split, and saving, loading and damage of its files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from alexnet.dataset.index import (
    ROW,
    Index,
    Rows,
    Synset,
    hold_out,
    load_index,
    load_synsets,
    make_rows,
    save_index,
    shuffle,
)
from alexnet.runtime.errors import InputError
from images import files_end_at

COUNTS = [1, 2, 3, 10, 101]


@pytest.fixture
def rows() -> Rows:
    """COUNTS[label] rows of each label."""
    return np.concatenate(
        [
            make_rows([(f"{label}_{n:03d}".encode(), n, 10) for n in range(count)], label, 0)
            for label, count in enumerate(COUNTS)
        ]
    )


@pytest.fixture
def index(rows: Rows) -> Index:
    synsets = [Synset(0, f"n{label}", f"words, of «{label}»") for label in range(len(COUNTS))]
    return Index({"train": rows, "val": rows[::2]}, [("a/ü.tar", 1 << 40)], synsets)


def test_rows_are_sorted_by_name() -> None:
    rows = make_rows([(b"b", 5, 1), (b"a", 7, 2)], label=3, archive=4)
    assert rows.tolist() == [(3, 4, 7, 2, b"a"), (3, 4, 5, 1, b"b")]
    assert make_rows([], 0, 0).dtype == ROW
    assert make_rows([(b"x" * 96, 0, 0)], 0, 0)["name"][0] == b"x" * 96
    with pytest.raises(InputError, match="longer than 96 bytes; fix: shorten it"):
        make_rows([(b"a", 0, 0), (b"x" * 97, 0, 0)], 0, 0)


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5, 0.99])
def test_a_fraction_of_each_class_is_held_out(rows: Rows, fraction: float) -> None:
    train, val = hold_out(rows, fraction, seed=3)
    assert sorted([*train.tolist(), *val.tolist()]) == sorted(rows.tolist())
    counts = np.bincount(val["label"], minlength=len(COUNTS)).tolist()
    assert counts == [min(max(int(n * fraction), 1), n - 1) for n in COUNTS]


def test_the_held_out_part_depends_on_the_seed(rows: Rows) -> None:
    drawn = [hold_out(rows, 0.5, seed)[1] for seed in (1, 1, 2)]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    shares = np.mean([np.isin(rows, hold_out(rows, 0.5, seed)[1]) for seed in range(100)], axis=0)
    assert shares[COUNTS[0] :].min() > 0.25
    assert shares.max() < 0.75  # any image of a larger class may be chosen


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0, float("nan")])
def test_a_fraction_outside_0_to_1_is_rejected(rows: Rows, fraction: float) -> None:
    with pytest.raises(InputError, match=r"dataset\.held_out is .*fix: set dataset\.held_out"):
        hold_out(rows, fraction, 0)


def test_the_shuffled_order_depends_on_the_seed_only(rows: Rows) -> None:
    assert np.array_equal(shuffle(rows, 1), shuffle(rows, 1))
    assert not np.array_equal(shuffle(rows, 1), shuffle(rows, 2))
    assert sorted(shuffle(rows, 1).tolist()) == sorted(rows.tolist())


@pytest.mark.parametrize("splits", [["train", "val"], ["train", "val", "test"]])
def test_an_index_is_read_as_written(tmp_path: Path, index: Index, splits: list[str]) -> None:
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
def test_a_missing_or_damaged_file_is_reported_with_a_fix(
    tmp_path: Path, index: Index, name: str
) -> None:
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
    ("before", "after"),
    [
        (b"'label'", b"'mabel'"),
        (b"'<i4'), ('a", b"'>i4'), ('a"),
        (b"}  ", b"} ("),
        (b"(3,)", b"(3, "),
    ],
)
def test_rows_with_another_header_are_rejected(
    tmp_path: Path, index: Index, before: bytes, after: bytes
) -> None:
    """Another dtype or an invalid header, for which numpy raises an error of the tokenizer."""
    rows = {split: np.zeros(3, ROW) for split in ("train", "val")}
    save_index(Index(rows, index.archives, index.synsets), tmp_path)
    load_index(tmp_path)
    data = (tmp_path / "val.npy").read_bytes()
    assert before in data
    (tmp_path / "val.npy").write_bytes(data.replace(before, after, 1))
    with pytest.raises(InputError, match=r"holds no valid index: val\.npy: "):
        load_index(tmp_path)


def test_a_full_disk_is_noticed_to_the_last_byte(tmp_path: Path, index: Index) -> None:
    """np.save to a file opened for writing only loses the last bytes without an error."""
    save_index(index, tmp_path)
    size = (tmp_path / "val.npy").stat().st_size
    largest = (tmp_path / "train.npy").stat().st_size
    for end in (100, size - 1, largest - 4000, largest - 1):
        with files_end_at(end), pytest.raises(OSError, match="too large"):
            save_index(index, tmp_path)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("train.npy", lambda data: data.replace(b"}", b"(")),  # not a Python literal: TokenError
        ("train.npy", lambda data: data.replace(b"'<i4'", b"'<f4'")),
        ("archives.json", lambda _: b'[{"path": ["a"], "size": 1e999}]'),
        ("classes.csv", lambda data: data + b"9,9\n"),
    ],
)
def test_invalid_content_is_reported_without_a_traceback(
    index: Index, tmp_path: Path, name: str, damage: Callable[[bytes], bytes]
) -> None:
    save_index(index, tmp_path)
    data = (tmp_path / name).read_bytes()
    assert damage(data) != data
    (tmp_path / name).write_bytes(damage(data))
    with pytest.raises(InputError, match=r"holds no valid index.*fix: .*dvc repro -f index"):
        load_index(tmp_path)
