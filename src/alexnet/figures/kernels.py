"""Figure 3: the first-layer kernels."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from alexnet.figures.style import LIGHT, Floats, Theme, write


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
