"""Progress, the rate of the last ten seconds, time left: a bar on a terminal, else plain lines."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.progress import TimeRemainingColumn as TimeLeft
from rich.text import Text

T = TypeVar("T")
Advance = Callable[[int], None]
SECONDS_A_LINE = 10.0
SECONDS_UNTOLD = 1.0  # shorter work needs no line


class Rate(ProgressColumn):
    """Units a second, blank until there is something to divide."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f} {task.fields['unit']}/s" if task.speed else "")


@contextmanager
def progress(
    total: int, what: str, unit: str = "images", note: Callable[[], str] = lambda: ""
) -> Iterator[Advance]:
    """Yield `advance(n)`, to be called as units are done; `note()` is shown after the time left."""
    with (_bar if sys.stdout.isatty() else _lines)(total, what, unit, note) as advance:
        yield advance


def track(items: Iterable[T], total: int, what: str, unit: str = "images") -> Iterator[T]:
    """Pass `items` on, one unit of progress each."""
    with progress(total, what, unit) as advance:
        for item in items:
            yield item
            advance(1)


@contextmanager
def _bar(total: int, what: str, unit: str, note: Callable[[], str]) -> Iterator[Advance]:
    done = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    speed = (Rate(), TimeLeft(), TextColumn("{task.fields[note]}"))
    with Progress(*done, *speed, speed_estimate_period=SECONDS_A_LINE) as bar:
        task = bar.add_task(what, total=total, unit=unit, note="")
        yield lambda n: bar.update(task, advance=n, note=note())


@contextmanager
def _lines(total: int, what: str, unit: str, note: Callable[[], str]) -> Iterator[Advance]:
    start = last = time.monotonic()
    done = shown = 0

    def advance(n: int) -> None:
        nonlocal done, shown, last
        done += n
        now = time.monotonic()
        if now - last > SECONDS_A_LINE and shown < done < total:
            rate = (done - shown) / (now - last)
            shown, last = done, now
            left = (total - done) / rate
            line = f"{what}: {done:,}/{total:,}, {rate:,.0f} {unit}/s, {left:.0f} s left"
            print(", ".join(filter(None, (line, note()))), flush=True)

    yield advance
    seconds = time.monotonic() - start
    if seconds > SECONDS_UNTOLD:
        rate = done / seconds
        print(f"{what}: {done:,} {unit} in {seconds:.1f} s, {rate:,.0f} {unit}/s", flush=True)
