"""Bytes of an image file → 256×256 RGB, as section 2: short side to 256, then the centre."""

import gzip
import io
import re
import threading
import warnings
import zlib

import numpy as np
import numpy.typing as npt
import simplejpeg
from cykooz_resizer import CropBox, FilterType, ImageData, PixelType, ResizeAlg, ResizeOptions
from cykooz_resizer import Resizer as Resampler
from PIL import Image, ImageChops, UnidentifiedImageError

SUFFIXES = {
    "JPEG": (".jpeg", ".jpg"),
    "PNG": (".png",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "TIFF": (".tiff", ".tif"),
    "PPM": (".ppm", ".pgm"),
}
APP1, SOS = b"\xff\xe1", b"\xff\xda"  # a JPEG's markers: of EXIF, and of the pixels
MOST_PIXELS = 89_478_485  # of a JPEG: Pillow's own measure of a decompression bomb
MOST_PIXELS_ELSE = MOST_PIXELS // 3  # of what takes more bytes a pixel on its way to RGB
MOST_BYTES = 256 << 20  # of one unzipped file
ORIENTATION = 0x0112  # EXIF's tag
DECODED = {"RGB": "RGB", "L": "RGB", "CMYK": "CMYK"}  # a JPEG's mode → what libjpeg-turbo gives
# what libjpeg says of pixels that are lost; the rest of its warnings is of what surrounds them
LOST = r"premature end of data|bad (Huffman|arithmetic) code|found marker|progression|0xd[0-7]"

Pixels = npt.NDArray[np.uint8]

_of_this_thread = threading.local()
_pillow = threading.Lock()  # what it warns of is caught for all threads at once


class UnreadableImageError(Exception):
    """An image file that gives no whole picture; says why."""


def square(
    data: bytes, side: int, *, resample: str, apply_exif: bool, suffix: str = ".jpeg"
) -> tuple[Pixels, list[str]]:
    """Decode an image file to (side, side, 3) uint8 RGB; with it, what was odd about the file.

    `resample`: "bicubic", antialiased, or "area": as the 2012 code, the mean of the pixels whose
    centres lie under the new one when shrinking, and bicubic when enlarging. `suffix`: what the
    file's name promises, if anything. Raises UnreadableImageError.
    """
    odd: list[str] = []
    data = _unzipped(data, odd)
    if _is_plain(data, suffix):
        pixels = _turbo(data, "RGB", odd)
        if pixels is not None:
            return _centre(pixels, side, resample), odd
    with _pillow:
        picture = _opened(data, suffix, odd)
        turn = _orientation(picture, apply_exif, odd)
        pixels = _upright(_rgb(picture, data, odd), turn if apply_exif else 1)
    return _centre(pixels, side, resample), odd


def _is_plain(data: bytes, suffix: str) -> bool:
    """A colour JPEG with nothing beside its pixels that could turn them: nearly all of ImageNet."""
    if data[:3] != b"\xff\xd8\xff" or suffix.lower() not in SUFFIXES["JPEG"]:
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
    return bool(colours == "YCbCr" and height * width <= MOST_PIXELS)


def _unzipped(data: bytes, odd: list[str]) -> bytes:
    if data[:2] != b"\x1f\x8b":
        return data
    odd.append("gzip-compressed, unzipped")
    try:
        with gzip.open(io.BytesIO(data)) as file:
            unzipped = file.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableImageError(f"damaged gzip: {error}") from None
    if len(unzipped) > MOST_BYTES:
        raise UnreadableImageError(f"more than {MOST_BYTES >> 20} MiB when unzipped")
    return unzipped


def _opened(data: bytes, suffix: str, odd: list[str]) -> Image.Image:
    """The picture with its header read, its pixels not yet."""
    if not data:
        raise UnreadableImageError("empty file")
    try:
        with warnings.catch_warnings(action="always", record=True) as told:
            picture = Image.open(io.BytesIO(data), formats=tuple(SUFFIXES))
    except UnidentifiedImageError:  # its own words hold the address of the buffer
        jpeg = data[:3] == b"\xff\xd8\xff"
        what = "a damaged JPEG, or one that is lossless or of more than 8 bits"
        raise UnreadableImageError(what if jpeg else "not an image") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, zlib.error) as error:
        raise UnreadableImageError(str(error)) from None
    odd += sorted({str(warning.message).strip() for warning in told})
    if picture.format == "MPO":  # JPEGs one behind the other, of which the first counts
        picture.format = "JPEG"
    plain = picture.format == "JPEG" and picture.mode in ("RGB", "L")
    if picture.width * picture.height > (MOST_PIXELS if plain else MOST_PIXELS_ELSE):
        raise UnreadableImageError(f"{picture.width}×{picture.height} is too many pixels")
    if suffix and suffix.lower() not in SUFFIXES.get(str(picture.format), ()):
        odd.append(f"{picture.format} under the name {suffix}, decoded as such")
    return picture


def _orientation(picture: Image.Image, apply_exif: bool, odd: list[str]) -> int:
    try:
        with warnings.catch_warnings(action="error"):  # Pillow warns of what it skips
            turn = picture.getexif().get(ORIENTATION, 1)
    except Exception as error:  # of the notes beside the pixels only: the picture is whole
        odd.append(f"EXIF unreadable ({type(error).__name__}), ignored")
        return 1
    if turn not in range(2, 9):
        return 1
    odd.append(f"EXIF orientation {turn}, {'applied' if apply_exif else 'ignored'}")
    return int(turn)


def _upright(pixels: Pixels, turn: int) -> Pixels:
    """Turn and mirror as EXIF's orientation says; 5 to 8 change rows and columns."""
    pixels = pixels.transpose(1, 0, 2) if turn >= 5 else pixels
    pixels = pixels[:, ::-1] if turn in (2, 3, 6, 7) else pixels
    return pixels[::-1] if turn in (3, 4, 7, 8) else pixels


def _rgb(picture: Image.Image, data: bytes, odd: list[str]) -> Pixels:
    """The whole picture, (height, width, 3)."""
    mode = picture.mode
    if mode != "RGB":
        odd.append(f"mode {mode}, converted to RGB")
    if picture.format == "JPEG" and mode in DECODED:
        pixels = _turbo(data, DECODED[mode], odd)
        if pixels is not None and pixels.shape[2] == 3:
            return pixels
    pixels = np.asarray(_converted(_loaded(picture, odd)))
    picture.close()  # and with it a second copy of the pixels
    return pixels


def _turbo(data: bytes, colours: str, odd: list[str]) -> Pixels | None:
    """A JPEG's pixels, or None where Pillow is to decide.

    Pillow takes the same pixels from the same decoder, more slowly, and without a word of damage.
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


def _loaded(picture: Image.Image, odd: list[str]) -> Image.Image:
    try:
        with warnings.catch_warnings(action="always", record=True) as told:
            picture.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, zlib.error) as error:
        raise UnreadableImageError(str(error)) from None
    odd += sorted({str(warning.message).strip() for warning in told})
    return picture


def _converted(picture: Image.Image) -> Image.Image:
    if picture.mode in ("I", "F"):
        raise UnreadableImageError("32 bits a pixel, of a range that is not told")
    if picture.mode.startswith("I;16"):  # Pillow's own conversion would saturate
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        coloured = picture.convert("RGBA")
        paper = Image.new("RGBA", coloured.size, "white")
        return Image.alpha_composite(paper, coloured).convert("RGB")
    if picture.format == "JPEG" and picture.mode == "CMYK" and "adobe" not in picture.info:
        return ImageChops.invert(picture).convert("RGB")  # Pillow takes all for Adobe's
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _centre(pixels: Pixels, side: int, resample: str) -> Pixels:
    """Only what is kept is resampled: the centre square of the picture, to `side`."""
    height, width, _ = pixels.shape
    short = min(height, width)
    reach = 2 * (short // side) + 4  # of the kernel beyond the square; what lies further is cut off
    top, left = (max((length - short) // 2 - reach, 0) for length in (height, width))
    pixels = pixels[top : height - top, left : width - left]
    height, width, _ = pixels.shape
    averages = resample == "area" and short > side
    kernel = FilterType.box if averages else FilterType.catmull_rom  # the cubic with a = −0.5
    options = ResizeOptions(
        resize_alg=ResizeAlg.convolution(kernel),
        crop_box=CropBox((width - short) / 2, (height - short) / 2, short, short),
    )
    kept = ImageData(side, side, PixelType.U8x3)
    whole = ImageData(width, height, PixelType.U8x3, pixels.tobytes())
    _resampler().resize(whole, kept, options)
    return np.frombuffer(kept.get_buffer(), np.uint8).reshape(side, side, 3)


def _resampler() -> Resampler:
    """Kept: a new one costs a fifth of its work. One a thread: two threads may not share it."""
    if not hasattr(_of_this_thread, "resampler"):
        _of_this_thread.resampler = Resampler()
    resampler: Resampler = _of_this_thread.resampler
    return resampler
