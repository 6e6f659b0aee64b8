"""One offline HTML page that tells a whole run, and its figures as PNG files beside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from alexnet import figures, pictures
from alexnet.figures import Guess, History
from alexnet.pictures import DARK, LIGHT, Floats, Pixels, Theme
from alexnet.results import wilson


class Prediction(NamedTuple):
    """A test image (256, 256, 3), the words of its true label and its five likeliest labels."""

    image: Pixels
    truth: str
    guesses: Sequence[Guess]


class Sample(NamedTuple):
    """One record of a shard: pixels (256, 256, 3), synset, its words, name of the source file."""

    image: Pixels
    wnid: str
    words: str
    source: str


@dataclass(frozen=True)
class Report:
    """All that the page tells. Errors are fractions 0–1, colours RGB 0–255, eigenvectors rows."""

    dataset: str
    classes: int
    train_images: int
    images: int  # how many the four errors below were counted on
    model: str
    recipe: str
    seed: int
    lr: float
    top1_error: float  # the mean of ten views
    top5_error: float
    center_top1_error: float
    center_top5_error: float
    stages: Sequence[tuple[str, Sequence[tuple[str, str]]]]  # upstream: (stage, [(path, hash)])
    mean_image: Floats  # (256, 256, 3)
    channel_means: Floats  # (3,)
    eigenvalues: Floats  # (3,), of the RGB covariance, descending
    eigenvectors: Floats  # (3, 3), row i belongs to eigenvalues[i]
    photo: Pixels  # (H, W, 3), the picture to relight
    history: History  # rows of history.csv, as numbers
    conv1: Floats  # (N, 3, 11, 11)
    towers: int
    predictions: Sequence[Prediction]
    samples: Sequence[Sample]
    odd_files: Sequence[Mapping[str, Any]]  # name, what, done


class Rate(NamedTuple):
    """An error in %, with its 95 % interval where it was counted here."""

    percent: float
    interval: tuple[float, float] | None = None


class Result(NamedTuple):
    """A row of the table of results."""

    what: str
    where: str
    top1: Rate
    top5: Rate


PAPER = (  # tables 1 and 2, and section 6
    Result("1 CNN", "ILSVRC-2012 val, ten views", Rate(40.7), Rate(18.2)),
    Result("CNN", "ILSVRC-2010 test, ten views", Rate(37.5), Rate(17.0)),
    Result("CNN, centre view only", "ILSVRC-2010 test", Rate(39.0), Rate(18.3)),
)
IMAGENET_MEANS = np.array([127.3, 119.7, 104.9])  # ILSVRC-2012 train, R, G, B
IMAGENET_DEVIATIONS = np.array([121.78, 37.09, 19.72])  # √λ
IMAGENET_AXES = np.array([[0.564, 0.576, 0.592], [0.713, 0.024, -0.701], [0.418, -0.817, 0.397]])


def render(report: Report) -> str:
    """The page: HTML with every picture, style and number inside it; it asks for nothing else."""
    return _page(report, _drawn(report, LIGHT), _drawn(report, DARK))


def write_report(folder: Path, report: Report) -> None:
    """Write index.html and the five figures as PNG files into `folder`, made where missing."""
    folder.mkdir(parents=True, exist_ok=True)
    light = _drawn(report, LIGHT)
    for name, png in {**light, "predictions": _predictions(report)}.items():
        (folder / f"{name}.png").write_bytes(png)
    page = _page(report, light, _drawn(report, DARK))
    (folder / "index.html").write_text(page, encoding="utf-8")


def _drawn(report: Report, theme: Theme) -> dict[str, bytes]:
    """The figures as PNG files by name, in the colours of `theme`."""
    values, vectors = report.eigenvalues, report.eigenvectors
    kernels = pictures.kernels_picture(report.conv1, report.towers, theme)
    relit = pictures.relit_picture(_shrunk(report.photo, 144), values, vectors, theme)
    return {
        "kernels": pictures.png_bytes(kernels),
        "eigenpairs": figures.eigenpairs_picture(values, vectors, theme),
        "relit": pictures.png_bytes(relit),
        "curves": figures.curves_picture(report.history, theme),
    }


def _predictions(report: Report) -> bytes:
    images, truths, guesses = zip(*report.predictions, strict=True)
    return figures.predictions_picture(np.stack(images), truths, guesses)


def _page(report: Report, light: dict[str, bytes], dark: dict[str, bytes]) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(photo=_photo_uri, png=_png_uri)
    return environment.get_template("report.html.jinja").render(
        report=report,
        theme={"light": LIGHT, "dark": DARK},
        pictures={name: (_figure_uri(name, light), _figure_uri(name, dark)) for name in light},
        results={"This run": _results(report), "Krizhevsky et al., 2012": PAPER},
        mean_image=np.rint(report.mean_image).astype(np.uint8),
        channel_means=zip(
            ("Red", "Green", "Blue"), report.channel_means, IMAGENET_MEANS, strict=True
        ),
        axes=_axes(report),
        drops=figures.lr_drops(report.history),
    )


def _results(report: Report) -> tuple[Result, Result]:
    def rate(error: float) -> Rate:
        low, high = wilson(error, report.images)
        return Rate(100 * error, (100 * low, 100 * high))

    ten = rate(report.top1_error), rate(report.top5_error)
    centre = rate(report.center_top1_error), rate(report.center_top5_error)
    return Result("Ten views", report.dataset, *ten), Result("Centre view", report.dataset, *centre)


def _axes(report: Report) -> list[list[tuple[str, float, Floats]]]:
    """For each colour axis the rows (whose, √λ, p): this run's above ImageNet's."""
    deviations = np.sqrt(np.maximum(report.eigenvalues, 0))
    here = zip(["This run"] * 3, deviations, report.eigenvectors, strict=True)
    reference = zip(["ImageNet"] * 3, IMAGENET_DEVIATIONS, IMAGENET_AXES, strict=True)
    return [list(rows) for rows in zip(here, reference, strict=True)]


def _shrunk(pixels: Pixels, side: int) -> Pixels:
    picture = Image.fromarray(pixels)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def _figure_uri(name: str, pngs: dict[str, bytes]) -> str:
    # 30 photographs in one picture: as a PNG they alone would outweigh the rest of the page
    if name == "relit":
        return _photo_uri(np.asarray(Image.open(io.BytesIO(pngs[name]))), side=10**6)
    return _uri("png", pngs[name])


def _photo_uri(pixels: Pixels, side: int = 256) -> str:
    buffer = io.BytesIO()
    picture = Image.fromarray(_shrunk(pixels, side))
    picture.save(buffer, format="JPEG", quality=88)
    return _uri("jpeg", buffer.getvalue())


def _png_uri(pixels: Pixels) -> str:
    return _uri("png", pictures.png_bytes(Image.fromarray(pixels)))


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
