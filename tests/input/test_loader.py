"""Batches hold exactly the planned crops, stay valid as promised, and load ahead of their use."""

import gc
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import pytest

from alexnet.dataset.manifest import Integers
from alexnet.dataset.shards import Shards
from alexnet.input.augment import AugmentSettings, EpochPlan, plan_epoch
from alexnet.input.epoch import split_batches
from alexnet.input.loader import BATCHES_AHEAD, BUFFERS, LoadedBatch, load_crops, load_images
from alexnet.runtime.errors import InputError
from images import Images, random_images, write_split

PATIENCE = 300  # seconds; on a busy machine only a hang takes so long


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shards, Images]:
    """100 images in shards of 16: more than the loader reads ahead."""
    images = random_images(100, seed=7)
    folder = tmp_path_factory.mktemp("many") / "train"
    return write_split(folder, images, list(range(100)), records=16), images


def slice_crops(images: Images, plan: EpochPlan, part: slice, crop: int) -> list[Images]:
    """The crops of a part of the epoch, by plain slicing."""
    choices = zip(plan.order[part], plan.tops[part], plan.lefts[part], strict=True)
    return [images[n, top : top + crop, left : left + crop] for n, top, left in choices]


# Content


@pytest.mark.parametrize(("crop", "offsets"), [(224, 33), (227, 30), (256, 1)])
def test_crops_are_slices_of_the_records(
    split: Shards, images: Images, crop: int, offsets: int
) -> None:
    plan = plan_epoch(5, 2, len(split), AugmentSettings(crop, offsets))
    lengths = []
    for batch, part in load_crops(split, plan, split_batches(len(split), 6), crop, pin=False):
        lengths.append(len(batch))
        assert np.array_equal(batch, slice_crops(images, plan, part, crop))
    assert lengths == [6, 6, 6, 2]


def test_whole_images_are_the_records(split: Shards, images: Images) -> None:
    for parts in (split_batches(20, 7), split_batches(20, 7)[1::2], []):
        loaded = []
        for batch, part in load_images(split, split.records, parts):
            loaded.append(part)
            assert np.array_equal(batch, images[part])
        assert loaded == parts


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [7, 40, 100])
def test_crops_do_not_depend_on_ranks_batch_size_or_resume(
    many: tuple[Shards, Images], size: int, ranks: int
) -> None:
    """Each image once, and the same crop whichever rank loads it from whichever batch on."""
    shards, images = many
    settings = AugmentSettings(images_per_crop=32)
    plan = plan_epoch(5, 2, 100, settings)
    expected = np.array(slice_crops(images, plan, slice(0, 100), 224))
    for first_batch in range(0, -(-100 // size), 3):
        positions: list[int] = []
        for rank in range(ranks):
            parts = split_batches(100, size, first_batch, rank, ranks)
            for batch, part in load_crops(
                shards, plan_epoch(5, 2, 100, settings), parts, 224, pin=False
            ):
                assert np.array_equal(batch, expected[part])
                positions += range(part.start, part.stop)
        assert sorted(positions) == list(range(first_batch * size, 100))


def test_rank_without_images_gets_empty_batches(split: Shards) -> None:
    plan = plan_epoch(0, 0, len(split), AugmentSettings())
    parts = split_batches(len(split), 2, 0, 0, 3)
    lengths = [len(batch) for batch, _ in load_crops(split, plan, parts, 224, pin=False)]
    assert lengths == [0] * 10
    assert list(load_crops(split, plan, [], 224, pin=False)) == []


def test_jpeg_records_come_in_batches_too(tmp_path: Path) -> None:
    shards = write_split(tmp_path / "split", random_images(20), [0] * 20, pixels="jpeg")
    plan = plan_epoch(1, 0, 20, AugmentSettings())
    pictures = np.array([shards.read(record) for record in range(20)])
    for batch, part in load_crops(shards, plan, split_batches(20, 8), 224, pin=False):
        assert np.array_equal(batch, slice_crops(pictures, plan, part, 224))


def test_crop_that_leaves_the_image_is_rejected(split: Shards) -> None:
    plan = plan_epoch(0, 0, len(split), AugmentSettings(224, 33))
    with pytest.raises(ValueError, match="leaves the image"):
        list(load_crops(split, plan, split_batches(len(split), 20), 227, pin=False))


# Buffers and threads


def load_epoch(many: tuple[Shards, Images], size: int = 8) -> Iterator[LoadedBatch]:
    plan = plan_epoch(0, 0, 100, AugmentSettings())
    return load_crops(many[0], plan, split_batches(100, size), 224, pin=False)


def loader_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("loader")]


@pytest.fixture
def filled(monkeypatch: pytest.MonkeyPatch) -> "Queue[None]":
    """Receives an item for each batch that has been filled."""
    gather, queue = Shards.gather, Queue[None]()

    def gather_and_count(*arguments: Any) -> None:
        gather(*arguments)
        queue.put(None)

    monkeypatch.setattr(Shards, "gather", gather_and_count)
    return queue


def test_batch_stays_valid_until_the_next_but_one_is_requested(
    many: tuple[Shards, Images], filled: "Queue[None]"
) -> None:
    plan = plan_epoch(0, 0, 100, AugmentSettings())
    last_two: list[LoadedBatch] = []
    fills = 0
    for n, loaded in enumerate(load_epoch(many)):
        while fills < min(n + 1 + BATCHES_AHEAD, 13):  # wait for every batch filled ahead
            filled.get(timeout=PATIENCE)
            fills += 1
        last_two = [*last_two[-1:], loaded]
        for batch, part in last_two:
            assert np.array_equal(batch, slice_crops(many[1], plan, part, 224))


def test_buffers_are_reused(many: tuple[Shards, Images]) -> None:
    addresses = [batch.data_ptr() for batch, _ in load_epoch(many)]
    assert len(set(addresses)) == BUFFERS == BATCHES_AHEAD + 2
    assert addresses[:BUFFERS] == addresses[BUFFERS : 2 * BUFFERS]


def test_batches_are_filled_while_the_consumer_computes(
    many: tuple[Shards, Images], filled: "Queue[None]"
) -> None:
    """While the consumer holds one batch, BATCHES_AHEAD more are filled, and no others."""
    batches = load_epoch(many)
    for n in range(4):
        next(batches)
        for _ in range(1 if n else 1 + BATCHES_AHEAD):
            filled.get(timeout=PATIENCE)
    assert filled.empty()


def test_abandoned_iterator_ends_its_thread(many: tuple[Shards, Images]) -> None:
    for batch, _ in load_epoch(many):
        assert len(batch) == 8
        assert len(loader_threads()) == 1
        break
    gc.collect()
    assert loader_threads() == []


def test_error_of_the_consumer_ends_the_thread(many: tuple[Shards, Images]) -> None:
    def consume() -> None:
        for _ in load_epoch(many):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        consume()
    gc.collect()
    assert loader_threads() == []


def test_process_exits_while_it_holds_an_iterator(many: tuple[Shards, Images]) -> None:
    code = f"""
from pathlib import Path
from alexnet.dataset.shards import Shards
from alexnet.input.augment import AugmentSettings, plan_epoch
from alexnet.input.epoch import split_batches
from alexnet.input.loader import load_crops
shards = Shards(Path({str(many[0].folder)!r}))
plan = plan_epoch(0, 0, 100, AugmentSettings())
held = load_crops(shards, plan, split_batches(100, 8), 224, False)
next(held)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], timeout=PATIENCE, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_corrupt_record_raises_its_error_once_after_the_intact_batches(tmp_path: Path) -> None:
    images = random_images(24)
    shards = write_split(tmp_path / "split", images, list(range(24)))
    plan = plan_epoch(0, 0, 24, AugmentSettings())
    record = int(plan.order[20])
    path = shards.folder / shards.manifest.shards[record // 8].file
    choices = plan_epoch(0, 0, 24, AugmentSettings())
    record = int(choices.order[20])
    path = shards.folder / shards.manifest.shards[record // 8].file
    data = bytearray(path.read_bytes())
    data[data.index(images[record].tobytes()) + 5] ^= 1
    path.write_bytes(data)
    batches, parts = load_crops(shards, plan, split_batches(24, 6), 224, pin=False), []
    with pytest.raises(InputError, match=rf"{path.name}: record {record} is damaged; fix"):
        parts.extend(part for _, part in batches)
    assert [part.stop for part in parts] == [6, 12, 18]
    assert list(batches) == []
    assert loader_threads() == []


def test_each_record_is_prefetched_once_ahead_of_its_use(
    many: tuple[Shards, Images], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By 32 records, across the boundaries of batches of any size."""
    prefetched: list[int] = []
    copied: list[int] = []  # records of each call of gather
    leads: list[tuple[int, int]] = []  # records prefetched and not yet copied: found, expected
    gather = Shards.gather

    def observe(shards: Shards, records: Integers, *arguments: Any) -> None:
        before = sum(copied)
        copied.append(len(records))
        leads.append((len(prefetched) - before, min(len(records) + 32, 100 - before)))
        gather(shards, records, *arguments)

    monkeypatch.setattr(Shards, "prefetch", lambda _, records: prefetched.extend(records.tolist()))
    monkeypatch.setattr(Shards, "gather", observe)
    for size in (5, 40, 100):
        copied.clear()
        prefetched.clear()
        assert sum(len(batch) for batch, _ in load_epoch(many, size)) == 100
        assert prefetched == plan_epoch(0, 0, 100, AugmentSettings()).order.tolist()
    assert [found for found, _ in leads] == [expected for _, expected in leads]
