"""95 % intervals of an error and of a difference of two errors; wrong images as packed bits.

A result of experiments/ keeps its wrong images under "wrong_images", one bit an image in
hexadecimal: 12 kB for ILSVRC's 50,000 images. The difference of two runs needs them: the counts
alone do not say which images both runs got wrong.
"""

import math

import numpy as np
import numpy.typing as npt

Z = 1.959964  # 95 % of a normal distribution lies within Z standard deviations of its mean
Wrong = npt.NDArray[np.bool_]


def wilson_interval(rate: float, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of `rate`, 0–1, on n images."""
    if n == 0:
        return 0.0, 1.0
    middle = (rate + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = math.sqrt(Z**2 * (rate * (1 - rate) / n + Z**2 / (4 * n * n))) / (1 + Z**2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def paired_interval(wrong: Wrong, base: Wrong) -> tuple[float, float]:
    """Return the 95 % interval of error(wrong) − error(base), in %.

    wrong, base (n,) bool. Only images that exactly one of the two got wrong matter. Wald's interval
    for a paired difference with half an image added to each of the four cells, which Agresti and
    Min (2005) found to have the best coverage.
    """
    n = len(wrong) + 2
    more, less = (wrong & ~base).sum() + 0.5, (base & ~wrong).sum() + 0.5
    middle = (more - less) / n
    half = Z * math.sqrt(more + less - (more - less) ** 2 / n) / n
    return 100 * max(-1.0, middle - half), 100 * min(1.0, middle + half)


def pack_bits(wrong: Wrong) -> str:
    """Pack (n,) bool into hexadecimal digits, first image highest."""
    return np.packbits(wrong).tobytes().hex()


def unpack_bits(digits: str, images: int) -> Wrong:
    """Invert `pack_bits`. Raises ValueError if `digits` were packed from another image count."""
    packed = np.frombuffer(bytes.fromhex(digits), np.uint8)
    if len(packed) != math.ceil(images / 8):
        raise ValueError(f"{len(packed)} bytes are not the bits of {images} images")
    return np.unpackbits(packed, count=images).astype(bool)
