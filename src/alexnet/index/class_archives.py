"""The parts of a split, each a tar, a tar in a tar or a folder, as rows of an index.

A part holds the images of one class, or those of all, with the labels told elsewhere.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from alexnet.archives.reader import files_in
from alexnet.archives.tar import stored_files
from alexnet.dataset.index import ROW, FileEntry, Rows, make_rows
from alexnet.index.synsets import WORDS
from alexnet.runtime.errors import InputError
from alexnet.runtime.progress import track

Archives = list[tuple[str, int]]  # path relative to the root, bytes


class Part(NamedTuple):
    """`name`: of the class. `path`: relative to the root; `start`, `size`: of a tar in that tar."""

    name: str
    path: str
    start: int = 0
    size: int | None = None


def class_parts(root: Path, path: str) -> list[Part]:
    """A part a class: of a tar of tars, of a folder of tars or of a folder of folders.

    Raises InputError where the folder holds other things, or nothing.
    """
    if (root / path).is_dir():
        return _beside_each_other(root, path)
    tars = stored_files(root / path)
    return [
        Part(name.decode(errors="replace").removesuffix(".tar"), path, *place)
        for name, *place in tars
    ]


def _beside_each_other(root: Path, path: str) -> list[Part]:
    entries = sorted((root / path).iterdir())
    shown = [e for e in entries if not e.name.startswith(".") and e.name not in WORDS]
    if not shown:
        raise InputError(f"{root / path} is empty", "put a folder a class into it")
    are_tars = shown[0].suffix == ".tar" and shown[0].is_file()
    for entry in shown:
        if not (entry.is_file() and entry.suffix == ".tar" if are_tars else entry.is_dir()):
            what = "a class's tar" if are_tars else "a class folder"
            raise InputError(f"{entry} is not {what}", "keep to <split>/<class>/<image>")
    return [Part(entry.name.removesuffix(".tar"), str(Path(path) / entry.name)) for entry in shown]


def class_rows(
    root: Path, parts: Sequence[Part], label_of: Mapping[str, int], archives: Archives, split: str
) -> Rows:
    """The rows of all `parts`, in order of the labels; new archives are added to `archives`.

    Raises InputError for a class that is none, and for a class of train without an image.
    """
    for part in parts:
        if part.name not in label_of:
            holds = f"{root / part.path} holds {part.name}, not a class of the devkit or of train"
            raise InputError(holds, "use the devkit of this very set, and the same classes in all")
    tables = [np.empty(0, ROW)]
    for part in track(parts, len(parts), f"index {split}", "classes"):
        tables.append(_rows(root, part, label_of[part.name], archives))
        if split == "train" and not len(tables[-1]):
            raise InputError(f"{root / part.path}: {part.name} holds no image", "put some into it")
    tables.sort(key=lambda rows: rows["label"][0] if len(rows) else -1)
    return np.concatenate(tables)


def flat_rows(root: Path, path: str, archives: Archives) -> Rows:
    """The rows of one flat tar or folder in order of the names, with −1 in place of a label."""
    return _rows(root, Part("", path), -1, archives)


def _rows(root: Path, part: Part, label: int, archives: Archives) -> Rows:
    path = root / part.path
    files: list[FileEntry]
    if path.is_dir():
        files = [(os.fsencode(name), 0, n) for name, n in files_in(path).items()]
        size = sum(n for *_, n in files)
    else:
        files = stored_files(path, part.start, part.size)
        size = path.stat().st_size
    if not archives or archives[-1][0] != part.path:
        archives.append((part.path, size))
    return make_rows(files, label, len(archives) - 1)
