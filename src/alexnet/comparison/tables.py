"""This project's errors beside the paper's: every number is from a result on disk or paper.py."""

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from alexnet.comparison.paper import TABLES, PaperRow, PaperTable
from alexnet.comparison.results_on_disk import RecordedResult
from alexnet.comparison.runs import (
    Estimate,
    Pair,
    RunGroup,
    describe,
    error_increases,
    group_by_seed,
    mean_errors,
)
from alexnet.runtime.errors import InputError
from alexnet.runtime.files import write_atomically

BASELINE = "baseline"  # key of the runs that an experiment's ablations are compared with
NOT_IN_PAPER = "Not comparable with the paper"
NOT_RUN = "not run yet"
BEGIN = "<!-- begin: written by alexnet compare --readme -->"
END = "<!-- end: written by alexnet compare --readme -->"
NOTE = (
    "In brackets: the 95 % confidence interval of a single run, or of the difference of two runs "
    "on the same images. ±: the standard deviation over seeds."
)
HEADS = ("top-1 / top-5 error, %", "paper", "this project", "images and runs")


class ComparisonRow(NamedTuple):
    """A row of the comparison.

    paper: the paper's numbers as text. ours: top-1 and top-5, None if nothing was run. runs: the
    images and runs behind `ours`, in words. differences: the numbers are increases in error.
    comparable: whether `ours` was measured on the images of the paper's table.
    """

    table: str
    system: str
    paper: str
    ours: Pair | None
    runs: str
    differences: bool = False
    comparable: bool = True


def compare_with_paper(recorded: Iterable[RecordedResult]) -> list[ComparisonRow]:
    """Return the paper's rows with this project's runs, then other runs.

    A result belongs to the row of paper.py that its "row" names. Its error is shown there if it is
    of the same images; an ablation's increase over the "baseline" of its experiment, seed by seed,
    is shown for any images. Raises InputError if a run occurs twice or an experiment has two
    baselines.
    """
    runs = list(group_by_seed(recorded))
    baselines = [group for group in runs if group.key == BASELINE]
    rows: list[ComparisonRow] = []
    for table in TABLES:
        for paper in table.rows:
            ours = [_compare(table, paper, group, baselines) for group in runs]
            runs = [group for group, row in zip(runs, ours, strict=True) if not row]
            rows += [row for row in ours if row] or [_row_without_runs(table, paper)]
    return rows + [
        ComparisonRow(NOT_IN_PAPER, r.key, "", mean_errors(r), describe(r), comparable=False)
        for r in runs
    ]


def _compare(
    table: PaperTable, paper: PaperRow, runs: RunGroup, baselines: Sequence[RunGroup]
) -> ComparisonRow | None:
    if runs.key != paper.key:
        return None
    run = runs.results[0].run
    same_images = run.dataset in table.datasets and run.split in table.splits
    comparable = same_images and run.classes == table.classes
    if table.differences:
        runs, ours = error_increases(runs, baselines)
    else:
        ours = mean_errors(runs) if comparable else None
    if ours is None:
        return None
    row = _row_without_runs(table, paper)
    return row._replace(ours=ours, runs=describe(runs), comparable=comparable)


def _row_without_runs(table: PaperTable, paper: PaperRow) -> ComparisonRow:
    runs = NOT_RUN if paper.key else ""
    numbers = _format_paper(table, paper)
    return ComparisonRow(table.title, paper.system, numbers, None, runs, table.differences)


def _format_paper(table: PaperTable, paper: PaperRow) -> str:
    """Format the paper's numbers in its precision."""

    def format_number(value: float | None) -> str:
        if value is None:
            return "–"
        return f"{paper.sign} {value:g}" if paper.sign else _format(value, table.differences)

    test = "" if paper.test_top5 is None else f" (test {paper.test_top5:.1f})"
    return f"{format_number(paper.top1)} / {format_number(paper.top5)}{test}"


def _format(value: float, signed: bool) -> str:
    return f"{value:{'+' if signed else ''}.1f}".replace("-", "−")


def _format_estimate(estimate: Estimate, signed: bool) -> str:
    number = _format(estimate.value, signed)
    if estimate.interval:
        low, high = (_format(bound, signed) for bound in estimate.interval)
        return f"{number} ({low} … {high})" if signed else f"{number} ({low}–{high})"
    return number if estimate.spread is None else f"{number} ± {estimate.spread:.1f}"


def format_cells(row: ComparisonRow) -> tuple[str, str, str, str]:
    """Format a row as text, one cell for each of HEADS."""
    ours = " / ".join(_format_estimate(error, row.differences) for error in row.ours or ())
    note = "" if row.comparable or row.table == NOT_IN_PAPER else "; not comparable"
    return row.system, row.paper, ours, f"{row.runs}{note}"


def build_table(rows: Sequence[ComparisonRow]) -> Table:
    """Build the table for a terminal; rows not comparable are dim."""
    table = Table(*HEADS)
    for title, group in groupby(rows, key=lambda row: row.table):
        table.add_section()
        table.add_row(Text(title, "bold"))
        for row in group:
            style = "" if row.comparable else "dim"
            table.add_row(*(Text(cell, style) for cell in format_cells(row)))
    return table


def format_markdown(rows: Sequence[ComparisonRow]) -> str:
    """Format the table for the README, followed by NOTE."""
    lines = [_markdown_line(HEADS), "|---|---|---|---|"]
    for title, group in groupby(rows, key=lambda row: row.table):
        lines.append(f"| **{title}** | | | |")
        lines += [_markdown_line(format_cells(row)) for row in group]
    return "\n".join([*lines, "", NOTE, ""])


def _markdown_line(cells: Sequence[str]) -> str:
    escaped = (re.sub(r"([\\|*<`\[])", r"\\\1", " ".join(cell.split())) for cell in cells)
    return f"| {' | '.join(escaped)} |"


def write_readme(path: Path, rows: Sequence[ComparisonRow]) -> None:
    """Replace the table between BEGIN and END. Raises InputError without them."""
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(
            f"{path} lacks the lines {BEGIN} and {END}", "add them where the table belongs"
        )
    updated = f"{before}{BEGIN}\n{format_markdown(rows)}{END}{after}"
    write_atomically(path, updated.encode())
