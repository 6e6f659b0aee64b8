import numpy as np
import torch

from alexnet.augment import augment, centre_view, mean_crops, ten_views
from alexnet.batches import choose, crops, squares
from alexnet.shards import Shards
from conftest import Images

WAYS = (True, True, 0.1)


def test_each_image_once_an_epoch_in_another_order() -> None:
    orders = [choose(0, epoch, 1000, *WAYS).order for epoch in range(2)]
    assert all(order.sort().values.equal(torch.arange(1000)) for order in orders)
    assert not orders[0].equal(orders[1])
    assert choose(0, 1, 1000, *WAYS).order.equal(orders[1])
    assert not choose(1, 1, 1000, *WAYS).order.equal(orders[1])


def test_choices_have_the_papers_ranges() -> None:
    """32 × 32 places, half of the images mirrored, α of standard deviation 0.1 (section 4.1)."""
    choices = choose(0, 0, 50_000, *WAYS)
    for offsets in (choices.tops, choices.lefts):
        assert offsets.unique().equal(torch.arange(32))
    assert abs(float(choices.mirrored.float().mean()) - 0.5) < 0.01
    assert abs(float(choices.alphas.std()) - 0.1) < 0.001
    pair = torch.stack([choices.tops.double(), choices.lefts.double()])
    assert abs(float(torch.corrcoef(pair)[0, 1])) < 0.02


def test_without_crops_reflections_and_shift() -> None:
    choices = choose(0, 0, 10, False, False, 0.0)
    assert choices.tops.tolist() == choices.lefts.tolist() == [16] * 10
    assert not choices.mirrored.any()
    assert not choices.alphas.any()


def test_crops_are_slices_of_the_records(split: Shards, images: Images) -> None:
    choices = choose(5, 2, len(split), *WAYS)
    seen = []
    for batch, part in crops(split, choices, 6, pin=False):
        seen.append(len(batch))
        places = zip(choices.order[part], choices.tops[part], choices.lefts[part], strict=True)
        for crop, (n, top, left) in zip(batch, places, strict=True):
            assert np.array_equal(crop, images[n, top : top + 224, left : left + 224])
    assert seen == [6, 6, 6, 2]


def test_squares_are_the_records(split: Shards, images: Images) -> None:
    for batch, part in squares(split, split.records.tolist(), 7):
        assert np.array_equal(batch, images[part])


def test_augment_is_the_definition(split: Shards, images: Images) -> None:
    choices = choose(5, 2, len(split), *WAYS)
    mean, shifts = torch.rand(256, 256, 3) * 255, torch.randn(20, 3) * 10
    ((batch, _),) = crops(split, choices, 20, pin=False)
    chances = choices.tops, choices.lefts, choices.mirrored, shifts
    x = augment(batch, mean, *chances)
    assert x.is_contiguous(memory_format=torch.channels_last)
    for n in range(20):
        top, left = int(choices.tops[n]), int(choices.lefts[n])
        centred = torch.tensor(images[choices.order[n]]).float() - mean
        patch = centred[top : top + 224, left : left + 224]
        naive = (patch.flip(1) if choices.mirrored[n] else patch) + shifts[n]
        assert torch.equal(x[n], naive.permute(2, 0, 1))


def test_mean_crops_are_slices() -> None:
    mean = torch.rand(256, 256, 3)
    tops, lefts = torch.tensor([0, 32, 7]), torch.tensor([32, 0, 31])
    for n, patch in enumerate(mean_crops(mean, tops, lefts)):
        top, left = int(tops[n]), int(lefts[n])
        assert torch.equal(patch, mean[top : top + 224, left : left + 224])


def test_the_centre_view_is_the_fifth_of_ten() -> None:
    images, mean = (
        torch.randint(0, 256, (3, 256, 256, 3), dtype=torch.uint8),
        torch.rand(256, 256, 3),
    )
    assert torch.equal(centre_view(images, mean), ten_views(images, mean)[:, 4])
