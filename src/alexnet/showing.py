"""What the command line shows: results on stdout, progress on stderr."""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from alexnet.predicting import Answer
from alexnet.progress import Advance

BAR = 20  # characters wide at 100 %
EIGHTHS = " ▏▎▍▌▋▊▉"
SECONDS_UNTOLD = 2.0


def as_json(answer: Answer, synsets: Sequence[Mapping[str, Any]]) -> str:
    """An answer in one line of JSON."""
    pairs = zip(answer.labels, answer.probabilities, strict=True)
    top = [{"label": n, **_class(synsets[n]), "probability": p} for n, p in pairs]
    return json.dumps({"photo": str(answer.photo), "top": top, "odd": answer.odd})


def as_table(answer: Answer, synsets: Sequence[Mapping[str, Any]]) -> Table:
    """An answer to look at: a bar for each label, in full where the probability is 1."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(justify="right", no_wrap=True, width=9)
    for style in ("cyan", "dim"):
        table.add_column(no_wrap=True, style=style)
    table.add_column(overflow="fold")
    for label, probability in zip(answer.labels, answer.probabilities, strict=True):
        synset = _class(synsets[label])
        cells = f"{100 * probability:.1f} %", bar(probability), synset["wnid"], synset["words"]
        table.add_row(*(Text(cell) for cell in cells))
    return table


def bar(probability: float) -> str:
    """A bar of BAR characters at most, to an eighth of one."""
    whole, eighths = divmod(round(8 * BAR * probability), 8)
    return ("█" * whole + EIGHTHS[eighths]).ljust(BAR)[:BAR]


def _class(synset: Mapping[str, Any]) -> dict[str, str]:
    return {name: printable(synset[name]) for name in ("wnid", "words")}


def printable(text: str) -> str:
    """Text of unknown origin without what a terminal would obey."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


@contextmanager
def bar_if_slow(total: int, what: str) -> Iterator[Advance]:
    """A bar on stderr after two seconds, where that is a terminal; stdout is the results' own."""
    screen = Console(stderr=True)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    shown = Progress(*columns, console=screen, transient=True, redirect_stdout=sys.stdout.isatty())
    task, begun = shown.add_task(what, total=total), time.monotonic()

    def advance(n: int) -> None:
        shown.advance(task, n)
        slow = time.monotonic() - begun > SECONDS_UNTOLD
        if slow and screen.is_terminal and not shown.live.is_started:
            shown.start()

    try:
        yield advance
    finally:
        if shown.live.is_started:
            shown.stop()
