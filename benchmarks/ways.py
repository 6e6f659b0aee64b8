"""Ways from a photo's bytes to 256×256×3 uint8 RGB; each function imports what its way needs."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from alexnet.dataset.shards import SIDE
from alexnet.resize.decode import decode_image
from alexnet.resize.resample import resize_and_crop

Pixels = npt.NDArray[np.uint8]
Way = Callable[[bytes], Any]
BICUBIC = Image.Resampling.BICUBIC


def ours() -> Way:
    """As in the resize stage."""
    return lambda data: resize_and_crop(decode_image(data, apply_exif=False)[0], SIDE, "bicubic")


def decode_only() -> Way:
    """Decoding by libjpeg-turbo, without resizing: a lower bound for all ways."""
    import simplejpeg

    return lambda data: simplejpeg.decode_jpeg(data, "RGB")


def pillow() -> Way:
    """Resizes the whole picture, then crops."""

    def way(data: bytes) -> Pixels:
        picture = open_rgb(data)
        scale = SIDE / min(picture.size)
        size = round(picture.width * scale), round(picture.height * scale)
        left, top = (size[0] - SIDE) // 2, (size[1] - SIDE) // 2
        box = (left, top, left + SIDE, top + SIDE)
        return np.asarray(picture.resize(size, BICUBIC).crop(box))

    return way


def pillow_box() -> Way:
    """Resizes only the centre square."""
    return lambda data: np.asarray(resize_centre(open_rgb(data)))


def pillow_draft() -> Way:
    """Resizes only the centre; the decoder scales down by powers of two if possible."""

    def way(data: bytes) -> Pixels:
        picture = Image.open(io.BytesIO(data))
        picture.draft("RGB", (SIDE, SIDE))
        return np.asarray(resize_centre(picture.convert("RGB")))

    return way


def torchvision_pil() -> Way:
    """The transforms of PyTorch's ImageNet example, with their default, bilinear."""
    return _torchvision_pil("bilinear")


def torchvision_pil_bicubic() -> Way:
    """The transforms of PyTorch's ImageNet example, bicubic as ours."""
    return _torchvision_pil("bicubic")


def _torchvision_pil(interpolation: str) -> Way:
    from torchvision import transforms

    kernel = transforms.InterpolationMode(interpolation)
    steps = transforms.Compose([transforms.Resize(SIDE, kernel), transforms.CenterCrop(SIDE)])
    return lambda data: np.asarray(steps(open_rgb(data)))


def torchvision_tensor() -> Way:
    """Decodes to a tensor and resizes it, bicubic and antialiased."""
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.v2 import functional

    torch.set_num_threads(1)

    def way(data: bytes) -> Pixels:
        file = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        tensor = decode_jpeg(file, ImageReadMode.RGB)
        small = functional.resize(tensor, [SIDE], InterpolationMode.BICUBIC, antialias=True)
        square_pixels: Pixels = (
            functional.center_crop(small, [SIDE]).permute(1, 2, 0).contiguous().numpy()
        )
        return square_pixels

    return way


def opencv_area() -> Way:
    """Area averages, OpenCV's antialiased kernel."""
    return _opencv("INTER_AREA")


def opencv_linear() -> Way:
    """OpenCV's default, without antialiasing."""
    return _opencv("INTER_LINEAR")


def _opencv(kernel: str) -> Way:
    import cv2

    cv2.setNumThreads(1)
    read = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION

    def way(data: bytes) -> Pixels:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), read)
        height, width, _ = picture.shape
        short = min(height, width)
        top, left = (height - short) // 2, (width - short) // 2
        centre = picture[top : top + short, left : left + short]
        small = cv2.resize(centre, (SIDE, SIDE), interpolation=getattr(cv2, kernel))
        return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), np.uint8)

    return way


def caffe() -> Way:
    """Caffe's convert_imageset: both sides to 256, without keeping the aspect ratio."""
    import cv2

    cv2.setNumThreads(1)
    read = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION

    def way(data: bytes) -> Pixels:
        small = cv2.resize(cv2.imdecode(np.frombuffer(data, np.uint8), read), (SIDE, SIDE))
        return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), np.uint8)

    return way


def img2dataset() -> Way:
    """img2dataset's resizer, which returns JPEG bytes of quality 95."""
    from img2dataset.resizer import Resizer

    resizer = Resizer(SIDE, "center_crop", resize_only_if_bigger=False)

    def way(data: bytes) -> bytes:
        encoded, *_, error = resizer(io.BytesIO(data))
        if error:
            raise ValueError(error)
        return bytes(encoded)

    return way


def open_rgb(data: bytes) -> Image.Image:
    """Return a photo as RGB, opened as in every tutorial."""
    return Image.open(io.BytesIO(data)).convert("RGB")


def resize_centre(picture: Image.Image) -> Image.Image:
    """Resize the centre square, whose edges may fall between pixels, to 256×256."""
    short = min(picture.size)
    left, top = (picture.width - short) / 2, (picture.height - short) / 2
    return picture.resize((SIDE, SIDE), BICUBIC, box=(left, top, left + short, top + short))


def encode_jpeg(pixels: Pixels) -> bytes:
    """Return a JPEG of quality 95 with Pillow's defaults."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95)
    return file.getvalue()


MAKERS: dict[str, Callable[[], Way]] = {
    "ours": ours,
    "decoding only": decode_only,
    "Pillow, whole picture bicubic, then crop": pillow,
    "Pillow, resize(box=)": pillow_box,
    "Pillow, draft and resize(box=)": pillow_draft,
    "torchvision on PIL, bilinear (its default)": torchvision_pil,
    "torchvision on PIL, bicubic": torchvision_pil_bicubic,
    "torchvision on tensors, bicubic": torchvision_tensor,
    "OpenCV, area": opencv_area,
    "OpenCV, linear (its default)": opencv_linear,
    "as Caffe: linear, aspect not kept": caffe,
    "img2dataset's resizer, area, to JPEG": img2dataset,
}
