"""Philox gives its published numbers, and independent ones for each key and unit."""

import numpy as np
import pytest
import torch

from alexnet.input import philox


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [  # known answers published by the authors of the generator
        ([0] * 4, (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ([0xFFFFFFFF] * 4, (0xFFFFFFFF,) * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            (0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_known_answers(counter: list[int], key: tuple[int, int], words: str) -> None:
    result = philox.philox4x32(tuple(torch.tensor([c]) for c in counter), key)
    assert " ".join(f"{int(word):08x}" for word in result) == words


def test_words_of_a_unit_do_not_depend_on_the_other_units() -> None:
    together = philox.draw_words(7, philox.CROP, 3, torch.arange(100))
    apart = torch.cat([philox.draw_words(7, philox.CROP, 3, torch.tensor([n])) for n in range(100)])
    assert torch.equal(together, apart)


def test_seed_stream_and_step_each_change_the_words() -> None:
    units = torch.arange(64)
    keys = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    draws = [philox.draw_words(*key, units) for key in keys]
    for n, draw in enumerate(draws):
        for other in draws[:n]:
            assert (draw == other).sum() <= 1
    assert not torch.equal(philox.draw_words(2**32, 0, 0, units), draws[0])


def test_uniform_and_normal_have_their_moments() -> None:
    units = torch.arange(100_000)
    u = philox.draw_uniform(0, 0, 0, units).numpy()
    assert 0 < u.min() < u.max() < 1
    assert abs(u.mean() - 0.5) < 0.002
    z = philox.draw_normal(0, 0, 0, units).numpy()
    assert abs(z.mean()) < 0.006
    assert abs(z.std() - 1) < 0.006
    assert np.abs(np.corrcoef(z.T) - np.eye(4)).max() < 0.015
