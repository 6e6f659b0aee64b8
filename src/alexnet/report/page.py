"""The report of a run: one offline HTML page, and its figures as PNG files beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from alexnet.comparison.paper import ILSVRC2010, ILSVRC2012
from alexnet.comparison.runs import Estimate
from alexnet.comparison.tables import ComparisonRow, format_cells
from alexnet.evaluate.result import RULES, Result, Run
from alexnet.figures.augmentation import AugmentationExamples, draw_augmentation
from alexnet.figures.codes import plot_codes
from alexnet.figures.confusion import CLASSES, Counts, hardest, plot_confusion
from alexnet.figures.curves import History, lr_drops, plot_curves
from alexnet.figures.kernels import draw_kernels, tower_colours
from alexnet.figures.neighbours import Query, draw_neighbours
from alexnet.figures.pca_colour import draw_colour_shifts, plot_eigenpairs, standard_deviations
from alexnet.figures.predictions import Prediction, plot_predictions
from alexnet.figures.style import DARK, LIGHT, Floats, Pixels, Theme, encode_png, plot_png
from alexnet.moments.pca import IMAGENET_AXES, IMAGENET_DEVIATIONS, IMAGENET_MEANS
from alexnet.report.dag_diagram import Stage, lay_out
from alexnet.report.html import jpeg_uri, png_uri, render_template, shrink
from alexnet.report.samples import ClassSamples, OddFile


@dataclass(frozen=True)
class Report:
    """Everything that the page shows. Colours are RGB, 0–255."""

    result: Result
    comparison: Sequence[ComparisonRow]
    train_images: int
    settings: Sequence[tuple[str, str]]  # every value of model and recipe by its dotted name
    stages: Sequence[Stage]  # the archives first, this page last
    mean_image: Floats  # (256, 256, 3)
    channel_means: Floats  # (3,)
    eigenvalues: Floats  # (3,), of the RGB covariance, descending
    eigenvectors: Floats  # (3, 3), row i belongs to eigenvalues[i]
    photo: Pixels  # (256, 256, 3), shown cropped and with its colours shifted
    augmentation: AugmentationExamples  # of `photo`
    history: History  # rows of history.csv, errors in 0–1
    conv1: Floats  # (N, 3, 11, 11)
    towers: int
    fc7_units: int
    predictions: Sequence[Prediction]
    mistakes: Sequence[Prediction]  # highest probability first
    ranks: Sequence[int]  # images whose true label was guessed first, second, …; last: not at all
    confusion: Counts  # (classes, classes): images by true label (row) and first guess
    words: Sequence[str]  # of each class
    class_samples: Sequence[ClassSamples]
    odd_files: Sequence[OddFile]  # the first of `odd_count`
    odd_count: int
    queries: Sequence[Query]
    codes: Sequence[Mapping[str, str]]  # rows of codes.csv


TITLES = {
    "miniature": "a drawn miniature",
    "ilsvrc2012": "ILSVRC-2012",
    "kaggle": "ILSVRC-2012",
    "ilsvrc2010": "ILSVRC-2010",
    "fall2011": "ImageNet, Fall 2011",
    "cifar10": "CIFAR-10",
    "folder": "a folder of photos",
}
HARDEST = 10  # classes listed
ORDINALS = ("first", "second", "third", "fourth", "fifth")
NUMBERS = ("one", "two", "three", "four", "five")


class Figures(NamedTuple):
    """The figures of one theme by name: PNG files, sheets of photographs."""

    pngs: dict[str, bytes]
    sheets: dict[str, Image.Image]


def render(report: Report) -> str:
    """Render the page as HTML without references to other files."""
    return _render_page(report, _draw_figures(report, LIGHT), _draw_figures(report, DARK))


def write_report(folder: Path, report: Report) -> None:
    """Write index.html and the figures as PNG files, creating `folder` if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    light = _draw_figures(report, LIGHT)
    pngs = {
        "predictions": plot_png(partial(plot_predictions, report.predictions)),
        "neighbours": encode_png(draw_neighbours(report.queries)),
        **light.pngs,
        **{name: encode_png(sheet) for name, sheet in light.sheets.items()},
    }
    for name, png in pngs.items():
        (folder / f"{name}.png").write_bytes(png)
    html = _render_page(report, light, _draw_figures(report, DARK))
    (folder / "index.html").write_text(html, encoding="utf-8")


def _draw_figures(report: Report, theme: Theme) -> Figures:
    pairs = report.eigenvalues, report.eigenvectors
    plots = {
        "codes": partial(plot_codes, report.codes),
        "confusion": partial(plot_confusion, report.confusion, report.words),
        "curves": partial(plot_curves, report.history),
        "eigenpairs": partial(plot_eigenpairs, *pairs),
    }
    pngs = {name: plot_png(plot, theme) for name, plot in plots.items()}
    pngs["kernels"] = encode_png(draw_kernels(report.conv1, report.towers, theme))
    photographs = {
        "augmentation": draw_augmentation(report.photo, report.augmentation, theme),
        "relit": draw_colour_shifts(shrink(report.photo, 144), *pairs, theme),
    }
    return Figures(pngs, photographs)


def _render_page(report: Report, light: Figures, dark: Figures) -> str:
    run = report.result.run
    light_uris, dark_uris = _data_uris(light), _data_uris(dark)
    means = zip(("Red", "Green", "Blue"), report.channel_means, IMAGENET_MEANS, strict=True)
    return render_template(
        report=report,
        title=TITLES.get(str(run.dataset), run.dataset),
        run=run,
        theme={"light": LIGHT, "dark": DARK},
        pictures={name: (uri, dark_uris[name]) for name, uri in light_uris.items()},
        errors=_error_rows(report.result),
        in_paper=run.dataset in (*ILSVRC2010, *ILSVRC2012),
        tables=_paper_tables(report.comparison),
        dag=lay_out(report.stages),
        mean_image=np.rint(report.mean_image).astype(np.uint8),
        channel_means=means,
        axes=_axis_rows(report),
        drops=lr_drops(report.history),
        ranks=_rank_rows(report.ranks),
        hardest=hardest(report.confusion)[:HARDEST],
        confusion_classes=CLASSES,
        colours=tower_colours(report.conv1, report.towers),
        steps=_reproduction_steps(run),
    )


def _data_uris(figures: Figures) -> dict[str, str]:
    """Return data URIs by name; photographs as JPEG.

    As PNG, the photographs would be larger than the rest of the page.
    """
    uris = {name: png_uri(png) for name, png in figures.pngs.items()}
    return uris | {name: jpeg_uri(sheet) for name, sheet in figures.sheets.items()}


def _error_rows(result: Result) -> list[tuple[str, str, list[Estimate]]]:
    """Return (rule, images, [top-1, top-5 error]), the last of random guessing."""
    run = result.run
    images = f"{run.dataset} {run.split}, {result.images:,} images"
    rows = []
    for rule, name in zip(RULES, ("Ten views", "Centre view"), strict=True):
        if not rule or result.has_centre:
            names = f"{rule}top1", f"{rule}top5"
            rows.append(
                (name, images, [Estimate(result.error(n), result.interval(n)) for n in names])
            )
    random = [Estimate(100 * (1 - min(k, run.classes) / run.classes)) for k in (1, 5)]
    return [*rows, ("Random guessing", f"{run.classes:,} classes", random)]


def _paper_tables(
    rows: Sequence[ComparisonRow],
) -> list[tuple[str, list[tuple[str, str, str, str]]]]:
    """Return the comparison by table: title, cells of its rows."""
    tables = groupby(rows, key=lambda row: row.table)
    return [(title, [format_cells(row) for row in group]) for title, group in tables]


def _axis_rows(report: Report) -> list[list[tuple[str, float, Floats]]]:
    """Return (name, √λ, p) of this run and ImageNet by colour axis."""
    deviations = standard_deviations(report.eigenvalues)
    run = zip(["This run"] * 3, deviations, report.eigenvectors, strict=True)
    imagenet = zip(["ImageNet"] * 3, IMAGENET_DEVIATIONS, IMAGENET_AXES, strict=True)
    return [list(rows) for rows in zip(run, imagenet, strict=True)]


def _rank_rows(counts: Sequence[int]) -> list[tuple[str, int]]:
    """Return (rank in words, images); the last rank is "not among"."""
    guesses = len(counts) - 1
    ranks = [*ORDINALS[:guesses], f"not among the {NUMBERS[guesses - 1]}"]
    return list(zip(ranks, counts, strict=True))


def _reproduction_steps(run: Run) -> list[tuple[str, str]]:
    """Return (purpose, commands) of steps that reproduce or check the run."""
    names = ("dataset", "model", "recipe", "lr", "seed")
    settings = " ".join(f"-S {name}={getattr(run, name)}" for name in names)
    export = "" if run.dataset == "miniature" else "export IMAGENET_ROOT=/path/to/the/archives\n"
    return [
        ("On a bare machine: create the environment and run every stage with the values of "
         "params.yaml.",
         f"{export}make repro"),
        ("Repeat this run, whatever params.yaml says. Stages whose code, data and parameters have "
         "not changed are skipped.",
         f"{export}dvc exp run {settings}"),
        ("Check all files against their checksums, and trace a metric back to the archives.",
         "alexnet verify\nalexnet explain top1_error"),
        ("Classify a photo of your own with this model.", "alexnet predict PHOTO.jpg"),
    ]  # fmt: skip
