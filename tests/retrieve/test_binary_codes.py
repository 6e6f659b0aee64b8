"""Codes against loops over bits; learnt codes against random ones."""

from pathlib import Path

import pytest
import torch

from alexnet.retrieve import binary_codes
from alexnet.retrieve.binary_codes import (
    Recall,
    compute_recalls,
    random_hyperplanes,
    train_autoencoder,
    write_recalls,
)


def curved_points(count: int, seed: int) -> torch.Tensor:
    """Return points on a curved surface of six dimensions in 96, which a code can learn."""
    surface = torch.randn(6, 96, generator=torch.Generator().manual_seed(0))
    positions = torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))
    return torch.relu(positions @ surface + 0.3) * 5 + 20


def hamming_distance(code: torch.Tensor, other: torch.Tensor) -> int:
    return sum(bool(a) is not bool(b) for a, b in zip(code, other, strict=True))


def test_rows_are_ordered_by_the_number_of_differing_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary_codes, "QUERY_CHUNK", 2)
    queries, rows = torch.rand(5, 12) > 0.5, torch.rand(40, 12) > 0.5
    orders = torch.cat(list(binary_codes.order_by_hamming_distance(queries, rows)))
    for query, order in zip(queries, orders, strict=True):
        expected = sorted(range(40), key=lambda n: (hamming_distance(query, rows[n]), n))
        assert order.tolist() == expected


def test_recall_is_the_share_of_neighbours_among_the_candidates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For random hyperplanes through the mean of the rows, computed by loops."""
    rows, queries = curved_points(60, 1), curved_points(4, 2)
    monkeypatch.setattr(binary_codes, "ROW_CHUNK", 7)
    recalls = {(r.code, r.bits, r.candidates): r.recall for r in compute_recalls(rows, queries, 3)}
    coder = random_hyperplanes(rows - rows.mean(dim=0), 64, 3)
    codes, query_codes = coder(rows - rows.mean(dim=0)), coder(queries - rows.mean(dim=0))
    for candidates in (10, 20, 50):
        found = 0
        for query, code in zip(queries, query_codes, strict=True):
            nearest = sorted(range(60), key=lambda m: float((rows[m] - query).double().norm()))[:10]
            by_code = sorted(range(60), key=lambda m: (hamming_distance(code, codes[m]), m))
            found += len({*nearest} & {*by_code[:candidates]})
        assert recalls["hyperplanes", 64, candidates] == pytest.approx(found / 40)
    assert {bits for _, bits, _ in recalls} == {32, 64, 128}
    assert max(candidates for *_, candidates in recalls) == 50


def test_learnt_codes_have_a_higher_recall_than_random_ones() -> None:
    """At every length. Recall never falls as the number of candidates grows."""
    recalls = list(compute_recalls(curved_points(1500, 1), curved_points(100, 2), 0))
    among_ten = {(r.code, r.bits): r.recall for r in recalls if r.candidates == 10}
    for bits in binary_codes.BITS:
        assert among_ten["auto-encoder", bits] > among_ten["hyperplanes", bits] + 0.05, bits
        for code in ("auto-encoder", "hyperplanes"):
            curve = [r.recall for r in recalls if (r.code, r.bits) == (code, bits)]
            assert curve == sorted(curve)
            assert curve[-1] > 0.9


def test_the_decoder_sees_only_the_code() -> None:
    net, x = binary_codes.Autoencoder(20, 8), torch.randn(30, 20)
    torch.testing.assert_close(net(x), net.decoder(net.code(x).float()))
    net(x).square().sum().backward()
    gradient = net.encoder[0].weight.grad
    assert gradient is not None
    assert gradient.abs().max() > 0, "the rounding stopped the gradient"


def test_codes_depend_only_on_the_seed_and_leave_the_global_generator_alone() -> None:
    x = curved_points(200, 1) - 20
    before = torch.random.get_rng_state()
    first, same, other = (train_autoencoder(x, 16, seed)(x) for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_few_images_and_identical_images_are_coded() -> None:
    """A data set of three images, or of one image repeated."""
    assert list(compute_recalls(curved_points(3, 1), curved_points(2, 2), 0)) == []
    same = torch.ones(30, 8)
    assert all(0 <= r.recall <= 1 for r in compute_recalls(same, same[:2], 0))


def test_recalls_are_written_as_csv(tmp_path: Path) -> None:
    recalls = [Recall("auto-encoder", 32, 10, 1 / 3), Recall("hyperplanes", 64, 1000, 1.0)]
    write_recalls(tmp_path / "codes.csv", recalls)
    assert (tmp_path / "codes.csv").read_text() == (
        "code,bits,candidates,recall\nauto-encoder,32,10,0.333333\nhyperplanes,64,1000,1.000000\n"
    )


def test_recalls_are_printed_in_percent(capsys: pytest.CaptureFixture[str]) -> None:
    binary_codes.print_recalls([Recall("hyperplanes", 64, 10, 0.5)], 1500)
    printed = capsys.readouterr().out
    assert "recall (%) among" in printed
    assert "50" in printed
    assert "1,500 images" in printed
