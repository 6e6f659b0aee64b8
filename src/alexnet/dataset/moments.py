"""The mean image and the RGB eigenpairs on disk."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.dataset.checksummed import is_count, load_array, read_sealed
from alexnet.dataset.shards import SIDE
from alexnet.runtime.errors import InputError, rebuild_command

UNITS = "RGB pixel values, 0–255; covariance and eigenvalues in their squares"
SHAPES = {"channel_means": (3,), "covariance": (3, 3), "eigenvectors": (3, 3)}
AT_LEAST_0 = {"eigenvalues": (3,), "sqrt_eigenvalues": (3,)}


@dataclass(frozen=True)
class Moments:
    """mean_image (256, 256, 3) float32; eigenvalues (3,), eigenvectors (3, 3) by row, float64."""

    mean_image: npt.NDArray[np.float32]
    eigenvalues: npt.NDArray[np.float64]
    eigenvectors: npt.NDArray[np.float64]


def load_moments(folder: Path) -> Moments:
    """Read mean_image.npy and moments.json. Raises InputError where they are missing or damaged."""
    path = folder / "moments.json"
    try:
        colour = _checked(read_sealed(path))
        pairs = np.array(colour["eigenvalues"]), np.array(colour["eigenvectors"])
        path = folder / "mean_image.npy"
        mean = load_array(path, colour["mean_image"], (SIDE, SIDE, 3), np.float32)
        if not ((mean >= 0) & (mean <= 255)).all():  # nor is it, of what is no number
            raise ValueError(f"{path.name} has pixels beyond 0–255")
    except (OSError, ValueError, KeyError) as error:
        what = f"{folder} holds no moments: {error}"
        raise InputError(what, rebuild_command(path, "moments")) from None
    return Moments(mean, *pairs)


def _checked(colour: dict[str, Any]) -> dict[str, Any]:
    """`colour`, as the stage computes it. Raises ValueError or KeyError where it is not."""
    for name, shape in (SHAPES | AT_LEAST_0).items():
        values = np.array(colour[name])  # of lists of unequal lengths numpy makes none itself
        if values.shape != shape or values.dtype != np.float64 or not np.isfinite(values).all():
            raise ValueError(f"{name} is not {'×'.join(map(str, shape))} numbers")
        if name in AT_LEAST_0 and (values < 0).any():
            raise ValueError(f"{name} has one below 0")
    if colour["units"] != UNITS or not is_count(colour["images"]) or not colour["images"]:
        raise ValueError("units or images are none")
    return colour
