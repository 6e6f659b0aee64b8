"""The files of the mean image and the RGB eigenpairs (sections 2 and 4.1)."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from alexnet.dataset.checksummed import (
    is_count,
    load_array,
    read_checksummed_json,
    save_array,
    write_checksummed_json,
)
from alexnet.dataset.manifest import SIDE
from alexnet.runtime.errors import InputError, rebuild_command

if TYPE_CHECKING:
    import torch

UNITS = "RGB pixel values, 0–255; covariance and eigenvalues in their squares"
SHAPES = {"channel_means": (3,), "covariance": (3, 3), "eigenvectors": (3, 3)}
NON_NEGATIVE = {"eigenvalues": (3,), "sqrt_eigenvalues": (3,)}


class MomentTensors(NamedTuple):
    """The arrays of `Moments` as tensors on one device, in the same dtypes."""

    mean_image: "torch.Tensor"
    eigenvalues: "torch.Tensor"
    eigenvectors: "torch.Tensor"


@dataclass(frozen=True)
class Moments:
    """mean_image (256, 256, 3) float32; eigenvalues (3,), eigenvectors (3, 3) by row, float64."""

    mean_image: npt.NDArray[np.float32]
    eigenvalues: npt.NDArray[np.float64]
    eigenvectors: npt.NDArray[np.float64]

    def to(self, device: "torch.device | str") -> MomentTensors:
        """Return the arrays as tensors on `device`."""
        import torch

        arrays = self.mean_image, self.eigenvalues, self.eigenvectors
        return MomentTensors(*(torch.from_numpy(array).to(device) for array in arrays))


def save_moments(folder: Path, mean_image: npt.NDArray[np.float32], colour: dict[str, Any]) -> None:
    """Write mean_image.npy and .png, moments.json and eigenvalues.csv into `folder`.

    `colour`: what moments/pca.py computes, as it stands in moments.json.
    """
    checksum = save_array(folder / "mean_image.npy", mean_image)
    Image.fromarray(mean_image.round().astype(np.uint8)).save(folder / "mean_image.png")
    write_checksummed_json(folder / "moments.json", colour | {"mean_image": checksum})
    pairs = zip(colour["eigenvalues"], colour["sqrt_eigenvalues"], strict=True)
    rows = (f"{n},{value},{root}" for n, (value, root) in enumerate(pairs, 1))
    lines = ["axis,eigenvalue,sqrt_eigenvalue", *rows]
    (folder / "eigenvalues.csv").write_text("\n".join(lines) + "\n")


def load_moments(folder: Path) -> Moments:
    """Read mean_image.npy and moments.json. Raises InputError if they are missing or damaged."""
    path = folder / "moments.json"
    try:
        colour = read_checksummed_json(path)
        _check_colour(colour)
        pairs = np.array(colour["eigenvalues"]), np.array(colour["eigenvectors"])
        path = folder / "mean_image.npy"
        mean = load_array(path, colour["mean_image"], (SIDE, SIDE, 3), np.float32)
        if not ((mean >= 0) & (mean <= 255)).all():  # false for NaN too
            raise ValueError(f"{path.name} has pixels outside 0–255")
    except (OSError, ValueError, KeyError) as error:
        what = f"{folder} holds no valid moments: {error}"
        raise InputError(what, rebuild_command(path, "moments")) from None
    return Moments(mean, *pairs)


def _check_colour(colour: dict[str, Any]) -> None:
    """Validate the content of moments.json. Raises ValueError or KeyError."""
    for name, shape in (SHAPES | NON_NEGATIVE).items():
        values = np.array(colour[name])  # raises ValueError for lists of unequal lengths
        if values.shape != shape or values.dtype != np.float64 or not np.isfinite(values).all():
            raise ValueError(f"{name} is not {'×'.join(map(str, shape))} finite numbers")
        if name in NON_NEGATIVE and (values < 0).any():
            raise ValueError(f"{name} has a negative value")
    if colour["units"] != UNITS or not is_count(colour["images"]) or not colour["images"]:
        raise ValueError("invalid units or number of images")
