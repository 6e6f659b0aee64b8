"""Measure alternatives interleaved, so that other load slows all of them equally."""

import random
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T")
Costs = dict[str, npt.NDArray[np.float64]]  # way → (rounds,) seconds


def cpu_seconds() -> float:
    """Return user and system time of this process and its ended children, so far."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def measure_interleaved(
    ways: Mapping[str, Callable[[T], object]],
    units: Sequence[T],
    rounds: int,
    clock: Callable[[], float] = cpu_seconds,
    after: Callable[[], object] = lambda: None,
) -> Costs:
    """Return the seconds that each way takes for all units, (rounds,) per way.

    The order of the ways is random for every unit. A first call per way, which may import or load,
    is not counted, nor is `after`, which runs after every call.
    """
    costs = {name: np.zeros(rounds) for name in ways}
    order = random.Random(0)
    for way in ways.values():
        way(units[0])
        after()
    for turn in range(rounds):
        for unit in units:
            for name in order.sample(list(ways), len(ways)):
                before = clock()
                ways[name](unit)
                costs[name][turn] += clock() - before
                after()
    return costs


def median_microseconds(costs: Costs, name: str, images: int) -> float:
    """Return the cost of a way in µs per image: the median of the rounds."""
    return float(np.median(costs[name])) / images * 1e6
