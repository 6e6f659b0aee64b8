"""Outlines of which drawn things are made, as (N, 2) points: x to the right and y down."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]  # (N, 2)
Numbers = npt.NDArray[np.floating]  # (N,)
Part = tuple[Points, str]  # a polygon and its paint; later parts cover earlier ones
Draft = Callable[[np.random.Generator], list[Part]]  # one thing of a class


def polar(radius: float | Numbers, angle: float | Numbers) -> Points:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def around(count: int | np.int64, start: float = 0.0) -> Numbers:
    """`count` angles evenly round the circle."""
    return start + 2 * np.pi * np.arange(count) / count


def disc(x: float, y: float, rx: float, ry: float | None = None, turn: float = 0.0) -> Points:
    cos, sin = np.cos(turn), np.sin(turn)
    u, v = (polar(1.0, around(48)) * (rx, rx if ry is None else ry)).T
    return np.stack([x + u * cos - v * sin, y + u * sin + v * cos], axis=-1)


def stroke(path: npt.ArrayLike, widths: npt.ArrayLike) -> Points:
    """The band along `path`, as wide at each of its points as `widths` says."""
    path = np.asarray(path, dtype=np.float64)
    along = np.gradient(path, axis=0)
    along /= np.hypot(along[:, :1], along[:, 1:])
    across = np.stack([-along[:, 1], along[:, 0]], axis=-1)
    half = across * np.broadcast_to(np.asarray(widths) / 2, len(path))[:, None]
    return np.concatenate([path + half, (path - half)[::-1]])


def ray(angle: float, near: float, far: float) -> Points:
    return polar(np.linspace(near, far, 9), np.full(9, angle))


def box(left: float, top: float, right: float, bottom: float) -> Points:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def mirrored(half: npt.ArrayLike) -> Points:
    """The outline whose right half is `half`, (N, 2) from top to bottom."""
    right = np.asarray(half, dtype=np.float64)
    return np.concatenate([right, right[::-1] * (-1, 1)])


def rounded(corners: npt.ArrayLike, cuts: int = 3) -> Points:
    """A closed outline with its corners cut off, `cuts` times (Chaikin 1974)."""
    points = np.asarray(corners, dtype=np.float64)
    for _ in range(cuts):
        after = np.roll(points, -1, axis=0)
        pairs = np.stack([0.75 * points + 0.25 * after, 0.25 * points + 0.75 * after], axis=1)
        points = pairs.reshape(-1, 2)
    return points


def arc(x: float, y: float, radius: float, start: float, stop: float) -> Points:
    return shifted(polar(radius, np.linspace(start, stop, 24)), x, y)


def shifted(points: Points, x: float, y: float) -> Points:
    return np.add(points, (x, y), dtype=np.float64)
