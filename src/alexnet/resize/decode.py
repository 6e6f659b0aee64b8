"""Decode an image file to upright RGB, or reject it if it gives no whole image."""

import gzip
import io
import re
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, ImageChops, UnidentifiedImageError

SUFFIXES = {  # of the formats that are decoded
    "JPEG": (".jpeg", ".jpg"),
    "PNG": (".png",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "TIFF": (".tiff", ".tif"),
    "PPM": (".ppm", ".pgm"),
}
GZIP_MAGIC, JPEG_MAGIC = b"\x1f\x8b", b"\xff\xd8\xff"  # the first bytes of a file
APP1, SOS = b"\xff\xe1", b"\xff\xda"  # JPEG markers: EXIF, and start of scan
MAX_PIXELS_JPEG = 89_478_485  # Pillow's limit for a decompression bomb
MAX_PIXELS = MAX_PIXELS_JPEG // 3  # other formats take more bytes a pixel on the way to RGB
MAX_FILE_BYTES = 256 << 20  # of one file, unzipped
ORIENTATION = 0x0112  # EXIF tag
TURBO_COLOURS = {"RGB": "RGB", "L": "RGB", "CMYK": "CMYK"}  # what a JPEG of a mode is decoded to
# libjpeg's warnings about lost pixels; its other warnings concern what surrounds the pixels
LOST = r"premature end of data|bad (Huffman|arithmetic) code|found marker|progression|0xd[0-7]"
PILLOW_ERRORS = (OSError, ValueError, SyntaxError, Image.DecompressionBombError, zlib.error)

Pixels = npt.NDArray[np.uint8]

_pillow = threading.Lock()  # Python catches warnings for all threads at once


class UnreadableImageError(Exception):
    """An image file that gives no whole image; the message says why."""


def decode_image(
    data: bytes, *, apply_exif: bool, suffix: str = ".jpeg"
) -> tuple[Pixels, list[str]]:
    """Return the RGB pixels of an image file and its oddities.

    Pixels are (height, width, 3) uint8. `apply_exif`: turn the image as its EXIF orientation says.
    `suffix`: of the file's name; if it does not fit the format, that is noted as odd. Raises
    UnreadableImageError.
    """
    odd: list[str] = []
    data = _unzip(data, odd)
    if _is_plain_jpeg(data, suffix):
        pixels = _decode_jpeg(data, "RGB", odd)
        if pixels is not None:
            return pixels, odd
    with _pillow:
        image = _open(data, suffix, odd)
        orientation = _read_orientation(image, apply_exif, odd)
        pixels = _decode(image, data, odd)
        return _turn_upright(pixels, orientation if apply_exif else 1), odd


def _unzip(data: bytes, odd: list[str]) -> bytes:
    if not data.startswith(GZIP_MAGIC):
        return data
    odd.append("gzip-compressed, unzipped")
    try:
        with gzip.open(io.BytesIO(data)) as file:
            unzipped = file.read(MAX_FILE_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableImageError(f"damaged gzip: {error}") from None
    if len(unzipped) > MAX_FILE_BYTES:
        raise UnreadableImageError(f"more than {MAX_FILE_BYTES >> 20} MiB when unzipped")
    return unzipped


def _is_plain_jpeg(data: bytes, suffix: str) -> bool:
    """Return whether this is a colour JPEG without EXIF, as most are."""
    if not data.startswith(JPEG_MAGIC) or suffix.lower() not in SUFFIXES["JPEG"]:
        return False
    at = 2
    while data[at : at + 1] == b"\xff" and data[at : at + 2] not in (APP1, SOS):
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    if data[at : at + 2] != SOS:
        return False
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return False
    return bool(colours == "YCbCr" and height * width <= MAX_PIXELS_JPEG)


def _decode_jpeg(data: bytes, colours: str, odd: list[str]) -> Pixels | None:
    """Return a JPEG's pixels, or None if Pillow must decode it.

    It must if libjpeg warns of anything but lost pixels. It gets the same pixels from the same
    decoder, more slowly and without warnings of damage.
    """
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(data, colours)
        return pixels
    except ValueError as error:
        if re.search(LOST, str(error)):
            raise UnreadableImageError(str(error)) from None
        if str(error) not in odd:
            odd.append(str(error))
        return None


@contextmanager
def _pillow_messages(data: bytes, odd: list[str]) -> Iterator[None]:
    """Note Pillow's warnings in `odd`, and raise UnreadableImageError for its errors."""
    try:
        with warnings.catch_warnings(action="always", record=True) as caught:
            yield
    except UnidentifiedImageError:  # its message contains a memory address
        jpeg = "a damaged JPEG, or one that is lossless or has more than 8 bits"
        reason = jpeg if data.startswith(JPEG_MAGIC) else "not an image"
        raise UnreadableImageError(reason) from None
    except PILLOW_ERRORS as error:
        raise UnreadableImageError(str(error)) from None
    odd += sorted({str(warning.message).strip() for warning in caught})


def _open(data: bytes, suffix: str, odd: list[str]) -> Image.Image:
    """Return the image with its header read, but not its pixels."""
    if not data:
        raise UnreadableImageError("empty file")
    with _pillow_messages(data, odd):
        image = Image.open(io.BytesIO(data), formats=tuple(SUFFIXES))
    if image.format == "MPO":  # several JPEGs in one file, of which the first counts
        image.format = "JPEG"
    plain = image.format == "JPEG" and image.mode in ("RGB", "L")
    if image.width * image.height > (MAX_PIXELS_JPEG if plain else MAX_PIXELS):
        raise UnreadableImageError(f"{image.width}×{image.height} is too many pixels")
    if suffix and suffix.lower() not in SUFFIXES.get(str(image.format), ()):
        odd.append(f"{image.format} under the name {suffix}, decoded as such")
    return image


def _read_orientation(image: Image.Image, apply_exif: bool, odd: list[str]) -> int:
    """Return the EXIF orientation, 1 to 8; 1 is upright."""
    try:
        with warnings.catch_warnings(action="error"):  # Pillow warns of what it skips
            orientation = image.getexif().get(ORIENTATION, 1)
    except Exception as error:  # EXIF is only metadata: the image is whole
        odd.append(f"EXIF unreadable ({type(error).__name__}), ignored")
        return 1
    if orientation not in range(2, 9):
        return 1
    odd.append(f"EXIF orientation {orientation}, {'applied' if apply_exif else 'ignored'}")
    return int(orientation)


def _turn_upright(pixels: Pixels, orientation: int) -> Pixels:
    """Mirror and turn as the EXIF orientation, 1 to 8, says."""
    pixels = pixels.transpose(1, 0, 2) if orientation >= 5 else pixels  # swap rows and columns
    pixels = pixels[:, ::-1] if orientation in (2, 3, 6, 7) else pixels
    return pixels[::-1] if orientation in (3, 4, 7, 8) else pixels


def _decode(image: Image.Image, data: bytes, odd: list[str]) -> Pixels:
    """Return the whole image, (height, width, 3) uint8 RGB."""
    mode = image.mode
    if mode != "RGB":
        odd.append(f"mode {mode}, converted to RGB")
    if image.format == "JPEG" and mode in TURBO_COLOURS:
        pixels = _decode_jpeg(data, TURBO_COLOURS[mode], odd)
        if pixels is not None and pixels.shape[2] == 3:
            return pixels
    with _pillow_messages(data, odd):
        image.load()
    pixels = np.asarray(_convert_to_rgb(image))
    image.close()  # and free its copy of the pixels
    return pixels


def _convert_to_rgb(image: Image.Image) -> Image.Image:
    """Return the image in RGB; transparent pixels become white."""
    if image.mode in ("I", "F"):
        raise UnreadableImageError("32 bits a pixel, of unknown range")
    if image.mode.startswith("I;16"):  # Pillow's own conversion would saturate
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        coloured = image.convert("RGBA")
        white = Image.new("RGBA", coloured.size, "white")
        return Image.alpha_composite(white, coloured).convert("RGB")
    if image.format == "JPEG" and image.mode == "CMYK" and "adobe" not in image.info:
        return ImageChops.invert(image).convert("RGB")  # Pillow expects Adobe's inverted inks
    return image if image.mode == "RGB" else image.convert("RGB")
