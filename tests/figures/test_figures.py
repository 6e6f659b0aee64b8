"""Each figure is compared with values computed by hand and read back from it."""

from __future__ import annotations

import io
import math
from functools import partial
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from alexnet.figures import curves, pca_colour, predictions, style
from alexnet.figures.kernels import colour_index, draw_kernels, tower_colours
from alexnet.figures.predictions import Guess, Prediction
from alexnet.figures.style import DARK, LIGHT
from figure_checks import line, packed, places

EIGENVALUES = np.array([14830.0, 1376.0, 389.0])
EIGENVECTORS = np.array([[0.564, 0.576, 0.592], [0.713, 0.024, -0.701], [0.418, -0.817, 0.397]])
HISTORY = [
    {"epoch": 1.0, "step": 32, "lr": 0.01, "train_loss": 3.1, "val_loss": 3.2, "top1_error": 0.9,
     "top5_error": 0.5},
    {"epoch": 2.0, "step": 64, "lr": 0.01, "train_loss": 2.1, "val_loss": 2.6, "top1_error": 0.7,
     "top5_error": 0.4},
    {"epoch": 3.0, "step": 96, "lr": 0.001, "train_loss": 1.1, "val_loss": 2.4, "top1_error": 0.5,
     "top5_error": 0.25},
]  # fmt: skip
GUESSES = [Guess(f"word {n}", 0.5 / (n + 1), n == 2) for n in range(5)]


def scaled(kernel: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Return a kernel as it should be drawn: stretched to 0–255, enlarged six times."""
    low, high = float(kernel.min()), float(kernel.max())
    drawn = np.zeros((6 * kernel.shape[1], 6 * kernel.shape[2], 3), np.uint8)
    for c, y, x in np.ndindex(kernel.shape):
        value = round(255 * (float(kernel[c, y, x]) - low) / (high - low))
        drawn[6 * y : 6 * y + 6, 6 * x : 6 * x + 6, c] = value
    return drawn


@pytest.mark.parametrize(("kernels", "columns"), [(24, 12), (48, 12), (96, 16), (10, 5), (2, 1)])
def test_each_kernel_is_drawn_in_its_place_scaled_by_its_own_range(
    kernels: int, columns: int
) -> None:
    weights = np.random.default_rng(0).normal(size=(kernels, 3, 11, 11))
    weights *= np.geomspace(1e-6, 1e3, kernels)[:, None, None, None]
    sheet = packed(draw_kernels(weights))
    found = [places(sheet, scaled(kernel)) for kernel in weights]
    assert [len(spots) for spots in found] == [1] * kernels
    spots = [spot for (spot,) in found]
    half = kernels // 2
    for n, (x, y) in enumerate(spots):
        assert x == 72 * (n % half % columns)
        assert y == spots[n // half * half][1] + 72 * (n % half // columns)


def test_towers_are_further_apart_than_rows() -> None:
    weights = np.random.default_rng(1).normal(size=(96, 3, 11, 11))
    sheet = packed(draw_kernels(weights))
    ((_, last),) = places(sheet, scaled(weights[47]))
    ((_, first),) = places(sheet, scaled(weights[48]))
    between = sheet[last + 66 : first]
    assert len(between) > 3 * 6
    assert (between != 0xFFFFFF).any(), "the second tower's label is missing"
    one_tower = draw_kernels(weights, towers=1)
    assert one_tower.size == (16 * 72 - 6, 6 * 72 - 6)
    assert places(packed(one_tower), scaled(weights[48])) == [(0, 3 * 72)]


def test_a_constant_kernel_is_grey() -> None:
    picture = draw_kernels(np.full((2, 3, 11, 11), -0.3), towers=1)
    assert (np.asarray(picture)[:66, :66] == 128).all()


def coloured(*colours: tuple[float, float, float]) -> npt.NDArray[np.float64]:
    """Return one kernel for each colour, with a random strength at each position."""
    strengths = np.random.default_rng(0).normal(size=(len(colours), 1, 11, 11))
    return np.array(colours)[:, :, None, None] * strengths


def test_colour_index_is_the_share_of_energy_off_the_grey_axis() -> None:
    kernels = coloured((1, 1, 1), (1, -1, 0), (1, 0, 0), (2, 2, -1), (0, 0, 0))
    assert colour_index(kernels) == pytest.approx([0, 1, 2 / 3, 2 / 3, 0])
    noise = np.random.default_rng(1).normal(size=(3, 3, 11, 11)).astype(np.float32)
    for kernel, index in zip(noise, colour_index(noise), strict=True):
        across = 0.0
        for y, x in np.ndindex(11, 11):
            red, green, blue = (float(c) for c in kernel[:, y, x])
            across += ((red - green) ** 2 + (green - blue) ** 2 + (blue - red) ** 2) / 3
        assert index == pytest.approx(across / float(np.square(kernel.astype(float)).sum()))


def test_each_tower_is_labelled_with_its_colour_index() -> None:
    grey, chromatic = coloured(*[(1, 1, 1)] * 12), coloured(*[(1, 0, -1)] * 12)
    weights = np.concatenate([grey, chromatic])
    assert tower_colours(weights) == pytest.approx([0, 1])
    assert tower_colours(weights[::-1]) == pytest.approx([1, 0])
    assert tower_colours(weights, towers=1) == pytest.approx([0.5])
    sheet = np.asarray(draw_kernels(weights))
    other = np.asarray(draw_kernels(weights[::-1]))
    font = sheet.shape[1] // 38
    for n, index in enumerate((0, 1)):
        strip = Image.new("RGB", (sheet.shape[1], 3 * font // 2), LIGHT.paper)
        words = f"Tower {n + 1}: colour index {index:.2f}"
        style.draw_text(strip, (0, 0), words, font, LIGHT.muted)
        y = n * (sheet.shape[0] + 4 * font // 5) // 2
        assert np.array_equal(sheet[y : y + font], np.asarray(strip)[:font]), words
        assert not np.array_equal(other[y : y + font], np.asarray(strip)[:font])


def shifted_by_hand(image: npt.NDArray[np.uint8], axis: int, alpha: float) -> npt.NDArray[np.uint8]:
    moved = np.zeros_like(image)
    for y, x, c in np.ndindex(image.shape):
        shift = alpha * math.sqrt(EIGENVALUES[axis]) * EIGENVECTORS[axis, c]
        moved[y, x, c] = round(min(255.0, max(0.0, float(image[y, x, c]) + shift)))
    return moved


def test_shifted_tiles_are_the_image_plus_alpha_root_lambda_p() -> None:
    image = np.random.default_rng(2).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    sheet = packed(pca_colour.draw_colour_shifts(image, EIGENVALUES, EIGENVECTORS))
    rows = []
    for times in (1, 5):
        for axis in range(3):
            tiles = [shifted_by_hand(image, axis, 0.1 * times * n) for n in (-2, -1, 1, 2)]
            found = [places(sheet, tile) for tile in tiles]
            assert [len(spots) for spots in found] == [1] * 4
            columns = [spots[0][0] for spots in found]
            assert columns == [0, 14, 42, 56]
            (y,) = {spots[0][1] for spots in found}
            assert (28, y) in places(sheet, image), "the middle column is not the image itself"
            rows.append(y)
    assert rows == sorted(rows)
    assert len(set(rows)) == 6


def test_a_slightly_negative_eigenvalue_shifts_nothing() -> None:
    image = np.full((8, 8, 3), 100, np.uint8)
    tiles = pca_colour.shift_colours(
        image, np.array([100.0, 1.0, -1e-14]), EIGENVECTORS, np.array([1.0])
    )
    assert tiles.shape == (3, 1, 8, 8, 3)
    assert (tiles[2] == 100).all()


def test_eigenpairs_are_drawn_as_bars_of_their_length() -> None:
    left, right = pca_colour.plot_eigenpairs(EIGENVALUES, EIGENVECTORS, LIGHT).axes
    assert bars(left) == pytest.approx(np.sqrt(EIGENVALUES).tolist())
    assert bars(right) == pytest.approx(EIGENVECTORS.T.ravel().tolist())
    assert [round(bar.get_bbox().y1) for bar in bar_patches(right)] == [0, 1, 2] * 3
    assert right.get_legend_handles_labels()[1] == ["R", "G", "B"]


def test_curves_show_the_history_and_mark_each_drop_of_the_rate() -> None:
    upper, lower = curves.plot_curves(HISTORY, LIGHT).axes
    assert line(upper, "training") == [(1, 3.1), (2, 2.1), (3, 1.1)]
    assert line(upper, "validation") == [(1, 3.2), (2, 2.6), (3, 2.4)]
    assert line(lower, "top-1") == [(1, 90), (2, 70), (3, 50)]
    assert line(lower, "top-5") == [(1, 50), (2, 40), (3, 25)]
    assert curves.lr_drops(HISTORY) == [(2, 0.001)]
    for axes in (upper, lower):
        assert [mark.get_xdata() for mark in axes.lines[2:]] == [[2, 2]]
    assert [text.get_text() for text in upper.texts] == ["lr 0.001"]
    assert {text.get_text(): text.xy for text in lower.texts} == {"50.0": (3, 50), "25.0": (3, 25)}


def test_labels_of_errors_that_meet_are_placed_one_above_the_other() -> None:
    history = [HISTORY[0], HISTORY[2] | {"top1_error": 0.004, "top5_error": 0.0}]
    _, lower = curves.plot_curves(history, LIGHT).axes
    below, above = sorted(lower.texts, key=lambda text: text.xy[1])
    assert (below.get_text(), above.get_text()) == ("0.0", "0.4")
    assert above.xy[1] - below.xy[1] > 0.07 * lower.get_ylim()[1]


def test_only_the_true_labels_bar_has_the_other_colour() -> None:
    images = np.random.default_rng(3).integers(0, 256, (8, 256, 256, 3), dtype=np.uint8)
    shown = [Prediction(image, "truth, verity", GUESSES) for image in images]
    axes = predictions.plot_predictions(shown, LIGHT).axes
    assert len(axes) == 16
    for n in range(8):
        picture, chart = axes[2 * n], axes[2 * n + 1]
        assert np.array_equal(np.asarray(picture.images[0].get_array()), images[n])
        assert picture.get_title() == "truth"
        assert bars(chart) == [guess.probability for guess in GUESSES]
        colours = [matplotlib.colors.to_hex(bar.get_facecolor()) for bar in chart.patches]
        assert colours == [LIGHT.bars[n == 2] for n in range(5)]
        assert [text.get_text() for text in chart.texts] == [f"word {n}" for n in range(5)]


def test_words_that_look_like_formulas_are_drawn_as_text() -> None:
    guesses = [Guess(r"$\frac{1$", 0.9, False)]
    shown = [Prediction(np.zeros((16, 16, 3), np.uint8), "$_$", guesses)]
    png = style.plot_png(partial(predictions.plot_predictions, shown))
    assert png.startswith(b"\x89PNG")


def test_words_are_shortened_to_the_first_and_truncated() -> None:
    assert style.shorten("crane") == "crane"
    assert style.shorten("great white shark, white shark") == "great white shark"
    assert style.shorten("black-and-tan coonhound", 14) == "black-and-tan…"


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_pngs_do_not_depend_on_matplotlibs_settings(theme: style.Theme) -> None:
    first = render_pngs(theme)
    settings = dict(matplotlib.rcParams)
    with matplotlib.rc_context({"lines.linewidth": 9, "font.size": 22, "axes.grid": True}):
        assert render_pngs(theme) == first
    assert dict(matplotlib.rcParams) == settings
    for png in first:
        chunks = {png[i : i + 4] for i in chunk_starts(png)}
        assert not chunks & {b"tEXt", b"iTXt", b"zTXt", b"tIME"}
        corner = Image.open(io.BytesIO(png)).convert("RGB").getpixel((0, 0))
        assert corner == tuple(bytes.fromhex(theme.paper[1:]))


def render_pngs(theme: style.Theme) -> list[bytes]:
    shown = [Prediction(np.zeros((8, 8, 3), np.uint8), "a", GUESSES)]
    return [
        style.plot_png(partial(pca_colour.plot_eigenpairs, EIGENVALUES, EIGENVECTORS), theme),
        style.plot_png(partial(curves.plot_curves, HISTORY), theme),
        style.plot_png(partial(predictions.plot_predictions, shown), theme),
        style.encode_png(Image.new("RGB", (4, 4), theme.paper)),
    ]


def chunk_starts(png: bytes) -> list[int]:
    starts, at = [], 8
    while at < len(png):
        starts.append(at + 4)
        at += 12 + int.from_bytes(png[at : at + 4], "big")
    return starts


def bars(axes: Any) -> list[float]:
    return [bar.get_width() for bar in bar_patches(axes)]


def bar_patches(axes: Any) -> list[Any]:
    return list(axes.patches)
