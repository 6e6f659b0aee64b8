"""Integer sums → the mean image and the RGB eigenpairs (section 4.1)."""

from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.dataset.moments import UNITS
from alexnet.moments.sums import Sums

DIGITS = 10  # of an eigenpair: what differs between linear algebra libraries lies below
IMAGENET_MEANS = np.array([127.3, 119.7, 104.9])  # ILSVRC-2012 train, R, G, B
IMAGENET_DEVIATIONS = np.array([121.78, 37.09, 19.72])  # √λ
IMAGENET_AXES = np.array([[0.564, 0.576, 0.592], [0.713, 0.024, -0.701], [0.418, -0.817, 0.397]])


def mean_image(sums: Sums) -> npt.NDArray[np.float32]:
    """Each pixel's mean over the training set, (256, 256, 3) float32 RGB, 0–255 (section 2)."""
    return (sums.pixels / sums.count).astype(np.float32)


def colour_moments(sums: Sums) -> dict[str, Any]:
    """Channel means, covariance and eigenpairs of all RGB pixel values, as they go into a JSON.

    Section 4.1. The covariance is about the channel means and divided by the number of pixels;
    eigenvalues descend, eigenvector i is row i, with the sign that makes its sum positive.
    """
    pixels = sums.count * (sums.pixels.size // 3)
    totals = [int(total) for total in sums.pixels.reshape(-1, 3).sum(axis=0)]
    # big integers up to the last division: the difference of two large sums loses no digit
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
        "eigenvalues": _rounded(values),
        "sqrt_eigenvalues": _rounded(np.sqrt(values)),
        "eigenvectors": [_rounded(vector) for vector in vectors],
    }


def _rounded(values: npt.NDArray[np.float64]) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in values]
