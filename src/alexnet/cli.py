"""`alexnet verify · inspect · doctor`: to look at what the stages made, and at what they will need.

Each command works on the checkout that it is installed from; key=value changes a parameter, as for
a stage.
"""

import argparse
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from alexnet.config import Config, errors_in_one_line, load_config, workers
from alexnet.errors import InputError
from alexnet.scratch import CHECKOUT

DATA = CHECKOUT / "data"
Command = Callable[[argparse.Namespace, Config], int]


def main() -> None:
    """Run the command that the line names; exit 0 if all is well, 1 if not, 2 for a wrong line."""
    arguments = _parser().parse_args()
    command: Command = arguments.command
    with errors_in_one_line():
        sys.exit(command(arguments, load_config(arguments.parameters)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="alexnet", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command, about in COMMANDS:
        sub = commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
        if name == "inspect":
            sub.add_argument("what", choices=["moments"])
            sub.add_argument("--pictures", type=Path, metavar="FOLDER", help="draw them there, too")
        if name == "verify":
            sub.add_argument("--md5", action="store_true", help="of the raw archives, instead")
        sub.add_argument(
            "parameters", nargs="*", metavar="key=value", help="such as dataset=folder"
        )
        sub.set_defaults(command=command)
    return parser


def verify(arguments: argparse.Namespace, config: Config) -> int:
    """Read all of data/ again, or with --md5 all of the raw archives."""
    problems = 0
    for problem in _wrong_md5(config) if arguments.md5 else _damage(config):
        print(problem, flush=True)
        problems += 1
    if problems:
        print(f"verify: {problems} {'problem' if problems == 1 else 'problems'}")
    else:
        what = "archives are as published" if arguments.md5 else "data/ is as it was written"
        print(f"verify: {what}")
    return 1 if problems else 0


def _damage(config: Config) -> Iterable[str]:
    from alexnet.index import load_index
    from alexnet.verifying import verify

    with workers(config.executor) as pool:
        yield from verify(pool, DATA, load_index(DATA / "index"))


def _wrong_md5(config: Config) -> Iterable[str]:
    from alexnet.layouts import MD5, check_md5

    if config.dataset.drawn:
        raise InputError("the data set is drawn: nobody published its MD5", "dataset=ilsvrc2012")
    root = _root(config)
    known = list(check_md5(root))
    if not known:
        raise InputError(f"{root} has no archive whose MD5 is published: {', '.join(MD5)}")
    for name, expected, found in known:
        if found != expected:
            yield f"{name}: MD5 {found}, published is {expected}; mend: download it again"


def inspect(arguments: argparse.Namespace, config: Config) -> int:
    """Print the moments beside ImageNet's, and draw them."""
    from alexnet.inspecting import draw_moments, moments_table

    Console().print(moments_table(DATA / "moments"))
    if arguments.pictures:
        for path in draw_moments(DATA, arguments.pictures):
            print(path)
    return 0


def doctor(arguments: argparse.Namespace, config: Config) -> int:
    """What is there, what the run would need, what it would take."""
    from alexnet import doctor, layouts

    dataset = config.dataset
    root = _root(config)
    layout = layouts.find_layout(root) if dataset.layout == "auto" else str(dataset.layout)
    index = layouts.read_index(root, layout, dataset.seed, dataset.held_out)
    cost = doctor.tried(root, index, dataset)
    table = Table(show_header=False, box=None, pad_edge=False)
    rows = [("raw data", f"{layouts.DESCRIPTIONS[layout]} in {root}"), *doctor.raw(index)]
    for name, value in (*rows, *doctor.needs(index, cost, dataset, CHECKOUT), *doctor.machine()):
        table.add_row(name, value)
    Console().print(table)
    return 0


def _root(config: Config) -> Path:
    from alexnet.archives import open_raw

    dataset = config.dataset
    return open_raw(dataset.root, dataset.seed, asdict(dataset.drawn) if dataset.drawn else None)


COMMANDS = [
    ("verify", verify, "read everything under data/ again, and name what is damaged"),
    ("inspect", inspect, "print and draw what a stage made"),
    ("doctor", doctor, "say what is there, what a run would need and what it would take"),
]
