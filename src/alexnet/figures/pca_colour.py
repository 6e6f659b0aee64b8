"""The RGB eigenpairs, and what the colour shift does to a photograph (section 4.1)."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from alexnet.figures.style import LIGHT, Floats, Pixels, Theme, png_of, styled, write


def eigenpairs_picture(eigenvalues: Floats, eigenvectors: Floats, theme: Theme = LIGHT) -> bytes:
    """√λ (in 0–255 units) and the R, G, B components of each axis as bars → PNG.

    Row i of `eigenvectors` is the unit vector pᵢ of `eigenvalues[i]`.
    """
    with styled(theme):
        return png_of(eigenpairs_figure(eigenvalues, eigenvectors, theme))


def eigenpairs_figure(eigenvalues: Floats, eigenvectors: Floats, theme: Theme) -> Figure:
    """The figure behind `eigenpairs_picture`: axes 0 holds √λ, axes 1 the components."""
    figure = Figure(figsize=(4.8, 2.5), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    bars = left.barh(range(3), deviations(eigenvalues), height=0.5, color=theme.muted)
    left.bar_label(bars, fmt="%.1f", padding=4)
    left.set(yticks=range(3), yticklabels=[f"Axis {i}" for i in (1, 2, 3)], ylim=(2.5, -0.5))
    left.margins(x=0.25)
    left.set_title("√λ, in units of 0–255")
    for channel, (name, colour) in enumerate(zip("RGB", theme.channels, strict=True)):
        at = np.arange(3) + 0.24 * (channel - 1)
        right.barh(at, eigenvectors[:, channel], height=0.2, color=colour, label=name)
    right.axvline(0, color=theme.muted, linewidth=0.8)
    right.set(xlim=(-1, 1), xticks=(-1, 0, 1))
    right.set_title("Direction")
    narrow = {"handlelength": 0.7, "columnspacing": 0.8}
    right.legend(ncols=3, loc="lower right", bbox_to_anchor=(1.03, 0.985), **narrow)
    for axes in (left, right):
        axes.tick_params(left=False)
        axes.spines["left"].set_visible(False)
    return figure


def relit(image: Pixels, eigenvalues: Floats, eigenvectors: Floats, alphas: Floats) -> Pixels:
    """One picture (H, W, 3) moved by α√λ along each axis → (3, axes; α; H, W, 3), 0–255.

    Row i of `eigenvectors` is the unit vector pᵢ (numpy's `eigh` returns columns: transpose).
    """
    steps = np.multiply.outer(deviations(eigenvalues), alphas)
    shifts = steps[:, :, None] * eigenvectors[:, None, :]
    moved = image + shifts[:, :, None, None, :]
    return np.rint(np.clip(moved, 0, 255)).astype(np.uint8)


def relit_picture(
    image: Pixels, eigenvalues: Floats, eigenvectors: Floats, theme: Theme = LIGHT
) -> Image.Image:
    """What the colour shift does to one picture (H, W, 3): −2σ … +2σ along each axis, σ = 0.1√λ.

    The shift of training is slight, so a second set of rows shows it five times as large.
    Row i of `eigenvectors` is pᵢ; `eigenvalues` (3,) are variances of 0–255 pixel values.
    """
    upper, lower = (_relit_rows(image, eigenvalues, eigenvectors, times, theme) for times in (1, 5))
    sheet = Image.new("RGB", (upper.width, 2 * upper.height + image.shape[1] // 4), theme.paper)
    sheet.paste(upper, (0, 0))
    sheet.paste(lower, (0, sheet.height - lower.height))
    return sheet


def _relit_rows(
    image: Pixels, eigenvalues: Floats, eigenvectors: Floats, times: int, theme: Theme
) -> Image.Image:
    height, width = image.shape[:2]
    gap, font = max(2, width // 16), max(8, width // 7)
    line = round(1.5 * font)  # title and column heads take one, and so does each row's label
    pitch = line + height + 2 * gap
    sheet = Image.new("RGB", (5 * (width + gap) - gap, 2 * line + 3 * pitch - 2 * gap), theme.paper)
    title = "As in training" if times == 1 else f"Exaggerated ×{times}"
    write(sheet, (0, 0), title, font, theme.ink)
    for column in range(5):
        middle = column * (width + gap) + width // 2
        write(sheet, (middle, line), _sigmas((column - 2) * times), font, theme.muted, "ma")
    tiles = relit(image, eigenvalues, eigenvectors, times * 0.1 * np.arange(-2, 3))
    for axis, sigma in enumerate(0.1 * deviations(eigenvalues)):
        top = 2 * line + axis * pitch
        write(sheet, (0, top), f"Axis {axis + 1}: σ = {sigma:.1f} of 255", font, theme.muted)
        for column, tile in enumerate(tiles[axis]):
            sheet.paste(Image.fromarray(tile), (column * (width + gap), top + line))
    return sheet


def deviations(eigenvalues: Floats) -> Floats:
    """√λ; a flat axis may come out a rounding error below zero."""
    deviations: Floats = np.sqrt(np.maximum(eigenvalues, 0))
    return deviations


def _sigmas(n: int) -> str:
    return f"{n:+d}σ".replace("-", "−") if n else "0"
