"""Exact sums: equal to Python's integers, in any order, at every limit of the small types."""

import operator
from fractions import Fraction

import numpy as np
import pytest
import torch

from alexnet.dataset.shards import Shards
from alexnet.moments import sums as sums_module
from alexnet.moments.pca import compute_mean_image
from alexnet.moments.sums import ZERO, Sums, sum_images, sum_shard
from images import Images


def equal(a: Sums, b: Sums) -> bool:
    return (
        a.count == b.count
        and np.array_equal(a.pixels, b.pixels)
        and np.array_equal(a.products, b.products)
    )


@pytest.fixture(scope="module")
def sums(images: Images) -> Sums:
    return sum_images(images)


@pytest.fixture(params=["int8", "float32"])
def use_torch(request: pytest.FixtureRequest) -> bool:
    """Both ways to sum products; int8 only if the processor multiplies it exactly."""
    if request.param == "int8" and not sums_module.int8_is_exact():
        pytest.skip("this processor does not multiply int8 exactly")
    return bool(request.param == "int8")


def test_sums_equal_those_of_python_integers(images: Images, use_torch: bool) -> None:
    """All 196,608 pixel sums and the 9 products of channels."""
    few = [*images[:2], np.full((256, 256, 3), 255, np.uint8), np.zeros((256, 256, 3), np.uint8)]
    sums = sum_images(few, use_torch)
    exact = sum((image.astype(object) for image in few[1:]), start=few[0].astype(object))
    assert (sums.pixels == exact).all()
    channels = list(zip(*np.concatenate(few).reshape(-1, 3).tolist(), strict=True))
    products = [[sum(map(operator.mul, a, b)) for a in channels] for b in channels]
    assert sums.products.tolist() == products
    assert compute_mean_image(sums).tolist() == [
        [[float(np.float32(Fraction(total, len(few)))) for total in pixel] for pixel in row]
        for row in exact.tolist()
    ]


def test_a_processor_that_saturates_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    """As AVX2 does without VNNI: it adds two neighbouring products in 16 bits."""

    def multiply_saturating(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        products = a.long()[:, :, None] * b.long()[None]
        pairs = products.reshape(len(a), -1, 2, b.shape[1]).sum(2).clamp(-(2**15), 2**15 - 1)
        return pairs.sum(1).int()

    sums_module.int8_is_exact.cache_clear()
    monkeypatch.setattr(torch, "_int_mm", multiply_saturating)
    try:
        assert not sums_module.int8_is_exact()
    finally:
        sums_module.int8_is_exact.cache_clear()


def test_white_images_do_not_overflow_a_block(use_torch: bool) -> None:
    """Two blocks and one image: an overflow of 16 bits would wrap to nearly nothing."""
    white = np.full((256, 256, 3), 255, np.uint8)
    total = sum_images((white for _ in range(2 * 257 + 1)), use_torch)
    assert total.count == 515
    assert (total.pixels == 515 * 255).all()
    assert (total.products == 515 * 255**2 * 256**2).all()


def test_black_images_do_not_exceed_the_precision_of_float32() -> None:
    """The lowest value, −128, has the largest square: 1,024 of them sum to 2²⁴."""
    black = np.zeros((256, 256, 3), np.uint8)
    black[0, 0] = 255, 1, 254  # beyond 2²⁴, float32 would lose these odd products
    products = sums_module._multiply_float32(black)
    shifted = black.reshape(-1, 12).astype(int) - 128
    assert (products == shifted.T @ shifted).all()


@pytest.mark.parametrize("min_images", [0, 50_000])
def test_large_splits_are_summed_by_torch(
    split: Shards, sums: Sums, monkeypatch: pytest.MonkeyPatch, min_images: int
) -> None:
    """With the same bits."""
    calls, is_exact = [], sums_module.int8_is_exact
    monkeypatch.setattr(sums_module, "INT8_MIN_IMAGES", min_images)
    monkeypatch.setattr(sums_module, "int8_is_exact", lambda: calls.append(True) or is_exact())
    assert equal(sum((sum_shard(split.folder, n) for n in range(3)), start=ZERO), sums)
    assert bool(calls) is (min_images == 0)


def test_any_order_and_division_give_the_same_bits(
    split: Shards, images: Images, sums: Sums
) -> None:
    by_shard = [sum_shard(split.folder, n) for n in (2, 0, 1)]
    assert equal(sum(by_shard, start=ZERO), sums)
    assert equal(sum_images(images[11:]) + sum_images(images[:11]), sums)
