"""Sets without a devkit: a folder a class, or a tar a synset as the whole of ImageNet comes.

Labels are in the devkit's order where the classes are ILSVRC-2012's, else in that of sorted names.
"""

from pathlib import Path

from alexnet.dataset.index import Index, Rows, hold_out, shuffle
from alexnet.index.class_archives import Archives, Part, class_parts, class_rows
from alexnet.index.synsets import check_totals, is_synset_tar, read_words, without_devkit
from alexnet.runtime.errors import InputError

WHOLE_TARS = ("fall11_whole.tar", "winter21_whole.tar")
TAR_FOLDERS = ("", "fall11_whole", "winter21_whole")


def read_folder(root: Path, seed: int, fraction: float) -> Index:
    """train/, val/ and maybe test/, in each a folder a class; or the class folders alone.

    Of class folders alone, `fraction` of each class is held out for val. Raises InputError where
    train/ or val/ is missing, empty or holds other things, or val has a class that train lacks.
    """
    if not (root / "train").exists() and not (root / "val").exists():
        return _split(root, class_parts(root, ""), seed, fraction)
    parts = {split: class_parts(root, _there(root, split)) for split in ("train", "val")}
    if (root / "test").is_dir():
        parts["test"] = class_parts(root, "test")
    synsets = without_devkit((part.name for part in parts["train"]), read_words(root))
    label_of = {synset.wnid: label for label, synset in enumerate(synsets)}
    archives: Archives = []
    splits: dict[str, Rows] = {}
    for split, some in parts.items():
        splits[split] = class_rows(root, some, label_of, archives, split)
        if not len(splits[split]):
            raise InputError(f"{root / split} holds no image", "put a folder a class into it")
    check_totals(root, synsets, len(splits["train"]), len(splits["val"]))
    return Index(splits | {"train": shuffle(splits["train"], seed)}, archives, synsets)


def _there(root: Path, split: str) -> str:
    if not (root / split).is_dir():
        raise InputError(
            f"{root / split} is missing",
            "set IMAGENET_ROOT (or conf/dataset/folder.yaml:root) to a folder that holds "
            "train/ and val/, in each a folder a class",
        )
    return split


def read_synset_tars(root: Path, seed: int, fraction: float) -> Index:
    """One tar a synset, of which `fraction` is held out for val; words from words.txt beside them.

    Raises InputError where there is none, or one is damaged or empty.
    """
    return _split(root, _synset_tars(root), seed, fraction)


def has_synset_tars(root: Path) -> bool:
    """Whether tars of synsets lie here, or one tar of them all."""
    return any((root / name).is_file() for name in WHOLE_TARS) or any(
        _holds_synset_tar(root / folder) for folder in TAR_FOLDERS
    )


def _split(root: Path, parts: list[Part], seed: int, fraction: float) -> Index:
    """A set without a val of its own: a part of each class is held out."""
    synsets = without_devkit((part.name for part in parts), read_words(root))
    label_of = {synset.wnid: label for label, synset in enumerate(synsets)}
    archives: Archives = []
    rows = class_rows(root, parts, label_of, archives, "train")
    check_totals(root, synsets, len(rows), None)
    train, val = hold_out(rows, fraction, seed)
    return Index({"train": shuffle(train, seed), "val": val}, archives, synsets)


def _synset_tars(root: Path) -> list[Part]:
    """The tars of one uncompressed tar, or those of a folder; what else is there is left alone."""
    whole = next((name for name in WHOLE_TARS if (root / name).is_file()), None)
    if whole:
        parts = class_parts(root, whole)
    else:
        folder = next((name for name in TAR_FOLDERS if _holds_synset_tar(root / name)), "")
        paths = sorted((root / folder).glob("*.tar"))
        parts = [Part(path.stem, str(Path(folder) / path.name)) for path in paths]
    parts = [part for part in parts if is_synset_tar(f"{part.name}.tar")]
    if not parts:
        raise InputError(f"{root / (whole or '')} holds no n########.tar", "download it again")
    return parts


def _holds_synset_tar(folder: Path) -> bool:
    return folder.is_dir() and any(is_synset_tar(path.name) for path in folder.iterdir())
