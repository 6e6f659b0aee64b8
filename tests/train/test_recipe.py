"""Both sides of each row in which the paper and the 2012 code disagree about training."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.dataset.moments import Moments, load_moments
from alexnet.dataset.shards import Shards
from alexnet.input import augment
from alexnet.input.epoch import AugmentSettings
from alexnet.model.alexnet import AlexNet, initialise
from alexnet.model.layer_shapes import LAYERS
from alexnet.moments.pca import save_moments
from alexnet.moments.sums import sum_images
from alexnet.runtime.errors import InputError
from alexnet.train import loop
from alexnet.train.inputs import Feed, inputs, plan_epoch
from alexnet.train.optimizer import Dexp, Multistep, Plateau, Schedule, schedule_of
from alexnet.train.recipe import Recipe, groups_of, recipe_of
from images import Images
from presets import preset

CPU = torch.device("cpu")


def preset_recipe(name: str, crop: int = 224) -> Recipe:
    return recipe_of(preset("recipe", name), 0.01, crop)


@pytest.fixture(scope="module")
def moments(images: Images, tmp_path_factory: pytest.TempPathFactory) -> Moments:
    folder = tmp_path_factory.mktemp("moments")
    save_moments(folder, sum_images(images))
    return load_moments(folder)


def first_batch(split: Shards, moments: Moments, recipe: Recipe, epoch: int = 0) -> torch.Tensor:
    return next(inputs(Feed.of(split, moments, recipe, 0, CPU), epoch, 0))[0]


def test_biases_learn_twice_as_fast_and_do_not_decay_in_the_2012_code() -> None:
    net = AlexNet(5, 16)
    (one,) = groups_of(net, preset_recipe("paper"), 0, 0.01)
    assert len(one.names) == 16
    assert (one.lr, one.weight_decay) == (0.01, 0.0005)
    weights, biases = groups_of(net, preset_recipe("original"), 0, 0.01)
    assert {name.partition(".")[2] for name in weights.names} == {"weight"}
    assert {name.partition(".")[2] for name in biases.names} == {"bias"}
    assert (weights.lr, weights.weight_decay) == (0.01, 0.0005)
    assert (biases.lr, biases.weight_decay) == (0.02, 0)


def test_conv1_learns_no_more_after_72_epochs_of_the_2012_code() -> None:
    net = AlexNet(5, 16)
    for epoch, learns in ((71, True), (72, False)):
        names = [
            n
            for group in groups_of(net, preset_recipe("original"), epoch, 1.0)
            for n in group.names
        ]
        assert ("conv1.weight" in names) is learns
        assert ("conv1.bias" in names) is learns
        assert "conv2.weight" in names


def test_a_layer_has_its_own_rate() -> None:
    recipe = replace(
        preset_recipe("paper"), layer_lr_multiplier={"fc8": 10.0}, frozen_from={"conv1": 0}
    )
    rates = {
        name: group.lr
        for group in groups_of(AlexNet(5, 16), recipe, 0, 0.01)
        for name in group.names
    }
    assert rates["fc8.weight"] == pytest.approx(0.1)
    assert rates["fc7.weight"] == 0.01
    assert "conv1.weight" not in rates


def test_a_frozen_layer_stays_as_it_is(tmp_path: Path, split: Shards, moments: Moments) -> None:
    net = AlexNet(5, 16)
    initialise(net, 0, dict.fromkeys(LAYERS, 0.03), dict.fromkeys(LAYERS, 0.1))
    before = {name: weight.clone() for name, weight in net.state_dict().items()}
    recipe = replace(preset_recipe("quick"), epochs=1, frozen_from={"conv1": 0, "fc7": 0})
    loop.train(net, split, split, moments, recipe, 0, tmp_path)
    same = {name for name, weight in net.state_dict().items() if torch.equal(weight, before[name])}
    assert same == {"conv1.weight", "conv1.bias", "fc7.weight", "fc7.bias"}


def test_the_mean_under_the_crop_or_the_centres(split: Shards, moments: Moments) -> None:
    still = AugmentSettings(reflections=False, alpha_std=0.0)
    recipe = replace(preset_recipe("paper"), augmentation=still, batch_size=6)
    under = first_batch(split, moments, recipe)
    centre = first_batch(split, moments, replace(recipe, mean_under_crop=False))
    choices = plan_epoch(0, 0, len(split), still)
    for n in range(6):
        top, left = int(choices.tops[n]), int(choices.lefts[n])
        means = [moments.mean_image[y : y + 224, x : x + 224] for y, x in ((top, left), (16, 16))]
        expected = torch.from_numpy(means[0] - means[1]).permute(2, 0, 1)
        torch.testing.assert_close(centre[n] - under[n], expected, rtol=0, atol=1e-3)


def test_colours_shift_until_an_epoch_and_are_divided_while_they_do(
    split: Shards, moments: Moments
) -> None:
    quiet = replace(
        preset_recipe("paper"), augmentation=AugmentSettings(alpha_std=0.0), batch_size=4
    )
    plain = first_batch(split, moments, quiet)
    original = replace(
        preset_recipe("original"),
        augmentation=AugmentSettings(),
        batch_size=4,
        mean_under_crop=True,
    )
    shifted = first_batch(split, moments, original)
    choices = plan_epoch(0, 0, len(split), AugmentSettings())
    shifts = augment.colour_shifts(
        choices.alphas,
        torch.from_numpy(moments.eigenvalues),
        torch.from_numpy(moments.eigenvectors),
        "sqrt_eigenvalue",
    )
    expected = (plain + shifts[:4].float()[:, :, None, None]) / 1.1
    torch.testing.assert_close(shifted, expected, rtol=0, atol=1e-3)
    late = replace(original, colour_until=1)
    quiet_late = first_batch(split, moments, quiet, epoch=1)
    torch.testing.assert_close(first_batch(split, moments, late, epoch=1), quiet_late)


def test_crops_of_the_text_of_the_code_and_of_caffe() -> None:
    assert preset_recipe("paper").augmentation == AugmentSettings(224, 32, 1)
    assert preset_recipe("original").augmentation == AugmentSettings(224, 33, 32)
    caffe = preset_recipe("caffe", 227)
    assert (
        caffe.augmentation.crop,
        caffe.augmentation.crop_offsets,
        caffe.augmentation.alpha_std,
    ) == (227, 29, 0)


def factors(schedule: Schedule, epochs: int) -> list[float]:
    seen = []
    for _ in range(epochs):
        seen.append(schedule.factor)
        schedule = schedule.after(50.0)
    return seen


def test_schedules() -> None:
    assert isinstance(preset_recipe("paper").schedule, Plateau)
    original = factors(preset_recipe("original").schedule, 91)
    np.testing.assert_allclose(original, [1] * 24 + [0.1] * 27 + [0.01] * 28 + [0.001] * 12)
    dexp = factors(Dexp(span=250, steps=4, epochs=8), 8)
    np.testing.assert_allclose(dexp, np.repeat([1, 250 ** (-1 / 3), 250 ** (-2 / 3), 1 / 250], 2))
    assert not Multistep((1,)).after(0).after(0).ended
    assert isinstance(schedule_of(None, None, {"span": 250, "steps": 4}, 90), Dexp)
    for wrong in ((None, None, None), ({"patience": 1, "drops": 3}, [1], None)):
        with pytest.raises(InputError, match="no schedule of the rate, or more than one"):
            schedule_of(*wrong, epochs=90)  # type: ignore[arg-type]


def test_an_unknown_layer_is_refused() -> None:
    numbers = preset("recipe", "paper")
    with pytest.raises(InputError, match="no layer conv9; fix: name one of conv1"):
        recipe_of(numbers | {"frozen_from": {"conv9": 0}}, 0.01, 224)


def test_a_loss_that_stays_flat_is_warned_of(
    tmp_path: Path, split: Shards, moments: Moments, capsys: pytest.CaptureFixture[str]
) -> None:
    """With weights of nothing no image reaches the logits."""
    net = AlexNet(5, 16)
    initialise(net, 0, dict.fromkeys(LAYERS, 1e-6), dict.fromkeys(LAYERS, 0.0))
    recipe = replace(preset_recipe("quick"), epochs=3, lr=1e-9)
    loop.train(net, split, split, moments, recipe, 0, tmp_path)
    said = capsys.readouterr().out
    assert said.count("warning: the loss") == 2  # after the second epoch, and after the third
    assert "model=original" in said


def test_the_history_tells_the_size_of_weights_and_steps(
    tmp_path: Path, split: Shards, moments: Moments
) -> None:
    net = AlexNet(5, 16)
    initialise(net, 0, dict.fromkeys(LAYERS, 0.03), dict.fromkeys(LAYERS, 0.1))
    recipe = replace(preset_recipe("quick"), epochs=2)
    (_, row) = loop.train(net, split, split, moments, recipe, 0, tmp_path)
    for name in ("conv1", "conv5", "fc8"):
        assert row[f"w_{name}"] == pytest.approx(
            float(getattr(net, name).weight.detach().abs().mean())
        )
        assert 0 < row[f"dw_{name}"] < row[f"w_{name}"]
    assert (tmp_path / "history.csv").read_text().count("\n") == 3
