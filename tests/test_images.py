"""Odd files, each against what it was made from; the resize against its definition in float64."""

import gzip
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from alexnet.images import UnreadableImageError, square


def picture(width: int, height: int) -> Image.Image:
    """Smooth, so that JPEG and resampling stay close; no symmetry, so that a turn shows."""
    y, x = np.mgrid[:height, :width] / max(width, height)
    channels = 255 * x, 200 * y + 20, 128 + 100 * np.sin(5 * x + 3 * y)
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))


def saved(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(
        file, kind, **{"quality": 95, "subsampling": 0} | options if kind == "JPEG" else options
    )
    return file.getvalue()


def read(data: bytes, resample: str = "bicubic", apply_exif: bool = False) -> tuple[Any, list[str]]:
    pixels, odd = square(data, 256, resample=resample, apply_exif=apply_exif)
    assert pixels.shape == (256, 256, 3)
    assert pixels.dtype == np.uint8
    return pixels.astype(float), odd


def far(a: Any, b: Any) -> float:
    return float(np.abs(np.asarray(a, float) - np.asarray(b, float)).max())


@pytest.mark.parametrize("size", [(300, 500), (500, 300), (256, 256), (100, 90), (1, 1), (3, 900)])
def test_every_shape_gives_its_centre_square(size: tuple[int, int]) -> None:
    image = picture(*size)
    short = min(size)
    left, top = (size[0] - short) // 2, (size[1] - short) // 2
    centre = image.crop((left, top, left + short, top + short))
    pixels, odd = read(saved(image, "PNG"))
    assert odd == ["PNG, decoded as such"]
    assert far(pixels, centre.resize((256, 256), Image.Resampling.BICUBIC)) <= 6


def test_short_side_256_is_kept_as_it_is() -> None:
    image = picture(256, 400)
    assert far(read(saved(image, "PNG"))[0], image.crop((0, 72, 256, 328))) == 0


def test_area_averages_when_shrinking_and_only_then() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
    blocks = noise.reshape(256, 2, 256, 2, 3).mean(axis=(1, 3))
    data = saved(Image.fromarray(noise), "PNG")
    assert far(read(data, "area")[0], blocks) <= 1  # rounded once across and once down
    assert far(read(data, "bicubic")[0], blocks) > 20
    small = saved(picture(100, 100), "PNG")
    assert far(read(small, "area")[0], read(small, "bicubic")[0]) == 0


def test_plain_jpeg_is_not_odd() -> None:
    image = picture(300, 280)
    pixels, odd = read(saved(image))
    assert odd == []
    assert far(pixels, read(saved(image, "PNG"))[0]) <= 8


@pytest.mark.parametrize(
    ("mode", "kind", "within"),
    [("L", "JPEG", 4), ("CMYK", "JPEG", 8), ("L", "PNG", 0), ("P", "PNG", 0), ("I;16", "PNG", 1)],
)
def test_modes_become_rgb(mode: str, kind: str, within: int) -> None:
    image = picture(256, 256)
    expected = image
    if mode in ("L", "I;16"):
        expected = image.convert("L").convert("RGB")
    if mode == "P":
        expected = image.quantize(200).convert("RGB")
    odd_one = {
        "L": lambda: image.convert("L"),
        "CMYK": lambda: image.convert("CMYK"),
        "P": lambda: image.quantize(200),
        "I;16": lambda: Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257),
    }[mode]()
    pixels, odd = read(saved(odd_one, kind))
    assert any(f"mode {mode}" in note for note in odd)
    assert far(pixels, expected) <= within


def test_alpha_lies_on_white() -> None:
    image = picture(256, 256)
    image.putalpha(Image.new("L", (256, 256), 64))
    expected = np.asarray(image, float)[..., :3] * 64 / 255 + 255 * (1 - 64 / 255)
    assert far(read(saved(image, "PNG"))[0], expected) <= 1


def test_gzip_and_png_under_any_name() -> None:
    image = picture(280, 256)
    pixels, odd = read(gzip.compress(saved(image, "PNG")))
    assert odd == ["gzip-compressed, unzipped", "PNG, decoded as such"]
    assert far(pixels, image.crop((12, 0, 268, 256))) == 0


def test_exif_orientation_is_told_and_applied_only_if_asked() -> None:
    image = picture(300, 256)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(image, exif=exif.tobytes())
    stored, ignored = read(data)
    upright, applied = read(data, apply_exif=True)
    assert ignored == ["EXIF orientation 6, ignored"]
    assert applied == ["EXIF orientation 6, applied"]
    assert far(upright, np.rot90(stored, -1)) <= 2
    assert far(upright, stored) > 50


def test_damaged_exif_does_not_cost_the_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(picture(300, 256), exif=exif.tobytes())
    start = data.index(b"Exif")
    told = [
        read(data[:place] + b"\xff" + data[place + 1 :], apply_exif=True)[1]
        for place in range(start + 6, start + 26)
    ]
    assert any("EXIF unreadable" in " ".join(odd) for odd in told)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"no image at all", "not an image"),
        (saved(picture(300, 300))[:-3000], "truncated"),
        (saved(picture(300, 300), "PNG")[:-3000], "truncated"),
        (gzip.compress(saved(picture(50, 50)))[:-40], "gzip"),
        (saved(Image.new("1", (20_000, 20_000)), "PNG"), "pixels"),
    ],
    ids=["empty", "text", "truncated", "truncated-png", "truncated-gzip", "bomb"],
)
def test_unreadable_files_say_why(data: bytes, why: str) -> None:
    with pytest.raises(UnreadableImageError, match=why):
        read(data)
