"""Turn integer sums into the mean image (section 2) and the RGB eigenpairs (section 4.1)."""

from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.dataset.moments import UNITS
from alexnet.moments.sums import Sums

DIGITS = 10  # of an eigenpair; linear algebra libraries differ in later digits
IMAGENET_MEANS = np.array([127.3, 119.7, 104.9])  # ILSVRC-2012 train, R, G, B
IMAGENET_DEVIATIONS = np.array([121.78, 37.09, 19.72])  # √λ
IMAGENET_AXES = np.array([[0.564, 0.576, 0.592], [0.713, 0.024, -0.701], [0.418, -0.817, 0.397]])


def compute_mean_image(sums: Sums) -> npt.NDArray[np.float32]:
    """Return the mean image, (256, 256, 3) float32 RGB, 0–255."""
    return (sums.pixels / sums.count).astype(np.float32)


def compute_colour_moments(sums: Sums) -> dict[str, Any]:
    """Return channel means, covariance and eigenpairs of all RGB pixels, for JSON.

    The covariance is about the channel means and divided by the number of pixels. Eigenvalues
    descend; eigenvector i is row i, with the sign that makes its sum positive.
    """
    pixels = sums.count * (sums.pixels.size // 3)
    totals = [int(total) for total in sums.pixels.reshape(-1, 3).sum(axis=0)]
    # Python's integers up to the last division: the difference of two large sums loses no digit
    covariance = [
        [(pixels * int(sums.products[i, j]) - totals[i] * totals[j]) / pixels**2 for j in range(3)]
        for i in range(3)
    ]
    values, columns = np.linalg.eigh(np.array(covariance))
    vectors = columns.T[::-1] * np.where(columns.T[::-1].sum(axis=1, keepdims=True) < 0, -1, 1)
    values = values[::-1].clip(min=0)
    return {
        "units": UNITS,
        "images": sums.count,
        "channel_means": [total / pixels for total in totals],
        "covariance": covariance,
        "eigenvalues": _round(values),
        "sqrt_eigenvalues": _round(np.sqrt(values)),
        "eigenvectors": [_round(vector) for vector in vectors],
    }


def _round(values: npt.NDArray[np.float64]) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in values]
