"""Mean image, covariance and eigenpairs from the sums, compared with numpy and with fractions."""

from fractions import Fraction

import numpy as np
import pytest

from alexnet.moments.pca import compute_colour_moments, compute_mean_image
from alexnet.moments.sums import Sums, sum_images
from images import Images


@pytest.fixture(scope="module")
def sums(images: Images) -> Sums:
    return sum_images(images)


def test_mean_and_covariance_equal_those_of_numpy(images: Images, sums: Sums) -> None:
    np.testing.assert_allclose(compute_mean_image(sums), images.mean(axis=0), rtol=1e-6)
    pixels = images.reshape(-1, 3).astype(float)
    colour = compute_colour_moments(sums)
    np.testing.assert_allclose(colour["channel_means"], pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(colour["covariance"], np.cov(pixels.T, ddof=0), rtol=1e-9)


def test_covariance_is_exact_before_the_last_division(sums: Sums) -> None:
    pixels = sums.count * 256**2
    total = [int(channel) for channel in sums.pixels.sum(axis=(0, 1))]
    exact = Fraction(int(sums.products[0, 1]), pixels) - Fraction(total[0] * total[1], pixels**2)
    assert compute_colour_moments(sums)["covariance"][0][1] == float(exact)


def test_sums_of_all_of_imagenet_do_not_overflow() -> None:
    """14 M white images: far beyond 2⁵³, still exact."""
    white = sum_images([np.full((256, 256, 3), 255, np.uint8)])
    count = 14_000_000
    many = Sums(count, white.pixels * np.uint64(count), white.products * np.uint64(count))
    assert int(many.products[0, 0]) == 255**2 * 256**2 * count
    colour = compute_colour_moments(many)
    assert colour["channel_means"] == [255.0] * 3
    assert colour["covariance"] == [[0.0] * 3] * 3


def test_eigenpairs_rebuild_the_covariance(sums: Sums) -> None:
    colour = compute_colour_moments(sums)
    values, vectors = np.array(colour["eigenvalues"]), np.array(colour["eigenvectors"])
    assert values[0] >= values[1] >= values[2] >= 0
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(3), atol=1e-9)
    rebuilt = vectors.T @ np.diag(values) @ vectors
    np.testing.assert_allclose(rebuilt, colour["covariance"], atol=1e-6)
    assert (vectors.sum(axis=1) >= 0).all()
    np.testing.assert_allclose(np.square(colour["sqrt_eigenvalues"]), values, rtol=1e-9)
