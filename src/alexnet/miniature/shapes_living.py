"""Nine plants, fungi and animals for the wide set; conventions as in shapes_basic."""

import numpy as np

from alexnet.miniature.geometry import (
    Draft,
    Part,
    Points,
    arc,
    box,
    disc,
    mirror,
    polar,
    shift,
    smooth,
    stroke,
)

# WordNet 3.0 ids.
CLASSES = (
    ("n13001041", "mushroom"),
    ("n02274259", "butterfly"),
    ("n07767847", "pear"),
    ("n13104059", "tree"),
    ("n11842204", "cactus"),
    ("n01772222", "spider"),
    ("n01726692", "snake, serpent, ophidian"),
    ("n07758680", "grape"),
    ("n01855672", "goose"),
)


def mushroom(rng: np.random.Generator) -> list[Part]:
    tall, wide, skirt = rng.uniform(0.7, 1.1), rng.uniform(0.16, 0.28), rng.uniform(0.3, 0.45)
    stem = mirror([(wide, 0), (wide, 0.45), (wide * 1.5, 0.8), (wide * 1.2, 1)])
    dome = polar(1.0, np.linspace(np.pi, 2 * np.pi, 30)) * (1, tall)
    count, ribs = rng.integers(4, 9), np.linspace(-0.9, 0.9, rng.integers(7, 14))
    angles = np.pi * (1 + (np.arange(count) + 0.5) / count)
    places = polar(rng.uniform(0.35, 0.8, count), angles) * (1, tall)
    dots = [
        disc(x, y, s, s * 0.8)
        for (x, y), s in zip(places, rng.uniform(0.07, 0.14, count), strict=True)
    ]
    gills = [stroke([(x * 0.4, 0.03), (x, 0.2 * np.sqrt(1 - x * x))], 0.02) for x in ribs]
    return [
        (disc(0, 0, 1, 0.2), "second"),
        *((gill, "dark") for gill in gills),
        (stem, "pale"),
        (mirror([(wide * 0.9, skirt), (wide * 1.7, skirt + 0.16)]), "pale"),
        (dome, "main"),
        *((dot, "pale") for dot in dots),
    ]


def butterfly(rng: np.random.Generator) -> list[Part]:
    high, out, low = rng.uniform(0.75, 1.0), rng.uniform(0.9, 1.15), rng.uniform(0.7, 1.0)
    tip = [(out * 0.7, -high), (out, -high * 0.95), (out * 0.95, -0.3)]
    upper = np.array([(0.05, -0.1), (0.2, -0.5), *tip, (0.5, 0.05), (0.05, 0.05)])
    tail = [(0.75, 0.55), (0.5, low), (0.25, low * 0.75), (0.05, 0.3)]
    lower = np.array([(0.05, 0.0), (0.5, 0.0), (0.8, 0.2), *tail])
    hub, feeler = np.array((0.12, 0.0)), np.array([(0, -0.3), (0.1, -0.7), (0.3, -0.95)])
    rim = np.linspace((out * 0.82, -high * 0.78), (out * 0.78, -0.3), rng.integers(1, 5))
    half: list[Part] = [
        (smooth(lower), "second"),
        (smooth(hub + (lower - hub) * 0.55), "main"),
        (smooth(upper), "main"),
        (smooth(hub + (upper - hub) * 0.55), "second"),
        *((disc(x, y, 0.08), "pale") for x, y in (*rim, (0.55, low * 0.62))),
        (stroke(feeler, 0.035), "dark"),
        (disc(0.3, -0.95, 0.055), "dark"),
    ]
    other = [(points * (-1, 1), paint) for points, paint in half]
    return [*half, *other, (disc(0, 0.1, 0.09, 0.5), "dark"), (disc(0, -0.38, 0.11), "dark")]


def pear(rng: np.random.Generator) -> list[Part]:
    neck, waist, lean = rng.uniform(0.22, 0.36), rng.uniform(-0.5, -0.2), rng.uniform(-0.25, 0.25)
    y = np.array([-0.95, -0.88, -0.65, waist, 0.1, 0.45, 0.75, 0.95, 1.0])
    half = np.array([0.1, neck * 0.8, neck, neck * 1.15, 0.58, 0.72, 0.62, 0.25, 0.06])
    shine = smooth([(-0.5, 0.3), (-0.42, 0.05), (-0.34, 0.1), (-0.4, 0.35), (-0.36, 0.62)], 2)
    freckles = rng.uniform((-0.25, 0.1), (0.4, 0.75), (rng.integers(4, 12), 2))
    leaves = [blade(0.0, -1.05, angle, 0.65) for angle in (-0.5, -2.5)[: rng.integers(1, 3)]]
    return [
        (stroke([(0, -0.85), (lean * 0.4, -1.1), (lean, -1.35)], [0.07, 0.08, 0.12]), "dark"),
        *((leaf, "second") for leaf in leaves),
        (smooth(mirror(np.stack([half, y], -1))), "main"),
        (shine, "pale"),
        *((disc(u, v, 0.03), "dark") for u, v in freckles),
        (disc(0, 0.97, 0.08, 0.05), "dark"),
    ]


def blade(x: float, y: float, angle: float, length: float) -> Points:
    """Return a smooth leaf that starts at (x, y)."""
    t = np.linspace(0, 1, 16)
    spine = shift(polar(t * length, np.full(16, angle)), x, y)
    return stroke(spine, 0.45 * length * np.sin(np.pi * t) + 0.01)


def tree(rng: np.random.Generator) -> list[Part]:
    tiers, foot, points = rng.integers(3, 7), rng.uniform(0.55, 0.85), rng.integers(2, 5)
    droop, trunk = rng.uniform(0.05, 0.1), rng.uniform(0.08, 0.14)
    parts: list[Part] = [(box(-trunk, 0.2, trunk, 1.1), "second")]
    for k in reversed(range(tiers)):
        top, bottom = -1.1 + 1.5 * k / tiers, -1.1 + 1.5 * (k + 1.3) / tiers
        x = np.linspace(1, -1, 2 * points + 1)
        y = bottom + 0.06 * x**2 - droop * (np.arange(len(x)) % 2)
        hem = np.stack([x * foot * (0.35 + 0.65 * (k + 1) / tiers), y], -1)
        parts.append((np.concatenate([[(0, top)], hem]), "main"))
    return parts


def cactus(rng: np.random.Generator) -> list[Part]:
    thick = rng.uniform(0.32, 0.46)
    parts: list[Part] = []
    for k in range(rng.integers(1, 5)):
        y, rise = rng.uniform(0.1, 0.35) - 0.35 * (k // 2), rng.uniform(0.3, 0.6)
        out = 0.74 if k < 2 else 0.5
        bend = arc(out - 0.2, y - 0.2, 0.2, np.pi / 2, 0)
        arm = np.concatenate([[(0, y)], bend, [(out, y - 0.2 - rise)]]) * ((-1) ** k, 1)
        parts += limb(arm, thick * 0.6, 1)
    trunk = limb(np.array([(0, 0.9), (0, 0.2), (0, -0.85)]), thick, 3)
    pot = mirror([(0.5, 0.62), (0.5, 0.74), (0.4, 0.76), (0.3, 1.2)])
    return [*parts, *trunk, (pot, "second")]


def limb(path: Points, thick: float, ribs: int) -> list[Part]:
    """Return a round-ended stem with `ribs` pale lines along it."""
    offsets = (np.arange(ribs) - (ribs - 1) / 2) * thick * 0.3
    lines = [(shift(stroke(path, 0.05), s, 0), "pale") for s in offsets]
    return [
        (disc(path[-1, 0], path[-1, 1], thick / 2), "main"),
        (stroke(path, thick), "main"),
        *lines,
    ]


def spider(rng: np.random.Generator) -> list[Part]:
    belly, knee = rng.uniform(0.26, 0.38), rng.uniform(0.6, 0.75)
    legs: list[Part] = []
    for side in (-1, 1):
        for angle in np.linspace(-1.0, 0.8, 4) + rng.uniform(-0.08, 0.08, 4):
            bends = np.array([angle, angle, angle + 0.35 * np.sign(angle + 0.1)])
            leg = polar(np.array([0.1, knee, 1.2]), bends) * (side, 1)
            legs.append((stroke(leg, [0.09, 0.075, 0.03]), "dark"))
    marks = [
        stroke([(-w, y), (0, y - 0.09), (w, y)], 0.05)
        for w, y in belly * np.array([(0.6, 0.6), (0.55, 1.0), (0.45, 1.4), (0.3, 1.8)])
    ]
    return [
        *legs,
        (disc(0, 0.15 + belly, belly, belly * 1.2), "main"),
        *((shift(mark, 0, 0.15), "pale") for mark in marks[: rng.integers(1, 5)]),
        (disc(0, 0, 0.22), "second"),
        *((disc(x, -0.12, 0.04), "pale") for x in (-0.14, -0.05, 0.05, 0.14)),
    ]


def snake(rng: np.random.Generator) -> list[Part]:
    bends, swing, t = rng.uniform(1.2, 2.6), rng.uniform(0.3, 0.5), np.linspace(0, 1, 90)
    wave = swing * np.minimum(1, 2 * t + 0.2) * np.sin(2 * np.pi * bends * t)
    body = np.stack([2 * t - 1, wave], -1)
    girth = rng.uniform(0.17, 0.25) * np.minimum(1, 0.08 + 2.2 * t)
    bands = np.linspace(12, 82, rng.integers(5, 12)).astype(int)
    ahead = (body[-1] - body[-4]) / np.hypot(*(body[-1] - body[-4]))
    axes = np.array([ahead, (-ahead[1], ahead[0])])
    jaw = np.array([(-0.08, -0.1), (0.1, -0.18), (0.33, -0.09)])
    head: list[Part] = [
        *((stroke([(0.25, 0), (0.44, 0), (0.56, s)], 0.03), "dark") for s in (-0.08, 0.08)),
        (smooth([*jaw, *jaw[::-1] * (1, -1)], 2), "second"),
        *((disc(0.17, s, 0.035), "dark") for s in (-0.08, 0.08)),
    ]
    return [
        (stroke(body, girth), "main"),
        *((stroke(body[k - 1 : k + 2], girth[k]), "pale") for k in bands),
        *((points @ axes + body[-1], paint) for points, paint in head),
    ]


def grape(rng: np.random.Generator) -> list[Part]:
    rows, step = rng.integers(4, 8), rng.uniform(1.6, 1.85)
    size = 0.8 / rows
    berries: list[Part] = []
    for row in reversed(range(rows)):
        middles = np.stack(
            [np.arange(rows - row) - (rows - row - 1) / 2, 0 * np.arange(rows - row) + row], -1
        )
        for x, y in size * (middles * (step, 1.55) + rng.uniform(-0.25, 0.25, middles.shape)):
            berries.append((disc(x, y - 0.35, size), "main"))
            berries.append((disc(x - 0.3 * size, y - 0.35 - 0.35 * size, size * 0.2), "pale"))
    leaves = [blade(0.03, -0.8, angle, 0.75) for angle in (-0.2, -2.9)[: rng.integers(1, 3)]]
    return [
        (stroke([(0, -0.3), (0.03, -0.8), (0.12, -1.1)], [0.08, 0.08, 0.12]), "dark"),
        *((leaf, "second") for leaf in leaves),
        *berries,
    ]


def goose(rng: np.random.Generator) -> list[Part]:
    long, reach, t = rng.uniform(0.65, 0.85), rng.uniform(0.85, 1.3), np.linspace(0, 1, 24)
    curve = np.stack([0.42 + 0.13 * np.sin(2 * np.pi * t) + 0.15 * t, 0.3 - reach * t], -1)
    x, y = curve[-1]
    legs: list[Part] = []
    for step in (-0.1, 0.18):
        legs.append((stroke([(step, 0.6), (step, 1.02)], 0.06), "second"))
        web = np.array([(-0.05, 0.98), (0.25, 1.06), (-0.08, 1.08)])
        legs.append((shift(web, step, 0), "second"))
    feathers = np.linspace(0, 1, rng.integers(3, 7))
    return [
        *legs,
        (stroke(curve, np.interp(t, [0, 0.4, 1], [0.6, 0.24, 0.2])), "main"),
        (np.array([(x + 0.1, y - 0.07), (x + 0.42, y + 0.05), (x + 0.1, y + 0.09)]), "second"),
        (disc(x + 0.03, y, 0.17, 0.14), "main"),
        (disc(x + 0.07, y - 0.03, 0.04), "dark"),
        (np.array([(0.1 - long, 0.1), (-long - 0.35, -0.02), (0.2 - long, 0.55)]), "main"),
        (disc(0, 0.35, long, 0.4), "main"),
        *((blade(0.4, 0.22, 2.86 + 0.45 * f, 1.15 - 0.4 * f), "pale") for f in feathers),
    ]


SHAPES: tuple[Draft, ...] = (
    mushroom, butterfly, pear, tree, cactus, spider, snake, grape, goose,
)  # fmt: skip
UPRIGHT: tuple[Draft, ...] = (tree, cactus, goose)
