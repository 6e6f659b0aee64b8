"""Image files decoded as by Pillow or as they were made; damaged files rejected."""

import gzip
import io
import json
import os
import re
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps

from alexnet.resize import decode
from alexnet.resize.decode import (
    MAX_PIXELS,
    MAX_PIXELS_JPEG,
    Pixels,
    UnreadableImageError,
    decode_image,
)
from pictures import (
    encode,
    equal,
    exif,
    largest_difference,
    noise_picture,
    photo_like_picture,
    smooth_picture,
)
from races import run_in_threads

SRC = Path(decode.__file__).parents[2]


def read(data: bytes, suffix: str = ".jpeg", apply_exif: bool = False) -> tuple[Pixels, list[str]]:
    pixels, odd = decode_image(data, apply_exif=apply_exif, suffix=suffix)
    assert pixels.dtype == np.uint8
    return pixels, odd


def rejection(data: bytes, suffix: str = ".jpeg") -> str | None:
    """Return why a file is rejected, or None if it is decoded."""
    try:
        read(data, suffix)
    except UnreadableImageError as error:
        return str(error)
    return None


# JPEGs without EXIF, which most files are


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
@pytest.mark.parametrize("size", [(256, 256), (500, 375), (301, 277), (17, 9), (1, 1)])
def test_a_plain_jpeg_has_the_same_pixels_as_in_pillow(
    options: dict[str, Any], size: tuple[int, int]
) -> None:
    for draw in (noise_picture, photo_like_picture):
        data = encode(draw(*size), **options)
        assert decode._is_plain_jpeg(data, ".jpg")
        pixels, odd = read(data)
        assert equal(pixels, Image.open(io.BytesIO(data)))
        assert odd == []


@pytest.mark.parametrize("progressive", [False, True])
def test_a_grey_jpeg_has_the_same_pixels_as_in_pillow(progressive: bool) -> None:
    data = encode(noise_picture(256, 256).convert("L"), progressive=progressive)
    pixels, odd = read(data)
    assert equal(pixels, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    assert odd == ["mode L, converted to RGB"]


# Formats, colours and orientation


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_lossless_formats_return_the_same_pixels(kind: str) -> None:
    image = noise_picture(256, 256)
    options = {"lossless": True} if kind == "WEBP" else {}
    pixels, odd = read(encode(image, kind, **options), f".{kind.lower()}")
    assert equal(pixels, image)
    assert odd == []


def test_gzip_and_other_formats_under_a_wrong_suffix_are_decoded() -> None:
    image = smooth_picture(280, 256)
    pixels, odd = read(gzip.compress(encode(image, "PNG")))
    assert odd == ["gzip-compressed, unzipped", "PNG under the name .jpeg, decoded as such"]
    assert equal(pixels, image)
    assert read(encode(image), ".PNG")[1] == ["JPEG under the name .PNG, decoded as such"]
    assert read(encode(image, "PNG"), ".PNG")[1] == []


def test_a_gif_gives_its_first_frame() -> None:
    frames = [noise_picture(256, 256).quantize(64), smooth_picture(256, 256).quantize(64)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert equal(read(data, ".gif")[0], frames[0].convert("RGB"))


def rgb16(pixels: npt.NDArray[np.uint16]) -> bytes:
    """Return a PNG of 16 bits a sample, which Pillow cannot write."""
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
    assert largest_difference(read(rgb16(deep), ".png")[0], deep / 257) <= 1
    grey, odd = read(encode(Image.fromarray(deep[..., 0]), "PNG"), ".png")
    assert odd == ["mode I;16, converted to RGB"]
    assert largest_difference(grey, np.repeat(deep[..., :1], 3, axis=2) / 257) <= 1


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_black_and_white_grey_and_palettes_become_rgb(mode: str) -> None:
    image = noise_picture(256, 256).convert(mode)
    pixels, odd = read(encode(image, "PNG"), ".png")
    assert odd == [f"mode {mode}, converted to RGB"]
    assert equal(pixels, image.convert("RGB"))


def on_white(colours: Any, alpha: Any) -> npt.NDArray[np.float64]:
    opacity = np.asarray(alpha, float)[..., None] / 255
    blended: npt.NDArray[np.float64] = np.asarray(colours, float) * opacity + 255 * (1 - opacity)
    return blended


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_blended_with_white(mode: str) -> None:
    image, alpha = noise_picture(256, 256).convert(mode[:-1]), noise_picture(256, 257).convert("L")
    alpha = alpha.crop((0, 0, 256, 256))
    image.putalpha(alpha)
    pixels, odd = read(encode(image, "PNG"), ".png")
    assert odd == [f"mode {mode}, converted to RGB"]
    assert largest_difference(pixels, on_white(image.convert("RGB"), alpha)) <= 1


def test_transparent_palette_colours_are_blended_with_white() -> None:
    image = smooth_picture(256, 256).quantize(100)
    alphas = bytes(range(0, 200, 2))
    pixels, _ = read(encode(image, "PNG", transparency=alphas), ".png")
    alpha = np.frombuffer(alphas, np.uint8)[np.asarray(image)]
    assert largest_difference(pixels, on_white(image.convert("RGB"), alpha)) <= 1


def test_a_single_transparent_colour_becomes_white() -> None:
    image = Image.new("RGB", (256, 256), (10, 20, 30))
    image.paste((40, 50, 60), (0, 0, 128, 256))
    pixels, _ = read(encode(image, "PNG", transparency=(10, 20, 30)), ".png")
    assert pixels[0, 0].tolist() == [40, 50, 60]
    assert pixels[0, 255].tolist() == [255, 255, 255]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bits_a_pixel_are_rejected(mode: str) -> None:
    assert "32 bits" in str(rejection(encode(Image.new(mode, (300, 300)), "TIFF"), ".tiff"))


def cmyk_jpeg(inks: list[Image.Image], variant: str) -> bytes:
    """Return a JPEG of cyan, magenta, yellow and black; 255 is full ink."""
    inverted = [ImageOps.invert(ink) for ink in inks]
    colours = Image.merge("RGB", inks[:3]).convert("YCbCr").split()
    samples = {"plain": inks, "inverted": inverted, "YCCK": [*colours, inverted[3]]}[variant]
    stored = [ImageOps.invert(sample) for sample in samples]  # Pillow inverts once more
    data = encode(Image.merge("CMYK", stored), quality=100)
    mark = data.index(b"\xff\xee\x00\x0eAdobe")
    if variant == "plain":
        return data[:mark] + data[mark + 16 :]
    return data[: mark + 15] + bytes([2 if variant == "YCCK" else 0]) + data[mark + 16 :]


@pytest.mark.parametrize("variant", ["plain", "inverted", "YCCK"])
def test_cmyk_becomes_rgb(variant: str) -> None:
    image = smooth_picture(256, 256)
    inks = [*image.split(), image.transpose(Image.Transpose.ROTATE_90).convert("L")]
    pixels, odd = read(cmyk_jpeg(inks, variant))
    light = [255 - np.asarray(ink, float) for ink in inks]
    expected = np.stack([light[n] * light[3] / 255 for n in range(3)], axis=-1)
    assert largest_difference(pixels, expected) <= 5
    assert odd == ["mode CMYK, converted to RGB"]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(256, 256), (256, 300)])
def test_exif_orientation_is_noted_and_applied_only_on_request(
    orientation: int, size: tuple[int, int]
) -> None:
    data = encode(noise_picture(*size), exif=exif(orientation))
    stored = Image.open(io.BytesIO(data))
    for apply, seen in ((False, stored), (True, ImageOps.exif_transpose(stored))):
        pixels, odd = read(data, apply_exif=apply)
        assert equal(pixels, seen)
        done = "applied" if apply else "ignored"
        assert odd == ([f"EXIF orientation {orientation}, {done}"] if orientation > 1 else [])


def test_of_two_jpegs_in_one_file_the_first_is_decoded() -> None:
    """Cameras append a preview to the photo, which makes the file an MPO."""
    image = noise_picture(256, 256)
    first = {
        "save_all": True,
        "append_images": [smooth_picture(50, 50)],
        "quality": 95,
        "subsampling": 0,
    }
    pixels, odd = read(encode(image, "MPO", exif=exif(6), **first))
    assert equal(pixels, read(encode(image))[0])
    assert odd == ["EXIF orientation 6, ignored"]


# Damage


def test_damaged_exif_does_not_affect_the_pixels() -> None:
    data = encode(smooth_picture(300, 256), exif=exif(6))
    start = data.index(b"Exif") + 6
    whole = read(encode(smooth_picture(300, 256)))[0]
    notes = ""
    for place in range(start, start + 26):
        for value in (0, 1, 255):
            damaged = data[:place] + bytes([value]) + data[place + 1 :]
            notes += "; ".join(read(damaged, apply_exif=True)[1])
            assert equal(read(damaged)[0], whole)
    assert "Corrupt EXIF data" in notes
    assert "Tag data larger than file" in notes


def test_threads_do_not_mix_their_warnings() -> None:
    """Python catches warnings for all threads at once; Pillow warns of damaged EXIF."""
    data = encode(smooth_picture(64, 64), exif=exif(6))
    place = data.index(b"Exif") + 10
    damaged = data[:place] + b"\xff" + data[place + 1 :]
    (expected,) = {tuple(read(damaged)[1])}
    filters = list(warnings.filters)
    noted: set[tuple[str, ...]] = set()

    def work() -> None:
        noted.update(tuple(read(damaged)[1]) for _ in range(60))

    run_in_threads(4, lambda _: work())
    assert "Corrupt EXIF data" in expected[0]
    assert noted == {expected}
    assert list(warnings.filters) == filters


FILES: dict[str, bytes] = {
    "jpeg": encode(noise_picture(100, 90)),
    "jpeg with exif": encode(noise_picture(100, 90), exif=exif(6)),
    "progressive jpeg": encode(noise_picture(100, 90), progressive=True),
    "grey jpeg": encode(noise_picture(100, 90).convert("L")),
    "cmyk jpeg": encode(noise_picture(100, 90).convert("CMYK")),
    "png": encode(noise_picture(100, 90), "PNG"),
    "gif": encode(noise_picture(100, 90).quantize(64), "GIF"),
    "bmp": encode(noise_picture(100, 90), "BMP"),
    "tiff": encode(noise_picture(100, 90), "TIFF"),
    "webp": encode(noise_picture(100, 90), "WEBP"),
    "ppm": encode(noise_picture(100, 90), "PPM"),
    "gzip": gzip.compress(encode(noise_picture(100, 90))),
}


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
def test_a_file_truncated_anywhere_is_rejected(data: bytes) -> None:
    ends = [*range(12), *range(12, len(data) - 40, len(data) // 100), len(data) - 40]
    assert rejection(data) is None
    assert all(rejection(data[:end]) for end in ends)
    assert "\n" not in "".join(str(rejection(data[:end])) for end in ends)


@pytest.mark.parametrize("kind", [kind for kind in FILES if "jpeg" in kind])
def test_a_jpeg_without_its_last_bytes_is_rejected(kind: str) -> None:
    assert all(rejection(FILES[kind][:-missing]) for missing in (1, 2, 3, 10))


def cmyk_noise(width: int, height: int) -> Image.Image:
    image = noise_picture(width, height)
    return Image.merge("CMYK", [*image.split(), image.convert("L")])


def cut_out_half_of_the_scan(data: bytes) -> bytes:
    """Remove it before the end marker, which stays."""
    start, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[: (start + end) // 2] + data[end:]


@pytest.mark.parametrize("size", [(100, 90), (600, 500)])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"exif": exif(6)}], ids=["plain", "progressive", "exif"]
)
def test_a_half_grey_image_is_rejected(
    options: dict[str, Any], mode: str, size: tuple[int, int]
) -> None:
    """Most decoders fill the lost half with grey, without an error."""
    image = noise_picture(*size).convert(mode)
    if mode == "CMYK":
        image = Image.merge(
            mode, [*noise_picture(*size).split(), noise_picture(*size).convert("L")]
        )
    data = cut_out_half_of_the_scan(encode(image, **options))
    assert "premature end" in str(rejection(data))


def test_a_half_grey_image_is_rejected_in_a_file_with_several() -> None:
    several = {"save_all": True, "append_images": [smooth_picture(50, 50)], "exif": exif(6)}
    data = encode(noise_picture(300, 256), "MPO", **several)
    start = data.index(b"\xff\xda")
    end = data.index(b"\xff\xd9", start)
    assert "premature end" in str(rejection(data[: (start + end) // 2] + data[end:]))


@pytest.mark.parametrize("progressive", [False, True])
def test_extra_bytes_are_noted_and_harmless(progressive: bool) -> None:
    data = encode(noise_picture(256, 256), progressive=progressive)
    pixels, odd = read(data[:-2] + bytes(range(1, 60)) + data[-2:])
    assert equal(pixels, read(data)[0])
    assert len(odd) == 1
    assert re.search(r"extraneous bytes before marker 0xd9", odd[0])


DAMAGED: dict[str, tuple[dict[str, Any], int]] = {
    "baseline": ({}, 120),
    "progressive": ({"progressive": True}, 115),
    "restart markers": ({"restart_marker_rows": 1}, 130),
    "grey": ({"mode": "L"}, 160),
}


@pytest.mark.parametrize(("options", "at_least"), DAMAGED.values(), ids=DAMAGED)
def test_overwritten_bytes_in_a_scan_are_mostly_detected(
    options: dict[str, Any], at_least: int
) -> None:
    """16 bytes at 200 places; where the codes synchronise again, no decoder can detect it."""
    rng = np.random.default_rng(0)
    image = smooth_picture(300, 280).convert(options.get("mode", "RGB"))
    data = encode(image, **{name: value for name, value in options.items() if name != "mode"})
    start, rejected = data.index(b"\xff\xda") + 20, 0
    for place in rng.integers(start, len(data) - 40, 200):
        damaged = data[:place] + rng.bytes(16) + data[place + 16 :]
        rejected += rejection(damaged) is not None
    assert rejected >= at_least


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
def test_any_damage_gives_an_image_or_a_rejection(data: bytes) -> None:
    """Whatever the libraries raise."""
    rng = np.random.default_rng(0)
    rejected = 0
    for _ in range(150):
        damaged = bytearray(data)
        last = len(data) if rng.random() < 0.5 else 200
        for place in rng.integers(0, last, rng.integers(1, 5)):
            damaged[place] = rng.integers(256)
        rejected += rejection(bytes(damaged)) is not None
    assert rejected > 0


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "empty"), (b"no image at all", "not an image"), (b"\xff\xd8\xff", "damaged JPEG")],
)
def test_other_files_are_rejected_with_the_reason(data: bytes, reason: str) -> None:
    assert reason in str(rejection(data))


# Size


def claim_size(data: bytes, side: int) -> bytes:
    """Return a small JPEG or PNG with `side` × `side` as the size in its header."""
    if data[:2] == b"\xff\xd8":
        size = re.search(rb"\xff[\xc0\xc2]...", data, re.DOTALL)
        assert size is not None
        return data[: size.end()] + struct.pack(">HH", side, side) + data[size.end() + 4 :]
    header = struct.pack(">II", side, side) + data[24:29]
    return data[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + data[33:]


@pytest.mark.parametrize("kind", ["jpeg", "progressive jpeg", "grey jpeg", "png"])
@pytest.mark.parametrize("side", [12_000, 30_000])
def test_a_header_that_claims_too_many_pixels_is_rejected(kind: str, side: int) -> None:
    assert "pixels" in str(rejection(claim_size(FILES[kind], side)))


def test_a_gzip_bomb_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "MAX_FILE_BYTES", 1 << 20)
    assert "more than 1 MiB" in str(rejection(gzip.compress(bytes((1 << 20) + 1))))
    assert "not an image" in str(rejection(gzip.compress(bytes(1 << 20))))


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_images_one_pixel_wide_or_high_are_decoded(kind: str, size: tuple[int, int]) -> None:
    image = smooth_picture(*size)
    pixels, odd = read(encode(image, kind), f".{kind.lower()}")
    assert largest_difference(pixels, image) <= 4
    assert odd == []


# A process of its own: time, memory, messages


READ_ALL = """
import json, os, sys, time
from pathlib import Path
from alexnet.resize.decode import UnreadableImageError, decode_image
from alexnet.resize.resample import resize_and_crop
for name in sys.argv[1:]:
    start, folder = time.process_time(), os.getcwd()
    try:
        data = Path(name).read_bytes()
        pixels, notes = decode_image(data, apply_exif=True, suffix=Path(name).suffix)
        assert resize_and_crop(pixels, 256, "bicubic").shape == (256, 256, 3)
        decoded = True
    except UnreadableImageError as error:
        decoded, notes = False, [str(error)]
    assert os.getcwd() == folder
    seconds = time.process_time() - start
    print(json.dumps({"name": name, "decoded": decoded, "notes": notes, "seconds": seconds}))
peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
print(json.dumps({"peak": int(peak) << 10}))
"""


def read_in_subprocess(*files: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the result of each file, and the peak memory of the process in bytes."""
    command = [sys.executable, "-c", READ_ALL, *map(str, files)]
    result = subprocess.run(
        command, env={"PYTHONPATH": str(SRC)}, capture_output=True, text=True, timeout=600
    )
    assert result.returncode == 0, result.stderr
    *results, last = map(json.loads, result.stdout.splitlines())
    return results, last["peak"]


def check_odd_files(files: list[Path]) -> list[dict[str, Any]]:
    """Check that each file gives an image or a reason, in bounded time and memory."""
    results, peak = read_in_subprocess(*files)
    assert len(results) == len(files) > 0
    for result in results:
        assert result["decoded"] or result["notes"], result
        assert not re.search(r"0x[0-9a-f]{6}| object at ", " ".join(result["notes"])), result
        assert result["seconds"] < 10, result
    assert peak < 1 << 30
    return results


def change_frame_header(data: bytes, marker: bytes, precision: int = 8) -> bytes:
    """Replace a JPEG's start-of-frame marker: c3 is lossless, c9 arithmetic coding."""
    at = re.search(rb"\xff[\xc0\xc2]", data)
    assert at is not None
    body = data[at.end() : at.end() + 2] + bytes([precision]) + data[at.end() + 3 :]
    return data[: at.start()] + b"\xff" + marker + body


def large_bilevel(kind: str, side: int, **options: Any) -> bytes:
    """Return a small file of many pixels."""
    return encode(Image.new("1", (side, side)), kind, **options)


def odd_files() -> dict[str, tuple[bytes, bool]]:
    """Return odd files by name, and whether they can be decoded."""
    jpeg, progressive, png = FILES["jpeg"], FILES["progressive jpeg"], FILES["png"]
    camera = encode(smooth_picture(300, 200), exif=exif(6))
    frames = {"save_all": True, "append_images": [noise_picture(100, 90)]}
    decodable = {
        "grey.JPEG": FILES["grey jpeg"],
        "cmyk.JPEG": encode(cmyk_noise(90, 80)),
        "progressive.JPEG": progressive,
        "png.JPEG": png,
        "jpeg.png": jpeg,
        "no suffix": jpeg,
        "gzip.JPEG": FILES["gzip"],
        "turned.JPEG": camera,
        "damaged exif.JPEG": camera.replace(b"II*\0", b"II+\0").replace(b"MM\0*", b"MM\0+"),
        "comment.JPEG": jpeg[:2] + b"\xff\xfe\0\x0ccomments  " + jpeg[2:],
        "extra bytes.JPEG": jpeg + bytes(1000),
        "animated.gif": encode(noise_picture(100, 90).quantize(9), "GIF", **frames),
        "animated.webp": encode(noise_picture(100, 90), "WEBP", **frames),
        "animated.png": encode(noise_picture(100, 90), "PNG", **frames),
        "pages.tif": encode(noise_picture(100, 90), "TIFF", **frames),
        "fax.tif": large_bilevel("TIFF", 2000, compression="group4"),
        "line.png": encode(noise_picture(20_000, 1), "PNG"),
        "dot.gif": encode(noise_picture(1, 1).quantize(2), "GIF"),
        "16 bits.png": rgb16(np.full((30, 40, 3), 40_000, np.uint16)),
        "arithmetic.JPEG": change_frame_header(jpeg, b"\xc9"),
    }
    rejected = {
        "empty.JPEG": b"",
        "tiny.JPEG": jpeg[:3],
        "html.JPEG": b"<!DOCTYPE html><title>404 Not Found</title>",
        "header only.JPEG": jpeg[: jpeg.index(b"\xff\xda")],
        "truncated.JPEG": jpeg[: len(jpeg) // 2],
        "truncated progressive.JPEG": progressive[: len(progressive) // 2],
        "truncated.png": png[: len(png) // 2],
        "truncated.gif": FILES["gif"][: len(FILES["gif"]) // 2],
        "lossless.JPEG": change_frame_header(jpeg, b"\xc3"),
        "12 bits.JPEG": change_frame_header(jpeg, b"\xc1", precision=12),
        "bomb.JPEG": claim_size(jpeg, 30_000),
        "bomb.png": large_bilevel("PNG", 12_000),
        "bomb.tif": large_bilevel("TIFF", 12_000, compression="group4"),
        "bomb.gif": large_bilevel("GIF", 6_000),
        "icon.ico": encode(noise_picture(32, 32), "ICO"),
        "icon.JPEG": encode(noise_picture(32, 32), "ICO"),
        "32 bits.tif": encode(Image.new("F", (30, 40)), "TIFF"),
    }
    return {name: (data, True) for name, data in decodable.items()} | {
        name: (data, False) for name, data in rejected.items()
    }


def test_odd_files_give_an_image_or_a_reason(tmp_path: Path) -> None:
    files = odd_files()
    for name, (data, _) in files.items():
        (tmp_path / name).write_bytes(data)
    results = check_odd_files([tmp_path / name for name in files])
    decoded = {Path(result["name"]).name: result["decoded"] for result in results}
    assert decoded == {name: decodable for name, (_, decodable) in files.items()}


@pytest.mark.skipif("ALEXNET_PHOTOS" not in os.environ, reason="ALEXNET_PHOTOS names no folder")
@pytest.mark.slow
def test_real_photos_are_decoded_as_by_pillow() -> None:
    """Files below the folder ALEXNET_PHOTOS, odd ones included."""
    paths = sorted(path for path in Path(os.environ["ALEXNET_PHOTOS"]).rglob("*") if path.is_file())
    results = check_odd_files(paths)
    plain = [
        Path(result["name"]) for result in results if result["decoded"] and not result["notes"]
    ]
    assert plain, "no ordinary photo in ALEXNET_PHOTOS"
    for path in plain[::20]:
        pixels, _ = read(path.read_bytes(), path.suffix)
        assert equal(pixels, Image.open(path).convert("RGB")), path


def largest_allowed(kind: str) -> bytes:
    side = int((MAX_PIXELS_JPEG if "plain" in kind else MAX_PIXELS) ** 0.5)
    if kind == "RGBA":
        return encode(Image.new("RGBA", (side, side), (1, 2, 3, 4)), "PNG", compress_level=1)
    mode = "CMYK" if kind == "CMYK" else "RGB"
    data = encode(Image.new(mode, (side, side)), quality=50, progressive="progressive" in kind)
    return data[:-2] + bytes(range(1, 60)) + data[-2:] if "extra bytes" in kind else data


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "plain, progressive, extra bytes", "RGBA", "CMYK"])
def test_the_largest_images_take_less_than_a_gibibyte(kind: str, tmp_path: Path) -> None:
    path = tmp_path / ("large.png" if kind == "RGBA" else "large.jpeg")
    path.write_bytes(largest_allowed(kind))
    (result,), peak = read_in_subprocess(path)
    assert result["decoded"], result
    assert peak < 1 << 30
