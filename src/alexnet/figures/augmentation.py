"""Training's random crops, reflections and colour shifts of one photograph (section 4.1)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageOps

from alexnet.figures.style import FONT, GAP, LIGHT, LINE, Floats, Pixels, Theme, draw_text

EDGE = 5  # width of a coloured frame
FRAMES = ("#e8453c", "#2f9e44", "#3b7de0", "#d99a00")  # one a crop, visible on any photo
CROPS = len(FRAMES)  # crops that a sheet has room for


class AugmentationExamples(NamedTuple):
    """Random choices of training for one image, n of them.

    tops, lefts (n,): offsets of the crops; shifts (n, 3): colour shifts, RGB in 0–255 units; crop:
    the side of all crops.
    """

    tops: npt.NDArray[np.integer]
    lefts: npt.NDArray[np.integer]
    shifts: Floats
    crop: int

    @property
    def offsets(self) -> list[tuple[int, int]]:
        """Top and left of the crops that a sheet has room for."""
        return list(zip(self.tops.tolist(), self.lefts.tolist(), strict=True))[:CROPS]


def draw_augmentation(
    photo: Pixels, examples: AugmentationExamples, theme: Theme = LIGHT
) -> Image.Image:
    """Draw a photo with its first four crops framed, and the crops.

    photo (256, 256, 3). Below the photo, at twice its size: the crops, their reflections, and the
    crops with their colours shifted.
    """
    crop = examples.crop
    crops = [photo[top : top + crop, left : left + crop] for top, left in examples.offsets]
    shifted = [_shift(image, shift) for image, shift in zip(crops, examples.shifts, strict=False)]
    rows = {
        f"Crops of {crop} × {crop}": crops,
        "Their reflections": [image[:, ::-1] for image in crops],
        "The crops with the colour shift of training": shifted,
    }
    pitch = crop + 2 * EDGE + GAP
    top, row = 2 * LINE + 2 * len(photo), LINE + pitch + GAP
    sheet = Image.new("RGB", (CROPS * pitch - GAP, top + 3 * row - 2 * GAP), theme.paper)
    draw_text(sheet, (0, 0), "Four random samples of one image", FONT, theme.ink)
    sheet.paste(_draw_frames(photo, examples), (0, LINE))
    _write_choices(sheet, (2 * len(photo) + 2 * GAP, LINE), examples, theme)
    for n, (title, images) in enumerate(rows.items()):
        draw_text(sheet, (0, top + n * row), title, FONT, theme.ink)
        for column, image in enumerate(images):
            framed = ImageOps.expand(Image.fromarray(image), EDGE, FRAMES[column])
            sheet.paste(framed, (column * pitch, top + n * row + LINE))
    return sheet


def _shift(image: Pixels, shift: Floats) -> Pixels:
    shifted: Pixels = np.rint(np.clip(image + shift, 0, 255)).astype(np.uint8)
    return shifted


def _draw_frames(photo: Pixels, examples: AugmentationExamples) -> Image.Image:
    """Draw the photo twice as large, with a frame inside each crop."""
    large = Image.fromarray(photo.repeat(2, axis=0).repeat(2, axis=1))
    pen = ImageDraw.Draw(large)
    for (top, left), colour in zip(examples.offsets, FRAMES, strict=False):
        bottom, right = top + examples.crop, left + examples.crop
        corners = (2 * left, 2 * top, 2 * right - 1, 2 * bottom - 1)
        pen.rectangle(corners, outline=colour, width=EDGE)
    return large


def _write_choices(
    sheet: Image.Image, at: tuple[int, int], examples: AugmentationExamples, theme: Theme
) -> None:
    """Write each crop's offset and shift beside a mark in its colour."""
    x, y = at
    for n, (top, left) in enumerate(examples.offsets):
        at_y = y + n * (2 * LINE + 2 * GAP)
        shift = zip("RGB", examples.shifts[n], strict=True)
        words = "  ".join(f"{name} {round(value):+d}" for name, value in shift)
        mark = (x, at_y, x + 2 * EDGE, at_y + 2 * LINE - GAP)
        ImageDraw.Draw(sheet).rectangle(mark, FRAMES[n])
        draw_text(sheet, (x + 3 * GAP, at_y), f"top {top}, left {left}", FONT, theme.ink)
        draw_text(sheet, (x + 3 * GAP, at_y + LINE), words.replace("-", "−"), FONT, theme.muted)
