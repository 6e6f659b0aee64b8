"""Recognise the layout of a raw data set by the names in its folder, and index it.

Nothing is unpacked: rows point into the tars and folders as they are.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from alexnet.dataset.index import Index
from alexnet.index import cifar10, ilsvrc, ilsvrc2010, kaggle
from alexnet.index.completeness import abridge
from alexnet.index.folders import has_synset_tars, read_folder, read_synset_tars
from alexnet.index.synsets import WORDS_FILES
from alexnet.runtime.errors import InputError


class Layout(NamedTuple):
    """A layout of raw data and the function that indexes it."""

    description: str
    read: Callable[..., Index]  # read(root, seed), or if `holds_out` read(root, seed, fraction)
    holds_out: bool = False  # a fraction of each class for val, since the data set has none


LAYOUTS = {
    "archives": Layout("ILSVRC-2012 archives as downloaded", ilsvrc.read_archives),
    "extracted": Layout("ILSVRC-2012 extracted, with its devkit", ilsvrc.read_extracted),
    "flat_val": Layout("train tree, flat val and loose ground truth", ilsvrc.read_flat_val),
    "kaggle": Layout("Kaggle's CLS-LOC tree", kaggle.read_kaggle),
    "ilsvrc2010": Layout("ILSVRC-2010 archives as downloaded", ilsvrc2010.read_ilsvrc2010),
    "synset_tars": Layout("one tar for each synset, no val", read_synset_tars, holds_out=True),
    "folder": Layout("a folder for each class", read_folder, holds_out=True),
    "cifar10": Layout("CIFAR-10, binary version", cifar10.read_cifar10),
}
PACKED = {  # files that must be unpacked or replaced: what is wrong, the command that fixes it
    "winter21_whole.tar.gz": ("is compressed and cannot be read by offset", "tar -xzf {} -C {}"),
    "cifar-10-binary.tar.gz": ("is compressed and cannot be read by offset", "tar -xzf {} -C {}"),
    "cifar-10-python.tar.gz": ("is the Python version", "download cifar-10-binary.tar.gz"),
    "imagenet-object-localization-challenge.zip": ("is not unpacked", "unzip {} -d {}"),
}
FIX = (
    "set IMAGENET_ROOT to the folder that contains the data set, or arrange photos as "
    "train/<class>/<image> and val/<class>/<image>"
)


def find_layout(root: Path) -> str:
    """Return the layout of `root`, a key of LAYOUTS.

    Only names are read, no file. Raises InputError, with what `root` contains and what is missing,
    if no layout fits.
    """
    shown = sorted(entry for entry in root.iterdir() if not entry.name.startswith("."))
    names = {entry.name for entry in shown}
    if layout := _find_ilsvrc(root, names) or _find_other(root, shown):
        return layout
    for name, (problem, fix) in PACKED.items():
        if (root / name).is_file():
            raise InputError(f"{root / name} {problem}", fix.format(root / name, root))
    contents = abridge(sorted(names)) or "nothing"
    raise InputError(f"{root} has no known layout: {_missing(root)}; it contains {contents}", FIX)


def read_index(root: Path, layout: str, seed: int, held_out: float | None) -> Index:
    """Index `root`; `layout` is a key of LAYOUTS or "auto".

    `seed` determines the order of train and the images held out. `held_out` is the fraction of each
    class that becomes val; it is ignored if the data set has a val of its own. Raises InputError if
    files are damaged, missing or too many.
    """
    _, read, holds_out = LAYOUTS[find_layout(root) if layout == "auto" else layout]
    return read(root, seed, held_out or 0) if holds_out else read(root, seed)


def describe_label_order(index: Index) -> str:
    """Describe the order of the labels; published results use only the devkit's."""
    wnids = [synset.wnid for synset in index.synsets]
    if index.synsets[0].devkit_id:
        return "labels are ILSVRC ids − 1"
    return f"no devkit: labels in {'sorted' if wnids == sorted(wnids) else 'listed'} order"


def _find_ilsvrc(root: Path, names: set[str]) -> str | None:
    """Return the layout of a form of ILSVRC, complete or not.

    One characteristic file is enough: the layout's reader then says what is missing.
    """
    tars = {ilsvrc.TRAIN_TAR, ilsvrc.VAL_TAR}
    has_images = bool(names & {*ilsvrc.TRAINS, *ilsvrc.VALS})
    if (root / kaggle.IMAGES).is_dir():
        return "kaggle"
    if names & {ilsvrc2010.TRAIN_TAR, *ilsvrc2010.FLAT_TARS.values()}:
        return "ilsvrc2010"
    if names >= {*tars, ilsvrc.DEVKIT}:
        return "archives"
    if has_images and names & set(ilsvrc.DEVKITS):
        folders = {*ilsvrc.TRAINS, *ilsvrc.VALS, *ilsvrc.DEVKITS} - tars - {ilsvrc.DEVKIT}
        return "extracted" if names & folders else "archives"
    has_caffe = ilsvrc.CAFFE_VAL in names and bool(names & set(ilsvrc.CAFFE_SYNSETS))
    if has_images and (ilsvrc.LOOSE[0] in names or (has_caffe and _has_flat_val(root))):
        return "flat_val"
    return "archives" if names & tars else None


def _find_other(root: Path, shown: Sequence[Path]) -> str | None:
    names = {entry.name for entry in shown}
    if names & {cifar10.FOLDER, *cifar10.TRAIN, cifar10.VAL}:
        return "cifar10"
    if has_synset_tars(root):
        return "synset_tars"
    if not names & {"train", "val", "test"}:
        return "folder" if _are_class_folders(shown) else None
    return "folder" if names & {"train", "val"} and not _has_flat_val(root) else None


def _are_class_folders(shown: Sequence[Path]) -> bool:
    """Return whether `shown` are class folders, apart from files with words."""
    classes = [entry for entry in shown if entry.name not in WORDS_FILES]
    fits = all(entry.is_dir() and not entry.name.startswith("ILSVRC") for entry in classes)
    return fits and any(path.is_file() for folder in classes for path in folder.iterdir())


def _has_flat_val(root: Path) -> bool:
    return any((root / val).exists() and ilsvrc.is_flat(root / val) for val in ilsvrc.VALS)


def _missing(root: Path) -> str:
    if _has_flat_val(root):
        loose = " and ".join(ilsvrc.LOOSE)
        return f"val is flat and its ground truth is missing, {ilsvrc.DEVKIT} or {loose}"
    return f"{ilsvrc.TRAIN_TAR} is missing, train is missing, and so is any other known layout"
