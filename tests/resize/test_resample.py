"""Resampling compared with its definition in float64."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from cykooz_resizer import CpuExtensions, Resizer
from PIL import Image

from alexnet.resize import resample as resample_module
from alexnet.resize.decode import decode_image
from alexnet.resize.resample import Pixels, resize_and_crop
from pictures import (
    equal,
    largest_difference,
    noise_picture,
    photo_like_picture,
    psnr,
    smooth_picture,
)
from races import run_in_threads

Floats = npt.NDArray[np.float64]

SIZES = [(300, 500), (500, 300), (257, 400), (512, 512), (1000, 701), (100, 90), (7, 5), (3, 900)]


def resize(image: Image.Image, resample: str = "bicubic") -> Pixels:
    pixels = resize_and_crop(np.asarray(image), 256, resample)
    assert pixels.shape == (256, 256, 3)
    assert pixels.dtype == np.uint8
    return pixels


def cubic(x: Floats) -> Floats:
    """Keys's kernel with a = −0.5."""
    x = np.abs(x)
    near, tail = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x < 1, near, np.where(x < 2, tail, 0))


def box(x: Floats) -> Floats:
    return np.where((x > -0.5) & (x <= 0.5), 1.0, 0.0)


def weights(length: int, short: int, side: int, kernel: Callable[[Floats], Floats]) -> Floats:
    """Return (side, length): the weight of each old pixel in each new pixel of the centre."""
    scale = short / side
    centres = (length - short) / 2 + (np.arange(side) + 0.5) * scale
    distances = np.arange(length) + 0.5 - centres[:, None]
    values = kernel(distances / max(scale, 1))
    normalised: Floats = values / values.sum(axis=1, keepdims=True)
    return normalised


def reference(pixels: Any, kernel: Callable[[Floats], Floats] = cubic) -> Floats:
    """Return the centre square at 256×256: resampled by column, then by row, clipped to 0–255."""
    height, width, _ = np.shape(pixels)
    short = min(height, width)
    vertical, horizontal = (weights(n, short, 256, kernel) for n in (height, width))
    rows = np.clip(np.tensordot(vertical, np.asarray(pixels, float), 1), 0, 255)
    return np.clip(np.tensordot(horizontal, rows, (1, 1)).transpose(1, 0, 2), 0, 255)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("draw", [smooth_picture, noise_picture, photo_like_picture])
def test_bicubic_matches_its_definition(
    draw: Callable[[int, int], Image.Image], size: tuple[int, int]
) -> None:
    image = draw(*size)
    pixels, expected = resize(image), reference(image)
    assert largest_difference(pixels, expected) < 1.2  # rounded in both directions
    assert psnr(pixels, expected) >= 55


@pytest.mark.skipif("ALEXNET_PHOTOS" not in os.environ, reason="ALEXNET_PHOTOS names no folder")
@pytest.mark.slow
def test_real_photos_are_resampled_as_defined() -> None:
    """JPEG photos below the folder ALEXNET_PHOTOS, every twentieth."""
    paths = sorted(Path(os.environ["ALEXNET_PHOTOS"]).rglob("*.[jJ]*[gG]"))[::20]
    assert paths, "no JPEG photo in ALEXNET_PHOTOS"
    for path in paths:
        pixels, _ = decode_image(path.read_bytes(), apply_exif=False, suffix=path.suffix)
        resized, expected = resize_and_crop(pixels, 256, "bicubic"), reference(pixels)
        assert largest_difference(resized, expected) < 1.2, path
        assert psnr(resized, expected) >= 55, path


@pytest.mark.parametrize("size", [(512, 512), (1024, 768), (300, 500), (257, 400), (1000, 701)])
def test_area_is_the_mean_of_the_pixels_in_each_box(size: tuple[int, int]) -> None:
    image = noise_picture(*size)
    assert largest_difference(resize(image, "area"), reference(image, box)) < 1.1
    assert largest_difference(resize(image, "bicubic"), reference(image, box)) > 20
    if size == (512, 512):
        means = np.asarray(image, float).reshape(256, 2, 256, 2, 3).mean(axis=(1, 3))
        assert largest_difference(resize(image, "area"), means) <= 1


def test_area_is_bicubic_when_enlarging() -> None:
    image = noise_picture(100, 90)
    assert equal(resize(image, "area"), resize(image, "bicubic"))


@pytest.mark.parametrize("resample", ["bicubic", "area"])
def test_a_short_side_of_256_is_only_cropped(resample: str) -> None:
    for size, centre in (((256, 400), (0, 72, 256, 328)), ((400, 256), (72, 0, 328, 256))):
        image = noise_picture(*size)
        assert equal(resize(image, resample), image.crop(centre))


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1)])
def test_images_one_pixel_wide_or_high_are_enlarged(size: tuple[int, int]) -> None:
    """The pixel or the two pixels at the centre fill the square."""
    image = Image.new("RGB", size, (10, 200, 90))
    image.paste((250, 0, 0), (0, 0, size[0] // 3, size[1] // 3))
    expected = np.broadcast_to((10, 200, 90), (256, 256, 3))
    assert largest_difference(resize(image), expected) == 0


@pytest.mark.parametrize("resample", ["bicubic", "area"])
def test_all_processor_extensions_give_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch, resample: str
) -> None:
    """Shards must not depend on the machine that wrote them."""
    resizer, used = Resizer(), []
    monkeypatch.setattr(resample_module, "_resizer", lambda: resizer)
    for size in SIZES:
        image, results = noise_picture(*size), set()
        for extension in CpuExtensions:
            resizer.cpu_extensions = extension
            if resizer.cpu_extensions == extension:  # this processor has it
                used.append(extension)
                results.add(resize(image, resample).tobytes())
        assert len(results) == 1
    assert CpuExtensions.none in used


def test_threads_do_not_mix_their_pixels() -> None:
    images = [noise_picture(400 + 90 * n, 300 + 70 * n) for n in range(2)]
    expected = [resize(image) for image in images]
    right: list[bool] = []

    def work(n: int) -> None:
        right.extend(equal(resize(images[n]), expected[n]) for _ in range(40))

    run_in_threads(2, work)
    assert right == [True] * 80
