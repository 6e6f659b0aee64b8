"""Recall of binary codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from alexnet.figures.style import LIGHT, Theme, png_of, styled

Rows = Sequence[Mapping[str, Any]]
LEARNT, CONTROL = "auto-encoder", "hyperplanes"


def codes_picture(rows: Rows, theme: Theme = LIGHT) -> bytes:
    """Recall of binary codes against the number of candidates, a line for each length → PNG.

    Rows as those of codes.csv: code ("auto-encoder" or "hyperplanes"), bits, candidates, and
    recall in 0–1, as numbers or text.
    """
    with styled(theme):
        return png_of(codes_figure(rows, theme))


def codes_figure(rows: Rows, theme: Theme) -> Figure:
    """The figure behind `codes_picture`: its axes holds lines named "<code> <bits>"."""
    figure = Figure(figsize=(4.8, 4), layout="constrained")
    axes = figure.subplots()
    lengths = sorted({int(row["bits"]) for row in rows}, reverse=True)
    for code, colour, dashes in zip((LEARNT, CONTROL), theme.pair, ("-", (0, (3, 1))), strict=True):
        for n, bits in enumerate(lengths):
            how: dict[str, Any] = {
                "color": colour,
                "linestyle": dashes,
                "marker": "o",
                "ms": 4 - 0.5 * n,
            }
            name = f"{code}, {bits} bits"
            axes.plot(*_points(rows, code, bits), label=name, linewidth=2.4 - 0.7 * n, **how)
    ticks = sorted({int(row["candidates"]) for row in rows})
    axes.set(xscale="log", ylim=(0, 102))
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.set_title("Of the 10 nearest, found again, %")
    axes.set_xlabel("among so many, nearest by Hamming distance")
    axes.grid(axis="y")
    if rows:
        axes.legend(loc="lower right", handlelength=2.4, labelspacing=0.35)
    return figure


def _points(rows: Rows, code: str, bits: int) -> tuple[list[int], list[float]]:
    some = [row for row in rows if row["code"] == code and int(row["bits"]) == bits]
    some.sort(key=lambda row: int(row["candidates"]))
    return [int(r["candidates"]) for r in some], [100 * float(r["recall"]) for r in some]
