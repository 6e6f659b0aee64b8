"""A report of small drawn arrays, for the tests that read its page and the one that opens it."""

from dataclasses import replace
from typing import Any

import numpy as np

from alexnet.comparison.runs import Figure
from alexnet.comparison.tables import ELSEWHERE, Row
from alexnet.figures.neighbours import Neighbour, Query
from alexnet.figures.predictions import Guess
from alexnet.figures.style import Pixels
from alexnet.report.dag_diagram import Stage
from alexnet.report.page import Report
from alexnet.report.samples import (
    MISTAKES,
    ODD_FILES,
    PREDICTIONS,
    RECORDS,
    SHELVES,
    Draws,
    OddFile,
    Prediction,
    Sample,
    Shelf,
)
from alexnet.retrieve.neighbours import QUERIES


def noise(seed: int, *shape: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape or (256, 256, 3), dtype=np.uint8)


def predictions(words: str, count: int = 8) -> list[Prediction]:
    guesses = [
        Guess(f"{words} {n}", (0.512, 0.203, 0.091, 0.0449, 0.02)[n], n == 1) for n in range(5)
    ]
    return [Prediction(noise(n), f"{words} true {n}", guesses) for n in range(count)]


def shelves(words: str) -> list[Shelf]:
    return [
        Shelf(f"n0{n}", f"{words} {n}, w{n}", 100 + n, [Sample(noise(n), f"{n}.JPEG", 40 + n)] * 2)
        for n in range(6)
    ]


def queries(words: str) -> list[Query]:
    def near(alike: int) -> list[Neighbour]:
        return [Neighbour(noise(n), f"{words} near {n}", n < alike) for n in range(6)]

    return [Query(noise(n), f"{words} asked {n}", near(5 - n), near(n)) for n in range(3)]


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
RUN = {"dataset": "miniature", "split": "val", "classes": 12, "model": "two_towers"}
RESULT: dict[str, Any] = {
    "top1_error": 100 * 72 / 304,
    "top5_error": 100 * 13 / 304,
    "center_top1_error": 100 * 85 / 304,
    "center_top5_error": 100 * 17 / 304,
    "top1_wrong": 72,
    "top5_wrong": 13,
    "center_top1_wrong": 85,
    "center_top5_wrong": 17,
    "images": 304,
    "run": {**RUN, "recipe": "brisk", "parameters": "5e1f0a93", "seed": 17, "lr": 0.0125},
}
OURS = Figure(41.23, (40.8, 41.66)), Figure(18.54, (18.2, 18.88))
COMPARISON = [
    Row("Table 1", "SIFT + FVs", "45.7 / 25.7", None, ""),
    Row("Table 2", "1 CNN", "40.7 / 18.2", OURS, "ilsvrc2012 val"),
    Row("Table 2", "5 CNNs", "38.1 / 16.4", None, "not yet run"),
    Row("Differences", "on one GPU", "+1.7 / +1.2", None, "not yet run", differences=True),
    Row(ELSEWHERE, "this very run", "", OURS, "miniature", comparable=False),
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
    draws=Draws(np.array([0, 31, 9, 4]), np.array([8, 0, 31, 2]), np.eye(4, 3) * 9 - 3, 224),
    history=history(),
    conv1=np.random.default_rng(1).normal(size=(24, 3, 11, 11)),
    towers=2,
    features=1024,
    predictions=predictions("crane"),
    mistakes=predictions("owl", 3),
    ranks=[232, 41, 11, 5, 2, 13],
    confusion=CONFUSION,
    words=["crane, bird", "owl", "heron"],
    shelves=shelves("heron"),
    odd_files=[
        OddFile("n01_7.JPEG", "mode CMYK, converted to RGB", "kept", noise(3)),
        OddFile("n01_8.JPEG", "truncated", "skipped", None),
    ],
    odd=2,
    queries=queries("egret"),
    codes=CODES,
)


def rough(seed: int) -> Pixels:
    """Noise with a photograph's spectrum, 1/f; a photograph has smooth places besides."""
    drawn = np.random.default_rng(seed).normal(size=(256, 256, 3))
    drawn = 0.2 * drawn + 0.8 * drawn.mean(axis=2, keepdims=True)
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)).clip(1 / 256)
    image = np.fft.irfft2(np.fft.rfft2(drawn, axes=(0, 1)) / frequency[..., None], axes=(0, 1))
    pixels: Pixels = np.clip(128 + 50 * image / image.std(), 0, 255).astype(np.uint8)
    return pixels


def largest() -> Report:
    """As much as exhibits.py ever chooses, of ILSVRC's thousand classes and the paper's net."""
    photos = [rough(n) for n in range(12)]
    some = [each._replace(image=photos[n]) for n, each in enumerate(predictions("crane"))]
    near = [Neighbour(photo, "heron", True) for photo in photos[:6]]
    samples = [Sample(photo, "n01440764_10026.JPEG", 1_000_000) for photo in photos[:RECORDS]]
    matrix = np.random.default_rng(0).poisson(0.02, (1000, 1000)) + np.diag([30] * 1000)
    return replace(
        REPORT,
        result={**RESULT, "run": {**RESULT["run"], "classes": 1000}},
        photo=photos[0],
        history=[history()[0] | {"epoch": n + 1} for n in range(90)],
        conv1=np.random.default_rng(1).normal(size=(96, 3, 11, 11)),
        predictions=some[:PREDICTIONS],
        mistakes=some[:MISTAKES],
        confusion=matrix,
        words=[f"word {n}, other" for n in range(1000)],
        shelves=[Shelf("n01440764", "word, other", 1300, samples)] * SHELVES,
        odd_files=[OddFile("n01_7.JPEG", "mode CMYK", "kept", photos[8])] * ODD_FILES,
        odd=ODD_FILES + 1,
        queries=[Query(photos[9], "heron", near, near)] * QUERIES,
    )
