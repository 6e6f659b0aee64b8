"""Raw data from untrusted sources: valid files to be changed, and their readers."""

import gzip
import io
import struct
import tarfile
import zlib
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from alexnet.archives.reader import check_unchanged, read_image
from alexnet.archives.tar import list_tar
from alexnet.dataset.index import Index
from alexnet.dataset.matlab import write_table
from alexnet.index import cifar10, layouts
from alexnet.index.devkit import read_devkit
from alexnet.miniature.devkit import KIT, TRUTH, synset_rows
from alexnet.resize.decode import decode_image
from alexnet.resize.resample import resize_and_crop
from mutations import mutate

RECORDS = 3  # in a file of CIFAR-10, instead of 10,000
LABELS = [2, 0, 3, 1, 2]
WNIDS = ["n01440764", "n01443537"]


# Images


@cache
def images() -> list[bytes]:
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    smooth = Image.fromarray(noise).resize((60, 44))
    palette = smooth.quantize(20)
    pictures: list[tuple[Image.Image, str, dict[str, Any]]] = [
        *[(smooth.convert(mode), "JPEG", {}) for mode in ("RGB", "L", "CMYK")],
        (smooth, "JPEG", {"progressive": True}),
        (smooth, "JPEG", {"restart_marker_blocks": 2, "exif": b"Exif\0\0" + _exif()}),
        (smooth, "MPO", {"save_all": True, "append_images": [smooth]}),
        *[(smooth.convert(mode), "PNG", {}) for mode in ("RGB", "LA", "P", "1", "I;16")],
        (palette, "GIF", {"save_all": True, "append_images": [palette.rotate(90)]}),
        *[(smooth.convert(mode), "BMP", {}) for mode in ("RGB", "P", "1")],
        *[(smooth, "WEBP", {"lossless": lossless}) for lossless in (False, True)],
        *[
            (smooth.convert(mode), "TIFF", {"compression": compression})
            for mode, compression in [
                ("RGB", "raw"),
                ("RGB", "tiff_lzw"),
                ("RGBA", "tiff_deflate"),
                ("1", "group4"),
                ("RGB", "jpeg"),
                ("CMYK", "packbits"),
            ]
        ],
        *[(smooth.convert(mode), "PPM", {}) for mode in ("RGB", "L")],
    ]
    files = [_encode(*picture) for picture in pictures]
    return [*files, gzip.compress(files[0]), b"P3 2 2 255 1 2 3 4 5 6 7 8 9 10 11 12 "]


def _exif() -> bytes:
    notes = Image.Exif()
    notes[0x0112] = 6
    return notes.tobytes()


def _encode(image: Image.Image, kind: str, options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def read_picture(data: bytes, _: Path) -> None:
    resample = "area" if len(data) % 2 else "bicubic"
    suffix = [".JPEG", ".png", ".tif"][len(data) % 3]
    pixels, odd = decode_image(data, apply_exif=True, suffix=suffix)
    pixels = resize_and_crop(pixels, 256, resample)
    assert (pixels.shape, pixels.dtype) == ((256, 256, 3), np.uint8)
    assert all(odd)


# Tars


def tar_of(members: dict[str, bytes], form: int = tarfile.PAX_FORMAT, **fields: Any) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in fields.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


@cache
def tars() -> list[bytes]:
    small = {f"n0_{n}.JPEG": bytes(range(n * 9)) for n in range(4)}
    long = {"x" * 150 + name: data for name, data in small.items()}
    plain = [tar_of(small, form) for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT)]
    named = [tar_of(long, form) for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)]
    with_headers = tar_of(
        small, pax_headers={"size": "9", "path": "../../escaped", "GNU.sparse.major": "1"}
    )
    kinds = [tar_of({"a": b"", "b": b"1"}, type=kind, linkname="/escaped") for kind in (b"1", b"2")]
    return [*plain, *named, with_headers, *kinds, tar_of({f"{w}.tar": plain[0] for w in WNIDS})]


def read_tar(data: bytes, folder: Path) -> None:
    path = folder / "a.tar"
    path.write_bytes(data)
    files = list_tar(path)
    for name, offset, size in files:
        assert b"/" not in name
        assert 0 <= offset <= offset + size <= len(data)
    if files:
        list_tar(path, files[0][1], files[0][2])


# The devkit


@cache
def metas() -> list[bytes]:
    """Return meta.mat, plain and compressed."""
    plain = write_table("synsets", synset_rows(4, 3))
    packed = zlib.compress(plain[128:])
    return [plain, plain[:128] + struct.pack("<II", 15, len(packed)) + packed]


@cache
def truths() -> list[bytes]:
    return [b"".join(b"%d\n" % (label + 1) for label in LABELS)]


def make_devkit(rng: Random) -> bytes:
    """Change the text, the table, the tar or the gzip file."""
    parts = {"meta.mat": rng.choice(metas()), TRUTH: truths()[0]}
    layer = rng.choice(["meta.mat", "meta.mat", TRUTH, "tar", "gzip"])
    if layer in parts:
        parts[layer] = mutate(parts[layer], rng, metas())
    tar = tar_of({f"{KIT}/data/{name}": data for name, data in parts.items()})
    tar = mutate(tar, rng, tars()) if layer == "tar" else tar
    packed = gzip.compress(tar, 1)
    return mutate(packed, rng, [packed]) if layer == "gzip" else packed


def read_devkit_archive(data: bytes, folder: Path) -> None:
    path = folder / f"{KIT}.tar.gz"
    path.write_bytes(data)
    synsets, truth, counts = read_devkit(path)
    assert len(synsets) == len(counts) > 0
    assert all(0 <= label < len(synsets) for label in truth)


# CIFAR-10 and layouts with text files


@cache
def cifar_files() -> list[bytes]:
    chance = np.random.default_rng(0)
    records = chance.integers(0, 256, (RECORDS, 1 + cifar10.PIXEL_BYTES), np.uint8)
    records[:, 0] %= 10
    return [records.tobytes()]


def make_cifar(rng: Random) -> bytes:
    data = bytearray(cifar_files()[0])
    data[rng.randrange(RECORDS) * (1 + cifar10.PIXEL_BYTES)] = rng.randrange(12)
    names = "\n".join(cifar10.NAMES).encode()
    names = names if rng.random() < 0.5 else mutate(names, rng, truths())
    changed = bytes(data) if rng.random() < 0.5 else mutate(bytes(data), rng, images())
    return names + b"\0\0\0" + changed


def read_cifar(data: bytes, folder: Path) -> None:
    names, _, changed = data.partition(b"\0\0\0")
    cifar10.RECORDS = RECORDS
    for name in (*cifar10.TRAIN, cifar10.VAL):
        (folder / name).write_bytes(cifar_files()[0])
    (folder / cifar10.VAL).write_bytes(changed)
    (folder / "batches.meta.txt").write_bytes(names)
    index = layouts.read_index(folder, "cifar10", 0, None)
    read_rows(index, folder)


def read_rows(index: Index, root: Path) -> None:
    """Read the images of the first rows."""
    check_unchanged(root, index.archives)
    assert all(isinstance(synset.words, str) for synset in index.synsets)
    for rows in index.splits.values():
        for row in rows[:4]:
            read_image(root, index.archives, row)


LAYOUT_FILES = {
    "flat_val": ("synset_words.txt", "val.txt"),
    "kaggle": ("LOC_synset_mapping.txt", "LOC_val_solution.csv"),
    "archives": ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"),
    "synset_tars": ("fall11_whole.tar", "words.txt"),
}


@cache
def layout_files() -> dict[str, bytes]:
    words = "".join(f"{wnid} a fish, of the sea\n" for wnid in WNIDS).encode()
    names = [f"ILSVRC2012_val_{n:08d}" for n in (1, 2)]
    flat = tar_of({f"{name}.JPEG": b"pixels" for name in names})
    class_tars = tar_of(
        {f"{w}.tar": tar_of({f"{w}_{n}.JPEG": b"xy" for n in range(3)}) for w in WNIDS}
    )
    solution = "ImageId,PredictionString\n" + "".join(
        f"{name},{wnid} 1 2 3 4\n" for name, wnid in zip(names, WNIDS, strict=True)
    )
    val = "".join(f"{name}.JPEG {n}\n" for n, name in enumerate(names))
    return {
        **dict.fromkeys(("synset_words.txt", "LOC_synset_mapping.txt", "words.txt"), words),
        "val.txt": val.encode(),
        "LOC_val_solution.csv": solution.encode(),
        "ILSVRC2012_img_train.tar": class_tars,
        "fall11_whole.tar": class_tars,
        "ILSVRC2012_img_val.tar": flat,
    }


def make_layout(rng: Random) -> bytes:
    name = rng.choice(sorted(layout_files()))
    data = mutate(layout_files()[name], rng, list(layout_files().values()))
    return name.encode() + b"\n" + data


def read_layout(data: bytes, folder: Path) -> None:
    changed, _, content = data.partition(b"\n")
    changed_name = changed.decode()
    (layout,) = {name for name, files in LAYOUT_FILES.items() if changed_name in files}
    for name, valid in layout_files().items():
        (folder / name).write_bytes(content if name == changed_name else valid)
    if layout == "kaggle":
        images = folder / "ILSVRC/Data/CLS-LOC"
        for split in ("train", "val"):
            for wnid in WNIDS if split == "train" else [""]:
                (images / split / wnid).mkdir(parents=True, exist_ok=True)
        for n, wnid in enumerate(WNIDS, 1):
            (images / "train" / wnid / f"{wnid}_1.JPEG").write_bytes(b"x")
            (images / "val" / f"ILSVRC2012_val_{n:08d}.JPEG").write_bytes(b"x")
    if layout == "archives":
        (folder / f"{KIT}.tar.gz").write_bytes(_small_devkit())
    read_rows(layouts.read_index(folder, layout, 0, 0.5), folder)


@cache
def _small_devkit() -> bytes:
    """Return a devkit of the classes and images of `layout_files`."""
    numbers = {"num_children": np.array([0]), "num_train_images": np.array([3])}
    rows = [
        {"ILSVRC2012_ID": np.array([n]), "WNID": wnid, "words": "fish", **numbers}
        for n, wnid in enumerate(WNIDS, 1)
    ]
    parts = {"meta.mat": write_table("synsets", rows), TRUTH: b"1\n2\n"}
    return gzip.compress(tar_of({f"{KIT}/data/{name}": data for name, data in parts.items()}))
