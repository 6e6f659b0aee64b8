"""Random choices have the paper's ranges; augmentation is what its definition says."""

import pytest
import torch

from alexnet.dataset.shards import Shards
from alexnet.input.augment import (
    AugmentSettings,
    augment,
    centre_crop,
    crop_mean_image,
    plan_epoch,
)
from alexnet.input.epoch import shuffle_images
from alexnet.input.loader import load_crops
from alexnet.runtime.errors import InputError
from images import Images


@pytest.mark.parametrize(("crop", "offsets"), [(224, 32), (224, 33), (227, 30)])
def test_choices_are_uniform_over_their_ranges(crop: int, offsets: int) -> None:
    """32 × 32 positions, half of the images mirrored, α with standard deviation 0.1."""
    plan = plan_epoch(0, 0, 50_000, AugmentSettings(crop, offsets))
    for corners in (plan.tops, plan.lefts):
        counts = corners.bincount()
        assert len(counts) == offsets
        assert (counts - 50_000 / offsets).abs().max() < 5 * (50_000 / offsets) ** 0.5
    assert abs(float(plan.mirrored.float().mean()) - 0.5) < 0.01
    assert abs(float(plan.alphas.std()) - 0.1) < 0.001
    pairs = torch.stack([plan.tops.double(), plan.lefts.double()])
    assert abs(float(torch.corrcoef(pairs)[0, 1])) < 0.02


def test_plan_depends_on_seed_and_epoch_alone() -> None:
    def fields(seed: int, epoch: int) -> list[torch.Tensor]:
        return list(vars(plan_epoch(seed, epoch, 1000, AugmentSettings())).values())

    plan, again = fields(3, 1), fields(3, 1)
    assert all(a.equal(b) for a, b in zip(plan, again, strict=True))
    assert plan[0].equal(shuffle_images(3, 1, 1000))
    for other in (fields(3, 2), fields(4, 1)):
        assert not any(a.equal(b) for a, b in zip(plan, other, strict=True))


def test_augmentation_can_be_switched_off() -> None:
    settings = AugmentSettings(random_crops=False, reflections=False, alpha_std=0.0)
    plan = plan_epoch(0, 0, 10, settings)
    assert plan.tops.tolist() == plan.lefts.tolist() == [16] * 10
    assert not plan.mirrored.any()
    assert not plan.alphas.any()


def test_32_consecutive_images_share_a_crop_as_in_the_2012_code() -> None:
    """They share offset and reflection; each image has its own colour shift."""
    shared, own = (plan_epoch(3, 1, 1000, AugmentSettings(images_per_crop=n)) for n in (32, 1))
    blocks = torch.arange(1000) // 32
    for field in ("tops", "lefts", "mirrored"):
        values = getattr(shared, field)
        assert values.equal(values[blocks * 32])
        assert values.equal(getattr(own, field)[blocks])
        assert len(values[::32].unique()) > 1
    assert shared.order.equal(own.order)
    assert shared.alphas.equal(own.alphas)
    assert len(shared.alphas.unique(dim=0)) == 1000


@pytest.mark.parametrize(
    ("crop", "offsets", "message"),
    [
        (224, 34, "crops of 224 leave the image of 256; fix: set recipe.crop_offsets to 33"),
        (227, 31, "crops of 227 leave the image of 256; fix: set recipe.crop_offsets to 30"),
        (257, 1, "crop is 257, larger than the image"),
        (0, 1, "crop is 0, but must be 1 or more"),
        (224, 0, "crop_offsets is 0, but must be 1 or more"),
    ],
)
def test_crops_that_could_leave_the_image_are_rejected(
    crop: int, offsets: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        AugmentSettings(crop, offsets)


def test_largest_crop_offset_is_accepted() -> None:
    assert AugmentSettings(227, 30).crop + AugmentSettings(227, 30).crop_offsets - 1 == 256


def test_augment_subtracts_the_mean_reflects_and_shifts_colours(
    split: Shards, images: Images
) -> None:
    plan = plan_epoch(5, 2, len(split), AugmentSettings())
    mean, shifts = torch.rand(256, 256, 3) * 255, torch.randn(20, 3) * 10
    ((batch, _),) = load_crops(split, plan, [slice(0, 20)], 224, pin=False)
    means = crop_mean_image(mean, plan.tops, plan.lefts, 224)
    x = augment(batch, means, plan.mirrored, shifts)
    assert x.is_contiguous(memory_format=torch.channels_last)
    for n in range(20):
        top, left = int(plan.tops[n]), int(plan.lefts[n])
        centred = torch.tensor(images[plan.order[n]]).float() - mean
        patch = centred[top : top + 224, left : left + 224]
        expected = (patch.flip(1) if plan.mirrored[n] else patch) + shifts[n]
        assert torch.equal(x[n], expected.permute(2, 0, 1))


@pytest.mark.parametrize("crop", [224, 227])
def test_crop_mean_image_cuts_the_patch_under_each_crop(crop: int) -> None:
    mean, far = torch.rand(256, 256, 3), 256 - crop
    tops, lefts = torch.tensor([0, far, 7]), torch.tensor([far, 0, far - 1])
    for n, patch in enumerate(crop_mean_image(mean, tops, lefts, crop)):
        top, left = int(tops[n]), int(lefts[n])
        assert torch.equal(patch, mean[top : top + crop, left : left + crop])


@pytest.mark.parametrize(("crop", "offset"), [(224, 16), (227, 14), (256, 0)])
def test_centre_crop_cuts_one_image_or_many(crop: int, offset: int) -> None:
    images = torch.rand(2, 256, 256, 3)
    expected = images[:, offset : offset + crop, offset : offset + crop]
    assert torch.equal(centre_crop(images, crop), expected)
    assert torch.equal(centre_crop(images[0], crop), expected[0])
