"""Where the checkout and the raw data are."""

import os
from pathlib import Path

from alexnet.runtime.errors import InputError

CHECKOUT = Path(__file__).resolve().parents[3]


def home() -> Path:
    """Return the main checkout, even in the copy where DVC runs a queued experiment."""
    return Path(os.environ.get("DVC_ROOT", CHECKOUT))


def raw_folder(root: str) -> Path:
    """Return a raw data set's folder: IMAGENET_ROOT if set, else `root`, relative to home().

    Raises InputError if the folder does not exist.
    """
    folder = home() / os.environ.get("IMAGENET_ROOT", root)
    if not folder.is_dir():
        raise InputError(
            f"the raw data set's folder {folder} does not exist",
            "set IMAGENET_ROOT to the folder that holds it",
        )
    return folder
