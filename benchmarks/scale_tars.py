"""Sparse tars of ImageNet's size: real headers, which an index reads, and holes for the images.

Headers that are far apart are separate extents: on a disk mounted with `discard`, deleting such a
file can take longer than reading it.
"""

import gzip
import io
import os
import tarfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alexnet.dataset.matlab import Numbers, write_table
from alexnet.index.completeness import TRAIN_IMAGES, VAL_IMAGES
from alexnet.index.ilsvrc import DEVKIT, TRAIN_TAR, VAL_TAR
from alexnet.index.synsets import ilsvrc2012_wnids
from alexnet.miniature.devkit import KIT, TRUTH

BLOCK = tarfile.BLOCKSIZE
NAME_BYTES, CHECKSUM = 100, slice(148, 154)  # in a header: bytes of the name; six octal digits
DIGITS = 3 * np.arange(5, -1, -1)
FALL_2011 = (21_841, 14_197_122)  # synsets, images


def write_ilsvrc2012(root: Path, image_bytes: int) -> None:
    """Write the three archives with all 1,331,167 images of `image_bytes` each."""
    wnids, counts = ilsvrc2012_wnids(), split_evenly(TRAIN_IMAGES, 1000)
    with (root / TRAIN_TAR).open("wb") as file:
        end = 0
        for wnid, count in zip(wnids, counts, strict=True):
            size = tar_size(count, image_bytes)
            os.pwrite(file.fileno(), make_headers([f"{wnid}.tar"], size).tobytes(), end)
            names = [f"{wnid}_{n}.JPEG" for n in range(count)]
            end = write_tar(file.fileno(), end + BLOCK, names, image_bytes)
        file.truncate(end + 2 * BLOCK)
    with (root / VAL_TAR).open("wb") as file:
        names = [f"ILSVRC2012_val_{n:08d}.JPEG" for n in range(1, VAL_IMAGES + 1)]
        write_tar(file.fileno(), 0, names, image_bytes)
    write_devkit(root / DEVKIT, wnids, counts)


def write_fall2011(root: Path, image_bytes: int, share: float) -> int:
    """Write one tar per synset, for the first `share` of them; return the number of images."""
    synsets, images = FALL_2011
    counts = split_evenly(images, synsets)[: round(share * synsets)]
    for synset, count in enumerate(counts):
        with (root / f"n{synset:08d}.tar").open("wb") as file:
            names = [f"n{synset:08d}_{n}.JPEG" for n in range(count)]
            write_tar(file.fileno(), 0, names, image_bytes)
    return sum(counts)


def write_tar(file: int, start: int, names: list[str], image_bytes: int) -> int:
    """Write only the headers, each at its offset; return the end of the tar."""
    step = BLOCK + round_to_blocks(image_bytes)
    for n, header in enumerate(make_headers(names, image_bytes)):
        os.pwrite(file, header.data, start + n * step)
    end = start + tar_size(len(names), image_bytes)
    os.truncate(file, max(end, os.fstat(file).st_size))
    return end


def make_headers(names: list[str], size: int) -> npt.NDArray[np.uint8]:
    """Return (n, 512) uint8, equal to tarfile's headers; names of at most 100 bytes."""
    template = tarfile.TarInfo("")
    template.size = size
    headers = np.tile(
        np.frombuffer(template.tobuf(tarfile.USTAR_FORMAT), np.uint8), (len(names), 1)
    )
    headers[:, :NAME_BYTES] = (
        np.array(names, f"S{NAME_BYTES}").view(np.uint8).reshape(len(names), -1)
    )
    headers[:, CHECKSUM] = ord(" ")
    headers[:, 154:156] = ord(" ")
    sums = headers.sum(1, np.int64)
    headers[:, CHECKSUM] = ord("0") + (sums[:, None] >> DIGITS & 7)
    headers[:, 154] = 0
    return headers


def tar_size(count: int, image_bytes: int) -> int:
    """Return the bytes of a tar of `count` images, with the two empty blocks at its end."""
    return count * (BLOCK + round_to_blocks(image_bytes)) + 2 * BLOCK


def round_to_blocks(size: int) -> int:
    """Return the size rounded up to whole blocks."""
    return -(-size // BLOCK) * BLOCK


def split_evenly(images: int, classes: int) -> list[int]:
    """Return the number of images of each class; they differ by at most one."""
    return [images * (n + 1) // classes - images * n // classes for n in range(classes)]


def write_devkit(path: Path, wnids: list[str], counts: list[int]) -> None:
    """Write a devkit with only the fields of meta.mat and ground truth that are read."""
    rows: list[dict[str, str | Numbers]] = [
        {
            "ILSVRC2012_ID": np.array([n]),
            "WNID": wnid,
            "words": wnid,
            "num_children": np.array([0]),
            "num_train_images": np.array([count]),
        }
        for n, (wnid, count) in enumerate(zip(wnids, counts, strict=True), 1)
    ]
    meta = write_table("synsets", rows)
    truth = "".join(f"{n % len(wnids) + 1}\n" for n in range(VAL_IMAGES)).encode()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, data in {"meta.mat": meta, TRUTH: truth}.items():
            member = tarfile.TarInfo(f"{KIT}/data/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    path.write_bytes(gzip.compress(archive.getvalue()))
