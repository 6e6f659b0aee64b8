"""Bytes of an image file → 256×256 RGB, as section 2: short side to 256, then the centre."""

import gzip
import io
import warnings
import zlib

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")
MOST_PIXELS = 89_478_485  # Pillow's own measure of a decompression bomb
MOST_BYTES = 256 << 20  # of one unzipped file

Pixels = npt.NDArray[np.uint8]


class UnreadableImageError(Exception):
    """An image file that gives no whole picture; says why."""


def square(data: bytes, side: int, *, resample: str, apply_exif: bool) -> tuple[Pixels, list[str]]:
    """Decode an image file to (side, side, 3) uint8 RGB; with it, what was odd about the file.

    `resample`: "bicubic", antialiased, or "area": as the 2012 code, area average when shrinking and
    bicubic when enlarging. Raises UnreadableImageError.
    """
    odd: list[str] = []
    picture = _rgb(_upright(_decode(data, odd), apply_exif, odd), odd)
    return _centre(picture, side, resample), odd


def _decode(data: bytes, odd: list[str]) -> Image.Image:
    if data[:2] == b"\x1f\x8b":
        odd.append("gzip-compressed, unzipped")
        data = _unzip(data)
    if not data:
        raise UnreadableImageError("empty file")
    try:
        with warnings.catch_warnings(action="always", record=True) as told:
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
            if picture.width * picture.height > MOST_PIXELS:
                raise UnreadableImageError(f"{picture.width}×{picture.height} is too many pixels")
            picture.load()
        odd += sorted({str(warning.message).strip() for warning in told})
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, zlib.error) as error:
        raise UnreadableImageError(_reason(error)) from None
    if picture.format != "JPEG":
        odd.append(f"{picture.format}, decoded as such")
    return picture


def _reason(error: Exception) -> str:
    """Pillow's words, without the address of the buffer it read from."""
    return "not an image" if isinstance(error, UnidentifiedImageError) else str(error)


def _unzip(data: bytes) -> bytes:
    try:
        with gzip.open(io.BytesIO(data)) as file:
            unzipped = file.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableImageError(f"damaged gzip: {error}") from None
    if len(unzipped) > MOST_BYTES:
        raise UnreadableImageError(f"more than {MOST_BYTES >> 20} MiB when unzipped")
    return unzipped


def _upright(picture: Image.Image, apply_exif: bool, odd: list[str]) -> Image.Image:
    try:
        with warnings.catch_warnings(action="error"):  # Pillow warns of what it skips
            turn = picture.getexif().get(0x0112, 1)
            upright = ImageOps.exif_transpose(picture) if apply_exif else picture
    except Exception as error:  # of the notes beside the pixels only: the picture is whole
        odd.append(f"EXIF unreadable ({type(error).__name__}), ignored")
        return picture
    if turn not in range(2, 9):
        return picture
    odd.append(f"EXIF orientation {turn}, {'applied' if apply_exif else 'ignored'}")
    return upright


def _rgb(picture: Image.Image, odd: list[str]) -> Image.Image:
    if picture.mode == "RGB":
        return picture
    odd.append(f"mode {picture.mode}, converted to RGB")
    if picture.mode.startswith("I"):  # 16 bits: Pillow's own conversion would saturate
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        coloured = picture.convert("RGBA")
        paper = Image.new("RGBA", coloured.size, "white")
        return Image.alpha_composite(paper, coloured).convert("RGB")
    return picture.convert("RGB")


def _centre(picture: Image.Image, side: int, resample: str) -> Pixels:
    """Only what is kept is resampled: the centre square of the picture, to `side`."""
    short = min(picture.size)
    left, top = (picture.width - short) / 2, (picture.height - short) / 2
    averages = resample == "area" and short > side
    kernel = Image.Resampling.BOX if averages else Image.Resampling.BICUBIC
    box = (left, top, left + short, top + short)
    return np.asarray(picture.resize((side, side), kernel, box=box))
