"""Eight more artefacts for the wide set; conventions as in shapes_basic."""

from itertools import pairwise

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
    ray,
    shift,
    smooth,
    stroke,
)

# WordNet 3.0 ids.
CLASSES = (
    ("n04507155", "umbrella"),
    ("n03291819", "envelope"),
    ("n03944341", "pinwheel"),
    ("n02948072", "candle, taper, wax light"),
    ("n04380533", "table lamp"),
    ("n03544360", "house"),
    ("n04128499", "sailboat, sailing boat"),
    ("n04275548", "spider web, spider's web"),
)


def umbrella(rng: np.random.Generator) -> list[Part]:
    gores, tall = rng.integers(4, 9), rng.uniform(0.7, 1.0)
    paints = rng.choice([("main", "pale"), ("main", "second"), ("second", "pale")])
    shaft = np.concatenate([[(0, -tall - 0.16), (0, 0)], arc(0.15, 0.9, 0.15, np.pi, 0)])
    ribs, t = -np.cos(np.linspace(0, np.pi, gores + 1)), np.linspace(0, np.pi / 2, 16)
    canopy: list[Part] = []
    for k, (a, b) in enumerate(pairwise(ribs)):
        west, east = (np.stack([rib * np.sin(t), -tall * np.cos(t)], -1) for rib in (a, b))
        hem = np.stack([np.linspace(a, b, 16), -0.14 * np.sin(2 * t)], -1)
        canopy.append((np.concatenate([west, hem, east[::-1]]), str(paints[k % 2])))
    return [(stroke(shaft, rng.uniform(0.06, 0.1)), "dark"), *canopy]


def envelope(rng: np.random.Generator) -> list[Part]:
    tall, tip = rng.uniform(0.55, 0.75), rng.uniform(0.05, 0.3)
    paint, other = rng.choice([("pale", "main"), ("main", "pale"), ("second", "pale")])
    flap = np.array([(-1, -tall), (1, -tall), (0.08, tip), (-0.08, tip)])
    seams = [stroke([(s, tall), (s * 0.1, tip * 0.3)], 0.025) for s in (-1, 1)]
    edges = np.linspace(-0.99, 0.86, rng.integers(8, 16))
    stripe = np.array([(0.06, 0), (0, 0.1), (0.07, 0.1), (0.13, 0)])
    stripes = [shift(stripe, x, tall - 0.1) for x in edges]
    seal = [(disc(0, tip, rng.uniform(0.12, 0.18)), "dark")] if rng.integers(2) else []
    return [
        (box(-1, -tall, 1, tall), str(paint)),
        *((seam, "dark") for seam in seams),
        *((band, ("dark", str(other))[k % 2]) for k, band in enumerate(stripes)),
        (flap, str(other)),
        *seal,
    ]


def pinwheel(rng: np.random.Generator) -> list[Part]:
    sails, fold, start = rng.integers(4, 8), rng.uniform(0.55, 0.75), rng.uniform(0, 6)
    front, back = rng.choice([("main", "pale"), ("main", "second"), ("second", "pale")])
    step, hub = 2 * np.pi / sails, np.zeros(2)
    parts: list[Part] = [(stroke([(0, 0), (0, 1.7)], rng.uniform(0.07, 0.11)), "dark")]
    for a in circle_angles(sails, start):
        crease, bend = polar(0.8, a + step * 0.45), polar(fold, a + step * 0.8)
        parts.append((np.array([hub, polar(1.0, a), crease, bend]), str(front)))
        parts.append((smooth([hub, hub, crease, bend, bend], 2), str(back)))
    return [*parts, (disc(0, 0, 0.1), "dark")]


def candle(rng: np.random.Generator) -> list[Part]:
    count, wide = rng.integers(1, 4), rng.uniform(0.15, 0.22)
    parts = [
        part
        for x in (np.arange(count) - (count - 1) / 2) * 2.7 * wide
        for part in lit_candle(rng, x, wide)
    ]
    dish = wide * (1.35 * count + 0.5)
    saucer = mirror([(dish, 0.75), (dish * 0.95, 0.85), (dish * 0.6, 1.0)])
    return [*parts, (saucer, "second")]


def lit_candle(rng: np.random.Generator, x: float, wide: float) -> list[Part]:
    """Return one burning candle with dripping wax, centred at x."""
    top, t = rng.uniform(-0.55, -0.05), np.linspace(0, 1, 14)
    flame = np.stack([0.14 * np.sin(np.pi * t**1.7), -0.52 + 0.42 * t], -1)
    drips = np.repeat(rng.uniform(0.08, 0.35, 4), 2) * np.tile([1, 0.25], 4)
    hem = np.stack([np.linspace(wide, -wide, 8), drips], -1)
    wax = np.concatenate([[(-wide, 0), (wide, 0)], hem])
    return [
        (stroke([(x, top), (x, top - 0.2)], 0.04), "dark"),
        (shift(mirror(flame), x, top), "second"),
        (disc(x, top - 0.2, 0.05, 0.09), "pale"),
        (box(x - wide, top, x + wide, 0.8), "main"),
        (shift(smooth(wax, 1), x, top), "pale"),
    ]


def table_lamp(rng: np.random.Generator) -> list[Part]:
    top, brim, tall = rng.uniform(0.25, 0.45), rng.uniform(0.6, 0.85), rng.uniform(0.6, 0.85)
    edges = np.linspace(-1, 1, rng.integers(4, 9))
    paints = rng.choice([("main", "pale"), ("main", "second"), ("second", "pale")])
    shade: list[Part] = []
    for k, (a, b) in enumerate(pairwise(edges)):
        pleat = [(a * top, -1), (b * top, -1), (b * brim, tall - 1), (a * brim, tall - 1)]
        shade.append((np.array(pleat), str(paints[k % 2])))
    ends, swell = np.linspace(tall - 1, 0.85, rng.integers(2, 6)), rng.uniform(0.2, 0.34)
    size = (ends[1] - ends[0]) / 2
    beads = [
        disc(0, y + size, swell * (0.7 + 0.3 * (k % 2)), size) for k, y in enumerate(ends[:-1])
    ]
    return [
        (box(-0.05, -1.08, 0.05, 0.9), "dark"),
        *((bead, "main") for bead in beads),
        (mirror([(0.15, 0.8), (0.45, 0.92), (0.45, 1)]), "second"),
        *shade,
    ]


def house(rng: np.random.Generator) -> list[Part]:
    wide, storeys, columns = rng.uniform(0.65, 0.9), rng.integers(1, 4), rng.integers(2, 5)
    ridge, eaves, tall = rng.uniform(0.45, 0.75), wide * 1.2, 0.45 * storeys + 0.15
    middles = (2 * np.arange(columns) + 1) / columns * wide - wide
    x, door, half = rng.choice([-1, 1]) * wide / 2, rng.choice(middles), wide / columns * 0.55
    panes: list[Part] = []
    for y in 0.14 + 0.45 * np.arange(storeys):
        for middle in middles:
            panes.append((box(middle - half, y, middle + half, y + 0.26), "pale"))
            panes.append((box(middle - 0.015, y, middle + 0.015, y + 0.26), "dark"))
    low = 0.45 * storeys - 0.31
    return [
        (box(x - 0.1, -ridge * 0.95, x + 0.1, 0), "dark"),
        (box(-wide, 0, wide, tall), "main"),
        *panes,
        (box(door - half, low, door + half, tall), "second"),
        (np.array([(-eaves, 0.04), (0, -ridge), (eaves, 0.04)]), "second"),
    ]


def sailboat(rng: np.random.Generator) -> list[Part]:
    deck, keel, mast = rng.uniform(0.8, 1.0), rng.uniform(0.4, 0.65), rng.uniform(-0.15, 0.15)
    boom, belly, t = rng.uniform(0.65, 0.85), rng.uniform(0.05, 0.2), np.linspace(0, 1, 12)
    bow = np.stack([deck + 0.1 - (deck - keel) * t, 0.45 + 0.4 * np.sqrt(t)], -1)
    hull = np.concatenate([[(-deck, 0.5)], bow, [(-keel - 0.1, 0.85)]])
    leech = np.stack([-0.06 - boom * t - belly * np.sin(np.pi * t), -1 + 1.32 * t], -1)
    sail = shift(np.concatenate([leech, [(-0.06, 0.32)]]), mast, 0)
    ends = leech[np.linspace(4, 11, rng.integers(2, 6)).astype(int)]
    seams = [shift(stroke([(-0.06, y - 0.1), (x, y)], 0.03), mast, 0) for x, y in ends[:-1]]
    jib = smooth(np.repeat([(mast + 0.06, -0.85), (deck, 0.36), (mast + 0.15, 0.3)], 2, 0), 2)
    return [
        (np.array([(mast, -1.2), (mast - 0.3, -1.12), (mast, -1.04)]), "main"),
        (stroke([(mast, -1.22), (mast, 0.5)], 0.05), "dark"),
        (sail, "pale"),
        *((seam, "dark") for seam in seams),
        (jib, "second"),
        (hull, "main"),
    ]


def spider_web(rng: np.random.Generator) -> list[Part]:
    count, rings, sag = rng.integers(7, 12), rng.integers(3, 7), rng.uniform(0.12, 0.22)
    angles = circle_angles(count, rng.uniform(0, 6)) + rng.uniform(-0.12, 0.12, count)
    ends, t = rng.uniform(0.85, 1.0, count), np.linspace(0, 1, 9)[:-1, None]
    corners = polar(ends, angles)
    spans = corners[:, None] + (np.roll(corners, -1, axis=0) - corners)[:, None] * t
    outer_ring = (spans * (1 - 4 * sag * t * (1 - t))).reshape(-1, 2)
    circle = np.concatenate([outer_ring, outer_ring[:2]])
    threads = [stroke(circle * r, 0.045) for r in np.linspace(0.25, 0.88, rings)]
    spokes = [stroke(ray(a, 0, e), 0.05) for a, e in zip(angles, ends, strict=True)]
    return [(thread, "pale") for thread in (*threads, *spokes)]


SHAPES: tuple[Draft, ...] = (
    umbrella, envelope, pinwheel, candle, table_lamp, house, sailboat, spider_web,
)  # fmt: skip
UPRIGHT: tuple[Draft, ...] = (candle, table_lamp, house, sailboat)
