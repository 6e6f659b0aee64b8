"""Every kind of file that is read of strangers: how one is made by chance, and who reads it.

A reader gets the bytes and a folder of its own. What it raises is looked at by the caller.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

import hostile_outputs as outputs
import hostile_raw as raw
from mutations import mutated


class Feed(NamedTuple):
    """`share` of all inputs; `make` one of them; `read` it, from its bytes, in a folder."""

    share: int
    make: Callable[[Random], bytes]
    read: Callable[[bytes, Path], object]


def changed(seeds: Callable[[], list[bytes]]) -> Callable[[Random], bytes]:
    return lambda chance: mutated(chance.choice(seeds()), chance, seeds())


def part(name: str) -> Callable[[Random], bytes]:
    return partial(outputs.make_part, part=name)


FEEDS = {
    "image": Feed(43, changed(raw.images), raw.read_picture),
    "tar": Feed(20, changed(raw.tars), raw.read_tar),
    "devkit": Feed(10, raw.make_devkit, raw.read_kit),
    "cifar": Feed(3, raw.make_cifar, raw.read_cifar),
    "layout": Feed(6, raw.make_layout, raw.read_layout),
    "index": Feed(5, part("index"), outputs.read_index),
    "split": Feed(3, part("split"), outputs.read_split),
    "moments": Feed(2, part("moments"), outputs.read_moments),
    "model": Feed(5, outputs.make_model, outputs.read_model),
    "result": Feed(2, outputs.make_result, outputs.read_metrics),
    "config": Feed(1, outputs.make_config, outputs.read_config),
}
