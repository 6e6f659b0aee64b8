"""Tars of ImageNet's size and shape whose images are holes in the file: an index reads headers.

Where the headers lie far apart each is an extent of its own; on a disk mounted with `discard` it
can take longer to delete such a file than to read it.
"""

import gzip
import io
import os
import tarfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.io

from alexnet.index.completeness import TRAIN_IMAGES, VAL_IMAGES
from alexnet.index.ilsvrc import DEVKIT, TRAIN_TAR, VAL_TAR
from alexnet.index.synsets import ilsvrc2012_wnids
from alexnet.miniature.devkit import KIT, TRUTH

BLOCK = tarfile.BLOCKSIZE
NAME_BYTES, CHECKSUM = 100, slice(148, 154)  # of a header: where its name ends, six octal digits
DIGITS = 3 * np.arange(5, -1, -1)
FALL_2011 = (21_841, 14_197_122)  # synsets, images


def write_ilsvrc2012(root: Path, image_bytes: int) -> None:
    """The three archives as downloaded, all 1,331,167 images of them; each of so many bytes."""
    wnids, counts = ilsvrc2012_wnids(), spread_evenly(TRAIN_IMAGES, 1000)
    with (root / TRAIN_TAR).open("wb") as file:
        end = 0
        for wnid, count in zip(wnids, counts, strict=True):
            size = tar_bytes(count, image_bytes)
            os.pwrite(file.fileno(), headers([f"{wnid}.tar"], size).tobytes(), end)
            names = [f"{wnid}_{n}.JPEG" for n in range(count)]
            end = write_tar(file.fileno(), end + BLOCK, names, image_bytes)
        file.truncate(end + 2 * BLOCK)
    with (root / VAL_TAR).open("wb") as file:
        names = [f"ILSVRC2012_val_{n:08d}.JPEG" for n in range(1, VAL_IMAGES + 1)]
        write_tar(file.fileno(), 0, names, image_bytes)
    write_devkit(root / DEVKIT, wnids, counts)


def write_fall2011(root: Path, image_bytes: int, share: float) -> int:
    """A folder of a tar a synset, the first `share` of them. Returns the number of images."""
    synsets, images = FALL_2011
    counts = spread_evenly(images, synsets)[: round(share * synsets)]
    for synset, count in enumerate(counts):
        with (root / f"n{synset:08d}.tar").open("wb") as file:
            names = [f"n{synset:08d}_{n}.JPEG" for n in range(count)]
            write_tar(file.fileno(), 0, names, image_bytes)
    return sum(counts)


def write_tar(file: int, start: int, names: list[str], image_bytes: int) -> int:
    """Headers alone, each where it belongs; between them nothing is written. Returns the end."""
    step = BLOCK + padded(image_bytes)
    for n, header in enumerate(headers(names, image_bytes)):
        os.pwrite(file, header.data, start + n * step)
    end = start + tar_bytes(len(names), image_bytes)
    os.truncate(file, max(end, os.fstat(file).st_size))
    return end


def headers(names: list[str], size: int) -> npt.NDArray[np.uint8]:
    """(n, 512) uint8: those that tarfile would write one by one, names of at most 100 bytes."""
    template = tarfile.TarInfo("")
    template.size = size
    made = np.tile(np.frombuffer(template.tobuf(tarfile.USTAR_FORMAT), np.uint8), (len(names), 1))
    made[:, :NAME_BYTES] = np.array(names, f"S{NAME_BYTES}").view(np.uint8).reshape(len(names), -1)
    made[:, CHECKSUM] = ord(" ")
    made[:, 154:156] = ord(" ")
    sums = made.sum(1, np.int64)
    made[:, CHECKSUM] = ord("0") + (sums[:, None] >> DIGITS & 7)
    made[:, 154] = 0
    return made


def tar_bytes(count: int, image_bytes: int) -> int:
    """Of a tar of so many images, with the two empty blocks at its end."""
    return count * (BLOCK + padded(image_bytes)) + 2 * BLOCK


def padded(size: int) -> int:
    """To whole blocks."""
    return -(-size // BLOCK) * BLOCK


def spread_evenly(images: int, classes: int) -> list[int]:
    """Images a class, which differ by one at most."""
    return [images * (n + 1) // classes - images * n // classes for n in range(classes)]


def write_devkit(path: Path, wnids: list[str], counts: list[int]) -> None:
    """meta.mat and the ground truth, as far as they are read."""
    names = ("ILSVRC2012_ID", "WNID", "words", "num_children", "num_train_images")
    table = np.empty((len(wnids), 1), [(name, object) for name in names])
    table[:, 0] = [
        (n, wnid, wnid, 0, count)
        for n, (wnid, count) in enumerate(zip(wnids, counts, strict=True), 1)
    ]
    meta = io.BytesIO()
    scipy.io.savemat(meta, {"synsets": table})
    truth = "".join(f"{n % len(wnids) + 1}\n" for n in range(VAL_IMAGES)).encode()
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, data in {"meta.mat": meta.getvalue(), TRUTH: truth}.items():
            member = tarfile.TarInfo(f"{KIT}/data/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    path.write_bytes(gzip.compress(made.getvalue()))
