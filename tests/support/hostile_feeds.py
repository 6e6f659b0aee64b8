"""The kinds of untrusted files: how a random one is made, and what reads it.

A reader gets the bytes and a folder of its own; the caller judges what it raises.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

import hostile_outputs as outputs
import hostile_raw as raw
from mutations import mutate


class Feed(NamedTuple):
    """A kind of input: its share in %, how to make one, and how to read its bytes in a folder."""

    share: int
    make: Callable[[Random], bytes]
    read: Callable[[bytes, Path], object]


def mutant_of(seeds: Callable[[], list[bytes]]) -> Callable[[Random], bytes]:
    return lambda rng: mutate(rng.choice(seeds()), rng, seeds())


def part(name: str) -> Callable[[Random], bytes]:
    return partial(outputs.make_part, part=name)


FEEDS = {
    "image": Feed(43, mutant_of(raw.images), raw.read_picture),
    "tar": Feed(20, mutant_of(raw.tars), raw.read_tar),
    "devkit": Feed(10, raw.make_devkit, raw.read_devkit_archive),
    "cifar": Feed(3, raw.make_cifar, raw.read_cifar),
    "layout": Feed(6, raw.make_layout, raw.read_layout),
    "index": Feed(5, part("index"), outputs.read_index),
    "split": Feed(3, part("split"), outputs.read_split),
    "moments": Feed(2, part("moments"), outputs.read_moments),
    "model": Feed(5, outputs.make_model, outputs.read_model),
    "result": Feed(2, outputs.make_result, outputs.read_metrics),
    "config": Feed(1, outputs.make_config, outputs.read_config),
}
