"""Ranking of labels compared with a plain sort, and the rule for ties."""

import torch

from alexnet.inference.top_k import is_error, rank_labels


def test_ranking_equals_a_plain_sort() -> None:
    """Many ties among 12 classes: higher probability first, then the lower label."""
    probabilities = torch.randint(0, 4, (200, 12)) / 4
    top, values = rank_labels(probabilities)
    for row, labels, ranked in zip(probabilities.tolist(), top.tolist(), values, strict=True):
        assert labels == sorted(range(12), key=lambda label, row=row: (-row[label], label))[:5]
        assert ranked.tolist() == [row[label] for label in labels]


def test_tie_counts_as_correct_only_for_the_lower_labels() -> None:
    even = torch.full((4, 8), 1 / 8)
    top, _ = rank_labels(even)
    labels = torch.tensor([0, 1, 4, 5])
    assert is_error(top, labels, 1).tolist() == [False, True, True, True]
    assert is_error(top, labels, 5).tolist() == [False, False, False, True]


def test_three_classes_give_three_ranks() -> None:
    top, values = rank_labels(torch.tensor([[0.2, 0.5, 0.3]]))
    assert (top.tolist(), values.shape) == ([[1, 2, 0]], (1, 3))
    assert not is_error(top, torch.tensor([0]), 5).any()
