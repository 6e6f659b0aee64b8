"""The cost of several ways to do one thing, taken in turns: a busy machine then slows all alike."""

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
    """User and system time so far of this process, all its threads, and its children that ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def interleaved(
    ways: Mapping[str, Callable[[T], object]],
    units: Sequence[T],
    rounds: int,
    clock: Callable[[], float] = cpu_seconds,
    after: Callable[[], object] = lambda: None,
) -> Costs:
    """Seconds that each way takes for all units, by round; the order changes at every unit.

    What a first call loads is not counted, nor is `after`, which follows every call.
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


def microseconds(costs: Costs, name: str, images: int) -> float:
    """What a way costs an image: the median over the rounds."""
    return float(np.median(costs[name])) / images * 1e6
