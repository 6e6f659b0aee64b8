import operator
from fractions import Fraction

import numpy as np
import pytest
import torch

from alexnet.dataset.shards import Shards
from alexnet.moments import sums as sums_module
from alexnet.moments.pca import colour_moments, mean_image
from alexnet.moments.sums import NOTHING, Sums, sums_of, sums_of_shard
from images import Images


def same(a: Sums, b: Sums) -> bool:
    return (
        a.count == b.count
        and np.array_equal(a.pixels, b.pixels)
        and np.array_equal(a.products, b.products)
    )


@pytest.fixture(scope="module")
def sums(images: Images) -> Sums:
    return sums_of(images)


@pytest.fixture(params=["int8", "float32"])
def many(request: pytest.FixtureRequest) -> bool:
    """Each of the two ways to sum products; the first only where the processor can."""
    if request.param == "int8" and not sums_module.int8_is_exact():
        pytest.skip("no exact int8 products on this processor")
    return bool(request.param == "int8")


def test_sums_equal_big_integers(images: Images, many: bool) -> None:
    """Each of the 196,608 pixel sums, and of the 9 products of channels, in Python's integers."""
    few = [*images[:2], np.full((256, 256, 3), 255, np.uint8), np.zeros((256, 256, 3), np.uint8)]
    sums = sums_of(few, many)
    exact = sum((image.astype(object) for image in few[1:]), start=few[0].astype(object))
    assert (sums.pixels == exact).all()
    channels = list(zip(*np.concatenate(few).reshape(-1, 3).tolist(), strict=True))
    products = [[sum(map(operator.mul, a, b)) for a in channels] for b in channels]
    assert sums.products.tolist() == products
    assert mean_image(sums).tolist() == [
        [[float(np.float32(Fraction(total, len(few)))) for total in pixel] for pixel in row]
        for row in exact.tolist()
    ]


def test_a_processor_that_saturates_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As AVX2 does without VNNI: two neighbouring products are added in 16 bits."""

    def saturating(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        products = a.long()[:, :, None] * b.long()[None]
        pairs = products.reshape(len(a), -1, 2, b.shape[1]).sum(2).clamp(-(2**15), 2**15 - 1)
        return pairs.sum(1).int()

    sums_module.int8_is_exact.cache_clear()
    monkeypatch.setattr(torch, "_int_mm", saturating)
    try:
        assert not sums_module.int8_is_exact()
    finally:
        sums_module.int8_is_exact.cache_clear()


def test_white_images_fill_the_16_bits_and_no_more(many: bool) -> None:
    """One image more than a small sum holds; an overflow would wrap to nearly nothing."""
    white = np.full((256, 256, 3), 255, np.uint8)
    total = sums_of((white for _ in range(2 * 257 + 1)), many)
    assert total.count == 515
    assert (total.pixels == 515 * 255).all()
    assert (total.products == 515 * 255**2 * 256**2).all()


def test_black_images_fill_a_block_of_float32() -> None:
    """The least value, −128, gives the greatest square: a block sums to 2²⁴, and no sum rounds."""
    black = np.zeros((256, 256, 3), np.uint8)
    black[0, 0] = 255, 1, 254  # one odd product more than that would be lost
    folded, shifted = sums_module._fold_float32(black), black.reshape(-1, 12).astype(int) - 128
    assert (folded == shifted.T @ shifted).all()


@pytest.mark.parametrize("pays", [0, 50_000])
def test_a_large_split_is_summed_by_torch(
    split: Shards, sums: Sums, monkeypatch: pytest.MonkeyPatch, pays: int
) -> None:
    """The same bits; `INT8_PAYS` is what "large" means."""
    asked, is_exact = [], sums_module.int8_is_exact
    monkeypatch.setattr(sums_module, "INT8_PAYS", pays)
    monkeypatch.setattr(sums_module, "int8_is_exact", lambda: asked.append(True) or is_exact())
    assert same(sum((sums_of_shard(split.folder, n) for n in range(3)), start=NOTHING), sums)
    assert bool(asked) is (pays == 0)


def test_brightest_images_do_not_overflow() -> None:
    """14 M white images, the whole of ImageNet: far beyond 2⁵³, still exact."""
    white = sums_of([np.full((256, 256, 3), 255, np.uint8)])
    count = 14_000_000
    many = Sums(count, white.pixels * np.uint64(count), white.products * np.uint64(count))
    assert int(many.products[0, 0]) == 255**2 * 256**2 * count
    colour = colour_moments(many)
    assert colour["channel_means"] == [255.0] * 3
    assert colour["covariance"] == [[0.0] * 3] * 3


def test_any_split_and_order_give_the_same_bits(split: Shards, images: Images, sums: Sums) -> None:
    by_shard = [sums_of_shard(split.folder, n) for n in (2, 0, 1)]
    assert same(sum(by_shard, start=NOTHING), sums)
    assert same(sums_of(images[11:]) + sums_of(images[:11]), sums)


def test_mean_and_covariance_are_numpys(images: Images, sums: Sums) -> None:
    np.testing.assert_allclose(mean_image(sums), images.mean(axis=0), rtol=1e-6)
    pixels = images.reshape(-1, 3).astype(float)
    colour = colour_moments(sums)
    np.testing.assert_allclose(colour["channel_means"], pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(colour["covariance"], np.cov(pixels.T, ddof=0), rtol=1e-9)


def test_covariance_is_exact_before_the_last_division(sums: Sums) -> None:
    pixels = sums.count * 256**2
    total = [int(channel) for channel in sums.pixels.sum(axis=(0, 1))]
    exact = Fraction(int(sums.products[0, 1]), pixels) - Fraction(total[0] * total[1], pixels**2)
    assert colour_moments(sums)["covariance"][0][1] == float(exact)


def test_eigenpairs(sums: Sums) -> None:
    colour = colour_moments(sums)
    values, vectors = np.array(colour["eigenvalues"]), np.array(colour["eigenvectors"])
    assert values[0] >= values[1] >= values[2] >= 0
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(3), atol=1e-9)
    rebuilt = vectors.T @ np.diag(values) @ vectors
    np.testing.assert_allclose(rebuilt, colour["covariance"], atol=1e-6)
    assert (vectors.sum(axis=1) >= 0).all()
    np.testing.assert_allclose(np.square(colour["sqrt_eigenvalues"]), values, rtol=1e-9)
