"""Pictures made of pixels: the first-layer kernels (figure 3) and a photograph relit."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]


class Theme(NamedTuple):
    """Colours of the page that a figure lies on, as #rrggbb."""

    paper: str
    ink: str
    muted: str
    rule: str
    pair: tuple[str, str]  # the two lines of a diagram
    bars: tuple[str, str]  # behind a wrong and a right label
    channels: tuple[str, str, str]  # red, green and blue, toned down to lie side by side


LIGHT = Theme(
    *("#ffffff", "#1c2128", "#5b6470", "#d8dde3"),
    pair=("#1f6fb2", "#c2501c"),
    bars=("#dde5ee", "#f8c8a4"),
    channels=("#c8504b", "#4f9a5b", "#4a76c0"),
)
DARK = Theme(
    *("#14171c", "#e7eaee", "#a0a9b4", "#363d47"),
    pair=("#6cb2ee", "#f0935c"),
    bars=("#2f3946", "#8d4a20"),
    channels=("#e07b74", "#7cbf86", "#7fa5e6"),
)


def colour_index(weights: Floats) -> Floats:
    """The share of each kernel's energy that is off the grey axis (1, 1, 1)/√3: (N,), 0–1.

    weights (N, 3, h, w), as they are, nothing subtracted. At each place the three weights are a
    vector of colour; the squares of its parts along the axis and across it are added up over the
    places. 0: purely grey; 1: purely chromatic; 2/3 on average for weights that are noise; 0 for a
    kernel of zeros.
    """
    energy = np.square(weights, dtype=np.float64).sum(axis=(1, 2, 3))
    grey = np.square(weights.sum(axis=1, dtype=np.float64)).sum(axis=(1, 2)) / 3
    share: Floats = 1 - np.divide(grey, energy, out=np.ones_like(energy), where=energy > 0)
    return share.clip(0, 1)


def tower_colours(weights: Floats, towers: int = 2) -> list[float]:
    """The mean colour index of each tower's kernels, by the order of the towers."""
    return [float(mean) for mean in colour_index(weights).reshape(towers, -1).mean(axis=1)]


def kernels_picture(weights: Floats, towers: int = 2, theme: Theme = LIGHT) -> Image.Image:
    """Fig. 3: first-layer kernels (N, 3, h, w), enlarged six times, tower 1 above tower 2.

    Each kernel is scaled by its own range: its least weight is drawn as 0, its greatest as 255.
    Above each tower stands its mean colour index: in the paper one tower learnt mostly grey
    kernels and the other coloured ones. With `towers=1` (the one-GPU net) the N kernels stand in
    one unlabelled block.
    """
    halves = weights.reshape(towers, -1, *weights.shape[1:])
    blocks = [_kernel_rows(kernels, theme) for kernels in halves]
    if towers == 1:
        return blocks[0]
    width, height = blocks[0].size
    font = max(12, width // 38)
    label, gap = 3 * font // 2, 4 * font // 5
    pitch = label + height + gap
    sheet = Image.new("RGB", (width, towers * pitch - gap), theme.paper)
    for tower, (block, index) in enumerate(
        zip(blocks, tower_colours(weights, towers), strict=True)
    ):
        title = f"Tower {tower + 1}: colour index {index:.2f}"
        write(sheet, (0, tower * pitch), title, font, theme.muted)
        sheet.paste(block, (0, tower * pitch + label))
    return sheet


def _kernel_rows(kernels: Floats, theme: Theme) -> Image.Image:
    # 48 a tower stand in rows of 16, as in the paper; other counts in full rows where they can
    n, times, gap = len(kernels), 6, 6
    columns = next((c for c in range(16, 7, -1) if n % c == 0), min(n, 16))
    pitch = times * kernels.shape[-1] + gap
    size = (columns * pitch - gap, math.ceil(n / columns) * pitch - gap)
    sheet = Image.new("RGB", size, theme.paper)
    for i, kernel in enumerate(kernels):
        sheet.paste(_enlarged(kernel, times), (i % columns * pitch, i // columns * pitch))
    return sheet


def _enlarged(kernel: Floats, times: int) -> Image.Image:
    least, extent = kernel.min(), np.ptp(kernel)
    unit = (kernel - least) / extent if extent else np.full_like(kernel, 0.5)
    pixels = np.rint(255 * unit).astype(np.uint8).transpose(1, 2, 0)
    return Image.fromarray(pixels.repeat(times, axis=0).repeat(times, axis=1))


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


def png_bytes(picture: Image.Image) -> bytes:
    """A picture as PNG, without date or version."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def write(
    sheet: Image.Image, at: tuple[int, int], text: str, size: int, colour: str, anchor: str = "la"
) -> None:
    """Text of `size` pixels in a font that matplotlib brings along, the same everywhere."""
    path = Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")
    font = ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
    ImageDraw.Draw(sheet).text(at, text, colour, font, anchor)
