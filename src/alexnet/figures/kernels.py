"""Figure 3: the kernels of conv1."""

from __future__ import annotations

import numpy as np
from PIL import Image

from alexnet.figures.style import LIGHT, Floats, Pixels, Theme, draw_text

SCALE, MARGIN = 6, 6  # enlargement, and pixels between kernels


def colour_index(weights: Floats) -> Floats:
    """Return the share of each kernel's energy off the grey axis.

    weights (N, 3, h, w), without centring → (N,), 0–1. The grey axis is (1, 1, 1)/√3. The three
    weights at each position are a colour vector; the squares of its components along and across the
    axis are summed over positions. 0: purely grey, 1: purely chromatic, 2/3 on average for noise; 0
    for a kernel of zeros.
    """
    energy = np.square(weights, dtype=np.float64).sum(axis=(1, 2, 3))
    grey = np.square(weights.sum(axis=1, dtype=np.float64)).sum(axis=(1, 2)) / 3
    share: Floats = 1 - np.divide(grey, energy, out=np.ones_like(energy), where=energy > 0)
    return share.clip(0, 1)


def tower_colours(weights: Floats, towers: int = 2) -> list[float]:
    """Return the mean colour index of each tower's kernels, in order."""
    return [float(mean) for mean in colour_index(weights).reshape(towers, -1).mean(axis=1)]


def draw_kernels(weights: Floats, towers: int = 2, theme: Theme = LIGHT) -> Image.Image:
    """Draw figure 3: the kernels of tower 1 above those of tower 2.

    weights (N, 3, h, h), enlarged six times. Each kernel is scaled by its own range: its minimum is
    drawn as 0, its maximum as 255. Each tower is labelled with its mean colour index: in the paper
    one tower learned mostly grey kernels, the other coloured ones. With `towers=1` (the one-GPU
    net) there is one block without a label.
    """
    halves = weights.reshape(towers, -1, *weights.shape[1:])
    blocks = [_draw_grid(kernels, theme) for kernels in halves]
    if towers == 1:
        return blocks[0]
    width, height = blocks[0].size
    font = max(12, width // 38)
    label, gap = 3 * font // 2, 4 * font // 5
    pitch = label + height + gap
    sheet = Image.new("RGB", (width, towers * pitch - gap), theme.paper)
    for n, (block, index) in enumerate(zip(blocks, tower_colours(weights, towers), strict=True)):
        title = f"Tower {n + 1}: colour index {index:.2f}"
        draw_text(sheet, (0, n * pitch), title, font, theme.muted)
        sheet.paste(block, (0, n * pitch + label))
    return sheet


def _draw_grid(kernels: Floats, theme: Theme) -> Image.Image:
    """Draw kernels in full rows of 16 to 8 if possible."""
    n, side = len(kernels), SCALE * kernels.shape[-1]
    columns = next((c for c in range(16, 7, -1) if n % c == 0), min(n, 16))
    rows, pitch = -(-n // columns), side + MARGIN
    size = columns * pitch - MARGIN, rows * pitch - MARGIN
    sheet = Image.new("RGB", size, theme.paper)
    for i, pixels in enumerate(_stretch(kernels)):
        tile = Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST)
        sheet.paste(tile, (i % columns * pitch, i // columns * pitch))
    return sheet


def _stretch(kernels: Floats) -> Pixels:
    """Stretch each kernel to 0–255; a constant one becomes 128.

    (n, 3, h, w) → (n, h, w, 3) uint8.
    """
    low = kernels.min(axis=(1, 2, 3), keepdims=True)
    extent = np.ptp(kernels, axis=(1, 2, 3), keepdims=True)
    unit = np.divide(kernels - low, extent, out=np.full_like(kernels, 0.5), where=extent > 0)
    pixels: Pixels = np.rint(255 * unit).astype(np.uint8).transpose(0, 2, 3, 1)
    return pixels
