"""The 36 classes: identified by shape, varied; the miniature's twelve never change."""

import hashlib

import numpy as np
import pytest
from PIL import Image, ImageDraw

from alexnet.config.compose import load_config
from alexnet.miniature import classes, shapes_basic
from alexnet.miniature.classes import CLASSES, SHAPES, UPRIGHT
from alexnet.miniature.geometry import Draft, smooth
from alexnet.miniature.render import draw

LABELS = range(len(CLASSES))
NAMES = [shape.__name__ for shape in SHAPES]
SIDE = 16  # pixels of a silhouette

# Of draw(2012, label, 1), recorded when there were only twelve classes.
MINIATURE = {
    0: "757f7ececbecb857", 1: "06d2a2937e7226e4", 2: "5e7bb51c4bc7faf0",
    3: "6869f52cd4656381", 4: "998a698fdf15b5fb", 5: "ac611db071409270",
    6: "c1374972fda279c8", 7: "43d6bb726ac80c54", 8: "c406a4bfd0901b11",
    9: "f523db2a8b92ea04", 10: "8aeec2453ab82d9e", 11: "8af32eb16cb09b72",
}  # fmt: skip


def test_miniature_drawings_have_not_changed() -> None:
    digests = {k: hashlib.sha256(draw(2012, k, 1).tobytes()).hexdigest()[:16] for k in MINIATURE}
    assert digests == MINIATURE


def test_first_twelve_labels_are_the_miniatures() -> None:
    assert CLASSES[:12] == shapes_basic.CLASSES
    assert SHAPES[:12] == shapes_basic.SHAPES
    assert len(CLASSES) == len(SHAPES) == len({wnid for wnid, _ in CLASSES}) == 36
    assert set(UPRIGHT) < set(SHAPES)


@pytest.mark.parametrize("label", LABELS, ids=NAMES)
def test_class_words_contain_the_name_of_the_shape(label: int) -> None:
    wnid, words = CLASSES[label]
    assert NAMES[label].replace("_", " ") in words
    assert wnid[0] == "n"
    assert wnid[1:].isdigit()
    assert len(wnid) == 9


@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
def test_shapes_are_painted_polygons_that_vary(shape: Draft) -> None:
    counts, drafts = set(), set()
    for seed in range(20):
        parts = shape(np.random.default_rng(seed))
        repeated = shape(np.random.default_rng(seed))
        points = np.concatenate([polygon for polygon, _ in parts])
        assert np.array_equal(points, np.concatenate([polygon for polygon, _ in repeated]))
        assert all(polygon.ndim == 2 and len(polygon) >= 3 for polygon, _ in parts)
        assert {paint for _, paint in parts} <= {"main", "second", "dark", "pale", "hole"}
        assert np.isfinite(points).all()
        assert np.abs(points).max() < 2.5
        counts.add(len(points))
        drafts.add(points.tobytes())
    if shape not in shapes_basic.SHAPES:
        assert len(drafts) == 20, "no proportion varies"
        assert len(counts) >= 2, "no count varies"


def silhouette(label: int, seed: int) -> np.ndarray:
    """Return the coverage of each pixel by the upright shape: 0 to 1, float (SIDE, SIDE)."""
    parts = SHAPES[label](np.random.default_rng((label, seed)))
    corners = np.concatenate([points for points, _ in parts])
    low, high = corners.min(axis=0), corners.max(axis=0)
    scale = (SIDE * 4 - 1) / (high - low).max()
    image = Image.new("L", (SIDE * 4, SIDE * 4))
    pen = ImageDraw.Draw(image)
    for points, paint in parts:
        middle = (points - (low + high) / 2) * scale + SIDE * 2
        pen.polygon(middle.ravel().tolist(), 0 if paint == "hole" else 255)
    return np.asarray(image.reduce(4)) / 255


def test_shape_identifies_the_class() -> None:
    """By nearest silhouette, 8 per class, more than 90 % must be correct (chance: 2.8 %)."""
    known = np.array([[silhouette(k, seed) for seed in range(8)] for k in LABELS])
    queries = np.array([[silhouette(k, seed) for seed in range(8, 14)] for k in LABELS])
    flat = known.reshape(len(LABELS) * 8, -1)
    distances = np.abs(queries.reshape(len(LABELS), 6, 1, -1) - flat).sum(axis=-1)
    correct = distances.argmin(axis=-1) // 8 == np.array(LABELS)[:, None]
    assert correct.mean() > 0.9
    assert correct.mean(axis=1).min() >= 0.5, "a class looks like another"


def test_mean_colour_does_not_identify_the_class() -> None:
    """By nearest mean colour, at least 90 % must be wrong (chance: 97.2 %)."""

    def colours(indices: range) -> np.ndarray:
        return np.array([[draw(13, k, i).mean((0, 1)) for i in indices] for k in LABELS])

    centres = colours(range(6)).mean(axis=1)
    nearest = np.linalg.norm(colours(range(100, 103))[:, :, None] - centres, axis=-1).argmin(-1)
    error = (nearest != np.array(LABELS)[:, None]).mean()
    assert error >= 0.9


def test_smoothing_stays_inside_the_outline_and_cuts_its_corners() -> None:
    square = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    outline = smooth(square)
    assert outline.min() >= 0
    assert outline.max() <= 1
    assert np.linalg.norm(outline[:, None] - square, axis=-1).min() > 0.17
    assert np.allclose(outline.mean(axis=0), 0.5)


def test_wide_set_has_all_classes_and_shares_no_drawing_with_the_miniature() -> None:
    wide, small = (load_config([f"dataset={name}"]).dataset for name in ("wide", "miniature"))
    assert wide.drawn is not None
    assert small.drawn is not None
    assert (wide.drawn.classes, small.drawn.classes) == (len(classes.SHAPES), 12)
    assert wide.seed != small.seed
    assert wide.root != small.root
