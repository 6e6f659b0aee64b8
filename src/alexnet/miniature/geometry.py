"""Outlines for the drawn shapes, as (N, 2) points: x to the right, y down."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]  # (N, 2)
Numbers = npt.NDArray[np.floating]  # (N,)
Part = tuple[Points, str]  # a polygon and its paint; later parts cover earlier ones
Draft = Callable[[np.random.Generator], list[Part]]  # draws one object of a class


def polar(radius: float | Numbers, angle: float | Numbers) -> Points:
    """Return the points at these polar coordinates."""
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def circle_angles(count: int | np.int64, start: float = 0.0) -> Numbers:
    """Return `count` angles, evenly spaced on a circle."""
    return start + 2 * np.pi * np.arange(count) / count


def disc(x: float, y: float, rx: float, ry: float | None = None, turn: float = 0.0) -> Points:
    """Return an ellipse around (x, y), rotated by `turn`; a circle without `ry`."""
    cos, sin = np.cos(turn), np.sin(turn)
    u, v = (polar(1.0, circle_angles(48)) * (rx, rx if ry is None else ry)).T
    return np.stack([x + u * cos - v * sin, y + u * sin + v * cos], axis=-1)


def stroke(path: npt.ArrayLike, widths: npt.ArrayLike) -> Points:
    """Return a band along `path`; `widths`: its width, at each point or everywhere."""
    path = np.asarray(path, dtype=np.float64)
    tangents = np.gradient(path, axis=0)
    tangents /= np.hypot(tangents[:, :1], tangents[:, 1:])
    normals = np.stack([-tangents[:, 1], tangents[:, 0]], axis=-1)
    half = normals * np.broadcast_to(np.asarray(widths) / 2, len(path))[:, None]
    return np.concatenate([path + half, (path - half)[::-1]])


def ray(angle: float, near: float, far: float) -> Points:
    """Return 9 points from radius `near` to `far` at one angle."""
    return polar(np.linspace(near, far, 9), np.full(9, angle))


def box(left: float, top: float, right: float, bottom: float) -> Points:
    """Return an axis-aligned rectangle."""
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def mirror(half: npt.ArrayLike) -> Points:
    """Return the symmetric outline whose right half is `half`, (N, 2) from top to bottom."""
    right = np.asarray(half, dtype=np.float64)
    return np.concatenate([right, right[::-1] * (-1, 1)])


def smooth(corners: npt.ArrayLike, cuts: int = 3) -> Points:
    """Return a closed outline with its corners cut `cuts` times (Chaikin 1974)."""
    points = np.asarray(corners, dtype=np.float64)
    for _ in range(cuts):
        following = np.roll(points, -1, axis=0)
        pairs = np.stack(
            [0.75 * points + 0.25 * following, 0.25 * points + 0.75 * following], axis=1
        )
        points = pairs.reshape(-1, 2)
    return points


def arc(x: float, y: float, radius: float, start: float, stop: float) -> Points:
    """Return 24 points on a circle around (x, y) between two angles."""
    return shift(polar(radius, np.linspace(start, stop, 24)), x, y)


def shift(points: Points, x: float, y: float) -> Points:
    """Return the points moved by (x, y)."""
    return np.add(points, (x, y), dtype=np.float64)
