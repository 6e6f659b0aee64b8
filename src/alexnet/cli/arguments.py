"""Arguments that several commands share."""

from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path

from alexnet.runtime import paths
from alexnet.runtime.errors import InputError


def add_model(parser: ArgumentParser) -> None:
    """Add --model, the file to load."""
    text = "model.safetensors or its folder (default data/train of the checkout)"
    parser.add_argument("--model", type=Path, metavar="FILE", help=text)


def add_parameters(parser: ArgumentParser) -> None:
    """Add key=value arguments, which override parameters as they do for a stage."""
    text = "override a parameter, as for a stage: dataset=folder"
    parser.add_argument("parameters", nargs="*", metavar="key=value", help=text)


def positive_int(text: str) -> int:
    """Parse a decimal integer of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a positive integer")
    return int(text)


def find_model(path: Path | None) -> Path:
    """Return `path` or this checkout's model. Raises InputError if missing."""
    from alexnet.model.model_file import MODEL

    model = path or paths.CHECKOUT / "data/train" / MODEL
    if not model.exists():
        raise InputError(f"model {model} does not exist", "dvc repro, or --model FILE")
    return model
