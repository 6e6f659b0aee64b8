"""The terminal: results on stdout, a bar on stderr, nothing of either that could do harm."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from alexnet.runtime.progress import Advance

SECONDS_UNTOLD = 2.0


class Screen(Console):
    """Where results go; a reader that has gone is told of like any other's."""

    def on_broken_pipe(self) -> None:
        """Rich would end the process itself, with a code of its own."""
        raise BrokenPipeError


def printable(text: str) -> str:
    """Text of unknown origin without what a terminal would obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


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
