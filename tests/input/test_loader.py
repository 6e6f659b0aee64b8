"""Chance has the paper's ranges and knows no workers; batches hold the very crops, while good."""

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
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from alexnet.dataset.manifest import Integers
from alexnet.dataset.shards import Shards
from alexnet.inference.ten_views import centre_view, ten_views
from alexnet.input.augment import augment, mean_crops
from alexnet.input.epoch import AugmentSettings, EpochPlan, batch_parts, plan_epoch
from alexnet.input.loader import AHEAD, crops, squares
from alexnet.runtime.errors import InputError
from images import Images, random_images, write_split

PATIENCE = 300  # seconds, on a busy machine: only what never ends takes so long


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shards, Images]:
    """100 images in shards of 16: more than are asked of the disk at once."""
    images = random_images(100, seed=7)
    folder = tmp_path_factory.mktemp("many") / "train"
    return write_split(folder, images, list(range(100)), records=16), images


def naive(images: Images, choices: EpochPlan, part: slice, crop: int) -> list[Images]:
    places = zip(choices.order[part], choices.tops[part], choices.lefts[part], strict=True)
    return [images[n, top : top + crop, left : left + crop] for n, top, left in places]


# EpochPlan


def test_each_image_once_an_epoch_in_another_order() -> None:
    orders = [plan_epoch(0, epoch, 1000, AugmentSettings()).order for epoch in range(2)]
    assert all(order.sort().values.equal(torch.arange(1000)) for order in orders)
    assert not orders[0].equal(orders[1])
    assert plan_epoch(0, 1, 1000, AugmentSettings()).order.equal(orders[1])
    assert not plan_epoch(1, 1, 1000, AugmentSettings()).order.equal(orders[1])


@pytest.mark.parametrize(("crop", "offsets"), [(224, 32), (224, 33), (227, 30)])
def test_choices_have_their_ranges(crop: int, offsets: int) -> None:
    """32 × 32 places, half of the images mirrored, α of standard deviation 0.1 (section 4.1)."""
    choices = plan_epoch(0, 0, 50_000, AugmentSettings(crop, offsets))
    for places in (choices.tops, choices.lefts):
        counts = places.bincount()
        assert len(counts) == offsets
        assert (counts - 50_000 / offsets).abs().max() < 5 * (50_000 / offsets) ** 0.5
    assert abs(float(choices.mirrored.float().mean()) - 0.5) < 0.01
    assert abs(float(choices.alphas.std()) - 0.1) < 0.001
    pair = torch.stack([choices.tops.double(), choices.lefts.double()])
    assert abs(float(torch.corrcoef(pair)[0, 1])) < 0.02


def test_without_crops_reflections_and_shift() -> None:
    augmentation = AugmentSettings(random_crops=False, reflections=False, alpha_std=0.0)
    choices = plan_epoch(0, 0, 10, augmentation)
    assert choices.tops.tolist() == choices.lefts.tolist() == [16] * 10
    assert not choices.mirrored.any()
    assert not choices.alphas.any()


def test_crops_shared_by_32_as_in_the_2012_code() -> None:
    """One offset and one reflection for every 32 places in turn; colours are each image's own."""
    shared, own = (plan_epoch(3, 1, 1000, AugmentSettings(images_per_crop=n)) for n in (32, 1))
    blocks = torch.arange(1000) // 32
    for field in ("tops", "lefts", "mirrored"):
        values = getattr(shared, field)
        assert values.equal(values[blocks * 32])
        assert values.equal(getattr(own, field)[blocks])
        assert len(values[::32].unique()) > 1
    assert shared.order.equal(own.order)
    assert shared.alphas.equal(own.alphas)
    assert len(shared.alphas.unique(dim=0)) == 1000


@pytest.mark.parametrize(("crop", "offsets"), [(224, 34), (227, 31), (257, 1), (0, 1), (224, 0)])
def test_no_patch_leaves_the_image(crop: int, offsets: int) -> None:
    with pytest.raises(InputError, match="offsets"):
        AugmentSettings(crop, offsets)
    assert AugmentSettings(227, 30).crop + AugmentSettings(227, 30).crop_offsets - 1 == 256


# Parts


@settings(deadline=None, derandomize=True)
@given(st.integers(0, 200), st.integers(1, 50), st.integers(1, 9), st.integers(0, 9))
def test_the_parts_of_all_ranks_are_the_batch(
    images: int, size: int, ranks: int, skip: int
) -> None:
    batches = [slice(k, min(k + size, images)) for k in range(0, images, size)]
    assert batch_parts(images, size) == batches
    assert batch_parts(images, size, skip) == batches[skip:]
    parts = [batch_parts(images, size, skip, rank, ranks) for rank in range(ranks)]
    for batch, *of_ranks in zip(batches[skip:], *parts, strict=True):
        places = [place for part in of_ranks for place in range(part.start, part.stop)]
        assert places == list(range(batch.start, batch.stop))
        lengths = [part.stop - part.start for part in of_ranks]
        assert max(lengths) - min(lengths) <= 1
        assert min(lengths) > 0 or len(places) < ranks


# Batches


@pytest.mark.parametrize(("crop", "offsets"), [(224, 33), (227, 30), (256, 1)])
def test_crops_are_slices_of_the_records(
    split: Shards, images: Images, crop: int, offsets: int
) -> None:
    choices = plan_epoch(5, 2, len(split), AugmentSettings(crop, offsets))
    seen = []
    for batch, part in crops(split, choices, batch_parts(len(split), 6), crop, pin=False):
        seen.append(len(batch))
        assert np.array_equal(batch, naive(images, choices, part, crop))
    assert seen == [6, 6, 6, 2]


def test_squares_are_the_records(split: Shards, images: Images) -> None:
    for parts in (batch_parts(20, 7), batch_parts(20, 7)[1::2], []):
        seen = []
        for batch, part in squares(split, split.records, parts):
            seen.append(part)
            assert np.array_equal(batch, images[part])
        assert seen == parts


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [7, 40, 100])
def test_the_same_epoch_for_any_ranks_batch_size_and_resume(
    many: tuple[Shards, Images], size: int, ranks: int
) -> None:
    """Each image once; whoever loads it, and from whichever step on, it is the same crop."""
    shards, images = many
    augmentation = AugmentSettings(images_per_crop=32)
    choices = plan_epoch(5, 2, 100, augmentation)
    expected = np.array(naive(images, choices, slice(0, 100), 224))
    for first_step in range(0, -(-100 // size), 3):
        seen = []
        for rank in range(ranks):
            again = plan_epoch(5, 2, 100, augmentation)
            parts = batch_parts(100, size, first_step, rank, ranks)
            for batch, part in crops(shards, again, parts, 224, pin=False):
                assert np.array_equal(batch, expected[part])
                seen += range(part.start, part.stop)
        assert sorted(seen) == list(range(first_step * size, 100))


def test_a_rank_without_images_gets_empty_batches(split: Shards) -> None:
    choices = plan_epoch(0, 0, len(split), AugmentSettings())
    parts = batch_parts(len(split), 2, 0, 0, 3)
    lengths = [len(batch) for batch, _ in crops(split, choices, parts, 224, pin=False)]
    assert lengths == [0] * 10
    assert list(crops(split, choices, [], 224, pin=False)) == []


def test_jpeg_records_come_in_batches_too(tmp_path: Path) -> None:
    shards = write_split(tmp_path / "split", random_images(20), [0] * 20, pixels="jpeg")
    choices = plan_epoch(1, 0, 20, AugmentSettings())
    pictures = np.array([shards.read(record) for record in range(20)])
    for batch, part in crops(shards, choices, batch_parts(20, 8), 224, pin=False):
        assert np.array_equal(batch, naive(pictures, choices, part, 224))


def test_a_crop_that_leaves_the_image_is_refused(split: Shards) -> None:
    choices = plan_epoch(0, 0, len(split), AugmentSettings(224, 33))
    with pytest.raises(ValueError, match="leaves the image"):
        list(crops(split, choices, batch_parts(len(split), 20), 227, pin=False))


# The ring


def epoch(many: tuple[Shards, Images], size: int = 8) -> Iterator[tuple[Tensor, slice]]:
    choices = plan_epoch(0, 0, 100, AugmentSettings())
    return crops(many[0], choices, batch_parts(100, size), 224, pin=False)


def loaders() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("loader")]


@pytest.fixture
def filled(monkeypatch: pytest.MonkeyPatch) -> "Queue[None]":
    """An item for each batch that has been filled."""
    gather, queue = Shards.gather, Queue[None]()

    def counted(*arguments: Any) -> None:
        gather(*arguments)
        queue.put(None)

    monkeypatch.setattr(Shards, "gather", counted)
    return queue


def test_a_batch_is_good_until_the_next_but_one_is_asked_for(
    many: tuple[Shards, Images], filled: "Queue[None]"
) -> None:
    choices = plan_epoch(0, 0, 100, AugmentSettings())
    last: list[tuple[Tensor, slice]] = []
    waited = 0
    for n, (batch, part) in enumerate(epoch(many)):
        while waited < min(n + 1 + AHEAD, 13):  # what is filled ahead is filled
            filled.get(timeout=PATIENCE)
            waited += 1
        last = [*last[-1:], (batch, part)]
        for kept, its_part in last:
            assert np.array_equal(kept, naive(many[1], choices, its_part, 224))


def test_buffers_are_few_and_reused(many: tuple[Shards, Images]) -> None:
    where = [batch.data_ptr() for batch, _ in epoch(many)]
    assert len(set(where)) == AHEAD + 2
    assert where[: AHEAD + 2] == where[AHEAD + 2 : 2 * (AHEAD + 2)]


def test_filling_happens_while_the_consumer_computes(
    many: tuple[Shards, Images], filled: "Queue[None]"
) -> None:
    """While it holds one batch and asks for no other, as many as AHEAD are filled, and no more."""
    batches = epoch(many)
    for n in range(4):
        next(batches)
        for _ in range(1 if n else 1 + AHEAD):
            filled.get(timeout=PATIENCE)
    assert filled.empty()


def test_an_abandoned_iterator_ends_its_thread(many: tuple[Shards, Images]) -> None:
    for batch, _ in epoch(many):
        assert len(batch) == 8
        assert len(loaders()) == 1
        break
    gc.collect()
    assert loaders() == []


def test_an_error_of_the_consumer_ends_the_thread(many: tuple[Shards, Images]) -> None:
    def consume() -> None:
        for _ in epoch(many):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        consume()
    gc.collect()
    assert loaders() == []


def test_a_process_ends_though_an_iterator_is_in_its_hands(many: tuple[Shards, Images]) -> None:
    code = f"""
from pathlib import Path
from alexnet.input.epoch import *
from alexnet.input.loader import *
shards = Shards(Path({str(many[0].folder)!r}))
held = crops(shards, plan_epoch(0, 0, 100, AugmentSettings()), batch_parts(100, 8), 224, False)
next(held)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], timeout=PATIENCE, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_damage_reaches_the_consumer_as_that_very_error(tmp_path: Path) -> None:
    """After the whole batches before it, and once."""
    images = random_images(24)
    shards = write_split(tmp_path / "split", images, list(range(24)))
    choices = plan_epoch(0, 0, 24, AugmentSettings())
    record = int(choices.order[20])
    path = shards.folder / shards.manifest.shards[record // 8].file
    data = bytearray(path.read_bytes())
    data[data.index(images[record].tobytes()) + 5] ^= 1
    path.write_bytes(data)
    batches, seen = crops(shards, choices, batch_parts(24, 6), 224, pin=False), []
    with pytest.raises(InputError, match=rf"{path.name}: record {record} is damaged; fix"):
        seen.extend(part for _, part in batches)
    assert [part.stop for part in seen] == [6, 12, 18]
    assert list(batches) == []
    assert loaders() == []


def test_the_disk_is_asked_for_each_record_once_ahead_of_its_use(
    many: tuple[Shards, Images], monkeypatch: pytest.MonkeyPatch
) -> None:
    """32 records ahead, over the bounds of batches, whatever their size."""
    asked: list[int] = []
    leads: list[tuple[int, int]] = []  # asked and not copied at a call, and as it should be
    gather = Shards.gather

    def gathering(shards: Shards, records: Integers, *places: Integers) -> None:
        copied = sum(copied_then for copied_then in counts)
        counts.append(len(records))
        leads.append((len(asked) - copied, min(len(records) + 32, 100 - copied)))
        gather(shards, records, *places)  # type: ignore[call-arg]

    monkeypatch.setattr(Shards, "prefetch", lambda _, records: asked.extend(records.tolist()))
    monkeypatch.setattr(Shards, "gather", gathering)
    for size in (5, 40, 100):
        counts: list[int] = []
        asked.clear()
        assert sum(len(batch) for batch, _ in epoch(many, size)) == 100
        assert asked == plan_epoch(0, 0, 100, AugmentSettings()).order.tolist()
    assert [lead for lead, _ in leads] == [expected for _, expected in leads]


# On the device


def test_augment_is_the_definition(split: Shards, images: Images) -> None:
    choices = plan_epoch(5, 2, len(split), AugmentSettings())
    mean, shifts = torch.rand(256, 256, 3) * 255, torch.randn(20, 3) * 10
    ((batch, _),) = crops(split, choices, [slice(0, 20)], 224, pin=False)
    means = mean_crops(mean, choices.tops, choices.lefts, 224)
    x = augment(batch, means, choices.mirrored, shifts)
    assert x.is_contiguous(memory_format=torch.channels_last)
    for n in range(20):
        top, left = int(choices.tops[n]), int(choices.lefts[n])
        centred = torch.tensor(images[choices.order[n]]).float() - mean
        patch = centred[top : top + 224, left : left + 224]
        naive = (patch.flip(1) if choices.mirrored[n] else patch) + shifts[n]
        assert torch.equal(x[n], naive.permute(2, 0, 1))


@pytest.mark.parametrize("crop", [224, 227])
def test_mean_crops_are_slices(crop: int) -> None:
    mean, most = torch.rand(256, 256, 3), 256 - crop
    tops, lefts = torch.tensor([0, most, 7]), torch.tensor([most, 0, most - 1])
    for n, patch in enumerate(mean_crops(mean, tops, lefts, crop)):
        top, left = int(tops[n]), int(lefts[n])
        assert torch.equal(patch, mean[top : top + crop, left : left + crop])


@pytest.mark.parametrize("crop", [224, 227])
def test_the_centre_view_is_the_fifth_of_ten(crop: int) -> None:
    images = torch.randint(0, 256, (3, 256, 256, 3), dtype=torch.uint8)
    mean = torch.rand(256, 256, 3)
    views = ten_views(images, mean, crop)
    assert views.shape == (3, 10, 3, crop, crop)
    assert torch.equal(centre_view(images, mean, crop), views[:, 4])
