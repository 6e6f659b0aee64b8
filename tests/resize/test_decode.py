"""Image files against what they were made from; the resampling against its float64 definition."""

import gzip
import io
import json
import re
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from cykooz_resizer import CpuExtensions
from cykooz_resizer import Resizer as Resampler
from PIL import Image, ImageFile, ImageOps

from alexnet.resize import decode
from alexnet.resize.decode import (
    MOST_PIXELS,
    MOST_PIXELS_ELSE,
    Pixels,
    UnreadableImageError,
    square,
)

ImageFile.MAXBLOCK = 1 << 22  # or Pillow writes no large progressive JPEG of noise

Floats = npt.NDArray[np.float64]

SRC = Path(decode.__file__).parents[2]
DATA = Path(__file__).resolve().parents[3] / "shared/data"
DOGS, ODD = DATA / "dogs", DATA / "odd"
PHOTOS = sorted(DOGS.glob("*/*/*.JPEG"))[::20]
ORIENTATION = 0x0112
SHAPES = [(300, 500), (500, 300), (257, 400), (512, 512), (1000, 701), (100, 90), (7, 5), (3, 900)]


def picture(width: int, height: int) -> Image.Image:
    """Smooth, so that JPEG and resampling stay close; no symmetry, so that a turn shows."""
    y, x = np.mgrid[:height, :width] / max(width, height)
    channels = 255 * x, 200 * y + 20, 128 + 100 * np.sin(5 * x + 3 * y)
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))


def noise(width: int, height: int) -> Image.Image:
    """The hardest to resample and to compress: each sample by chance."""
    rng = np.random.default_rng(width * 10_000 + height)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))


def saved(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    usual = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    image.save(file, kind, **usual | options)
    return file.getvalue()


def exif(orientation: int) -> bytes:
    notes = Image.Exif()
    notes[ORIENTATION] = orientation
    return notes.tobytes()


def read(
    data: bytes, suffix: str = ".jpeg", resample: str = "bicubic", apply_exif: bool = False
) -> tuple[Pixels, list[str]]:
    pixels, odd = square(data, 256, resample=resample, apply_exif=apply_exif, suffix=suffix)
    assert pixels.shape == (256, 256, 3)
    assert pixels.dtype == np.uint8
    return pixels, odd


def read_png(image: Image.Image, resample: str = "bicubic") -> Pixels:
    """A picture on its way through a PNG, which changes no pixel."""
    return read(saved(image, "PNG", compress_level=0), ".png", resample)[0]


def refusal(data: bytes, suffix: str = ".jpeg") -> str | None:
    """What is said of a file that gives no picture, and nothing of one that gives one."""
    try:
        read(data, suffix)
    except UnreadableImageError as error:
        return str(error)
    return None


def far(a: Any, b: Any) -> float:
    return float(np.abs(np.asarray(a, float) - np.asarray(b, float)).max())


def same(a: Any, b: Any) -> bool:
    return np.array_equal(np.asarray(a), np.asarray(b))


def psnr(a: Any, b: Any) -> float:
    difference = np.asarray(a, float) - np.asarray(b, float)
    return float(20 * np.log10(255) - 10 * np.log10(np.mean(difference**2) + 1e-12))


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Do work(0), work(1), … at once, changing between them as often as may be."""
    start, often = threading.Barrier(count), sys.getswitchinterval()

    def begin(n: int) -> None:
        start.wait()
        work(n)

    threads = [threading.Thread(target=begin, args=(n,)) for n in range(count)]
    sys.setswitchinterval(1e-5)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(often)


# The decoder


JPEGS: dict[str, dict[str, Any]] = {
    "4:4:4": {"subsampling": "4:4:4"},
    "4:2:2": {"subsampling": "4:2:2"},
    "4:2:0": {"subsampling": "4:2:0"},
    "progressive": {"progressive": True},
    "progressive 4:2:0": {"progressive": True, "subsampling": "4:2:0"},
    "restart markers": {"restart_marker_blocks": 5},
    "coarse": {"quality": 10, "subsampling": "4:2:0", "optimize": True},
}


@pytest.mark.parametrize("options", JPEGS.values(), ids=JPEGS)
@pytest.mark.parametrize("size", [(256, 256), (301, 277), (17, 9), (1, 1)])
def test_a_plain_jpeg_gives_the_very_pixels_of_pillow(
    options: dict[str, Any], size: tuple[int, int]
) -> None:
    data = saved(noise(*size), **options)
    assert decode._is_plain(data, ".jpg")
    pillow = np.asarray(Image.open(io.BytesIO(data)))
    assert same(decode._turbo(data, "RGB", []), pillow)
    if size == (256, 256):
        pixels, odd = read(data)
        assert same(pixels, pillow)
        assert odd == []


@pytest.mark.parametrize("progressive", [False, True])
def test_a_grey_jpeg_gives_the_very_pixels_of_pillow(progressive: bool) -> None:
    data = saved(noise(256, 256).convert("L"), progressive=progressive)
    pixels, odd = read(data)
    assert same(pixels, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    assert odd == ["mode L, converted to RGB"]


# The resampling


def cubic(x: Floats) -> Floats:
    """Keys's kernel with a = −0.5."""
    x = np.abs(x)
    near, tail = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x < 1, near, np.where(x < 2, tail, 0))


def box(x: Floats) -> Floats:
    return np.where((x > -0.5) & (x <= 0.5), 1.0, 0.0)


def weights(length: int, short: int, side: int, kernel: Callable[[Floats], Floats]) -> Floats:
    """(side, length): what each pixel counts for each of the centre's `side` new ones."""
    scale = short / side
    centres = (length - short) / 2 + (np.arange(side) + 0.5) * scale
    apart = np.arange(length) + 0.5 - centres[:, None]
    counts = kernel(apart / max(scale, 1))
    shares: Floats = counts / counts.sum(axis=1, keepdims=True)
    return shares


def reference(pixels: Any, kernel: Callable[[Floats], Floats] = cubic) -> Floats:
    """The centre square of a picture at 256×256: down, then across, neither beyond 0 … 255."""
    height, width, _ = np.shape(pixels)
    short = min(height, width)
    down, across = (weights(n, short, 256, kernel) for n in (height, width))
    rows = np.clip(np.tensordot(down, np.asarray(pixels, float), 1), 0, 255)
    return np.clip(np.tensordot(across, rows, (1, 1)).transpose(1, 0, 2), 0, 255)


@pytest.mark.parametrize("size", SHAPES)
@pytest.mark.parametrize("drawn", [picture, noise])
def test_bicubic_is_its_definition(
    drawn: Callable[[int, int], Image.Image], size: tuple[int, int]
) -> None:
    image = drawn(*size)
    pixels, expected = read_png(image), reference(image)
    assert far(pixels, expected) < 1.2  # rounded in both directions
    assert psnr(pixels, expected) >= 55


@pytest.mark.skipif(not PHOTOS, reason="no photos in ../shared/data/dogs")
@pytest.mark.slow
def test_photos_are_decoded_as_by_pillow_and_resampled_as_defined() -> None:
    """40 of 800: all would take a minute."""
    for path in PHOTOS:
        data = path.read_bytes()
        pixels, odd = read(data, path.suffix)
        assert odd == [], path
        whole = np.asarray(Image.open(path).convert("RGB"))
        assert same(decode._turbo(data, "RGB", []), whole), path
        expected = reference(whole)
        assert far(pixels, expected) < 1.2, path
        assert psnr(pixels, expected) >= 55, path


@pytest.mark.parametrize("size", [(512, 512), (1024, 768), (300, 500), (257, 400), (1000, 701)])
def test_area_is_the_mean_of_the_pixels_in_each_box(size: tuple[int, int]) -> None:
    image = noise(*size)
    assert far(read_png(image, "area"), reference(image, box)) < 1.1
    assert far(read_png(image, "bicubic"), reference(image, box)) > 20
    if size == (512, 512):
        means = np.asarray(image, float).reshape(256, 2, 256, 2, 3).mean(axis=(1, 3))
        assert far(read_png(image, "area"), means) <= 1


def test_area_is_bicubic_where_it_enlarges() -> None:
    image = noise(100, 90)
    assert same(read_png(image, "area"), read_png(image, "bicubic"))


@pytest.mark.parametrize("resample", ["bicubic", "area"])
def test_short_side_256_is_kept_as_it_is(resample: str) -> None:
    for size, kept in (((256, 400), (0, 72, 256, 328)), ((400, 256), (72, 0, 328, 256))):
        image = noise(*size)
        assert same(read_png(image, resample), image.crop(kept))


@pytest.mark.parametrize("resample", ["bicubic", "area"])
def test_every_processor_gives_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch, resample: str
) -> None:
    """Shards must not depend on the machine that wrote them."""
    resampler, used = Resampler(), []
    monkeypatch.setattr(decode, "_resampler", lambda: resampler)
    for size in SHAPES:
        image, results = noise(*size), set()
        for extension in CpuExtensions:
            resampler.cpu_extensions = extension
            if resampler.cpu_extensions == extension:  # the processor has it
                used.append(extension)
                results.add(read_png(image, resample).tobytes())
        assert len(results) == 1
    assert CpuExtensions.none in used


def test_two_threads_at_once_get_their_own_pixels() -> None:
    files = [saved(noise(400 + 90 * n, 300 + 70 * n)) for n in range(2)]
    alone = [read(data)[0] for data in files]
    right: list[bool] = []

    def work(n: int) -> None:
        right.extend(same(read(files[n])[0], alone[n]) for _ in range(40))

    in_threads(2, work)
    assert right == [True] * 80


# Formats, colours and turns


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_formats_without_loss_give_back_the_pixels(kind: str) -> None:
    image = noise(256, 256)
    options = {"lossless": True} if kind == "WEBP" else {}
    pixels, odd = read(saved(image, kind, **options), f".{kind.lower()}")
    assert same(pixels, image)
    assert odd == []


def test_gzip_and_png_under_any_name() -> None:
    image = picture(280, 256)
    pixels, odd = read(gzip.compress(saved(image, "PNG")))
    assert odd == ["gzip-compressed, unzipped", "PNG under the name .jpeg, decoded as such"]
    assert same(pixels, image.crop((12, 0, 268, 256)))
    assert read(saved(image), ".PNG")[1] == ["JPEG under the name .PNG, decoded as such"]
    assert read(saved(image, "PNG"), ".PNG")[1] == []


def test_a_gif_gives_its_first_frame() -> None:
    frames = [noise(256, 256).quantize(64), picture(256, 256).quantize(64)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert same(read(data, ".gif")[0], frames[0].convert("RGB"))


def rgb16(pixels: npt.NDArray[np.uint16]) -> bytes:
    """A PNG of 16 bits a sample, which Pillow does not write."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    )


def test_sixteen_bits_are_scaled_to_eight() -> None:
    rng = np.random.default_rng(0)
    deep = rng.integers(0, 1 << 16, (256, 256, 3), np.uint16)
    assert far(read(rgb16(deep), ".png")[0], deep / 257) <= 1
    grey, odd = read(saved(Image.fromarray(deep[..., 0]), "PNG"), ".png")
    assert odd == ["mode I;16, converted to RGB"]
    assert far(grey, np.repeat(deep[..., :1], 3, axis=2) / 257) <= 1


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_fewer_colours_become_rgb(mode: str) -> None:
    image = noise(256, 256).convert(mode)
    pixels, odd = read(saved(image, "PNG"), ".png")
    assert odd == [f"mode {mode}, converted to RGB"]
    assert same(pixels, image.convert("RGB"))


def on_white(colours: Any, alpha: Any) -> Floats:
    part = np.asarray(alpha, float)[..., None] / 255
    paper: Floats = np.asarray(colours, float) * part + 255 * (1 - part)
    return paper


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_lies_on_white(mode: str) -> None:
    image, alpha = noise(256, 256).convert(mode[:-1]), noise(256, 257).convert("L")
    alpha = alpha.crop((0, 0, 256, 256))
    image.putalpha(alpha)
    pixels, odd = read(saved(image, "PNG"), ".png")
    assert odd == [f"mode {mode}, converted to RGB"]
    assert far(pixels, on_white(image.convert("RGB"), alpha)) <= 1


def test_transparent_colours_lie_on_white() -> None:
    image = picture(256, 256).quantize(100)
    alphas = bytes(range(0, 200, 2))
    pixels, _ = read(saved(image, "PNG", transparency=alphas), ".png")
    alpha = np.frombuffer(alphas, np.uint8)[np.asarray(image)]
    assert far(pixels, on_white(image.convert("RGB"), alpha)) <= 1


def test_one_transparent_colour_is_white() -> None:
    image = Image.new("RGB", (256, 256), (10, 20, 30))
    image.paste((40, 50, 60), (0, 0, 128, 256))
    pixels, _ = read(saved(image, "PNG", transparency=(10, 20, 30)), ".png")
    assert pixels[0, 0].tolist() == [40, 50, 60]
    assert pixels[0, 255].tolist() == [255, 255, 255]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bits_a_pixel_are_refused(mode: str) -> None:
    assert "32 bits" in str(refusal(saved(Image.new(mode, (300, 300)), "TIFF"), ".tiff"))


def four_inks(inks: list[Image.Image], way: str) -> bytes:
    """A JPEG of cyan, magenta, yellow and black, of which 255 is full cover."""
    paper = [ImageOps.invert(ink) for ink in inks]
    colours = Image.merge("RGB", inks[:3]).convert("YCbCr").split()
    samples = {"plain": inks, "inverted": paper, "YCCK": [*colours, paper[3]]}[way]
    stored = [ImageOps.invert(sample) for sample in samples]  # Pillow inverts once more
    data = saved(Image.merge("CMYK", stored), quality=100)
    mark = data.index(b"\xff\xee\x00\x0eAdobe")
    if way == "plain":
        return data[:mark] + data[mark + 16 :]
    return data[: mark + 15] + bytes([2 if way == "YCCK" else 0]) + data[mark + 16 :]


@pytest.mark.parametrize("way", ["plain", "inverted", "YCCK"])
def test_four_inks_become_rgb(way: str) -> None:
    inks = [*picture(256, 256).split(), picture(256, 256).transpose(Image.Transpose.ROTATE_90)]
    inks[3] = inks[3].convert("L")
    pixels, odd = read(four_inks(inks, way))
    paper = [255 - np.asarray(ink, float) for ink in inks]
    expected = np.stack([paper[n] * paper[3] / 255 for n in range(3)], axis=-1)
    assert far(pixels, expected) <= 5
    assert odd == ["mode CMYK, converted to RGB"]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(256, 256), (256, 300)])
def test_exif_orientation_is_told_and_applied_only_if_asked(
    orientation: int, size: tuple[int, int]
) -> None:
    data = saved(noise(*size), exif=exif(orientation))
    stored = Image.open(io.BytesIO(data))
    for apply, seen in ((False, stored), (True, ImageOps.exif_transpose(stored))):
        pixels, odd = read(data, apply_exif=apply)
        left, top = (seen.width - 256) // 2, (seen.height - 256) // 2
        centred = seen.crop((left, top, left + 256, top + 256))
        assert same(pixels, centred)
        done = "applied" if apply else "ignored"
        assert odd == ([f"EXIF orientation {orientation}, {done}"] if orientation > 1 else [])


def test_two_jpegs_in_one_file_are_the_first() -> None:
    """Cameras put a preview behind the photo, which makes it an MPO."""
    image = noise(256, 256)
    first = {"save_all": True, "append_images": [picture(50, 50)], "quality": 95, "subsampling": 0}
    pixels, odd = read(saved(image, "MPO", exif=exif(6), **first))
    assert same(pixels, read(saved(image))[0])
    assert odd == ["EXIF orientation 6, ignored"]


# Damage


def test_damaged_exif_never_costs_the_picture() -> None:
    data = saved(picture(300, 256), exif=exif(6))
    start = data.index(b"Exif") + 6
    whole = read(saved(picture(300, 256)))[0]
    told = ""
    for place in range(start, start + 26):
        for value in (0, 1, 255):
            damaged = data[:place] + bytes([value]) + data[place + 1 :]
            told += "; ".join(read(damaged, apply_exif=True)[1])
            assert same(read(damaged)[0], whole)
    assert "Corrupt EXIF data" in told
    assert "Tag data larger than file" in told


def test_what_threads_are_told_does_not_mix() -> None:
    """Python catches warnings for all threads at once; Pillow warns of damaged EXIF."""
    data = saved(picture(64, 64), exif=exif(6))
    place = data.index(b"Exif") + 10
    damaged = data[:place] + b"\xff" + data[place + 1 :]
    (expected,) = {tuple(read(damaged)[1])}
    filters = list(warnings.filters)
    told: set[tuple[str, ...]] = set()

    def work() -> None:
        told.update(tuple(read(damaged)[1]) for _ in range(60))

    in_threads(4, lambda _: work())
    assert "Corrupt EXIF data" in expected[0]
    assert told == {expected}
    assert list(warnings.filters) == filters


CUT: dict[str, bytes] = {
    "jpeg": saved(noise(100, 90)),
    "jpeg with exif": saved(noise(100, 90), exif=exif(6)),
    "progressive jpeg": saved(noise(100, 90), progressive=True),
    "grey jpeg": saved(noise(100, 90).convert("L")),
    "cmyk jpeg": saved(noise(100, 90).convert("CMYK")),
    "png": saved(noise(100, 90), "PNG"),
    "gif": saved(noise(100, 90).quantize(64), "GIF"),
    "bmp": saved(noise(100, 90), "BMP"),
    "tiff": saved(noise(100, 90), "TIFF"),
    "webp": saved(noise(100, 90), "WEBP"),
    "ppm": saved(noise(100, 90), "PPM"),
    "gzip": gzip.compress(saved(noise(100, 90))),
}


@pytest.mark.parametrize("data", CUT.values(), ids=CUT)
def test_a_file_cut_anywhere_is_refused(data: bytes) -> None:
    ends = [*range(12), *range(12, len(data) - 40, len(data) // 100), len(data) - 40]
    assert refusal(data) is None
    assert all(refusal(data[:end]) for end in ends)
    assert "\n" not in "".join(str(refusal(data[:end])) for end in ends)


@pytest.mark.parametrize("kind", [kind for kind in CUT if "jpeg" in kind])
def test_a_jpeg_without_its_last_bytes_is_refused(kind: str) -> None:
    assert all(refusal(CUT[kind][:-missing]) for missing in (1, 2, 3, 10))


def without_half_of_its_scan(data: bytes) -> bytes:
    """Its end is where it was, and stays marked as its end."""
    start, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[: (start + end) // 2] + data[end:]


@pytest.mark.parametrize("size", [(100, 90), (600, 500)])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"exif": exif(6)}], ids=["plain", "progressive", "exif"]
)
def test_no_half_grey_picture_passes(
    options: dict[str, Any], mode: str, size: tuple[int, int]
) -> None:
    """Most decoders fill the rest with grey and say nothing."""
    image = noise(*size).convert(mode)
    if mode == "CMYK":
        image = Image.merge(mode, [*noise(*size).split(), noise(*size).convert("L")])
    data = without_half_of_its_scan(saved(image, **options))
    assert "premature end" in str(refusal(data))


def test_no_half_grey_picture_passes_among_several() -> None:
    several = {"save_all": True, "append_images": [picture(50, 50)], "exif": exif(6)}
    data = saved(noise(300, 256), "MPO", **several)
    start = data.index(b"\xff\xda")
    end = data.index(b"\xff\xd9", start)
    assert "premature end" in str(refusal(data[: (start + end) // 2] + data[end:]))


@pytest.mark.parametrize("progressive", [False, True])
def test_bytes_left_over_are_told_and_harmless(progressive: bool) -> None:
    data = saved(noise(256, 256), progressive=progressive)
    pixels, odd = read(data[:-2] + bytes(range(1, 60)) + data[-2:])
    assert same(pixels, read(data)[0])
    assert len(odd) == 1
    assert re.search(r"extraneous bytes before marker 0xd9", odd[0])


DAMAGED: dict[str, tuple[dict[str, Any], int]] = {
    "baseline": ({}, 120),
    "progressive": ({"progressive": True}, 115),
    "restart markers": ({"restart_marker_rows": 1}, 130),
    "grey": ({"mode": "L"}, 160),
}


@pytest.mark.parametrize(("options", "least"), DAMAGED.values(), ids=DAMAGED)
def test_bytes_overwritten_in_a_scan(options: dict[str, Any], least: int) -> None:
    """16 bytes at 200 places. Where the codes fall into step again, no decoder can tell."""
    rng = np.random.default_rng(0)
    image = picture(300, 280).convert(options.get("mode", "RGB"))
    data = saved(image, **{name: value for name, value in options.items() if name != "mode"})
    start, refused = data.index(b"\xff\xda") + 20, 0
    for place in rng.integers(start, len(data) - 40, 200):
        damaged = data[:place] + rng.bytes(16) + data[place + 16 :]
        refused += refusal(damaged) is not None
    assert refused >= least


@pytest.mark.parametrize("data", CUT.values(), ids=CUT)
def test_any_damage_gives_a_picture_or_a_refusal(data: bytes) -> None:
    """Nothing else, whatever the library beneath would raise."""
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        damaged = bytearray(data)
        last = len(data) if rng.random() < 0.5 else 200
        for place in rng.integers(0, last, rng.integers(1, 5)):
            damaged[place] = rng.integers(256)
        refused += refusal(bytes(damaged)) is not None
    assert refused > 0


@pytest.mark.parametrize(
    ("data", "why"),
    [(b"", "empty"), (b"no image at all", "not an image"), (b"\xff\xd8\xff", "damaged JPEG")],
)
def test_what_is_no_image_says_so(data: bytes, why: str) -> None:
    assert why in str(refusal(data))


# Size


def claims(data: bytes, side: int) -> bytes:
    """A small JPEG or PNG whose header says that it is `side` × `side`."""
    if data[:2] == b"\xff\xd8":
        size = re.search(rb"\xff[\xc0\xc2]...", data, re.DOTALL)
        assert size is not None
        return data[: size.end()] + struct.pack(">HH", side, side) + data[size.end() + 4 :]
    header = struct.pack(">II", side, side) + data[24:29]
    return data[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + data[33:]


@pytest.mark.parametrize("kind", ["jpeg", "progressive jpeg", "grey jpeg", "png"])
@pytest.mark.parametrize("side", [12_000, 30_000])
def test_a_header_that_claims_too_much_is_refused(kind: str, side: int) -> None:
    assert "pixels" in str(refusal(claims(CUT[kind], side)))


def test_a_gzip_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "MOST_BYTES", 1 << 20)
    assert "more than 1 MiB" in str(refusal(gzip.compress(bytes((1 << 20) + 1))))
    assert "not an image" in str(refusal(gzip.compress(bytes(1 << 20))))


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_line_and_a_dot(kind: str, size: tuple[int, int]) -> None:
    """The centre pixel, or the two beside the centre, fill the square."""
    image = Image.new("RGB", size, (10, 200, 90))
    image.paste((250, 0, 0), (0, 0, size[0] // 3, size[1] // 3))
    pixels, _ = read(saved(image, kind), f".{kind.lower()}")
    assert far(pixels, np.broadcast_to((10, 200, 90), (256, 256, 3))) <= 2


# All of a process


READ_ALL = """
import json, os, sys, time
from pathlib import Path
from alexnet.resize.decode import UnreadableImageError, square
for name in sys.argv[1:]:
    start, folder = time.process_time(), os.getcwd()
    try:
        pixels, odd = square(
            Path(name).read_bytes(), 256, resample="bicubic", apply_exif=True,
            suffix=Path(name).suffix,
        )
        assert pixels.shape == (256, 256, 3)
    except UnreadableImageError as error:
        odd = [str(error)]
    assert os.getcwd() == folder
    print(json.dumps({"name": name, "words": odd, "seconds": time.process_time() - start}))
peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
print(json.dumps({"peak": int(peak) << 10}))
"""


def read_apart(*files: Path) -> tuple[list[dict[str, Any]], int]:
    """What a process of its own says of each file, and the most memory that it took."""
    command = [sys.executable, "-c", READ_ALL, *map(str, files)]
    result = subprocess.run(
        command, env={"PYTHONPATH": str(SRC)}, capture_output=True, text=True, timeout=600
    )
    assert result.returncode == 0, result.stderr
    *told, last = map(json.loads, result.stdout.splitlines())
    return told, last["peak"]


@pytest.mark.skipif(not ODD.is_dir(), reason="no odd files in ../shared/data/odd")
def test_odd_files_give_a_picture_or_words() -> None:
    files = [path for path in sorted(ODD.rglob("*")) if path.is_file()]
    told, peak = read_apart(*files)
    assert len(told) == len(files) > 0
    for one in told:
        assert not re.search(r"0x[0-9a-f]{6}| object at ", " ".join(one["words"])), one
        assert one["seconds"] < 10, one
    assert peak < 1 << 30


def as_big_as_allowed(kind: str) -> bytes:
    side = int((MOST_PIXELS if "plain" in kind else MOST_PIXELS_ELSE) ** 0.5)
    if kind == "RGBA":
        return saved(Image.new("RGBA", (side, side), (1, 2, 3, 4)), "PNG", compress_level=1)
    mode = "CMYK" if kind == "CMYK" else "RGB"
    data = saved(Image.new(mode, (side, side)), quality=50, progressive="progressive" in kind)
    return data[:-2] + bytes(range(1, 60)) + data[-2:] if "left over" in kind else data


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "plain, progressive, left over", "RGBA", "CMYK"])
def test_the_largest_pictures_take_less_than_a_gibibyte(kind: str, tmp_path: Path) -> None:
    path = tmp_path / ("large.png" if kind == "RGBA" else "large.jpeg")
    path.write_bytes(as_big_as_allowed(kind))
    (told,), peak = read_apart(path)
    assert not any("pixels" in word for word in told["words"])
    assert peak < 1 << 30
