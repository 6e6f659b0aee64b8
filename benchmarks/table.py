"""The table that a benchmark prints: case, cost, ratio to ours, and goal."""

import argparse
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks.clock import Costs, median_microseconds
from benchmarks.photos import Photos, load

T = TypeVar("T")
WIDTH = 120  # if the output is not a terminal


class Row(NamedTuple):
    """A line of the table."""

    name: str
    cost: str
    ratio: str = ""
    goal: str = ""


class Goal(NamedTuple):
    """A goal: cost ÷ ours `at_least` this, or ours `at_most` this many times the cost."""

    at_least: float | None = None
    at_most: float | None = None

    def verdict(self, ratio: float) -> str:
        """Return the goal and whether a ratio of costs meets it, or ""."""
        if self.at_least is not None:
            return f"≥ {self.at_least:g}: {met_or_missed(ratio >= self.at_least)}"
        if self.at_most is not None:
            times = f"ours ≤ {self.at_most:g} × this"
            return f"{times}: {1 / ratio:.2f}, {met_or_missed(1 / ratio <= self.at_most)}"
        return ""


def met_or_missed(met: bool) -> str:
    """Return the word for a goal that is met or not."""
    return "met" if met else "missed"


def cost_rows(
    costs: Costs, images: int, ours: Mapping[str, str], goals: Mapping[str, Goal]
) -> list[Row]:
    """Return a row per way.

    `ours`: way → the reference it is compared with; "" is the default of all other ways.
    """
    rows = []
    for name, seconds in costs.items():
        cost = f"{median_microseconds(costs, name, images):,.1f} µs"
        base = ours.get(name, ours[""])
        if name == base:
            rows.append(Row(name, cost))
        else:
            rows.append(ratio_row(name, cost, seconds / costs[base], goals.get(name, Goal())))
    return rows


def ratio_row(name: str, cost: str, ratios: npt.NDArray[np.float64], goal: Goal) -> Row:
    """Return a row with the median of the ratios (minimum–maximum)."""
    median = float(np.median(ratios))
    ratio = f"{median:.2f} ({ratios.min():.2f}–{ratios.max():.2f})"
    return Row(name, cost, ratio, goal.verdict(median))


def missing_rows(missing: Mapping[str, str]) -> list[Row]:
    """Return a row for each way that cannot be measured here, with the reason."""
    return [Row(name, f"not installed: {reason}") for name, reason in missing.items()]


def make_installed(makers: Mapping[str, Callable[[], T]]) -> tuple[dict[str, T], dict[str, str]]:
    """Return what each maker returns, and the error of those whose library is missing."""
    made, missing = {}, {}
    for name, make in makers.items():
        try:
            made[name] = make()
        except (ImportError, OSError) as error:
            missing[name] = str(error).splitlines()[0]
    return made, missing


def show(title: str, rows: Iterable[Row], console: Console | None = None) -> None:
    """Print the rows under a title."""
    table = Table("case", "cost", "ratio", "goal", title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    (console or Console(width=max(WIDTH, Console().width))).print(table)


def parse_arguments(about: str) -> argparse.Namespace:
    """Return the command line's `photos` and `rounds`."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--photos", type=int, default=1000, help="photos at most (default 1000)")
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds (default 5)")
    parser.add_argument("--quick", action="store_true", help="same as --photos 100 --rounds 3")
    args = parser.parse_args()
    if args.quick:
        args.photos, args.rounds = 100, 3
    return args


def main(about: str, rows: Callable[[list[bytes], int], list[Row]]) -> None:
    """Run one benchmark from the command line."""
    args = parse_arguments(about)
    photos = load(args.photos)
    title = f"{about.splitlines()[0]}\n{describe_run(photos, args.rounds)}"
    show(title, rows(photos.files, args.rounds))


def describe_run(photos: Photos, rounds: int) -> str:
    """Return a line on photos, rounds and how to read the table."""
    return f"{photos}; {rounds} rounds, median (min–max); ratio: cost ÷ ours unless stated"
