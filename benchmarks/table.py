"""The table that a benchmark prints: what, its cost, its ratio to ours, and the goal."""

import argparse
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks.clock import Costs, microseconds
from benchmarks.photos import Photos, load

T = TypeVar("T")
WIDTH = 120  # where the output is no terminal


class Row(NamedTuple):
    """A line of the table."""

    what: str
    cost: str
    ratio: str = ""
    goal: str = ""


class Goal(NamedTuple):
    """What a cost ÷ ours is to be `at_least`; or ours, `at_most` so many times what it contains."""

    at_least: float | None = None
    at_most: float | None = None

    def verdict(self, ratio: float) -> str:
        """The goal, and whether a ratio of costs meets it."""
        if self.at_least is not None:
            return f"≥ {self.at_least:g}: {met(ratio >= self.at_least)}"
        if self.at_most is not None:
            times = f"ours ≤ {self.at_most:g} × this"
            return f"{times}: {1 / ratio:.2f}, {met(1 / ratio <= self.at_most)}"
        return ""


def met(yes: bool) -> str:
    """Whether a goal is met."""
    return "met" if yes else "missed"


def cost_rows(
    costs: Costs, images: int, ours: Mapping[str, str], goals: Mapping[str, Goal]
) -> list[Row]:
    """A row a way. `ours`: way → which of ours it is compared with; "" stands for all others."""
    rows = []
    for name, seconds in costs.items():
        cost = f"{microseconds(costs, name, images):,.1f} µs"
        base = ours.get(name, ours[""])
        if name == base:
            rows.append(Row(name, cost))
        else:
            rows.append(ratio_row(name, cost, seconds / costs[base], goals.get(name, Goal())))
    return rows


def ratio_row(what: str, cost: str, ratios: npt.NDArray[np.float64], goal: Goal) -> Row:
    """A row with the median of the ratios, in brackets the least and the most."""
    median = float(np.median(ratios))
    told = f"{median:.2f} ({ratios.min():.2f}–{ratios.max():.2f})"
    return Row(what, cost, told, goal.verdict(median))


def absent_rows(absent: Mapping[str, str]) -> list[Row]:
    """A row for each that cannot be measured here, with the reason."""
    return [Row(name, f"not installed: {reason}") for name, reason in absent.items()]


def installed(makers: Mapping[str, Callable[[], T]]) -> tuple[dict[str, T], dict[str, str]]:
    """Make each; second, the reason of each that lacks its library."""
    made, absent = {}, {}
    for name, make in makers.items():
        try:
            made[name] = make()
        except (ImportError, OSError) as error:
            absent[name] = str(error).splitlines()[0]
    return made, absent


def show(title: str, rows: Iterable[Row], console: Console | None = None) -> None:
    """Print the rows under a title."""
    table = Table("what", "cost", "ratio", "goal", title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    (console or Console(width=max(WIDTH, Console().width))).print(table)


def arguments(about: str) -> argparse.Namespace:
    """`photos` and `rounds` as asked for on the command line."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--photos", type=int, default=1000, help="how many, at most")
    parser.add_argument("--rounds", type=int, default=5, help="times that all is measured")
    parser.add_argument("--quick", action="store_true", help="as --photos 100 --rounds 3")
    asked = parser.parse_args()
    if asked.quick:
        asked.photos, asked.rounds = 100, 3
    return asked


def alone(about: str, rows: Callable[[list[bytes], int], list[Row]]) -> None:
    """What each script does when it is run by itself."""
    asked = arguments(about)
    photos = load(asked.photos)
    show(f"{about.splitlines()[0]}\n{told(photos, asked.rounds)}", rows(photos.files, asked.rounds))


def told(photos: Photos, rounds: int) -> str:
    """What was measured on."""
    return f"{photos}; {rounds} rounds, median (least–most); ratio: cost ÷ ours, or as said"
