"""Progress, rate and time left: a bar on a terminal, a plain line now and then elsewhere."""

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
SECONDS_UNTOLD = 1.0  # what is done at once needs no line


class Rate(ProgressColumn):
    """Units a second, blank until there is something to divide."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f} {task.fields['unit']}/s" if task.speed else "")


@contextmanager
def progress(
    total: int, what: str, unit: str = "images", note: Callable[[], str] = lambda: ""
) -> Iterator[Advance]:
    """Yield `advance(n)`, to be called as units are done; `note()` is told behind time left."""
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
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, Rate(), TimeLeft(), TextColumn("{task.fields[note]}")) as bar:
        task = bar.add_task(what, total=total, unit=unit, note="")
        yield lambda n: bar.update(task, advance=n, note=note())


@contextmanager
def _lines(total: int, what: str, unit: str, note: Callable[[], str]) -> Iterator[Advance]:
    start = last = time.monotonic()
    done = 0

    def advance(n: int) -> None:
        nonlocal done, last
        done += n
        now = time.monotonic()
        if now - last > SECONDS_A_LINE and done < total:
            last = now
            rate = done / (now - start)
            left = (total - done) / rate
            told = f"{what}: {done:,}/{total:,}, {rate:,.0f} {unit}/s, {left:.0f} s left"
            print(", ".join(filter(None, (told, note()))), flush=True)

    yield advance
    seconds = time.monotonic() - start
    if seconds > SECONDS_UNTOLD:
        rate = done / seconds
        print(f"{what}: {done:,} {unit} in {seconds:.1f} s, {rate:,.0f} {unit}/s", flush=True)
