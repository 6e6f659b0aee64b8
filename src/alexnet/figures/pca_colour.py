"""The RGB eigenpairs, and colour augmentation applied to a photograph (section 4.1)."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from alexnet.figures.style import LIGHT, Floats, Pixels, Theme, draw_text


def plot_eigenpairs(eigenvalues: Floats, eigenvectors: Floats, theme: Theme) -> Figure:
    """Plot √λ and the components of each pᵢ as bars.

    Axes 0: √λ in 0–255 units; axes 1: R, G and B of each pᵢ. Row i of `eigenvectors` is the unit
    vector pᵢ of `eigenvalues[i]`.
    """
    figure = Figure(figsize=(4.8, 2.5), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    bars = left.barh(range(3), standard_deviations(eigenvalues), height=0.5, color=theme.muted)
    left.bar_label(bars, fmt="%.1f", padding=4)
    left.set(yticks=range(3), yticklabels=[f"Axis {i}" for i in (1, 2, 3)], ylim=(2.5, -0.5))
    left.margins(x=0.25)
    left.set_title("√λ, in units of 0–255")
    for channel, (name, colour) in enumerate(zip("RGB", theme.channels, strict=True)):
        y = np.arange(3) + 0.24 * (channel - 1)
        right.barh(y, eigenvectors[:, channel], height=0.2, color=colour, label=name)
    right.axvline(0, color=theme.muted, linewidth=0.8)
    right.set(xlim=(-1, 1), xticks=(-1, 0, 1))
    right.set_title("Direction")
    narrow = {"handlelength": 0.7, "columnspacing": 0.8}
    right.legend(ncols=3, loc="lower right", bbox_to_anchor=(1.03, 0.985), **narrow)
    for axes in (left, right):
        axes.tick_params(left=False)
        axes.spines["left"].set_visible(False)
    return figure


def shift_colours(
    image: Pixels, eigenvalues: Floats, eigenvectors: Floats, alphas: Floats
) -> Pixels:
    """Shift the colours of an image by each α√λ along each axis.

    image (H, W, 3), alphas (n,) → (3 axes, n, H, W, 3), clipped to 0–255. Row i of `eigenvectors`
    is the unit vector pᵢ (numpy's `eigh` returns columns: transpose).
    """
    steps = np.multiply.outer(standard_deviations(eigenvalues), alphas)
    shifts = steps[:, :, None] * eigenvectors[:, None, :]
    shifted = image + shifts[:, :, None, None, :]
    return np.rint(np.clip(shifted, 0, 255)).astype(np.uint8)


def draw_colour_shifts(
    image: Pixels, eigenvalues: Floats, eigenvectors: Floats, theme: Theme = LIGHT
) -> Image.Image:
    """Draw an image shifted by −2σ … +2σ along each axis.

    image (H, W, 3); σ = 0.1√λ as in training. These shifts are small, so a second set of rows
    shows them five times as large. Row i of
    `eigenvectors` is pᵢ; `eigenvalues` (3,) are variances of 0–255 pixel values.
    """
    upper, lower = (_draw_rows(image, eigenvalues, eigenvectors, times, theme) for times in (1, 5))
    sheet = Image.new("RGB", (upper.width, 2 * upper.height + image.shape[1] // 4), theme.paper)
    sheet.paste(upper, (0, 0))
    sheet.paste(lower, (0, sheet.height - lower.height))
    return sheet


def _draw_rows(
    image: Pixels, eigenvalues: Floats, eigenvectors: Floats, times: int, theme: Theme
) -> Image.Image:
    height, width = image.shape[:2]
    gap, font = max(2, width // 16), max(8, width // 7)
    line = round(1.5 * font)  # height of the title, of the column heads and of each row's label
    pitch = line + height + 2 * gap
    sheet = Image.new("RGB", (5 * (width + gap) - gap, 2 * line + 3 * pitch - 2 * gap), theme.paper)
    title = "As in training" if times == 1 else f"Exaggerated ×{times}"
    draw_text(sheet, (0, 0), title, font, theme.ink)
    for column in range(5):
        middle = column * (width + gap) + width // 2
        head = _format_sigmas((column - 2) * times)
        draw_text(sheet, (middle, line), head, font, theme.muted, "ma")
    tiles = shift_colours(image, eigenvalues, eigenvectors, times * 0.1 * np.arange(-2, 3))
    for axis, sigma in enumerate(0.1 * standard_deviations(eigenvalues)):
        top = 2 * line + axis * pitch
        draw_text(sheet, (0, top), f"Axis {axis + 1}: σ = {sigma:.1f} of 255", font, theme.muted)
        for column, tile in enumerate(tiles[axis]):
            sheet.paste(Image.fromarray(tile), (column * (width + gap), top + line))
    return sheet


def standard_deviations(eigenvalues: Floats) -> Floats:
    """Return √λ; an eigenvalue that rounding made slightly negative counts as 0."""
    deviations: Floats = np.sqrt(np.maximum(eigenvalues, 0))
    return deviations


def _format_sigmas(n: int) -> str:
    return f"{n:+d}σ".replace("-", "−") if n else "0"
