"""The folder of the raw data set that the configuration names."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from alexnet.archives.root import drawn_folder, open_raw
from alexnet.config.compose import load_config
from alexnet.runtime.errors import InputError


def find_configured() -> Path | None:
    """Return the raw data set of params.yaml; None if it is missing."""
    try:
        return find_existing(load_config([]).dataset)
    except InputError:
        return None


def find_existing(dataset: Any) -> Path | None:
    """Return a raw data set's root; None if not generated yet.

    Raises InputError if the folder of another data set is missing.
    """
    if not dataset.drawn:
        return open_raw(dataset.root, dataset.seed, None)
    folder = drawn_folder(dataset.root, dataset.seed, asdict(dataset.drawn))
    return folder if folder.exists() else None
