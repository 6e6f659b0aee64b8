"""Sheets of photographs contain each expected image in its place, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from alexnet.figures import augmentation, neighbours, style
from alexnet.figures.augmentation import AugmentationExamples, draw_augmentation
from alexnet.figures.neighbours import Neighbour, Query, draw_neighbours
from alexnet.figures.style import DARK, LIGHT, Pixels, Theme
from figure_checks import packed, places

TOPS, LEFTS = np.array([0, 3, 31, 8, 20]), np.array([31, 2, 0, 16, 20])
SHIFTS = np.array([[9.7, -8.2, 7.2], [0, 0, 0], [-300, 300, 0.4], [2, 2, 2], [1, 1, 1]])


@pytest.fixture(scope="module")
def photo() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)


@pytest.mark.parametrize("crop", [224, 227])
def test_crops_reflections_and_shifted_crops_are_drawn_in_rows(photo: Pixels, crop: int) -> None:
    tops, lefts = np.minimum(TOPS, 256 - crop), np.minimum(LEFTS, 256 - crop)
    examples = AugmentationExamples(tops, lefts, SHIFTS, crop)
    sheet = packed(draw_augmentation(photo, examples))
    found = []
    for top, left, shift in list(zip(tops, lefts, SHIFTS, strict=True))[:4]:
        patch = photo[top : top + crop, left : left + crop]
        table = np.array([round(min(255, max(0, v + s))) for v in range(256) for s in shift])
        shifted = table.reshape(256, 3)[patch, np.arange(3)].astype(np.uint8)
        assert (shifted != patch).any() == shift.any()
        found.append([places(sheet, tile)[-1] for tile in (patch, patch[:, ::-1], shifted)])
    rows = [sorted({y for _, y in (column[n] for column in found)}) for n in (1, 2)]
    assert [len(row) for row in rows] == [1, 1]
    assert rows[0] < rows[1]
    columns = [column[1][0] for column in found]
    assert columns == [column[2][0] for column in found] == sorted(set(columns))
    assert all(column[0][1] < column[1][1] for n, column in enumerate(found) if n != 1)


def test_a_frame_marks_the_crop_on_the_photo(photo: Pixels) -> None:
    """The frame lies just inside the crop's border, on the photo at twice its size."""
    examples = AugmentationExamples(TOPS[:1], LEFTS[:1], SHIFTS[:1], 224)
    sheet = np.asarray(draw_augmentation(photo, examples))
    expected = photo.repeat(2, axis=0).repeat(2, axis=1)
    inside = expected[5:443, 67:505].copy()
    expected[:448, 62:510] = tuple(bytes.fromhex(augmentation.FRAMES[0][1:]))
    expected[5:443, 67:505] = inside
    assert np.array_equal(sheet[style.LINE : style.LINE + 512, :512], expected)


def tile(colour: str, same: bool = False) -> Neighbour:
    return Neighbour(np.asarray(Image.new("RGB", (256, 256), colour)), "$_{, other", same)


def make_query(features: list[Neighbour], pixels: list[Neighbour]) -> Query:
    return Query(*tile("#300000")[:2], features, pixels)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_neighbours_are_drawn_in_order_and_those_of_the_same_class_have_a_bar(theme: Theme) -> None:
    features = [tile(f"#1000{n}0", n != 2) for n in range(6)]
    pixels = [tile(f"#2000{n}0", n == 5) for n in range(6)]
    both = [make_query(features, pixels)] * 2
    sheet = packed(draw_neighbours(both, theme))
    bar = int(theme.pair[0][1:], 16)
    tops = []
    for code, kind, same in (
        (0x100000, features, [1, 1, 0, 1, 1, 1]),
        (0x200000, pixels, [0] * 5 + [1]),
    ):
        spots = [np.argwhere(sheet == code + 16 * n) for n in range(len(kind))]
        assert all(len(spot) == 2 * neighbours.TILE**2 for spot in spots)
        lefts, lows = [spot[:, 1].min() for spot in spots], [spot[:, 0].min() for spot in spots]
        assert lefts == sorted(set(lefts))
        assert len(set(lows)) == 1
        tops.append(lows[0])
        under = [
            sheet[lows[0] + neighbours.TILE + 1, left + neighbours.TILE // 2] for left in lefts
        ]
        assert [at == bar for at in under] == [bool(mark) for mark in same]
    assert tops == sorted(tops)
    query = np.argwhere(sheet == 0x300000)
    assert len(query) == 2 * neighbours.QUERY**2
    assert query[:, 1].max() < np.argwhere(sheet == 0x100000)[:, 1].min()


def test_the_title_states_how_many_neighbours_are_of_the_same_class() -> None:
    """The titles differ where the counts do, and nowhere else."""
    same_class, none = ([tile("#100000", same)] * 2 for same in (True, False))
    same, other = (
        np.asarray(draw_neighbours([make_query(near, none)])) for near in (same_class, none)
    )
    rows = np.flatnonzero((same != other).any(axis=(1, 2)))
    assert rows.min() < style.LINE
    assert rows.max() < neighbours.ROW, "the row of pixel neighbours is the same"


def test_no_crops_and_no_neighbours_are_drawn_as_empty_sheets(photo: Pixels) -> None:
    nothing = np.array([], int)
    draw_augmentation(photo, AugmentationExamples(nothing, nothing, np.zeros((0, 3)), 224))
    alone = draw_neighbours([make_query([], [])])
    assert alone.width >= neighbours.QUERY
