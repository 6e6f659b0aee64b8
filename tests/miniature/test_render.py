"""The drawings: a pure function of their arguments, told apart by form and not by colour."""

import numpy as np
import pytest

from alexnet.miniature import render as drawings
from alexnet.miniature import shapes_basic
from alexnet.miniature.classes import SHAPES
from alexnet.miniature.render import draw
from alexnet.miniature.shapes_basic import CLASSES

LABELS = range(len(SHAPES))
TWELVE = range(len(CLASSES))  # the miniature's


@pytest.mark.parametrize("label", LABELS)
def test_same_arguments_same_pixels(label: int) -> None:
    assert np.array_equal(draw(7, label, 3), draw(7, label, 3))


def test_each_argument_matters() -> None:
    pictures = [draw(0, 0, 0), draw(1, 0, 0), draw(0, 1, 0), draw(0, 0, 1)]
    assert len({picture.tobytes() for picture in pictures}) == 4


def test_a_drawing_leaves_the_global_generator_alone() -> None:
    before = np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]  # noqa: NPY002
    draw(0, 0, 0)
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index, union-attr]  # noqa: NPY002


def test_sizes_are_those_of_photographs() -> None:
    shapes = [draw(2, label, index).shape for label in LABELS for index in range(2)]
    assert all(300 <= side <= 500 for shape in shapes for side in shape[:2])
    assert any(h > w for h, w, _ in shapes), "no portrait"
    assert any(w > h for h, w, _ in shapes), "no landscape"
    assert {shape[2] for shape in shapes} == {3}
    assert draw(2, 0, 0).dtype == np.uint8


def test_the_ids_are_wordnets_and_not_in_its_order() -> None:
    wnids = [wnid for wnid, _ in CLASSES]
    assert len(set(wnids)) == len(shapes_basic.SHAPES) == 12
    assert wnids != sorted(wnids)
    for two in range(2, len(wnids) + 1):
        assert wnids[:two] != sorted(wnids[:two]), "a smaller set, too, must tell the orders apart"


@pytest.mark.parametrize("label", LABELS)
def test_a_thing_lies_in_the_central_square_and_fills_it(label: int) -> None:
    """What the crop to 256×256 cuts away holds no part of the thing."""
    rng = np.random.default_rng(label)
    for size in ((300, 500), (500, 300), (400, 400)):
        parts = drawings.placed(rng, SHAPES[label](rng), size, upright=False)
        corners = np.concatenate([points for points, _ in parts])
        offset = np.abs(corners - np.array(size) / 2).max()
        assert offset <= min(size) / 2
        assert 0.35 * min(size) <= np.ptp(corners, axis=0).max() <= 0.8 * min(size)


def test_a_hole_shows_what_is_behind() -> None:
    square = np.array([(0.0, 0.0), (40, 0), (40, 40), (0, 40)])
    parts = [(square, "main"), (square / 2 + 10, "hole")]
    alpha = drawings.painted(parts, {"main": (255.0, 0, 0), "dark": (0.0, 0, 0)}, (40, 40))
    assert alpha.getpixel((20, 20))[3] == 0  # type: ignore[index]
    assert alpha.getpixel((4, 4))[3] == 255  # type: ignore[index]


def test_mean_colour_does_not_tell_the_class() -> None:
    """Chance is 91.7 %; nearest mean colour must stay above 80 %."""

    def colours(indices: range) -> np.ndarray:
        return np.array([[draw(11, k, i).mean((0, 1)) for i in indices] for k in TWELVE])

    centres = colours(range(18)).mean(axis=1)
    queries = colours(range(100, 112))
    nearest = np.linalg.norm(queries[:, :, None] - centres, axis=-1).argmin(axis=-1)
    error = (nearest != np.array(TWELVE)[:, None]).mean()
    assert error >= 0.8
