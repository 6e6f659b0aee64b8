"""Data sets without a devkit: a folder for each class, or ImageNet's tar for each synset.

Labels are in the devkit's order if the classes are those of ILSVRC-2012, else in sorted order.
"""

from collections.abc import Iterable
from pathlib import Path

from alexnet.archives.reader import Archives
from alexnet.dataset.index import Index, Rows, Synset, hold_out, shuffle
from alexnet.index.class_archives import ClassArchive, find_class_archives, index_classes
from alexnet.index.completeness import check_totals
from alexnet.index.synsets import is_synset_tar, map_labels, order_classes, read_words
from alexnet.runtime.errors import InputError

WHOLE_TARS = ("fall11_whole.tar", "winter21_whole.tar")
TAR_FOLDERS = ("", "fall11_whole", "winter21_whole")


def read_folder(root: Path, seed: int, fraction: float) -> Index:
    """Index class folders, alone or in train/, val/ and perhaps test/.

    If they are alone, `fraction` of each class is held out for val. Raises InputError if train/ or
    val/ is missing, empty or contains anything else, or if val/ has a class that train/ lacks.
    """
    if not (root / "train").exists() and not (root / "val").exists():
        return _index_and_hold_out(root, find_class_archives(root, ""), seed, fraction)
    for split in ("train", "val"):
        if not (root / split).is_dir():
            raise InputError(
                f"{root / split} is missing",
                "set IMAGENET_ROOT (or conf/dataset/folder.yaml:root) to a folder that contains "
                "train/<class>/<image> and val/<class>/<image>",
            )
    names = [split for split in ("train", "val", "test") if (root / split).is_dir()]
    classes = {split: find_class_archives(root, split) for split in names}
    synsets = _order(root, classes["train"])
    archives: Archives = []
    splits: dict[str, Rows] = {}
    for split in names:
        splits[split] = index_classes(root, classes[split], map_labels(synsets), archives, split)
        if not len(splits[split]):
            raise InputError(f"{root / split} contains no images", "put images into its classes")
    check_totals(root, synsets, len(splits["train"]), len(splits["val"]))
    return Index(splits | {"train": shuffle(splits["train"], seed)}, archives, synsets)


def read_synset_tars(root: Path, seed: int, fraction: float) -> Index:
    """Index ImageNet as one tar for each synset.

    `fraction` of each class is held out for val. words.txt beside the tars describes the synsets.
    Raises InputError if there is no tar, or one is damaged or empty.
    """
    return _index_and_hold_out(root, _find_synset_tars(root), seed, fraction)


def has_synset_tars(root: Path) -> bool:
    """Return whether `root` contains tars of synsets, nested or not."""
    return any((root / name).is_file() for name in WHOLE_TARS) or any(
        _contains_synset_tar(root / folder) for folder in TAR_FOLDERS
    )


def _index_and_hold_out(
    root: Path, classes: list[ClassArchive], seed: int, fraction: float
) -> Index:
    """Index a data set without a val of its own."""
    synsets = _order(root, classes)
    archives: Archives = []
    rows = index_classes(root, classes, map_labels(synsets), archives, "train")
    check_totals(root, synsets, len(rows), None)
    train, val = hold_out(rows, fraction, seed)
    return Index({"train": shuffle(train, seed), "val": val}, archives, synsets)


def _order(root: Path, classes: Iterable[ClassArchive]) -> list[Synset]:
    return order_classes((archive.name for archive in classes), read_words(root))


def _find_synset_tars(root: Path) -> list[ClassArchive]:
    """Return the tars nested in one tar, or those in a folder. Other files are ignored."""
    whole = next((name for name in WHOLE_TARS if (root / name).is_file()), None)
    if whole:
        found = find_class_archives(root, whole)
    else:
        folder = next((name for name in TAR_FOLDERS if _contains_synset_tar(root / name)), "")
        paths = sorted((root / folder).glob("*.tar"))
        found = [ClassArchive(path.stem, str(Path(folder) / path.name)) for path in paths]
    tars = [archive for archive in found if is_synset_tar(f"{archive.name}.tar")]
    if not tars:
        raise InputError(f"{root / (whole or '')} contains no n########.tar", "download it again")
    return tars


def _contains_synset_tar(folder: Path) -> bool:
    return folder.is_dir() and any(is_synset_tar(path.name) for path in folder.iterdir())
