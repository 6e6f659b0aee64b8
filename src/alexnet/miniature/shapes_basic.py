"""The miniature's twelve classes as painted polygons; counts and proportions vary.

Coordinates are in units of an object's radius, x to the right and y down. All classes use the same
named paints: shape, not colour, identifies a class.
"""

import numpy as np

from alexnet.miniature.geometry import (
    Draft,
    Numbers,
    Part,
    Points,
    circle_angles,
    disc,
    polar,
    ray,
    stroke,
)

# WordNet 3.0 ids, deliberately unsorted, so that devkit ids and alphabetical order differ.
CLASSES = (
    ("n04574999", "wheel"),
    ("n02317335", "starfish, sea star"),
    ("n03632277", "ladder"),
    ("n11939491", "daisy"),
    ("n03014317", "chessboard, chess board"),
    ("n02512053", "fish"),
    ("n03430551", "gear, gear wheel, geared wheel, cogwheel"),
    ("n02814224", "beach ball, beachball"),
    ("n02165456", "ladybug, ladybeetle, lady beetle, ladybird, ladybird beetle"),
    ("n04394261", "target, butt"),
    ("n13152742", "leaf, leafage, foliage"),
    ("n01944390", "snail"),
)


def wheel(rng: np.random.Generator) -> list[Part]:
    tyre = rng.uniform(0.12, 0.24)
    felloe = tyre + rng.uniform(0.05, 0.1)
    rim = [
        (disc(0, 0, 1), "dark"),
        (disc(0, 0, 1 - tyre), "main"),
        (disc(0, 0, 1 - felloe), "hole"),
    ]
    width, taper = rng.uniform(0.05, 0.09), np.linspace(1.5, 1, 9)
    spokes = circle_angles(rng.integers(6, 13), rng.uniform(0, 6))
    rays = [(stroke(ray(a, 0, 0.98 - felloe + 0.04), width * taper), "main") for a in spokes]
    hub = rng.uniform(0.15, 0.24)
    return [*rim, *rays, (disc(0, 0, hub), "second"), (disc(0, 0, hub / 2.5), "dark")]


def starfish(rng: np.random.Generator) -> list[Part]:
    width, steps = rng.uniform(0.42, 0.56), np.linspace(0, 1, 20)
    parts: list[Part] = [(disc(0, 0, width * 0.72), "main")]
    dots: list[Part] = []
    for angle in circle_angles(rng.integers(5, 7), rng.uniform(0, 6)):
        bend = angle + rng.uniform(-0.35, 0.35) * steps**2
        arm = polar(steps, bend)
        parts.append((stroke(arm, width * (1 - 0.72 * steps) * np.sqrt(1 - steps**8)), "main"))
        dots += [(disc(arm[k, 0], arm[k, 1], 0.075 - 0.0032 * k), "pale") for k in range(3, 18, 3)]
    return [*parts, *dots, (disc(0, 0, 0.09), "pale")]


def ladder(rng: np.random.Generator) -> list[Part]:
    foot, head = rng.uniform(0.3, 0.44), rng.uniform(0.22, 0.34)
    width = rng.uniform(0.09, 0.14)
    rungs = rng.integers(5, 9)
    parts: list[Part] = []
    for y in (np.arange(rungs) + 0.5) / rungs * 2 - 1:
        half = head + (foot - head) * (y + 1) / 2
        parts.append((stroke([(-half, y), (half, y)], width * 0.8), "second"))
    rails = [[(side * head, -1.0), (side * foot, 1.0)] for side in (-1, 1)]
    return [*parts, *((stroke(rail, width), "main") for rail in rails)]


def daisy(rng: np.random.Generator) -> list[Part]:
    count, centre = rng.integers(10, 19), rng.uniform(0.24, 0.34)
    half, start = np.pi / count * rng.uniform(0.55, 0.68), rng.uniform(0, 6)
    parts: list[Part] = []
    petal = str(rng.choice(["pale", "pale", "main"]))
    for angle in circle_angles(count, start) + rng.uniform(-0.04, 0.04, count):
        tip = rng.uniform(0.92, 1.0)
        x, y = polar((tip + 0.15) / 2, angle)
        parts.append((disc(x, y, (tip - 0.15) / 2, half * 0.66, angle), petal))
    seeds = polar(centre * np.sqrt(np.arange(1, 22) / 24), 2.39996 * np.arange(1, 22))
    florets = [(disc(x, y, centre * 0.09), "dark") for x, y in seeds]
    return [*parts, (disc(0, 0, centre), "second"), *florets]


def chessboard(rng: np.random.Generator) -> list[Part]:
    count, tilt = rng.choice([4, 5, 6, 8]), rng.uniform(0, 0.3)
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    board: list[Part] = [((corners - 0.5) * 2.25, "main"), ((corners - 0.5) * 2, "pale")]
    for row, column in np.ndindex(count, count):
        if (row + column) % 2:
            board.append(((corners + np.array([column, row])) * 2 / count - 1, "dark"))
    return [(p * np.stack([1 + tilt * p[:, 1] / 2, np.ones(4)], -1), paint) for p, paint in board]


def fish(rng: np.random.Generator) -> list[Part]:
    t, tall = np.linspace(0, 1, 30), rng.uniform(0.75, 1.05)
    girth = tall * np.sin(np.pi * t**0.8) ** 0.8 * (1 - 0.25 * t) + 0.12 * (1 - t)
    body = np.stack([0.95 - 1.5 * t, 0 * t], -1)
    tail = [(-0.45, -0.06), (-1.0, -0.48), (-0.84, 0), (-1.0, 0.48), (-0.45, 0.06)]
    fin = [(0.4, -0.2), (0.15, -0.42 - tall / 3), (-0.3, -0.3 - tall / 4), (-0.35, -0.05)]
    keel = [(0.1, 0.2), (-0.12, 0.3 + tall / 4), (-0.3, 0.25 + tall / 5), (-0.25, 0.1)]
    parts = [(np.array(p), "second") for p in (tail, fin, keel)]
    stripes = np.linspace(9, 22, rng.integers(2, 5)).astype(int)
    bands = [
        (stroke([(body[k, 0], s * girth[k] * 0.46) for s in (-1, 1)], 0.1), "pale") for k in stripes
    ]
    gill = polar(0.3, np.linspace(-0.9, 0.9, 12)) * (-1, 1) + (0.62, 0)
    eye = [(disc(0.67, -0.1, 0.1), "pale"), (disc(0.69, -0.1, 0.055), "dark")]
    flank = np.array([(0.2, 0.02), (-0.12, 0.24), (-0.16, 0.06)])
    return [
        *parts,
        (stroke(body, girth), "main"),
        *bands,
        (stroke(gill, 0.035), "dark"),
        *eye,
        (flank, "second"),
    ]


def gear(rng: np.random.Generator) -> list[Part]:
    teeth, root = rng.integers(8, 15), rng.uniform(0.74, 0.8)
    pitch = np.array([-0.3, -0.17, 0.17, 0.3]) * 2 * np.pi / teeth
    angles = (circle_angles(teeth)[:, None] + pitch).ravel()
    body = polar(np.tile([root, 1, 1, root], teeth), angles)
    bore, count = rng.uniform(0.14, 0.22), rng.choice([0, 3, 4, 5, 6])
    holes = [(disc(0.5 * np.cos(a), 0.5 * np.sin(a), 0.13), "hole") for a in circle_angles(count)]
    boss = [(disc(0, 0, bore + 0.1), "second"), (disc(0, 0, bore), "hole")]
    return [(body, "main"), *holes, *boss]


def beach_ball(rng: np.random.Generator) -> list[Part]:
    gores, tilt = rng.choice([8, 10, 12]), rng.uniform(0.4, 1.0)
    edges = np.linspace(0, 2 * np.pi, gores + 1) + rng.uniform(0, 6)
    paints = rng.choice([("main", "pale"), ("main", "second"), ("second", "pale")])
    # Hidden points are moved to the outline, so a gore on the far side may cover the whole ball:
    # paint the nearest last.
    order = np.argsort(np.sin((edges[1:] + edges[:-1]) / 2))
    ball = (disc(0, 0, 1), str(paints[0]))
    parts = [(gore(edges[k], edges[k + 1], tilt), str(paints[k % 2])) for k in order]
    return [ball, *parts, (project_sphere(circle_angles(24), np.full(24, 1.36), tilt), "dark")]


def gore(west: float, east: float, tilt: float) -> Points:
    """Return the visible outline of a ball's segment between two longitudes."""
    latitude = np.linspace(-np.pi / 2, np.pi / 2, 24)
    return project_sphere(np.repeat([west, east], 24), np.r_[latitude, latitude[::-1]], tilt)


def project_sphere(longitude: Numbers, latitude: Numbers, tilt: float) -> Points:
    """Project points of a unit sphere whose pole is tilted towards the viewer.

    Hidden points are moved to the outline.
    """
    x, up = np.cos(latitude) * np.cos(longitude), np.sin(latitude)
    out = np.cos(latitude) * np.sin(longitude)
    y, z = up * np.cos(tilt) - out * np.sin(tilt), up * np.sin(tilt) + out * np.cos(tilt)
    reach = np.where(z < 0, np.maximum(np.hypot(x, y), 1e-9), 1.0)
    return np.stack([x / reach, -y / reach], axis=-1)


def ladybird(rng: np.random.Generator) -> list[Part]:
    legs = [
        (stroke([(0, y), (s * 0.85, y * 1.1 - 0.1), (s * 1.02, y * 1.5 + 0.05)], 0.07), "dark")
        for s in (-1, 1)
        for y in (-0.4, 0.05, 0.5)
    ]
    feelers = [
        (stroke([(0, -0.8), (s * 0.2, -1.1), (s * 0.4, -1.2)], 0.05), "dark") for s in (-1, 1)
    ]
    head = [(disc(0, -0.78, 0.36, 0.28), "dark")]
    eyes = [(disc(s * 0.22, -0.84, 0.085), "pale") for s in (-1, 1)]
    rows, size = rng.integers(2, 5), rng.uniform(0.12, 0.17)
    spots = [
        (disc(s * (0.42 + 0.12 * (-1) ** k), -0.42 + 1.0 * k / (rows - 0.4), size), "dark")
        for s in (-1, 1)
        for k in range(rows)
    ]
    wings = [(disc(0, 0.08, 0.8, 0.86), "main"), (stroke([(0, -0.76), (0, 0.94)], 0.05), "dark")]
    return [*legs, *feelers, *head, *eyes, *wings, *spots]


def target(rng: np.random.Generator) -> list[Part]:
    rings = rng.integers(3, 7)
    paints = rng.choice([("main", "pale"), ("second", "pale"), ("main", "second")])
    parts = [(disc(0, 0, 1 - k / rings), paints[k % 2]) for k in range(rings)]
    return [(disc(0, 0, 1.04), "dark"), *parts]


def leaf(rng: np.random.Generator) -> list[Part]:
    teeth, wide = rng.integers(5, 9), rng.uniform(0.4, 0.55)
    t = np.linspace(0, 1, 120)
    girth = wide * np.sin(np.pi * t**0.75) ** 0.9 * (1 - 0.22 * (1 - t * teeth % 1))
    spine = np.stack([rng.uniform(-0.15, 0.15) * np.sin(np.pi * t), 0.75 - 1.75 * t], -1)
    sides = [
        np.concatenate([spine + np.stack([s * girth, 0 * t], -1), spine[::-1]]) for s in (-1, 1)
    ]
    veins = [
        (stroke([spine[k], spine[k + 12] + (s * girth[k + 12] * 0.85, 0)], [0.035, 0.015]), "pale")
        for k in range(12, 100, 108 // teeth)
        for s in (-1, 1)
    ]
    stem = np.concatenate([[(spine[0, 0] + rng.uniform(-0.15, 0.15), 1.1)], spine[:110]])
    blade = [(sides[0], "main"), (sides[1], "main")]
    return [*blade, *veins, (stroke(stem, np.linspace(0.08, 0.02, len(stem))), "pale")]


def snail(rng: np.random.Generator) -> list[Part]:
    x = np.linspace(-1.05, 0.88, 40)
    sole = np.stack([x, 0.58 - 0.7 * np.maximum(0, (x - 0.3) / 0.58) ** 1.6], axis=-1)
    girth = np.interp(x, [-1.05, -0.4, 0.4, 0.88], [0.03, 0.26, 0.32, 0.22])
    body = [(stroke(sole, girth), "second"), (disc(0.93, -0.14, 0.15), "second")]
    horns = [
        (stroke([(0.93, -0.15), tip], 0.045), "second") for tip in ((0.86, -0.52), (1.15, -0.48))
    ]
    eyes = [(disc(*tip, 0.055), "dark") for tip in ((0.86, -0.52), (1.15, -0.48))]
    turns = rng.uniform(2.2, 3.2)
    angle = np.linspace(0, 2 * np.pi * turns, 120)
    whorl = polar(0.62 * angle / angle[-1], angle + rng.uniform(0, 0.6)) - np.array([0.15, 0.08])
    return [
        *body,
        *horns,
        *eyes,
        (disc(-0.15, -0.08, 0.66), "main"),
        (stroke(whorl, 0.075), "dark"),
    ]


SHAPES: tuple[Draft, ...] = (
    wheel, starfish, ladder, daisy, chessboard, fish,
    gear, beach_ball, ladybird, target, leaf, snail,
)  # fmt: skip
UPRIGHT = (fish, snail)  # never drawn upside down
