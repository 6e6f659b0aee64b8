"""Where the checkout and the raw data lie."""

import os
from pathlib import Path

from alexnet.runtime.errors import InputError

CHECKOUT = Path(__file__).resolve().parents[3]


def home() -> Path:
    """The main checkout, also from the copy in which DVC runs a queued experiment."""
    return Path(os.environ.get("DVC_ROOT", CHECKOUT))


def raw_folder(root: str) -> Path:
    """The folder of a raw data set: IMAGENET_ROOT in the environment, else `root` under home.

    Raises InputError where there is no such folder.
    """
    folder = home() / os.environ.get("IMAGENET_ROOT", root)
    if not folder.is_dir():
        raise InputError(
            f"the raw data set's folder {folder} does not exist",
            "set IMAGENET_ROOT to the folder that holds it",
        )
    return folder
