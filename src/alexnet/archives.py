"""Raw layouts → index rows; one image's bytes back. Nothing is ever extracted.

Archives as downloaded (tar of tars, flat val tar, devkit) and trees with a folder a class.
"""

import os
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from alexnet import devkit, drawings, miniature, shapes
from alexnet.devkit import read_devkit
from alexnet.errors import InputError
from alexnet.index import ROW, Index, Rows, Synset, shuffled
from alexnet.progress import track
from alexnet.scratch import fingerprint, home, locked

TRAIN_TAR = "ILSVRC2012_img_train.tar"
VAL_TAR = "ILSVRC2012_img_val.tar"
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"


def open_raw(root: str, seed: int, drawn: Mapping[str, int] | None) -> Path:
    """The folder of the raw data set; `drawn`, the miniature's counts, is drawn if it isn't there.

    IMAGENET_ROOT in the environment goes before `root`, which is relative to the main checkout.
    Raises InputError where there is no such folder.
    """
    if drawn is not None:
        return _drawn(root, seed, drawn)
    folder = home() / os.environ.get("IMAGENET_ROOT", root)
    if not folder.is_dir():
        raise InputError(
            f"the raw data set's folder {folder} does not exist",
            "set IMAGENET_ROOT to the folder that holds it",
        )
    return folder


def _drawn(root: str, seed: int, counts: Mapping[str, int]) -> Path:
    """The miniature's name says what drew it: others, with other counts, can lie beside it."""
    sources = (Path(str(module.__file__)) for module in (devkit, drawings, miniature, shapes))
    folder = home() / f"{root}-{fingerprint(seed, dict(counts), *sources)[:8]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_suffix(".lock")):
        if not folder.exists():
            for killed in folder.parent.glob(f"{folder.name}.*.partial"):
                shutil.rmtree(killed)
            miniature.write_miniature(folder, seed=seed, **counts)
    return folder


def index_archives(root: Path, seed: int) -> Index:
    """Walk ILSVRC-2012 as downloaded. Labels are ILSVRC2012_ID − 1, never in alphabetical order.

    Raises InputError where an archive is missing, cut short, or contradicts the devkit.
    """
    for name in (TRAIN_TAR, VAL_TAR, DEVKIT):
        if not (root / name).is_file():
            raise InputError(
                f"{root / name} is missing",
                "set IMAGENET_ROOT to the folder that holds the three ILSVRC-2012 archives, "
                "or choose dataset: folder in params.yaml",
            )
    synsets, truth, counts = read_devkit(root / DEVKIT)
    label_of = {synset.wnid: label for label, synset in enumerate(synsets)}
    train = _rows(_train_rows(root / TRAIN_TAR, label_of))
    val = _rows(_val_rows(root / VAL_TAR, truth))
    _check_counts(root, train, counts, val, truth)
    archives = [(name, (root / name).stat().st_size) for name in (TRAIN_TAR, VAL_TAR)]
    return Index({"train": shuffled(train, seed), "val": val}, archives, synsets)


def index_folder(root: Path, seed: int) -> Index:
    """Walk train/ and val/, in each a folder a class; labels in the order of the sorted names.

    Raises InputError where train/ or val/ is missing or empty or val has a class train lacks.
    """
    for split in ("train", "val"):
        if not (root / split).is_dir():
            raise InputError(
                f"{root / split} is missing",
                "set IMAGENET_ROOT (or conf/dataset/folder.yaml:root) to a folder that holds "
                "train/ and val/, in each a folder a class",
            )
    names = [folder.name for folder in _listed(root / "train", Path.is_dir, "a class folder")]
    label_of = {name: label for label, name in enumerate(names)}
    archives: list[tuple[str, int]] = []
    splits = {
        split: _rows(_folder_rows(root, split, label_of, archives)) for split in ("train", "val")
    }
    for split, rows in splits.items():
        if not len(rows):
            raise InputError(f"{root / split} holds no image", "put a folder a class into it")
    splits["train"] = shuffled(splits["train"], seed)
    return Index(splits, archives, [Synset(0, name, name) for name in names])


def check_unchanged(root: Path, archives: list[tuple[str, int]]) -> None:
    """Raise InputError where an archive is missing or no longer of the size indexed."""
    for path, size in archives:
        if not (root / path).exists() or _size(root / path) != size:
            raise InputError(
                f"{root / path} is not what was indexed ({size:,} bytes then)",
                "dvc repro -f index",
            )


def read_image(root: Path, archives: list[tuple[str, int]], row: Any) -> bytes:
    """The bytes of the image file that an index row stands for.

    Raises InputError where the archive ends before the image does.
    """
    archive = root / archives[row["archive"]][0]
    name = os.fsdecode(bytes(row["name"]))
    path = archive / name if archive.is_dir() else archive
    with path.open("rb") as file:
        file.seek(row["offset"])
        data: bytes = file.read(row["size"])
    if len(data) != row["size"]:
        raise InputError(f"{path} ends inside {name}", "dvc repro -f index")
    return data


def _members(file: BinaryIO, path: Path) -> Iterator[tarfile.TarInfo]:
    """The regular files of the tar that starts where `file` stands; offsets are into `file`."""
    try:
        with tarfile.TarFile(fileobj=file) as tar:
            yield from (member for member in tar if member.isfile())
    except tarfile.TarError as error:
        raise InputError(f"{path} is damaged: {error}", "download it again") from None


def _train_rows(path: Path, label_of: dict[str, int]) -> Iterator[tuple[Any, ...]]:
    with path.open("rb") as file:
        synsets = list(_members(file, path))
        for synset in track(synsets, len(synsets), "index train", "classes"):
            wnid = Path(synset.name).stem
            if wnid not in label_of:
                raise InputError(
                    f"{path} holds {synset.name}, not a class of the devkit",
                    "use ILSVRC-2012's own devkit",
                )
            file.seek(synset.offset_data)
            for member in _members(file, path):
                yield label_of[wnid], 0, member.offset_data, member.size, member.name


def _val_rows(path: Path, truth: list[int]) -> Iterator[tuple[Any, ...]]:
    with path.open("rb") as file:
        for member in sorted(_members(file, path), key=lambda member: member.name):
            number = re.search(r"_(\d+)\.JPEG$", member.name)
            if not number or not 1 <= int(number[1]) <= len(truth):
                raise InputError(
                    f"{path} holds {member.name}, which the ground truth lacks",
                    "use ILSVRC-2012's own devkit",
                )
            yield truth[int(number[1]) - 1], 1, member.offset_data, member.size, member.name


def _folder_rows(
    root: Path, split: str, label_of: dict[str, int], archives: list[tuple[str, int]]
) -> Iterator[tuple[Any, ...]]:
    folders = _listed(root / split, Path.is_dir, "a class folder")
    for folder in track(folders, len(folders), f"index {split}", "classes"):
        if folder.name not in label_of:
            raise InputError(
                f"{folder} is a class that {root / 'train'} lacks",
                "give train/ and val/ the same classes",
            )
        for file in _listed(folder, Path.is_file, "an image"):
            yield label_of[folder.name], len(archives), 0, file.stat().st_size, file.name
        archives.append((f"{split}/{folder.name}", _size(folder)))


def _listed(folder: Path, fits: Callable[[Path], bool], what: str) -> list[Path]:
    """What is not hidden in `folder`, in order of its names; it all must be `what`."""
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    for path in paths:
        if not fits(path):
            raise InputError(f"{path} is not {what}", "keep to <split>/<class>/<image>")
    return paths


def _rows(rows: Iterator[tuple[Any, ...]]) -> Rows:
    table = list(rows)
    for *_, name in table:
        if len(os.fsencode(name)) > ROW["name"].itemsize:
            raise InputError(f"the file name {name} is longer than 96 bytes", "shorten it")
    return np.array([(*row[:-1], os.fsencode(row[-1])) for row in table], ROW)


def _check_counts(root: Path, train: Rows, counts: list[int], val: Rows, truth: list[int]) -> None:
    found = np.bincount(train["label"], minlength=len(counts))
    short = [label for label, count in enumerate(counts) if found[label] != count]
    if short:
        raise InputError(
            f"{root / TRAIN_TAR} holds {len(train):,} of {sum(counts):,} images; "
            f"{len(short)} classes differ from the devkit's counts",
            "download it again",
        )
    if len(val) != len(truth):
        raise InputError(
            f"{root / VAL_TAR} holds {len(val):,} of {len(truth):,} images", "download it again"
        )


def _size(path: Path) -> int:
    files = _listed(path, Path.is_file, "an image") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)
