"""Recall of binary codes (section 6.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from alexnet.figures.style import Theme

Rows = Sequence[Mapping[str, Any]]
LEARNED, CONTROL = "auto-encoder", "hyperplanes"


def plot_codes(rows: Rows, theme: Theme) -> Figure:
    """Plot recall (%) among N candidates, a line for each code.

    Lines are labelled "<code>, <bits> bits". Rows of codes.csv: code ("auto-encoder" or
    "hyperplanes"), bits, candidates, recall in 0–1, as numbers or text.
    """
    figure = Figure(figsize=(4.8, 4), layout="constrained")
    axes = figure.subplots()
    lengths = sorted({int(row["bits"]) for row in rows}, reverse=True)
    kinds = (LEARNED, theme.pair[0], "-"), (CONTROL, theme.pair[1], (0, (3, 1)))
    for code, colour, dashes in kinds:
        for n, bits in enumerate(lengths):
            style: dict[str, Any] = {"color": colour, "linestyle": dashes, "marker": "o"}
            style |= {"ms": 4 - 0.5 * n, "linewidth": 2.4 - 0.7 * n}
            axes.plot(*_points(rows, code, bits), label=f"{code}, {bits} bits", **style)
    ticks = sorted({int(row["candidates"]) for row in rows})
    axes.set(xscale="log", ylim=(0, 102))
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.set_title("Recall (%) of the 10 nearest among N candidates")
    axes.set_xlabel("N candidates, nearest by Hamming distance")
    axes.grid(axis="y")
    if rows:
        axes.legend(loc="lower right", handlelength=2.4, labelspacing=0.35)
    return figure


def _points(rows: Rows, code: str, bits: int) -> tuple[list[int], list[float]]:
    line = [row for row in rows if row["code"] == code and int(row["bits"]) == bits]
    line.sort(key=lambda row: int(row["candidates"]))
    return [int(row["candidates"]) for row in line], [100 * float(row["recall"]) for row in line]
