"""Seven tools and similar artefacts for the wide set; conventions as in shapes_basic."""

import numpy as np

from alexnet.miniature.geometry import (
    Draft,
    Part,
    arc,
    box,
    circle_angles,
    disc,
    mirror,
    polar,
    smooth,
    stroke,
)

# WordNet 3.0 ids.
CLASSES = (
    ("n03544143", "hourglass"),
    ("n03874599", "padlock"),
    ("n04153751", "screw"),
    ("n03481172", "hammer"),
    ("n03613294", "key"),
    ("n02709367", "anchor, ground tackle"),
    ("n04148054", "scissors, pair of scissors"),
)


def hourglass(rng: np.random.Generator) -> list[Part]:
    wide, neck, curve = rng.uniform(0.4, 0.6), rng.uniform(0.04, 0.08), rng.uniform(1.0, 1.6)
    y = np.linspace(-0.85, 0.85, 41)
    swell = np.sin(np.abs(y) / 0.85 * np.pi / 2) ** curve
    half = np.stack([neck + (wide - neck) * swell, y], -1)
    left = rng.uniform(-0.7, -0.3)  # level of the sand above; the rest has run down
    above, below = half[(y >= left) & (y <= 0)], half[y >= 0.85 + left * 0.7]
    heap = [(0, below[0, 1] - 0.15), *(below * (0.9, 1))]
    posts = [box(s * 0.62 - 0.05, -0.9, s * 0.62 + 0.05, 0.9) for s in (-1, 1)]
    caps = [box(-0.78, s * 0.93 - 0.1, 0.78, s * 0.93 + 0.1) for s in (-1, 1)]
    sand = [mirror(above * (0.9, 1)), box(-0.02, 0, 0.02, 0.8), mirror(heap)]
    return [
        *((post, "second") for post in posts),
        (mirror(half), "pale"),
        *((grains, "main") for grains in sand),
        *((cap, "second") for cap in caps),
    ]


def padlock(rng: np.random.Generator) -> list[Part]:
    wide, tall, lift = rng.uniform(0.55, 0.8), rng.uniform(0.75, 1.0), rng.choice([0, 0, 0.25])
    foot, reach, thick = wide * rng.uniform(0.75, 1), wide * 0.6, rng.uniform(0.16, 0.24)
    bow = arc(0, -0.3 - lift, reach, np.pi, 2 * np.pi)
    shackle = np.concatenate([[(-reach, 0.2)], bow, [(reach, 0.2 - 1.8 * lift)]])
    corners = np.array([(-wide, 0), (wide, 0), (foot, tall), (-foot, tall)])
    halfway = (corners + np.roll(corners, -1, axis=0)) / 2
    soft = smooth(np.stack([corners, halfway], axis=1).reshape(-1, 2))
    case = soft if rng.integers(2) else corners
    bands = tall * (0.74 + 0.08 * np.arange(rng.integers(0, 4)))
    y = tall * 0.36
    return [
        (stroke(shackle, thick), "second"),
        (case, "main"),
        *((box(-foot * 0.8, b, foot * 0.8, b + 0.035), "pale") for b in bands),
        (mirror([(0.035, y), (0.075, y + 0.22)]), "dark"),
        (disc(0, y, 0.1), "dark"),
    ]


def screw(rng: np.random.Generator) -> list[Part]:
    thick, head = rng.uniform(0.16, 0.24), rng.uniform(0.4, 0.55)
    shank = mirror([(thick, -0.7), (thick, 0.55), (0.01, 1)])
    winds: list[Part] = []
    for y in np.linspace(-0.42, 0.86, rng.integers(5, 11)):
        reach = (thick + 0.12) * min(1, (1.12 - y) / 0.5)
        winds.append((stroke([(-reach, y + 0.05), (reach, y - 0.05)], 0.06), "pale"))
    flat = [(head, -1), (head, -0.93), (thick, -0.66)]
    dome = polar(1.0, np.linspace(-np.pi / 2, 0, 12)) * (head, 0.34) - (0, 0.66)
    top = mirror(flat if rng.integers(2) else dome)
    return [(shank, "main"), *winds, (top, "second"), (box(-0.06, -1.02, 0.06, -0.86), "dark")]


def hammer(rng: np.random.Generator) -> list[Part]:
    thick, half, drop = rng.uniform(0.14, 0.2), rng.uniform(0.12, 0.18), rng.uniform(0.15, 0.45)
    handle = stroke([(0, -0.1), (0, 0.7), (0, 1.65)], [thick, thick, thick * 1.5])
    grip = 1.6 - 0.14 * np.arange(rng.integers(1, 6))
    x = np.linspace(0, 1, 14)
    claw = stroke(np.stack([-0.1 - 0.6 * x, drop * x**2], -1), 2 * half * (1 - 0.85 * x))
    peen = [box(-0.4, -half * 0.6, -0.1, half * 0.6), disc(-0.42, 0, half * 1.05)]
    face = [box(0.1, -half * 0.7, 0.45, half * 0.7), box(0.42, -half, 0.62, half)]
    back = [claw] if rng.integers(2) else peen
    return [
        (handle, "second"),
        *((box(-thick * 0.8, y, thick * 0.8, y + 0.06), "dark") for y in grip),
        *((piece, "main") for piece in (*face, *back, box(-0.18, -half, 0.18, half))),
    ]


def key(rng: np.random.Generator) -> list[Part]:
    lobes, thick, wide = rng.choice([1, 3, 4]), rng.uniform(0.12, 0.18), rng.uniform(0.5, 0.62)
    size, out = (0.4, 0.0) if lobes == 1 else (0.23, 0.27)
    middles = polar(np.full(lobes, out), circle_angles(lobes, np.pi / lobes)) - (0.45, 0)
    teeth = np.arange(rng.integers(2, 5))
    wards = [box(0.8 - 0.19 * k, 0, 0.93 - 0.19 * k, rng.uniform(0.25, 0.5)) for k in teeth]
    collars = -0.02 + 0.13 * np.arange(rng.integers(1, 3))
    return [
        (box(-0.3, -thick / 2, 1, thick / 2), "main"),
        *((ward, "main") for ward in wards),
        *((disc(x, y, size), "main") for x, y in middles),
        *((disc(x, y, size * wide), "hole") for x, y in middles),
        *((box(x, -thick, x + 0.07, thick), "second") for x in collars),
    ]


def anchor(rng: np.random.Generator) -> list[Part]:
    sweep, width, stock = rng.uniform(0.9, 1.2), rng.uniform(0.12, 0.18), rng.uniform(0.35, 0.6)
    bow = arc(0, 0.1, 0.8, np.pi / 2 - sweep, np.pi / 2 + sweep)
    barb = polar(np.array([0.36, 0.26, 0.26]), np.array([0, 2, -2]) + np.pi - sweep)
    fluke = barb * (-1, -1) + bow[0]
    size, links = rng.uniform(0.13, 0.18), -1.05 - 0.2 * np.arange(rng.integers(0, 4))
    chain: list[Part] = []
    for k, y in enumerate(links - size):
        chain.append((disc(0, y, 0.08 + 0.04 * (k % 2), 0.15), "second"))
        chain.append((disc(0, y, 0.03 + 0.03 * (k % 2), 0.09), "hole"))
    eye = [(disc(0, -0.8 - size, size), "main"), (disc(0, -0.8 - size, size / 2), "hole")]
    thick = width * np.interp(np.linspace(-1, 1, 24), [-1, 0, 1], [0.6, 1.3, 0.6])
    knobs = [disc(s * stock, -0.56, width * 0.6) for s in (-1, 1)]
    return [
        *chain,
        *eye,
        *((fluke * (side, 1), "main") for side in (-1, 1)),
        (stroke(bow, thick), "main"),
        (stroke([(0, -0.82), (0, 0.92)], width), "main"),
        *((bar, "second") for bar in (stroke([(-stock, -0.56), (stock, -0.56)], 0.12), *knobs)),
    ]


def scissors(rng: np.random.Generator) -> list[Part]:
    spread, reach, grip = rng.uniform(0.2, 0.55), rng.uniform(0.9, 1.2), rng.uniform(0.22, 0.3)
    teeth = rng.integers(0, 8)  # pinking shears have them
    edge = np.linspace((-0.05, -0.1), (0, -reach), 2 * teeth + 2)
    edge[1:-1:2, 0] += np.linspace(0.07, 0.015, teeth)
    blade = np.concatenate([edge, [(0.16, -0.35), (0.12, 0.1), (-0.06, 0.1)]])
    x, y = 0.1 - grip * 0.75, 0.36 + grip * 1.3
    pieces: list[Part] = [
        (blade, "pale"),
        (stroke([(0, 0), (-0.04, 0.4)], [0.16, 0.14]), "main"),
        (disc(x, y, grip, grip * 1.3), "main"),
        (disc(x, y, grip * 0.55, grip * 0.85), "hole"),
    ]
    cos, sin = np.cos(spread), np.sin(spread)
    opened = [(points @ np.array([(cos, sin), (-sin, cos)]), paint) for points, paint in pieces]
    other = [(points * (-1, 1), paint) for points, paint in opened]
    return [*other, *opened, (disc(0, 0, 0.07), "dark")]


SHAPES: tuple[Draft, ...] = (
    hourglass, padlock, screw, hammer, key, anchor, scissors,
)  # fmt: skip
UPRIGHT: tuple[Draft, ...] = ()
