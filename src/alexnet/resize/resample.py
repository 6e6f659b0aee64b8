"""Resize an image to a short side of 256 pixels and crop the centre, as in section 2."""

import threading

import cykooz_resizer as cykooz
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

_thread = threading.local()


def resize_and_crop(pixels: Pixels, side: int, resample: str) -> Pixels:
    """Return the centre square of an image, resized.

    The result is (side, side, 3) uint8. `pixels`: (height, width, 3) uint8. `resample`: "bicubic",
    antialiased, or "area": as in the 2012 code, when shrinking, the mean of the pixels whose
    centres lie inside the new pixel, and bicubic when enlarging. Only pixels that affect the
    square are resampled.
    """
    height, width, _ = pixels.shape
    short = min(height, width)
    reach = 2 * (short // side) + 4  # of the kernel beyond the square, in pixels
    top, left = (max((length - short) // 2 - reach, 0) for length in (height, width))
    pixels = pixels[top : height - top, left : width - left]
    height, width, _ = pixels.shape
    averages = resample == "area" and short > side
    # catmull_rom is the cubic with a = −0.5
    kernel = cykooz.FilterType.box if averages else cykooz.FilterType.catmull_rom
    options = cykooz.ResizeOptions(
        resize_alg=cykooz.ResizeAlg.convolution(kernel),
        crop_box=cykooz.CropBox((width - short) / 2, (height - short) / 2, short, short),
    )
    source = cykooz.ImageData(width, height, cykooz.PixelType.U8x3, pixels.tobytes())
    square = cykooz.ImageData(side, side, cykooz.PixelType.U8x3)
    _resizer().resize(source, square, options)
    return np.frombuffer(square.get_buffer(), np.uint8).reshape(side, side, 3)


def _resizer() -> cykooz.Resizer:
    """Return this thread's own resizer. To make a new one costs a fifth of its work."""
    if not hasattr(_thread, "resizer"):
        _thread.resizer = cykooz.Resizer()
    resizer: cykooz.Resizer = _thread.resizer
    return resizer
