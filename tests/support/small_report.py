"""A report of small random arrays, for the tests that parse its page or open it in a browser."""

from dataclasses import replace

import numpy as np

from alexnet.comparison.runs import Estimate
from alexnet.comparison.tables import NOT_IN_PAPER, ComparisonRow
from alexnet.evaluate.result import Result, Run
from alexnet.figures.augmentation import AugmentationExamples
from alexnet.figures.neighbours import Neighbour, Query
from alexnet.figures.predictions import Guess, Prediction
from alexnet.figures.style import Pixels
from alexnet.report.dag_diagram import Stage
from alexnet.report.page import Report
from alexnet.report.samples import (
    CLASSES,
    MISTAKES,
    ODD_FILES,
    PREDICTIONS,
    RECORDS,
    ClassSamples,
    OddFile,
    Sample,
)
from alexnet.retrieve.neighbours import QUERIES


def noise(seed: int, *shape: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape or (256, 256, 3), dtype=np.uint8)


def predictions(words: str, count: int = 8) -> list[Prediction]:
    guesses = [
        Guess(f"{words} {n}", (0.512, 0.203, 0.091, 0.0449, 0.02)[n], n == 1) for n in range(5)
    ]
    return [Prediction(noise(n), f"{words} true {n}", guesses) for n in range(count)]


def class_samples(words: str) -> list[ClassSamples]:
    samples = [[Sample(noise(n), f"{n}.JPEG", 40 + n)] * 2 for n in range(6)]
    return [
        ClassSamples(f"n0{n}", f"{words} {n}, w{n}", 100 + n, pair)
        for n, pair in enumerate(samples)
    ]


def queries(words: str) -> list[Query]:
    def neighbours(same: int) -> list[Neighbour]:
        return [Neighbour(noise(n), f"{words} near {n}", n < same) for n in range(6)]

    return [
        Query(noise(n), f"{words} query {n}", neighbours(5 - n), neighbours(n)) for n in range(3)
    ]


def history() -> list[dict[str, float]]:
    keys = ("epoch", "step", "lr", "train_loss", "val_loss", "top1_error", "top5_error")
    rows = [(1, 38, 0.01, 3.1234, 3.2346, 0.912, 0.5), (2, 76, 0.001, 2.5, 2.6789, 0.6543, 0.321)]
    return [dict(zip(keys, row, strict=True)) for row in rows]


STAGES = [
    Stage("archives", "as downloaded", (), [("train.tar", "94.6 MB")]),
    Stage("index", "where", ("archives",), [("data/index", "3f9a1c2e")]),
    Stage("resize", "square", ("archives", "index"), [("data/shards", "a81b77d0")]),
    Stage("moments", "mean", ("resize",), [("data/moments", "5c0e9f41")]),
    Stage("train", "net", ("index", "resize", "moments"), [("data/train", "d2247b6a")]),
    Stage("evaluate", "views", ("train",), [("predictions", "0b91e3f7"), ("metrics", "77c2a4d9")]),
    Stage("report", "page", ("index", "resize", "moments", "train", "evaluate"), []),
]
CODES = [
    {"code": code, "bits": str(bits), "candidates": str(candidates), "recall": f"{recall:.6f}"}
    for code, better in (("auto-encoder", 0.2), ("hyperplanes", 0))
    for bits in (32, 64)
    for candidates, recall in ((10, 0.3 + better), (100, 0.7 + better))
]
CONFUSION = np.diag([20, 25, 22]) + np.array([[0, 3, 2], [0, 0, 0], [1, 2, 0]])
COUNTS = {"top1_wrong": 72, "top5_wrong": 13, "center_top1_wrong": 85, "center_top5_wrong": 17}
RUN = Run("miniature", "val", 12, "two_towers", "brisk", "5e1f0a93", 17, 0.0125)
RESULT = Result(COUNTS, 304, RUN)
OURS = Estimate(41.23, (40.8, 41.66)), Estimate(18.54, (18.2, 18.88))
COMPARISON = [
    ComparisonRow("Table 1", "SIFT + FVs", "45.7 / 25.7", None, ""),
    ComparisonRow("Table 2", "1 CNN", "40.7 / 18.2", OURS, "ilsvrc2012 val"),
    ComparisonRow("Table 2", "5 CNNs", "38.1 / 16.4", None, "not run yet"),
    ComparisonRow("Increase", "one GPU", "+1.7 / +1.2", None, "not run yet", differences=True),
    ComparisonRow(NOT_IN_PAPER, "this run", "", OURS, "miniature", comparable=False),
]
REPORT = Report(
    result=RESULT,
    comparison=COMPARISON,
    train_images=1203,
    settings=[("model.lrn.k", "2.0"), ("recipe.multistep", "[18, 22]")],
    stages=STAGES,
    mean_image=np.random.default_rng(0).uniform(0, 255, (256, 256, 3)).astype(np.float32),
    channel_means=np.array([131.24, 118.41, 109.93]),
    eigenvalues=np.array([11864.0, 1101.0, 311.0]),
    eigenvectors=np.array([[0.561, 0.577, 0.594], [0.712, 0.025, -0.702], [0.42, -0.816, 0.396]]),
    photo=noise(5),
    augmentation=AugmentationExamples(
        np.array([0, 31, 9, 4]), np.array([8, 0, 31, 2]), np.eye(4, 3) * 9 - 3, 224
    ),
    history=history(),
    conv1=np.random.default_rng(1).normal(size=(24, 3, 11, 11)),
    towers=2,
    fc7_units=1024,
    predictions=predictions("crane"),
    mistakes=predictions("owl", 3),
    ranks=[232, 41, 11, 5, 2, 13],
    confusion=CONFUSION,
    words=["crane, bird", "owl", "heron"],
    class_samples=class_samples("heron"),
    odd_files=[
        OddFile("n01_7.JPEG", "mode CMYK, converted to RGB", "kept", noise(3)),
        OddFile("n01_8.JPEG", "truncated", "skipped", None),
    ],
    odd_count=2,
    queries=queries("egret"),
    codes=CODES,
)


def photo_like(seed: int) -> Pixels:
    """Noise with the spectrum of a photograph, 1/f: compresses no better than a photograph."""
    drawn = np.random.default_rng(seed).normal(size=(256, 256, 3))
    drawn = 0.2 * drawn + 0.8 * drawn.mean(axis=2, keepdims=True)
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)).clip(1 / 256)
    image = np.fft.irfft2(np.fft.rfft2(drawn, axes=(0, 1)) / frequency[..., None], axes=(0, 1))
    pixels: Pixels = np.clip(128 + 50 * image / image.std(), 0, 255).astype(np.uint8)
    return pixels


def largest() -> Report:
    """A report of ILSVRC's thousand classes and the paper's net, as long as samples.py allows."""
    photos = [photo_like(n) for n in range(12)]
    shown = [
        prediction._replace(image=photos[n]) for n, prediction in enumerate(predictions("crane"))
    ]
    near = [Neighbour(photo, "heron", True) for photo in photos[:6]]
    samples = [Sample(photo, "n01440764_10026.JPEG", 1_000_000) for photo in photos[:RECORDS]]
    matrix = np.random.default_rng(0).poisson(0.02, (1000, 1000)) + np.diag([30] * 1000)
    return replace(
        REPORT,
        result=replace(RESULT, run=replace(RUN, classes=1000)),
        photo=photos[0],
        history=[history()[0] | {"epoch": n + 1} for n in range(90)],
        conv1=np.random.default_rng(1).normal(size=(96, 3, 11, 11)),
        predictions=shown[:PREDICTIONS],
        mistakes=shown[:MISTAKES],
        confusion=matrix,
        words=[f"word {n}, other" for n in range(1000)],
        class_samples=[ClassSamples("n01440764", "word, other", 1300, samples)] * CLASSES,
        odd_files=[OddFile("n01_7.JPEG", "mode CMYK", "kept", photos[8])] * ODD_FILES,
        odd_count=ODD_FILES + 1,
        queries=[Query(photos[9], "heron", near, near)] * QUERIES,
    )
