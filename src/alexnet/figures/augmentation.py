"""What training makes of one photograph (section 4.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageOps

from alexnet.figures.style import FONT, GAP, LIGHT, LINE, Floats, Pixels, Theme, write

Places = npt.NDArray[np.integer]
EDGE = 5  # of a coloured frame
PATCHES = 4  # that a sheet has room for
FRAMES = ("#e8453c", "#2f9e44", "#3b7de0", "#d99a00")  # of the patches, on any photo


def augmentation_picture(
    photo: Pixels, tops: Places, lefts: Places, shifts: Floats, crop: int, theme: Theme = LIGHT
) -> Image.Image:
    """Section 4.1 on one photo (256, 256, 3): where patches of `crop` lie, and what each becomes.

    The first four of tops, lefts (n,) and shifts (n, 3), which are RGB, 0–255 units: such as
    `batches.choose` and `augment.colour_shifts` draw for training. Below the photo, twice as
    large, stand the patches, their reflections, and the patches relit.
    """
    places = list(zip(tops.tolist(), lefts.tolist(), strict=True))[:PATCHES]
    patches = [photo[top : top + crop, left : left + crop] for top, left in places]
    lights = [_relit(patch, shift) for patch, shift in zip(patches, shifts, strict=False)]
    rows = {
        f"Patches of {crop} × {crop}": patches,
        "Their reflections": [patch[:, ::-1] for patch in patches],
        "The patches relit, as slightly as in training": lights,
    }
    pitch = crop + 2 * EDGE + GAP
    top, row = 2 * LINE + 2 * len(photo), LINE + pitch + GAP
    sheet = Image.new("RGB", (PATCHES * pitch - GAP, top + 3 * row - 2 * GAP), theme.paper)
    write(sheet, (0, 0), "Four draws from one image", FONT, theme.ink)
    sheet.paste(_with_frames(photo, places, crop), (0, LINE))
    _told(sheet, (2 * len(photo) + 2 * GAP, LINE), places, shifts, theme)
    for n, (title, images) in enumerate(rows.items()):
        write(sheet, (0, top + n * row), title, FONT, theme.ink)
        for column, image in enumerate(images):
            framed = ImageOps.expand(Image.fromarray(image), EDGE, FRAMES[column])
            sheet.paste(framed, (column * pitch, top + n * row + LINE))
    return sheet


def _relit(patch: Pixels, shift: Floats) -> Pixels:
    moved: Pixels = np.rint(np.clip(patch + shift, 0, 255)).astype(np.uint8)
    return moved


def _with_frames(photo: Pixels, places: Sequence[tuple[int, int]], crop: int) -> Image.Image:
    """The photo at twice its size, the patches as frames just inside their borders."""
    large = Image.fromarray(photo.repeat(2, axis=0).repeat(2, axis=1))
    pen = ImageDraw.Draw(large)
    for (top, left), colour in zip(places, FRAMES, strict=False):
        corners = (2 * left, 2 * top, 2 * (left + crop) - 1, 2 * (top + crop) - 1)
        pen.rectangle(corners, outline=colour, width=EDGE)
    return large


def _told(
    sheet: Image.Image,
    at: tuple[int, int],
    places: Sequence[tuple[int, int]],
    shifts: Floats,
    theme: Theme,
) -> None:
    """In the colour of each patch where it begins, and what is added to its pixels."""
    x, y = at
    for n, (top, left) in enumerate(places):
        here = y + n * (2 * LINE + 2 * GAP)
        light = "  ".join(f"{name} {round(v):+d}" for name, v in zip("RGB", shifts[n], strict=True))
        ImageDraw.Draw(sheet).rectangle((x, here, x + 2 * EDGE, here + 2 * LINE - GAP), FRAMES[n])
        write(sheet, (x + 3 * GAP, here), f"{top} down, {left} right", FONT, theme.ink)
        write(sheet, (x + 3 * GAP, here + LINE), light.replace("-", "−"), FONT, theme.muted)
