"""Integer sums over the training set → its mean image and its RGB eigenpairs.

They are exact: the same bits in any order and any split over workers.
"""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash
from PIL import Image

from alexnet.errors import InputError, made_anew
from alexnet.sealed import is_count, load_array, read_sealed, write_sealed
from alexnet.shards import SIDE, Pixels, Shards
from alexnet.workers import follow_parent

FEW = 257  # images whose sum 16 bits just hold: 257 · 255 = 2¹⁶ − 1
SHIFT = 128  # makes int8 of uint8
BLOCK = 1024  # rows of products whose sum float32 just holds: 1,024 · 2¹⁴ = 2²⁴
INT8_PAYS = 50_000  # images: below, to import torch takes longer than int8 products save
DIGITS = 10  # of an eigenpair: what differs between linear algebra libraries lies below

UNITS = "RGB pixel values, 0–255; covariance and eigenvalues in their squares"
SHAPES = {"channel_means": (3,), "covariance": (3, 3), "eigenvectors": (3, 3)}
AT_LEAST_0 = {"eigenvalues": (3,), "sqrt_eigenvalues": (3,)}
IMAGENET_MEANS = np.array([127.3, 119.7, 104.9])  # ILSVRC-2012 train, R, G, B
IMAGENET_DEVIATIONS = np.array([121.78, 37.09, 19.72])  # √λ
IMAGENET_AXES = np.array([[0.564, 0.576, 0.592], [0.713, 0.024, -0.701], [0.418, -0.817, 0.397]])

Table = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Sums:
    """Of `count` images: of pixel values, (256, 256, 3); of RGB products, (3, 3); uint64.

    Both fit in 64 bits up to 14 M images: 255² · 256² · 14·10⁶ < 2⁶⁴.
    """

    count: int
    pixels: npt.NDArray[np.uint64]
    products: npt.NDArray[np.uint64]

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.count + other.count, self.pixels + other.pixels, self.products + other.products
        )


NOTHING = Sums(0, np.zeros((SIDE, SIDE, 3), np.uint64), np.zeros((3, 3), np.uint64))


def sums_of(images: Iterable[Pixels], many: bool = False) -> Sums:
    """The sums over images, each (256, 256, 3) uint8: a few at a time in fast small numbers.

    `many`: with torch, which takes seconds to import and half the time an image; the same bits.
    """
    fold = _fold_int8 if many and int8_is_exact() else _fold_float32
    sums, count = NOTHING, 0
    few, folded = np.zeros((SIDE, SIDE, 3), np.uint16), np.zeros((), np.int64)
    for image in images:
        np.add(few, image, out=few)
        folded = folded + fold(image)
        count += 1
        if count == FEW:
            sums, count = sums + _exact(count, few, folded), 0
            few[:], folded = 0, np.zeros((), np.int64)
    return sums + _exact(count, few, folded) if count else sums


def _fold_int8(image: Pixels) -> Table:
    """Products of pixel values minus SHIFT, sixteen pixels a row: (48, 48) int32.

    Sixteen pixels make a square that fills the processor's int8 units. 4,096 rows of products of at
    most 2¹⁴ stay below 2³¹.
    """
    import torch

    shifted = (image ^ SHIFT).view(np.int8)  # as integers of 8 bits, to flip the top one is − 128
    rows = torch.from_numpy(shifted.reshape(-1, 48))
    folded: Table = torch._int_mm(rows.T, rows).numpy()
    return folded


def _fold_float32(image: Pixels) -> Table:
    """The same of four pixels a row, (12, 12) int64: float32 is exact up to 2²⁴, a block's sum."""
    rows = (image.astype(np.float32) - np.float32(SHIFT)).reshape(-1, BLOCK, 12)
    folded: Table = (rows.transpose(0, 2, 1) @ rows).astype(np.int64).sum(axis=0)
    return folded


@cache
def int8_is_exact() -> bool:
    """Whether this processor multiplies int8 without saturating: without VNNI it does, silently.

    Tried on values of the whole range, and on the extremes alone, against products in 64 bits.
    """
    draw = np.random.default_rng(0)
    shape = 4096, 48
    tried = (
        draw.integers(-128, 128, shape, np.int8),
        draw.choice(np.array([-128, 127], np.int8), shape),
    )
    return all(_int8_agrees(rows) for rows in tried)


def _int8_agrees(rows: npt.NDArray[np.int8]) -> bool:
    import torch

    fast = torch._int_mm(torch.from_numpy(rows).T, torch.from_numpy(rows)).numpy()
    wide = rows.astype(np.float64)
    return bool(np.array_equal(fast, wide.T @ wide))


def _exact(count: int, few: npt.NDArray[np.uint16], folded: Table) -> Sums:
    """Σ(x − s)(y − s) = Σxy − s(Σx + Σy) + s² for each pixel, s = SHIFT: from it, Σxy."""
    pixels = len(folded) // 3
    products = np.einsum("aiaj->ij", folded.reshape(pixels, 3, pixels, 3)).astype(np.int64)
    totals = few.reshape(-1, 3).sum(axis=0, dtype=np.int64)
    products += SHIFT * (totals[:, None] + totals) - SHIFT**2 * count * SIDE**2
    return Sums(count, few.astype(np.uint64), products.astype(np.uint64))


def sums_of_shard(folder: Path, n: int) -> Sums:
    """The sums over shard `n` of the split in `folder`. Raises InputError where it is damaged."""
    follow_parent()
    shards = Shards(folder)
    many = len(shards) > INT8_PAYS
    if many:
        _use_one_thread()
    return sums_of((shards.read(record) for record in shards.records_of(n)), many)


def _use_one_thread() -> None:
    """There is a worker for every core."""
    import torch

    torch.set_num_threads(1)


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


def save_moments(folder: Path, sums: Sums) -> dict[str, Any]:
    """Write mean_image.npy and .png, moments.json and eigenvalues.csv; returns `colour_moments`."""
    mean, colour = mean_image(sums), colour_moments(sums)
    file = io.BytesIO()
    np.save(file, mean)
    (folder / "mean_image.npy").write_bytes(file.getvalue())
    Image.fromarray(mean.round().astype(np.uint8)).save(folder / "mean_image.png")
    checksum = xxhash.xxh3_64_hexdigest(file.getvalue())
    write_sealed(folder / "moments.json", colour | {"mean_image": checksum})
    pairs = zip(colour["eigenvalues"], colour["sqrt_eigenvalues"], strict=True)
    rows = (f"{n},{value},{root}" for n, (value, root) in enumerate(pairs, 1))
    lines = ["axis,eigenvalue,sqrt_eigenvalue", *rows]
    (folder / "eigenvalues.csv").write_text("\n".join(lines) + "\n")
    return colour


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
        raise InputError(what, made_anew(path, "moments")) from None
    return Moments(mean, *pairs)


def _checked(colour: dict[str, Any]) -> dict[str, Any]:
    """`colour`, as `colour_moments` tells it. Raises ValueError or KeyError where it is not."""
    for name, shape in (SHAPES | AT_LEAST_0).items():
        values = np.array(colour[name])  # of lists of unequal lengths numpy makes none itself
        if values.shape != shape or values.dtype != np.float64 or not np.isfinite(values).all():
            raise ValueError(f"{name} is not {'×'.join(map(str, shape))} numbers")
        if name in AT_LEAST_0 and (values < 0).any():
            raise ValueError(f"{name} has one below 0")
    if colour["units"] != UNITS or not is_count(colour["images"]) or not colour["images"]:
        raise ValueError("units or images are none")
    return colour


def _rounded(values: npt.NDArray[np.float64]) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in values]
