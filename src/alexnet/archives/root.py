"""Find the folder of the raw data; draw the miniature if it does not exist yet."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from alexnet.dataset import matlab
from alexnet.miniature import classes, devkit, generate, geometry, render
from alexnet.runtime.paths import home, raw_folder
from alexnet.runtime.scratch import fingerprint, hold_lock


def open_raw(root: str, seed: int, drawn: Mapping[str, int] | None) -> Path:
    """Return the folder of the raw data set.

    `drawn`: the numbers of classes and images of a miniature, which is drawn if it does not exist;
    None for any other data set. Raises InputError as `raw_folder`.
    """
    return raw_folder(root) if drawn is None else _draw_once(root, seed, drawn)


def drawn_folder(root: str, seed: int, counts: Mapping[str, int]) -> Path:
    """Return the miniature's folder, drawn or not.

    Its name ends with a hash of seed, counts and drawing code, so that versions can coexist.
    """
    modules = (devkit, matlab, render, classes, generate, geometry, *classes.KINDS)
    sources = (Path(str(module.__file__)) for module in modules)
    return home() / f"{root}-{fingerprint(seed, dict(counts), *sources)[:8]}"


def _draw_once(root: str, seed: int, counts: Mapping[str, int]) -> Path:
    folder = drawn_folder(root, seed, counts)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with hold_lock(folder.with_suffix(".lock")):
        if not folder.exists():
            for unfinished in folder.parent.glob(f"{folder.name}.*.partial"):  # of a killed run
                shutil.rmtree(unfinished)
            generate.write_miniature(folder, seed=seed, **counts)
    return folder
