"""Two runs on the same images: how sure the difference of their errors is.

One result tells how many images are wrong; of a pair it matters which. A result of experiments/
keeps them in "wrong_images", a bit an image in hexadecimal: 12 kB for ILSVRC's 50,000.
"""

import csv
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alexnet.runtime.errors import InputError

Z = 1.959964  # 95 % of a normal distribution lie so many deviations about its mean
Wrong = npt.NDArray[np.bool_]


def read_wrong(path: Path) -> dict[str, str]:
    """Of predictions.csv which images are wrong: "top1" and "top5", each as `bits` has it."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            ranks = [_rank(row) for row in csv.DictReader(file)]
        if not ranks:
            raise ValueError("no image")
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise InputError(f"{path} holds no predictions: {error!r}", "dvc repro") from None
    return {f"top{k}": bits(np.array(ranks) > k) for k in (1, 5)}


def _rank(row: Mapping[str, str]) -> int:
    """1 where the true label is the likeliest, …, 6 where it is none of the five."""
    guesses = [row.get(f"label{rank}") for rank in range(1, 6)]
    return guesses.index(row["label"]) + 1 if row["label"] in guesses else 6


def bits(wrong: Wrong) -> str:
    """(n,) bool → hexadecimal digits, the first image in the highest bit."""
    return np.packbits(wrong).tobytes().hex()


def unpacked(digits: str, images: int) -> Wrong:
    """What `bits` packed. Raises ValueError where it was of another number of images."""
    packed = np.frombuffer(bytes.fromhex(digits), np.uint8)
    if len(packed) != math.ceil(images / 8):
        raise ValueError(f"{len(packed)} bytes are not the bits of {images} images")
    return np.unpackbits(packed, count=images).astype(bool)


def difference_interval(wrong: Wrong, base: Wrong) -> tuple[float, float]:
    """The 95 % interval, in %, of how much greater the error of `wrong` is, both (n,) bool.

    Only images that one alone has wrong tell anything. Wald's interval for a paired difference with
    half an image added to each of the four cells, as Agresti and Min (2005) found it to cover best.
    """
    n = len(wrong) + 2
    more, less = (wrong & ~base).sum() + 0.5, (base & ~wrong).sum() + 0.5
    middle = (more - less) / n
    half = Z * math.sqrt(more + less - (more - less) ** 2 / n) / n
    return 100 * max(-1.0, middle - half), 100 * min(1.0, middle + half)
