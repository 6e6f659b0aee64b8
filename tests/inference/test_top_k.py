"""Likeliest labels by a naive loop, and how ties are ranked."""

import torch

from alexnet.inference.top_k import likeliest, wrong


def test_likeliest_are_those_of_a_sort_by_hand() -> None:
    """Many ties among 12 classes: the greater probability first, of equal ones the lower label."""
    probabilities = torch.randint(0, 4, (200, 12)) / 4
    top, values = likeliest(probabilities)
    for row, labels, given in zip(probabilities.tolist(), top.tolist(), values, strict=True):
        assert labels == sorted(range(12), key=lambda label, row=row: (-row[label], label))[:5]
        assert given.tolist() == [row[label] for label in labels]


def test_a_tie_is_right_for_the_lower_labels_alone() -> None:
    even = torch.full((4, 8), 1 / 8)
    top, _ = likeliest(even)
    labels = torch.tensor([0, 1, 4, 5])
    assert wrong(top, labels, 1).tolist() == [False, True, True, True]
    assert wrong(top, labels, 5).tolist() == [False, False, False, True]


def test_fewer_than_five_classes() -> None:
    top, values = likeliest(torch.tensor([[0.2, 0.5, 0.3]]))
    assert (top.tolist(), values.shape) == ([[1, 2, 0]], (1, 3))
    assert not wrong(top, torch.tensor([0]), 5).any()
