"""Which layout a raw data set has, found by looking at its folder, and its index.

Nothing is unpacked: rows point into the tars and folders as they lie there.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from alexnet.dataset.index import Index
from alexnet.index import cifar10, ilsvrc
from alexnet.index.folders import has_synset_tars, read_folder, read_synset_tars
from alexnet.index.synsets import WORDS, some
from alexnet.runtime.errors import InputError
from alexnet.runtime.progress import progress

DESCRIPTIONS = {
    "archives": "ILSVRC-2012 archives as downloaded",
    "extracted": "ILSVRC-2012 extracted, with its devkit",
    "flat_val": "train tree, flat val and loose ground truth",
    "kaggle": "Kaggle's CLS-LOC tree",
    "ilsvrc2010": "ILSVRC-2010 archives as downloaded",
    "synset_tars": "one tar a synset, part held out for val",
    "folder": "a folder a class",
    "cifar10": "CIFAR-10, binary version",
}
PACKED = {  # what cannot be read by offset → what is wrong with it, the command that fixes it
    "winter21_whole.tar.gz": ("cannot be read by offset", "tar -xzf {} -C {}"),
    "cifar-10-binary.tar.gz": ("cannot be read by offset", "tar -xzf {} -C {}"),
    "cifar-10-python.tar.gz": ("is the Python version", "download cifar-10-binary.tar.gz"),
    "imagenet-object-localization-challenge.zip": ("is still packed", "unzip {} -d {}"),
}
MD5 = {
    "ILSVRC2012_img_train.tar": "1d675b47d978889d74fa0da5fadfb00e",
    "ILSVRC2012_img_val.tar": "29b22e2961454d5413ddabcf34fc5622",
    "ILSVRC2012_devkit_t12.tar.gz": "fa75699e90414af021442c21a62c3abf",
    "winter21_whole.tar.gz": "ab313ce03179fd803a401b02c651c0a2",
    "cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530",
}
WITH_VAL = {
    "archives": ilsvrc.read_archives,
    "extracted": ilsvrc.read_extracted,
    "flat_val": ilsvrc.read_flat_val,
    "kaggle": ilsvrc.read_kaggle,
    "ilsvrc2010": ilsvrc.read_ilsvrc2010,
    "cifar10": cifar10.read_cifar10,
}
FIX = "set IMAGENET_ROOT to the folder that holds the data set"
CHUNK = 1 << 22  # bytes read at a time


class Md5(NamedTuple):
    """One official archive: the figure published for it, and that of the file found."""

    name: str
    expected: str
    found: str


def find_layout(root: Path) -> str:
    """The name of the layout that `root` has, a key of DESCRIPTIONS; by names alone, no file read.

    Raises InputError, saying what is there and what is missing, where none fits.
    """
    shown = sorted(entry for entry in root.iterdir() if not entry.name.startswith("."))
    names = {entry.name for entry in shown}
    if layout := _imagenet(root, names) or _other(root, shown):
        return layout
    for name, (why, fix) in PACKED.items():
        if (root / name).is_file():
            raise InputError(f"{root / name} {why}", fix.format(root / name, root))
    there = some(sorted(names)) or "nothing"
    raise InputError(f"{root}: {_lacking(root)}; there is {there}", FIX)


def read_index(root: Path, layout: str, seed: int, held_out: float | None) -> Index:
    """Walk `root`; `layout` is a key of DESCRIPTIONS, or "auto". `seed` draws order and held-out.

    `held_out`: the fraction of each class that becomes val where there is none, else not read.
    Raises InputError where files are damaged, missing or not in their right number.
    """
    match find_layout(root) if layout == "auto" else layout:
        case "folder":
            return read_folder(root, seed, held_out or 0)
        case "synset_tars":
            return read_synset_tars(root, seed, held_out or 0)
        case chosen:
            return WITH_VAL[chosen](root, seed)


def label_order(index: Index) -> str:
    """A few words on what order the labels have: only the devkit's is that of published results."""
    wnids = [synset.wnid for synset in index.synsets]
    if index.synsets[0].devkit_id:
        return "labels are ILSVRC ids − 1"
    return f"no devkit: labels in {'sorted' if wnids == sorted(wnids) else 'listed'} order"


def check_md5(root: Path) -> Iterator[Md5]:
    """Each official archive in `root`, after all of it has been read; a bar counts the bytes."""
    for name, expected in MD5.items():
        path = root / name
        if not path.is_file():
            continue
        digest = hashlib.md5(usedforsecurity=False)
        size = path.stat().st_size
        with path.open("rb") as file, progress(size, f"MD5 of {name}", "bytes") as advance:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                advance(len(chunk))
        yield Md5(name, expected, digest.hexdigest())


def _imagenet(root: Path, names: set[str]) -> str | None:
    """The whole first; then what has one of a set's marks, so that its reader tells what lacks."""
    tars = {ilsvrc.TRAIN_TAR, ilsvrc.VAL_TAR}
    has_images = not names.isdisjoint({*ilsvrc.TRAINS, *ilsvrc.VALS})
    if (root / ilsvrc.KAGGLE_IMAGES).is_dir():
        return "kaggle"
    if not names.isdisjoint({ilsvrc.TRAIN_TAR_2010, *ilsvrc.FLAT_TARS_2010.values()}):
        return "ilsvrc2010"
    if names.issuperset({*tars, ilsvrc.DEVKIT}):
        return "archives"
    if has_images and not names.isdisjoint(ilsvrc.DEVKITS):
        folders = {*ilsvrc.TRAINS, *ilsvrc.VALS, *ilsvrc.DEVKITS} - tars - {ilsvrc.DEVKIT}
        return "extracted" if names & folders else "archives"
    caffe = all(names.intersection(files) for files in ilsvrc.CAFFE) and _val_is_flat(root)
    if has_images and (ilsvrc.LOOSE[0] in names or caffe):
        return "flat_val"
    return "archives" if names & tars else None


def _other(root: Path, shown: list[Path]) -> str | None:
    names = {entry.name for entry in shown}
    if cifar10.FOLDER in names or not names.isdisjoint({*cifar10.TRAIN, cifar10.VAL}):
        return "cifar10"
    if has_synset_tars(root):
        return "synset_tars"
    if names.isdisjoint({"train", "val", "test"}):
        classes = [entry for entry in shown if entry.name not in WORDS]
        fits = all(entry.is_dir() and not entry.name.startswith("ILSVRC") for entry in classes)
        images = fits and any(path.is_file() for folder in classes for path in folder.iterdir())
        return "folder" if images else None
    return "folder" if names & {"train", "val"} and not _val_is_flat(root) else None


def _val_is_flat(root: Path) -> bool:
    return any((root / val).exists() and ilsvrc.is_flat(root / val) for val in ilsvrc.VALS)


def _lacking(root: Path) -> str:
    if _val_is_flat(root):
        loose = " and ".join(ilsvrc.LOOSE)
        return f"val is flat and its ground truth is missing, {ilsvrc.DEVKIT} or {loose}"
    return f"{ilsvrc.TRAIN_TAR} is missing, train is missing, as is any other known layout's mark"
