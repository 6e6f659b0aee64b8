"""Pictures to encode and decode, and measures of the difference between two."""

import io
from typing import Any

import numpy as np
from PIL import Image, ImageFile

ORIENTATION = 0x0112  # EXIF tag

ImageFile.MAXBLOCK = 1 << 22  # or Pillow writes no large progressive JPEG of noise


def smooth_picture(width: int, height: int) -> Image.Image:
    """Draw smooth colours, which JPEG and resampling hardly change, without any symmetry."""
    y, x = np.mgrid[:height, :width] / max(width, height)
    channels = 255 * x, 200 * y + 20, 128 + 100 * np.sin(5 * x + 3 * y)
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))


def noise_picture(width: int, height: int) -> Image.Image:
    """Draw independent random samples, the hardest to resample and to compress."""
    rng = np.random.default_rng(width * 10_000 + height)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))


def photo_like_picture(width: int, height: int) -> Image.Image:
    """Draw smooth areas, sharp edges and fine texture side by side, as in a photo."""
    rng = np.random.default_rng(width * 10_000 + height)
    smooth = np.asarray(smooth_picture(width, height), float)
    coarse = rng.integers(0, 256, (9, 13, 3), np.uint8)
    edges = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.NEAREST))
    texture = rng.normal(0, 12, (height, width, 3)) * (np.arange(width)[:, None] > width // 2)
    return Image.fromarray((0.6 * smooth + 0.4 * edges + texture).clip(0, 255).astype(np.uint8))


def encode(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """Return the image file; a JPEG has quality 95 and full colour resolution by default."""
    file = io.BytesIO()
    defaults = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    image.save(file, kind, **defaults | options)
    return file.getvalue()


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags.tobytes()


def largest_difference(a: Any, b: Any) -> float:
    return float(np.abs(np.asarray(a, float) - np.asarray(b, float)).max())


def equal(a: Any, b: Any) -> bool:
    return np.array_equal(np.asarray(a), np.asarray(b))


def psnr(a: Any, b: Any) -> float:
    """Return the peak signal-to-noise ratio in dB."""
    difference = np.asarray(a, float) - np.asarray(b, float)
    return float(20 * np.log10(255) - 10 * np.log10(np.mean(difference**2) + 1e-12))
