"""The terminal: results on stdout, progress on stderr, control characters escaped."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from alexnet.runtime.progress import Advance

BAR_DELAY = 2.0  # seconds


class Screen(Console):
    """A console for results; raises BrokenPipeError like any other stream."""

    def on_broken_pipe(self) -> None:
        """Rich would exit with a code of its own."""
        raise BrokenPipeError


def printable(text: str) -> str:
    """Escape the characters that a terminal would interpret."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@contextmanager
def bar_if_slow(total: int, title: str) -> Iterator[Advance]:
    """Show a progress bar on stderr after BAR_DELAY, if it is a terminal."""
    console = Console(stderr=True)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    redirect = sys.stdout.isatty()
    bar = Progress(*columns, console=console, transient=True, redirect_stdout=redirect)
    task, start = bar.add_task(title, total=total), time.monotonic()

    def advance(n: int) -> None:
        bar.advance(task, n)
        slow = time.monotonic() - start > BAR_DELAY
        if slow and console.is_terminal and not bar.live.is_started:
            bar.start()

    try:
        yield advance
    finally:
        if bar.live.is_started:
            bar.stop()
