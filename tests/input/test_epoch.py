"""The order of an epoch, and the division of its batches among ranks."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.input.epoch import shuffle_images, split_batches


def test_each_epoch_visits_every_image_once_in_another_order() -> None:
    orders = [shuffle_images(0, epoch, 1000) for epoch in range(2)]
    assert all(order.sort().values.equal(torch.arange(1000)) for order in orders)
    assert not orders[0].equal(orders[1])
    assert shuffle_images(0, 1, 1000).equal(orders[1])
    assert not shuffle_images(1, 1, 1000).equal(orders[1])


@settings(deadline=None, derandomize=True)
@given(st.integers(0, 200), st.integers(1, 50), st.integers(1, 9), st.integers(0, 9))
def test_shares_of_all_ranks_make_up_each_batch(
    images: int, size: int, ranks: int, first_batch: int
) -> None:
    batches = [slice(k, min(k + size, images)) for k in range(0, images, size)]
    assert split_batches(images, size) == batches
    assert split_batches(images, size, first_batch) == batches[first_batch:]
    by_rank = [split_batches(images, size, first_batch, rank, ranks) for rank in range(ranks)]
    for batch, *shares in zip(batches[first_batch:], *by_rank, strict=True):
        positions = [n for share in shares for n in range(share.start, share.stop)]
        assert positions == list(range(batch.start, batch.stop))
        lengths = [share.stop - share.start for share in shares]
        assert max(lengths) - min(lengths) <= 1
        assert min(lengths) > 0 or len(positions) < ranks
