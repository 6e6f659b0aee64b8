"""The folder of the raw data; the miniature is drawn where it is missing."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from alexnet.dataset import matlab
from alexnet.miniature import classes, devkit, generate, geometry, render
from alexnet.runtime.paths import home, raw_folder
from alexnet.runtime.scratch import fingerprint, hold_lock


def open_raw(root: str, seed: int, drawn: Mapping[str, int] | None) -> Path:
    """The folder of the raw data set; `drawn`, the miniature's counts, is drawn if it isn't there.

    Else as `raw_folder`.
    """
    if drawn is not None:
        return _drawn(root, seed, drawn)
    return raw_folder(root)


def drawn_folder(root: str, seed: int, counts: Mapping[str, int]) -> Path:
    """Where the miniature lies, or will: its name says what drew it, others can lie beside it."""
    modules = (devkit, matlab, render, classes, generate, geometry, *classes.KINDS)
    sources = (Path(str(module.__file__)) for module in modules)
    return home() / f"{root}-{fingerprint(seed, dict(counts), *sources)[:8]}"


def _drawn(root: str, seed: int, counts: Mapping[str, int]) -> Path:
    folder = drawn_folder(root, seed, counts)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with hold_lock(folder.with_suffix(".lock")):
        if not folder.exists():
            for killed in folder.parent.glob(f"{folder.name}.*.partial"):
                shutil.rmtree(killed)
            generate.write_miniature(folder, seed=seed, **counts)
    return folder
