"""Ours beside the paper's tables: every number from a result on disk, or from paper.py."""

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from alexnet.comparison.paper import TABLES, PaperRow, PaperTable
from alexnet.comparison.results_on_disk import Recorded
from alexnet.comparison.runs import Figure, Pair, Runs, differences, errors, together, words
from alexnet.runtime.errors import InputError
from alexnet.runtime.files import write_atomically

BASELINE = "baseline"  # the row of what the ablations of one experiment leave something out of
ELSEWHERE = "Not in the paper, nor comparable with it"
NOT_RUN = "not yet run"
BEGIN, END = "<!-- made by: alexnet compare --readme -->", "<!-- end of what it made -->"
NOTE = (
    "In brackets the 95 % interval: of one run, or of the difference of two on the same images; "
    "± is the standard deviation over the seeds."
)
HEADS = ("error, %: top-1 / top-5", "paper", "here", "of which images and runs")


class Row(NamedTuple):
    """A line of the comparison.

    paper: in the paper's words. here: top-1 and top-5, None where there is nothing. on: of `here`,
    which images and runs. comparable: whether `here` is of the images of the paper's table.
    """

    table: str
    what: str
    paper: str
    here: Pair | None
    on: str
    differences: bool = False
    comparable: bool = True


def comparison(recorded: Iterable[Recorded]) -> list[Row]:
    """The paper's rows in their order with what was run beside them, then what has no row there.

    A result may have "row", the key of a row of paper.py. An error stands beside the paper's where
    it is of the same images. An ablation's difference, to the "baseline" of its experiment seed by
    seed, stands there for any images. Raises InputError where a run is there twice, or an
    experiment has two baselines.
    """
    runs = list(together(recorded))
    baselines = [each for each in runs if each.key == BASELINE]
    rows: list[Row] = []
    for table in TABLES:
        for paper in table.rows:
            beside = {n: _beside(table, paper, each, baselines) for n, each in enumerate(runs)}
            found = [row for row in beside.values() if row]
            runs = [each for n, each in enumerate(runs) if not beside[n]]
            rows += found or [_nothing(table, paper)]
    return rows + [Row(ELSEWHERE, r.key, "", errors(r), words(r), comparable=False) for r in runs]


def _beside(
    table: PaperTable, paper: PaperRow, runs: Runs, baselines: Sequence[Runs]
) -> Row | None:
    if runs.key != paper.key:
        return None
    run = runs.results[0]["run"]
    images = run["dataset"] in table.datasets and run["split"] in table.splits
    comparable = images and run["classes"] == table.classes
    if table.differences:
        runs, here = differences(runs, baselines)
    else:
        here = errors(runs) if comparable else None
    what = table.title, paper.what, _told(table, paper)
    return here and Row(*what, here, words(runs), table.differences, comparable)


def _nothing(table: PaperTable, paper: PaperRow) -> Row:
    on = NOT_RUN if paper.key else ""
    return Row(table.title, paper.what, _told(table, paper), None, on, table.differences)


def _told(table: PaperTable, paper: PaperRow) -> str:
    """The paper's numbers, in its precision."""

    def number(value: float | None) -> str:
        if value is None:
            return "–"
        return f"{paper.sign} {value:g}" if paper.sign else _number(value, table.differences)

    test = "" if paper.test_top5 is None else f" (test {paper.test_top5:.1f})"
    return f"{number(paper.top1)} / {number(paper.top5)}{test}"


def _number(value: float, signed: bool) -> str:
    return f"{value:{'+' if signed else ''}.1f}".replace("-", "−")


def _shown(figure: Figure, signed: bool) -> str:
    number = _number(figure.value, signed)
    if figure.interval:
        low, high = (_number(bound, signed) for bound in figure.interval)
        return f"{number} ({low} … {high})" if signed else f"{number} ({low}–{high})"
    return number if figure.spread is None else f"{number} ± {figure.spread:.1f}"


def cells(row: Row) -> tuple[str, str, str, str]:
    """A row as words, under HEADS."""
    here = " / ".join(_shown(figure, row.differences) for figure in row.here or ())
    aside = "" if row.comparable or row.table == ELSEWHERE else "; not comparable"
    return row.what, row.paper, here, f"{row.on}{aside}"


def comparison_table(rows: Sequence[Row]) -> Table:
    """For a terminal: what cannot be compared is dim."""
    table = Table(*HEADS)
    for title, group in groupby(rows, key=lambda row: row.table):
        table.add_section()
        table.add_row(Text(title, "bold"))
        for row in group:
            table.add_row(*(Text(cell, "" if row.comparable else "dim") for cell in cells(row)))
    return table


def comparison_markdown(rows: Sequence[Row]) -> str:
    """For the README: one table, and below it what its numbers are."""
    lines = [_line(HEADS), "|---|---|---|---|"]
    for title, group in groupby(rows, key=lambda row: row.table):
        lines.append(f"| **{title}** | | | |")
        lines += [_line(cells(row)) for row in group]
    return "\n".join([*lines, "", NOTE, ""])


def _line(words: Sequence[str]) -> str:
    safe = (re.sub(r"([\\|*<`\[])", r"\\\1", " ".join(word.split())) for word in words)
    return f"| {' | '.join(safe)} |"


def write_readme(path: Path, rows: Sequence[Row]) -> None:
    """Replace what stands between the two markers. Raises InputError where they are not there."""
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        fix = "put them where the table shall stand"
        raise InputError(f"{path} lacks the lines {BEGIN} and {END}", fix)
    whole = f"{before}{BEGIN}\n{comparison_markdown(rows)}{END}{after}"
    write_atomically(path, whole.encode())
