"""Codes are compared with what a loop over bits would find, and learning with not learning."""

from pathlib import Path

import pytest
import torch

from alexnet.retrieve import binary_codes
from alexnet.retrieve.binary_codes import (
    Recall,
    random_hyperplanes,
    recalls,
    train_autoencoder,
    write_recalls,
)


def curved(count: int, seed: int) -> torch.Tensor:
    """Points of a curved surface of six dimensions in 96: what there is to be learnt."""
    surface = torch.randn(6, 96, generator=torch.Generator().manual_seed(0))
    places = torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))
    return torch.relu(places @ surface + 0.3) * 5 + 20


def differing(one: torch.Tensor, other: torch.Tensor) -> int:
    return sum(bool(a) is not bool(b) for a, b in zip(one, other, strict=True))


def test_hamming_orders_are_a_count_of_differing_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary_codes, "QUERY_CHUNK", 2)
    queries, rows = torch.rand(5, 12) > 0.5, torch.rand(40, 12) > 0.5
    orders = torch.cat(list(binary_codes.hamming_orders(queries, rows)))
    for query, order in zip(queries, orders, strict=True):
        by_hand = sorted(range(40), key=lambda n: (differing(query, rows[n]), n))
        assert order.tolist() == by_hand


def test_recall_is_the_share_found_among_the_candidates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of random hyperplanes, through the mean of the rows: everything by loops."""
    rows, queries = curved(60, 1), curved(4, 2)
    monkeypatch.setattr(binary_codes, "ROW_CHUNK", 7)
    told = {
        (each.code, each.bits, each.candidates): each.recall for each in recalls(rows, queries, 3)
    }
    coder = random_hyperplanes(rows - rows.mean(dim=0), 64, 3)
    coded, asked = coder(rows - rows.mean(dim=0)), coder(queries - rows.mean(dim=0))
    for candidates in (10, 20, 50):
        found = 0
        for n, query in enumerate(queries):
            nearest = sorted(range(60), key=lambda m: float((rows[m] - query).double().norm()))[:10]
            near = sorted(range(60), key=lambda m: (differing(asked[n], coded[m]), m))
            found += len({*nearest} & {*near[:candidates]})
        assert told["hyperplanes", 64, candidates] == pytest.approx(found / 40)
    assert {bits for _, bits, _ in told} == {32, 64, 128}
    assert max(candidates for *_, candidates in told) == 50


def test_learnt_codes_find_more_than_random_ones() -> None:
    """At every length; and with every candidate no less than with fewer."""
    found = list(recalls(curved(1500, 1), curved(100, 2), 0))
    at_ten = {(each.code, each.bits): each.recall for each in found if each.candidates == 10}
    for bits in binary_codes.BITS:
        assert at_ten["auto-encoder", bits] > at_ten["hyperplanes", bits] + 0.05, bits
        for code in ("auto-encoder", "hyperplanes"):
            curve = [e.recall for e in found if (e.code, e.bits) == (code, bits)]
            assert curve == sorted(curve)
            assert curve[-1] > 0.9


def test_the_decoder_sees_nothing_but_the_code() -> None:
    net, x = binary_codes.Autoencoder(20, 8), torch.randn(30, 20)
    torch.testing.assert_close(net(x), net.decoder(net.code(x).float()))
    net(x).square().sum().backward()
    gradient = net.encoder[0].weight.grad
    assert gradient is not None
    assert gradient.abs().max() > 0, "the gradient ended at the rounding"


def test_the_same_seed_gives_the_same_codes_and_leaves_chance_alone() -> None:
    x = curved(200, 1) - 20
    before = torch.random.get_rng_state()
    one, same, other = (train_autoencoder(x, 16, seed)(x) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_few_images_and_equal_ones() -> None:
    """A data set of three, or of one image again and again, is coded all the same."""
    assert list(recalls(curved(3, 1), curved(2, 2), 0)) == []
    same = torch.ones(30, 8)
    assert all(0 <= each.recall <= 1 for each in recalls(same, same[:2], 0))


def test_codes_file(tmp_path: Path) -> None:
    found = [Recall("auto-encoder", 32, 10, 1 / 3), Recall("hyperplanes", 64, 1000, 1.0)]
    write_recalls(tmp_path / "codes.csv", found)
    assert (tmp_path / "codes.csv").read_text() == (
        "code,bits,candidates,recall\nauto-encoder,32,10,0.333333\nhyperplanes,64,1000,1.000000\n"
    )
