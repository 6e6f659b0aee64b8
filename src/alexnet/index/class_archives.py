"""Find the tars and folders that hold the images of a split, and index the images in them.

Each is a tar, a tar nested in a tar, or a folder. It holds the images of one class, or of all
classes if the labels are stored elsewhere.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from alexnet.archives.reader import Archives, list_folder
from alexnet.archives.tar import list_tar
from alexnet.dataset.index import ROW, FileEntry, Rows, make_rows
from alexnet.index.completeness import abridge
from alexnet.index.synsets import WORDS_FILES
from alexnet.runtime.errors import InputError
from alexnet.runtime.progress import track

ARRANGE = "arrange the images as <split>/<class>/<image>"


class ClassArchive(NamedTuple):
    """The tar or folder of a class. `start` and `size`: of a tar nested in the tar `path`."""

    name: str
    path: str  # relative to the root
    start: int = 0
    size: int | None = None


def find_class_archives(root: Path, path: str) -> list[ClassArchive]:
    """Return the archive of each class.

    `path`: a tar of tars, a folder of tars or a folder of folders, relative to `root`. Raises
    InputError if the folder is empty or contains anything else.
    """
    if (root / path).is_dir():
        return _find_in_folder(root, path)
    return [
        ClassArchive(name.decode(errors="replace").removesuffix(".tar"), path, start, size)
        for name, start, size in list_tar(root / path)
    ]


def _find_in_folder(root: Path, path: str) -> list[ClassArchive]:
    shown = [entry for entry in sorted((root / path).iterdir()) if not entry.name.startswith(".")]
    entries = [entry for entry in shown if entry.name not in WORDS_FILES]
    if not entries:
        raise InputError(f"{root / path} contains no class folders", ARRANGE)
    are_tars = _is_tar(entries[0])
    for entry in entries:
        if not (_is_tar(entry) if are_tars else entry.is_dir()):
            raise InputError(f"{entry} is not a class {'tar' if are_tars else 'folder'}", ARRANGE)
    return [
        ClassArchive(entry.name.removesuffix(".tar"), str(Path(path) / entry.name))
        for entry in entries
    ]


def _is_tar(path: Path) -> bool:
    return path.suffix == ".tar" and path.is_file()


def index_classes(
    root: Path,
    classes: Sequence[ClassArchive],
    label_of: Mapping[str, int],
    archives: Archives,
    split: str,
) -> Rows:
    """Return the rows of all `classes` in label order.

    Appends new tars and folders to `archives`. Raises InputError for an unknown class, and in train
    for a class without images.
    """
    for archive in classes:
        if archive.name not in label_of:
            unknown = f"unknown class {archive.name!r}; known: {abridge(list(label_of))}"
            fix = "use the devkit of this data set, and the same class names in all splits"
            raise InputError(f"{root / archive.path} holds the {unknown}", fix)
    tables = [np.empty(0, ROW)]
    for archive in track(classes, len(classes), f"index {split}", "classes"):
        tables.append(_index(root, archive, label_of[archive.name], archives))
        if split == "train" and not len(tables[-1]):
            what = f"{root / archive.path}: class {archive.name} has no images"
            raise InputError(what, "add images to it, or remove it from all splits")
    tables.sort(key=lambda rows: rows["label"][0] if len(rows) else -1)
    return np.concatenate(tables)


def index_flat(root: Path, path: str, archives: Archives) -> Rows:
    """Return a flat tar's or folder's rows by name, labelled −1. Extends `archives`."""
    return _index(root, ClassArchive("", path), -1, archives)


def _index(root: Path, archive: ClassArchive, label: int, archives: Archives) -> Rows:
    path = root / archive.path
    files: list[FileEntry]
    if path.is_dir():
        sizes = list_folder(path)
        files = [(os.fsencode(name), 0, size) for name, size in sizes.items()]
        total = sum(sizes.values())
    else:
        files = list_tar(path, archive.start, archive.size)
        total = path.stat().st_size
    if not archives or archives[-1][0] != archive.path:  # the tars in one tar share an entry
        archives.append((archive.path, total))
    return make_rows(files, label, len(archives) - 1)
