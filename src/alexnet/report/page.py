"""One offline HTML page that tells a whole run, and its figures as PNG files beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from alexnet.comparison.paper import ILSVRC2010, ILSVRC2012
from alexnet.comparison.runs import Figure
from alexnet.comparison.tables import Row, cells
from alexnet.evaluate.result import Result, interval
from alexnet.figures.augmentation import augmentation_picture
from alexnet.figures.codes import codes_picture
from alexnet.figures.confusion import Counts, confusion_picture, hardest
from alexnet.figures.curves import History, curves_picture, lr_drops
from alexnet.figures.kernels import kernels_picture, tower_colours
from alexnet.figures.neighbours import Query, neighbours_picture
from alexnet.figures.pca_colour import eigenpairs_picture, relit_picture
from alexnet.figures.predictions import predictions_picture
from alexnet.figures.style import DARK, LIGHT, Floats, Pixels, Theme, png_bytes
from alexnet.moments.pca import IMAGENET_AXES, IMAGENET_DEVIATIONS, IMAGENET_MEANS
from alexnet.report.dag_diagram import Stage, diagram
from alexnet.report.html import jpeg_uri, page, png_file_uri, shrunk
from alexnet.report.samples import Draws, OddFile, Prediction, Shelf


@dataclass(frozen=True)
class Report:
    """All that the page tells. Colours are RGB 0–255."""

    result: Result  # of `evaluate`: errors in %, what they were counted on, of which run
    comparison: Sequence[Row]  # of the paper's tables
    train_images: int
    settings: Sequence[tuple[str, str]]  # every value of model and recipe
    stages: Sequence[Stage]  # the archives first, this page last
    mean_image: Floats  # (256, 256, 3)
    channel_means: Floats  # (3,)
    eigenvalues: Floats  # (3,), of the RGB covariance, descending
    eigenvectors: Floats  # (3, 3), row i belongs to eigenvalues[i]
    photo: Pixels  # (256, 256, 3), to crop and relight
    draws: Draws
    history: History  # rows of history.csv, as numbers
    conv1: Floats  # (N, 3, 11, 11)
    towers: int
    features: int  # values of the last hidden layer
    predictions: Sequence[Prediction]
    mistakes: Sequence[Prediction]  # the surest
    ranks: Sequence[int]  # images whose true label came first, second, …; the last: in no place
    confusion: Counts  # (classes, classes): images of a true label (row) by first guess
    words: Sequence[str]  # of each class
    shelves: Sequence[Shelf]
    odd_files: Sequence[OddFile]  # the first of all
    odd: int  # how many there are
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
HARDEST = 10  # classes that are told
PLACES = ("first", "second", "third", "fourth", "fifth")
NUMBERS = ("one", "two", "three", "four", "five")


class Drawn(NamedTuple):
    """The figures by name, in the colours of one theme: PNG files, and sheets of photographs."""

    diagrams: dict[str, bytes]
    sheets: dict[str, Image.Image]


def render(report: Report) -> str:
    """The page: HTML with every picture, style and number inside it; it asks for nothing else."""
    return _page(report, _drawn(report, LIGHT), _drawn(report, DARK))


def write_report(folder: Path, report: Report) -> None:
    """Write index.html and the figures as PNG files into `folder`, made where missing."""
    folder.mkdir(parents=True, exist_ok=True)
    light = _drawn(report, LIGHT)
    images, truths, guesses = zip(*report.predictions, strict=True)
    pngs = {
        "predictions": predictions_picture(np.stack(images), truths, guesses),
        "neighbours": png_bytes(neighbours_picture(report.queries)),
        **light.diagrams,
        **{name: png_bytes(sheet) for name, sheet in light.sheets.items()},
    }
    for name, png in pngs.items():
        (folder / f"{name}.png").write_bytes(png)
    html = _page(report, light, _drawn(report, DARK))
    (folder / "index.html").write_text(html, encoding="utf-8")


def _page(report: Report, *drawn: Drawn) -> str:
    run = report.result["run"]
    light, dark = map(_uris, drawn)
    return page(
        report=report,
        title=TITLES.get(run["dataset"], run["dataset"]),
        run=run,
        theme={"light": LIGHT, "dark": DARK},
        pictures={name: (light[name], dark[name]) for name in light},
        errors=_errors(report.result),
        in_paper=run["dataset"] in (*ILSVRC2010, *ILSVRC2012),
        tables=_tables(report.comparison),
        dag=diagram(report.stages),
        mean_image=np.rint(report.mean_image).astype(np.uint8),
        channel_means=zip(
            ("Red", "Green", "Blue"), report.channel_means, IMAGENET_MEANS, strict=True
        ),
        axes=_axes(report),
        drops=lr_drops(report.history),
        ranks=_ranks(report.ranks),
        hardest=hardest(report.confusion)[:HARDEST],
        colours=tower_colours(report.conv1, report.towers),
        steps=_steps(run),
    )


def _drawn(report: Report, theme: Theme) -> Drawn:
    small, pairs = shrunk(report.photo, 144), (report.eigenvalues, report.eigenvectors)
    kernels = kernels_picture(report.conv1, report.towers, theme)
    diagrams = {
        "codes": codes_picture(report.codes, theme),
        "confusion": confusion_picture(report.confusion, report.words, theme),
        "curves": curves_picture(report.history, theme),
        "eigenpairs": eigenpairs_picture(*pairs, theme),
        "kernels": png_bytes(kernels),
    }
    photographs = {
        "augmentation": augmentation_picture(report.photo, *report.draws, theme),
        "relit": relit_picture(small, *pairs, theme),
    }
    return Drawn(diagrams, photographs)


def _uris(drawn: Drawn) -> dict[str, str]:
    """As data URIs: as PNG files the photographs alone would outweigh the rest of the page."""
    diagrams = {name: png_file_uri(png) for name, png in drawn.diagrams.items()}
    return diagrams | {name: jpeg_uri(sheet) for name, sheet in drawn.sheets.items()}


def _errors(result: Result) -> list[tuple[str, str, list[Figure]]]:
    """Of each rule, and of guessing: its name, which images, top-1 and top-5 error."""
    run, classes = result["run"], result["run"]["classes"]
    images = f"{run['dataset']} {run['split']}, {result['images']:,} images"
    rows = []
    for rule, name in (("", "Ten views"), ("center_", "Centre view")):
        both = f"{rule}top1", f"{rule}top5"
        rows.append(
            (name, images, [Figure(result[f"{k}_error"], interval(result, k)) for k in both])
        )
    guessing = [Figure(100 * (1 - min(k, classes) / classes)) for k in (1, 5)]
    return [*rows, ("Guessing", f"{classes:,} classes", guessing)]


def _tables(rows: Sequence[Row]) -> list[tuple[str, list[tuple[str, str, str, str]]]]:
    """The paper's tables by their titles: of each row what, the paper's, ours, of which images."""
    tables = groupby(rows, key=lambda row: row.table)
    return [(title, [cells(row) for row in some]) for title, some in tables]


def _axes(report: Report) -> list[list[tuple[str, float, Floats]]]:
    """For each colour axis the rows (whose, √λ, p): this run's above ImageNet's."""
    deviations = np.sqrt(np.maximum(report.eigenvalues, 0))
    here = zip(["This run"] * 3, deviations, report.eigenvectors, strict=True)
    reference = zip(["ImageNet"] * 3, IMAGENET_DEVIATIONS, IMAGENET_AXES, strict=True)
    return [list(rows) for rows in zip(here, reference, strict=True)]


def _ranks(counts: Sequence[int]) -> list[tuple[str, int]]:
    """Where the true label stood, in words, with how many images: `counts` ends with nowhere."""
    places = [*PLACES[: len(counts) - 1], f"not among the {NUMBERS[len(counts) - 2]}"]
    return list(zip(places, counts, strict=True))


def _steps(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What to type to have the same again, and why."""
    names = ("dataset", "model", "recipe", "lr", "seed")
    chosen = " ".join(f"-S {name}={run[name]}" for name in names)
    drawn = run["dataset"] == "miniature"
    where = "" if drawn else "export IMAGENET_ROOT=/where/the/archives/are\n"
    return [
        ("From a bare machine: the environment, then every stage, by what params.yaml says.",
         f"{where}make repro"),
        ("This very run, whatever params.yaml says. Stages whose code, data and values are as "
         "they were are not run again.",
         f"{where}dvc exp run {chosen}"),
        ("Whether shards and moments are whole, and where a number comes from.",
         "alexnet verify\nalexnet explain top1_error"),
        ("A photo of your own, by this model.", "alexnet predict PHOTO.jpg"),
    ]  # fmt: skip
