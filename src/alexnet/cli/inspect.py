"""`alexnet inspect`: print and draw what a stage wrote."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet.cli.arguments import add_model, find_model
from alexnet.runtime import paths
from alexnet.runtime.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    Summary = tuple[Iterable[Table], Callable[[], Mapping[str, bytes]]]  # tables, PNG files by name

HELP = "print and draw what a stage wrote"
EXAMPLES = """  alexnet inspect shards
  alexnet inspect model --pictures /tmp/pictures
  alexnet inspect model --model model.safetensors"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add what to inspect, and where to draw it."""
    parser.add_argument("what", choices=list(SUMMARIES), help="what to inspect")
    pictures = "also write pictures to this folder"
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help=pictures)
    add_model(parser)


def run(args: Namespace) -> int:
    """Print the tables, and write the pictures if a folder is given."""
    from alexnet.cli.terminal import Screen

    tables, draw = SUMMARIES[args.what](args)
    screen = Screen()
    for table in tables:
        screen.print(table)
    if args.pictures:
        for name, png in draw().items():
            print(_write_picture(args.pictures, name, png))
    return 0


def _index(args: Namespace) -> Summary:
    from alexnet.cli.data_summary import index_tables

    return index_tables(paths.CHECKOUT / "data/index"), dict


def _shards(args: Namespace) -> Summary:
    from alexnet.cli.data_summary import contact_sheet, shards_tables
    from alexnet.dataset.index import load_index

    data = paths.CHECKOUT / "data"
    folders = [data / "shards" / split for split in load_index(data / "index").splits]
    tables = (table for folder in folders for table in shards_tables(folder))
    return tables, lambda: {folder.name: contact_sheet(folder) for folder in folders}


def _moments(args: Namespace) -> Summary:
    from alexnet.cli.data_summary import moments_pictures, moments_table

    data = paths.CHECKOUT / "data"
    return [moments_table(data / "moments")], lambda: moments_pictures(data)


def _model(args: Namespace) -> Summary:
    from alexnet.cli.model_summary import model_pictures, model_tables
    from alexnet.model.model_file import read_model

    weights, _, description = read_model(find_model(args.model))
    return model_tables(weights, description), lambda: model_pictures(weights, description)


SUMMARIES: dict[str, Callable[[Namespace], Summary]] = {
    "index": _index,
    "shards": _shards,
    "moments": _moments,
    "model": _model,
}


def _write_picture(folder: Path, name: str, png: bytes) -> Path:
    path = folder / f"{name}.png"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png)
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror}", "choose another folder"
        ) from None
    return path
