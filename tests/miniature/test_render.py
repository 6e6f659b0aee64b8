"""Drawings are a pure function of their arguments and differ by shape, not colour."""

import numpy as np
import pytest

from alexnet.miniature import render, shapes_basic
from alexnet.miniature.classes import SHAPES
from alexnet.miniature.render import draw
from alexnet.miniature.shapes_basic import CLASSES

LABELS = range(len(SHAPES))
TWELVE = range(len(CLASSES))  # the miniature's


@pytest.mark.parametrize("label", LABELS)
def test_same_arguments_give_the_same_pixels(label: int) -> None:
    assert np.array_equal(draw(7, label, 3), draw(7, label, 3))


def test_every_argument_changes_the_image() -> None:
    images = [draw(0, 0, 0), draw(1, 0, 0), draw(0, 1, 0), draw(0, 0, 1)]
    assert len({image.tobytes() for image in images}) == 4


def test_drawing_does_not_use_the_global_generator() -> None:
    before = np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]  # noqa: NPY002
    draw(0, 0, 0)
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index, union-attr]  # noqa: NPY002


def test_sizes_are_like_those_of_photographs() -> None:
    shapes = [draw(2, label, index).shape for label in LABELS for index in range(2)]
    assert all(300 <= side <= 500 for shape in shapes for side in shape[:2])
    assert any(h > w for h, w, _ in shapes), "no portrait"
    assert any(w > h for h, w, _ in shapes), "no landscape"
    assert {shape[2] for shape in shapes} == {3}
    assert draw(2, 0, 0).dtype == np.uint8


def test_wnids_are_unique_and_unsorted() -> None:
    wnids = [wnid for wnid, _ in CLASSES]
    assert len(set(wnids)) == len(shapes_basic.SHAPES) == 12
    assert wnids != sorted(wnids)
    for count in range(2, len(wnids) + 1):
        assert wnids[:count] != sorted(wnids[:count]), "smaller sets must be unsorted too"


@pytest.mark.parametrize("label", LABELS)
def test_object_fills_the_central_square_and_stays_inside(label: int) -> None:
    """The part that the crop to 256×256 removes is always background."""
    rng = np.random.default_rng(label)
    for size in ((300, 500), (500, 300), (400, 400)):
        parts = render.place(rng, SHAPES[label](rng), size, upright=False)
        corners = np.concatenate([points for points, _ in parts])
        offset = np.abs(corners - np.array(size) / 2).max()
        assert offset <= min(size) / 2
        assert 0.35 * min(size) <= np.ptp(corners, axis=0).max() <= 0.8 * min(size)


def test_hole_is_transparent() -> None:
    square = np.array([(0.0, 0.0), (40, 0), (40, 40), (0, 40)])
    parts = [(square, "main"), (square / 2 + 10, "hole")]
    alpha = render.paint_parts(parts, {"main": (255.0, 0, 0), "dark": (0.0, 0, 0)}, (40, 40))
    assert alpha.getpixel((20, 20))[3] == 0  # type: ignore[index]
    assert alpha.getpixel((4, 4))[3] == 255  # type: ignore[index]


def test_mean_colour_does_not_identify_the_class() -> None:
    """By nearest mean colour, at least 80 % must be wrong (chance: 91.7 %)."""

    def colours(indices: range) -> np.ndarray:
        return np.array([[draw(11, k, i).mean((0, 1)) for i in indices] for k in TWELVE])

    centres = colours(range(18)).mean(axis=1)
    queries = colours(range(100, 112))
    nearest = np.linalg.norm(queries[:, :, None] - centres, axis=-1).argmin(axis=-1)
    error = (nearest != np.array(TWELVE)[:, None]).mean()
    assert error >= 0.8
