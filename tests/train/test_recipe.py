"""Both sides of each difference between the paper and the 2012 code in training."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.dataset.moments import Moments
from alexnet.dataset.shards import Shards
from alexnet.input.augment import AugmentSettings, compute_colour_shifts, plan_epoch
from alexnet.model.net_config import LAYERS
from alexnet.runtime.errors import InputError
from alexnet.train.inputs import TrainingSet, augmentation_examples, load_batches
from alexnet.train.loop import train
from alexnet.train.recipe import Recipe, group_parameters, make_recipe
from alexnet.train.schedule import Plateau
from images import Images
from presets import preset
from small_recipe import initialised_net

CPU = torch.device("cpu")


def preset_recipe(name: str, crop: int = 224) -> Recipe:
    return make_recipe(preset("recipe", name), 0.01, crop)


def first_batch(split: Shards, moments: Moments, recipe: Recipe, epoch: int = 0) -> torch.Tensor:
    return next(load_batches(TrainingSet.load(split, moments, recipe, 0, CPU), epoch)).x


def trained_names(recipe: Recipe, epoch: int) -> set[str]:
    groups = group_parameters(initialised_net(), recipe, epoch, 1.0)
    return {name for group in groups for name in group.names}


def test_paper_trains_weights_and_biases_alike() -> None:
    (group,) = group_parameters(initialised_net(), preset_recipe("paper"), 0, 0.01)
    assert len(group.names) == 16
    assert (group.lr, group.momentum, group.weight_decay) == (0.01, 0.9, 0.0005)


def test_2012_code_trains_biases_twice_as_fast_without_decay() -> None:
    weights, biases = group_parameters(initialised_net(), preset_recipe("original"), 0, 0.01)
    assert {name.partition(".")[2] for name in weights.names} == {"weight"}
    assert {name.partition(".")[2] for name in biases.names} == {"bias"}
    assert (weights.lr, weights.weight_decay) == (0.01, 0.0005)
    assert (biases.lr, biases.weight_decay) == (0.02, 0)


def test_2012_code_freezes_conv1_after_72_epochs() -> None:
    conv1 = {"conv1.weight", "conv1.bias"}
    assert trained_names(preset_recipe("original"), 71) >= conv1
    assert (
        trained_names(preset_recipe("original"), 71) - trained_names(preset_recipe("original"), 72)
        == conv1
    )


def test_layer_multiplier_scales_the_rate_of_that_layer() -> None:
    recipe = replace(
        preset_recipe("paper"), layer_lr_multiplier={"fc8": 10.0}, frozen_from={"conv1": 0}
    )
    rates = {
        name: group.lr
        for group in group_parameters(initialised_net(), recipe, 0, 0.01)
        for name in group.names
    }
    assert rates["fc8.weight"] == pytest.approx(0.1)
    assert rates["fc7.weight"] == 0.01
    assert "conv1.weight" not in rates


def test_frozen_layers_keep_their_weights(tmp_path: Path, split: Shards, moments: Moments) -> None:
    net = initialised_net(std=dict.fromkeys(LAYERS, 0.03))
    before = {name: weight.clone() for name, weight in net.state_dict().items()}
    recipe = replace(preset_recipe("quick"), epochs=1, frozen_from={"conv1": 0, "fc7": 0})
    train(net, split, split, moments, recipe, 0, tmp_path)
    same = {name for name, weight in net.state_dict().items() if torch.equal(weight, before[name])}
    assert same == {"conv1.weight", "conv1.bias", "fc7.weight", "fc7.bias"}


def test_mean_is_taken_under_the_crop_or_at_the_centre(split: Shards, moments: Moments) -> None:
    settings = AugmentSettings(reflections=False, alpha_std=0.0)
    recipe = replace(preset_recipe("paper"), augmentation=settings, batch_size=6)
    under = first_batch(split, moments, recipe)
    centre = first_batch(split, moments, replace(recipe, mean_under_crop=False))
    plan = plan_epoch(0, 0, len(split), settings)
    for n in range(6):
        top, left = int(plan.tops[n]), int(plan.lefts[n])
        means = [moments.mean_image[y : y + 224, x : x + 224] for y, x in ((top, left), (16, 16))]
        expected = torch.from_numpy(means[0] - means[1]).permute(2, 0, 1)
        torch.testing.assert_close(centre[n] - under[n], expected, rtol=0, atol=1e-3)


def test_input_is_divided_only_while_colours_shift(split: Shards, moments: Moments) -> None:
    without_shifts = replace(
        preset_recipe("paper"), augmentation=AugmentSettings(alpha_std=0.0), batch_size=4
    )
    plain = first_batch(split, moments, without_shifts)
    original = replace(
        preset_recipe("original"),
        augmentation=AugmentSettings(),
        batch_size=4,
        mean_under_crop=True,
    )
    shifted = first_batch(split, moments, original)
    plan = plan_epoch(0, 0, len(split), AugmentSettings())
    shifts = compute_colour_shifts(
        plan.alphas,
        torch.from_numpy(moments.eigenvalues),
        torch.from_numpy(moments.eigenvectors),
        "sqrt_eigenvalue",
    )
    expected = (plain + shifts[:4].float()[:, :, None, None]) / 1.1
    torch.testing.assert_close(shifted, expected, rtol=0, atol=1e-3)
    ended = replace(original, colour_until=1)
    torch.testing.assert_close(
        first_batch(split, moments, ended, epoch=1),
        first_batch(split, moments, without_shifts, epoch=1),
    )


@pytest.mark.parametrize("colour_until", [None, 2])
def test_augmentation_examples_are_the_choices_of_training(
    split: Shards, images: Images, moments: Moments, colour_until: int | None
) -> None:
    """Undo crop, reflection and shift of the first record: the pixels are those of the image."""
    recipe = replace(preset_recipe("paper"), colour_until=colour_until, batch_size=len(split))
    rows = augmentation_examples(split, moments, recipe, seed=0)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert list(rows[0]) == ["epoch", "top", "left", "crop", "mirrored", "red", "green", "blue"]
    assert len({row["mirrored"] for row in rows}) == 2
    for epoch, row in enumerate(rows):
        x = first_batch(split, moments, recipe, epoch)
        n = plan_epoch(0, epoch, len(split), recipe.augmentation).order.tolist().index(0)
        shift = np.array([row["red"], row["green"], row["blue"]], np.float32)
        assert bool(shift.any()) is (colour_until is None or epoch < colour_until)
        centred = x[n].permute(1, 2, 0).numpy() - shift
        rows_, columns = (slice(int(row[a]), int(row[a] + row["crop"])) for a in ("top", "left"))
        mean = moments.mean_image[rows_, columns]
        pixels = (centred[:, ::-1] if row["mirrored"] else centred) + mean
        np.testing.assert_allclose(pixels, images[0][rows_, columns], atol=1e-3)


def test_presets_crop_as_the_paper_the_2012_code_and_caffe() -> None:
    assert preset_recipe("paper").augmentation == AugmentSettings(224, 32, 1)
    assert preset_recipe("original").augmentation == AugmentSettings(224, 33, 32)
    caffe = preset_recipe("caffe", crop=227).augmentation
    assert (caffe.crop, caffe.crop_offsets, caffe.alpha_std) == (227, 29, 0)


def test_presets_have_the_schedules_of_the_paper_and_the_2012_code() -> None:
    assert isinstance(preset_recipe("paper").schedule, Plateau)
    schedule, factors = preset_recipe("original").schedule, []
    for _ in range(91):
        factors.append(schedule.factor)
        schedule = schedule.after(50.0)
    np.testing.assert_allclose(factors, [1] * 24 + [0.1] * 27 + [0.01] * 28 + [0.001] * 12)


@pytest.mark.parametrize("key", ["frozen_from", "layer_lr_multiplier"])
def test_unknown_layer_is_rejected(key: str) -> None:
    numbers = preset("recipe", "paper")
    with pytest.raises(InputError, match=f"recipe.{key} .* layer, conv9; fix: use one of conv1"):
        make_recipe(numbers | {key: {"conv9": 0}}, 0.01, 224)


def test_flat_loss_prints_a_warning_from_the_second_epoch_on(
    tmp_path: Path, split: Shards, moments: Moments, capsys: pytest.CaptureFixture[str]
) -> None:
    """With weights near zero the logits do not depend on the images."""
    net = initialised_net(std=dict.fromkeys(LAYERS, 1e-6), bias=0.0)
    recipe = replace(preset_recipe("quick"), epochs=3, lr=1e-9)
    train(net, split, split, moments, recipe, 0, tmp_path)
    output = capsys.readouterr().out
    assert output.count("warning: the loss") == 2
    assert "model=original" in output


def test_history_holds_mean_magnitudes_of_weights_and_steps(
    tmp_path: Path, split: Shards, moments: Moments
) -> None:
    net = initialised_net(std=dict.fromkeys(LAYERS, 0.03))
    recipe = replace(preset_recipe("quick"), epochs=2)
    (_, row) = train(net, split, split, moments, recipe, 0, tmp_path)
    for name in ("conv1", "conv5", "fc8"):
        magnitude = float(getattr(net, name).weight.detach().abs().mean())
        assert row[f"w_{name}"] == pytest.approx(magnitude)
        assert 0 < row[f"dw_{name}"] < row[f"w_{name}"]
    assert (tmp_path / "history.csv").read_text().count("\n") == 3
