"""Progress with recent rate and time left: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

T = TypeVar("T")
Advance = Callable[[int], None]
LINE_SECONDS = 10.0  # between two lines, and the span of the rate
QUIET_SECONDS = 1.0  # shorter work prints nothing


class Rate(ProgressColumn):
    """Units per second, blank until the first units are done."""

    def render(self, task: Task) -> Text:
        """Return the rate as text."""
        return Text(f"{task.speed:,.0f} {task.fields['unit']}/s" if task.speed else "")


@contextmanager
def progress(
    total: int, label: str, unit: str = "images", note: Callable[[], str] = lambda: ""
) -> Iterator[Advance]:
    """Yield `advance(n)`, which reports n more units done.

    note: text to show after the time left.
    """
    with (_bar if sys.stdout.isatty() else _lines)(total, label, unit, note) as advance:
        yield advance


def track(items: Iterable[T], total: int, label: str, unit: str = "images") -> Iterator[T]:
    """Yield the items and advance by one unit after each."""
    with progress(total, label, unit) as advance:
        for item in items:
            yield item
            advance(1)


@contextmanager
def _bar(total: int, label: str, unit: str, note: Callable[[], str]) -> Iterator[Advance]:
    done = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    speed = (Rate(), TimeRemainingColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*done, *speed, speed_estimate_period=LINE_SECONDS) as bar:
        task = bar.add_task(label, total=total, unit=unit, note="")
        yield lambda n: bar.update(task, advance=n, note=note())


@contextmanager
def _lines(total: int, label: str, unit: str, note: Callable[[], str]) -> Iterator[Advance]:
    start = last = time.monotonic()
    done = reported = 0

    def advance(n: int) -> None:
        nonlocal done, reported, last
        done += n
        now = time.monotonic()
        if now - last > LINE_SECONDS and reported < done < total:
            rate = (done - reported) / (now - last)
            reported, last = done, now
            left = (total - done) / rate
            line = f"{label}: {done:,}/{total:,}, {rate:,.0f} {unit}/s, {left:.0f} s left"
            print(", ".join(filter(None, (line, note()))), flush=True)

    yield advance
    seconds = time.monotonic() - start
    if seconds > QUIET_SECONDS:
        rate = done / seconds
        print(f"{label}: {done:,} {unit} in {seconds:.1f} s, {rate:,.0f} {unit}/s", flush=True)
