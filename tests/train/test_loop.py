"""The loop as a whole: it learns, it resumes to the same bytes, and it says why it stops."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from alexnet.dataset.moments import Moments, load_moments
from alexnet.dataset.shards import Shards
from alexnet.inference.ten_views import centre_errors
from alexnet.input.epoch import AugmentSettings
from alexnet.model import weights
from alexnet.model.alexnet import AlexNet, initialise
from alexnet.model.layer_shapes import LAYERS
from alexnet.moments.pca import save_moments
from alexnet.moments.sums import sum_images
from alexnet.runtime.errors import InputError
from alexnet.runtime.threads import core_count, find_libgomp, hold_threads
from alexnet.train import loop
from alexnet.train.dropout import dropout_masks
from alexnet.train.inputs import Clock, Feed
from alexnet.train.loop import train
from alexnet.train.optimizer import Plateau
from images import Images, write_split
from small_recipe import RECIPE, STD


def small_net(width_divisor: int = 16, dropout: float = 0.5) -> AlexNet:
    net = AlexNet(5, width_divisor, dropout=dropout)
    initialise(net, 0, STD, dict.fromkeys(LAYERS, 0.1))
    return net


@pytest.fixture(scope="module")
def moments(images: Images, tmp_path_factory: pytest.TempPathFactory) -> Moments:
    folder = tmp_path_factory.mktemp("moments")
    save_moments(folder, sum_images(images))
    return load_moments(folder)


def same(a: AlexNet, b: AlexNet) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def test_bytes_depend_on_the_number_of_threads_but_not_on_how_they_wait(
    split: Shards, moments: Moments, tmp_path: Path
) -> None:
    """One step: with another number the same sums are added in another order."""
    one_step = replace(RECIPE, batch_size=20, epochs=1, augmentation=AugmentSettings(alpha_std=0.0))
    nets = {}
    for name, count, held in (("one", 1, 0), ("two", 2, 0), ("two, held", 2, core_count())):
        torch.set_num_threads(count)
        release = hold_threads(find_libgomp(), held) if held else None
        nets[name] = small_net()
        (tmp_path / name).mkdir()
        train(nets[name], split, split, moments, one_step, 0, tmp_path / name)
        if release:
            release.set()
    assert same(nets["two"], nets["two, held"])
    start, one, two = (net.state_dict() for net in (small_net(), nets["one"], nets["two"]))
    for name, weight in start.items():
        moved = one[name] - weight
        torch.testing.assert_close(
            two[name] - weight, moved, rtol=0, atol=1e-3 * float(moved.abs().max())
        )


def test_it_learns_twenty_images_by_heart(tmp_path: Path) -> None:
    coarse = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8)
    patches = coarse.repeat(32, axis=1).repeat(32, axis=2)
    shards = write_split(tmp_path / "patches", patches, [n % 5 for n in range(20)], records=20)
    save_moments(tmp_path, sum_images(patches))
    still = replace(
        RECIPE,
        lr=0.003,
        epochs=60,
        schedule=Plateau(patience=100, drops=3),
        augmentation=AugmentSettings(random_crops=False, reflections=False, alpha_std=0.0),
    )
    net = small_net(width_divisor=8, dropout=0.0)
    history = train(net, shards, shards, load_moments(tmp_path), still, 0, tmp_path)
    assert history[-1]["top1_error"] == 0
    assert history[-1]["train_loss"] < 0.1


@pytest.mark.parametrize("checkpoint_steps", [1, 2, 3, 1000])
def test_a_resumed_run_ends_in_the_same_bytes(
    tmp_path: Path,
    split: Shards,
    moments: Moments,
    monkeypatch: pytest.MonkeyPatch,
    checkpoint_steps: int,
) -> None:
    straight, broken, resumed = small_net(), small_net(), small_net()
    for name in ("straight", "broken"):
        (tmp_path / name).mkdir()
    history = train(straight, split, split, moments, RECIPE, 0, tmp_path / "straight")
    step = loop._step

    def dies(*arguments: Any) -> torch.Tensor:
        if arguments[-1] == 5:  # inside the second epoch
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(loop, "_step", dies)
    with pytest.raises(KeyboardInterrupt):
        train(broken, split, split, moments, RECIPE, 0, tmp_path / "broken", checkpoint_steps)
    monkeypatch.setattr(loop, "_step", step)
    assert train(resumed, split, split, moments, RECIPE, 0, tmp_path / "broken") == history
    assert same(resumed, straight)
    assert not same(broken, straight)


def test_the_seed_decides(tmp_path: Path, split: Shards, moments: Moments) -> None:
    nets = [small_net() for _ in range(3)]
    for n, (net, seed) in enumerate(zip(nets, (1, 1, 2), strict=True)):
        (tmp_path / str(n)).mkdir()
        train(net, split, split, moments, replace(RECIPE, epochs=1), seed, tmp_path / str(n))
    assert same(nets[0], nets[1])
    assert not same(nets[0], nets[2])


def test_the_schedule_ends_training(tmp_path: Path, split: Shards, moments: Moments) -> None:
    """With a rate of nothing the error never falls: patience 1 drops thrice, then ends."""
    recipe = replace(RECIPE, lr=1e-30, epochs=20, schedule=Plateau(patience=1, drops=3))
    history = train(small_net(), split, split, moments, recipe, 0, tmp_path)
    assert [row["lr"] / 1e-30 for row in history] == pytest.approx([1, 1, 0.1, 0.01, 0.001])


def test_a_loss_that_is_no_number_stops(tmp_path: Path, split: Shards, moments: Moments) -> None:
    recipe = replace(RECIPE, lr=1e9)
    with pytest.raises(InputError, match=r"no number any more in epoch 1, step \d+; .*lower lr"):
        train(small_net(), split, split, moments, recipe, 0, tmp_path)


def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    tmp_path: Path, split: Shards, moments: Moments, capsys: pytest.CaptureFixture[str]
) -> None:
    straight, resumed = small_net(), small_net()
    history = train(straight, split, split, moments, RECIPE, 0, tmp_path)
    newest = tmp_path / "checkpoint.safetensors"
    newest.write_bytes(newest.read_bytes()[:-100])
    assert train(resumed, split, split, moments, RECIPE, 0, tmp_path) == history
    assert same(resumed, straight)
    said = capsys.readouterr().out
    assert "checkpoint.safetensors cannot be read" in said
    assert weights.load(tmp_path / "before.safetensors")[1]["epoch"] == 2
    assert "going on after epoch 2" in said


def test_labels_that_the_net_has_not_are_refused(
    tmp_path: Path, split: Shards, images: Images, moments: Moments
) -> None:
    """Before hours of training, where it is val that has them."""
    net = small_net()
    other = write_split(tmp_path / "other", images, [net.classes] * 20)
    for train_shards, val_shards in ((other, split), (split, other)):
        with pytest.raises(InputError, match=f"other has images of label {net.classes}, and"):
            train(net, train_shards, val_shards, moments, RECIPE, 0, tmp_path)


@pytest.mark.parametrize("numbers", [{"epochs": 0}, {"batch_size": 0}])
def test_no_epochs_or_images_are_refused(
    tmp_path: Path, split: Shards, moments: Moments, numbers: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match="must be 1 or more"):
        train(small_net(), split, split, moments, replace(RECIPE, **numbers), 0, tmp_path)


def test_dropout_masks_are_fair_and_independent() -> None:
    cpu, units = torch.device("cpu"), (slice(0, 16), slice(0, 512))
    six, seven = dropout_masks(0, 3, *units, 0.5, cpu)
    assert six.shape == seven.shape == (16, 512)
    assert set(six.unique().tolist()) == {0.0, 1.0}
    assert abs(float(six.mean()) - 0.5) < 0.02
    assert abs(float(((six - 0.5) * (seven - 0.5)).mean())) < 0.01
    assert not torch.equal(six, dropout_masks(0, 4, *units, 0.5, cpu)[0])
    assert abs(float(dropout_masks(0, 0, *units, 0.2, cpu)[0].mean()) - 0.8) < 0.02
    assert dropout_masks(0, 0, *units, 0.0, cpu)[0].all()


def test_dropout_is_halving_at_test() -> None:
    """Section 4.2: outputs × 0.5 at test; in training the mask alone, nothing doubled."""
    net, x = small_net(), 50 * torch.randn(2, 3, 224, 224)
    hidden: list[torch.Tensor] = []
    net.fc8.register_forward_pre_hook(lambda _, inputs: hidden.append(inputs[0].detach()))
    ones = torch.ones(2, net.fc7.out_features)
    net(x, (0.5 * ones, 0.5 * ones))
    net(x)
    assert torch.equal(hidden[0], hidden[1])


def test_shuffled_labels_are_the_same_labels_elsewhere(split: Shards, moments: Moments) -> None:
    feeds = [
        Feed.of(split, moments, replace(RECIPE, shuffled_labels=shuffled), 0, torch.device("cpu"))
        for shuffled in (False, True)
    ]
    assert not torch.equal(feeds[0].labels, feeds[1].labels)
    assert torch.equal(feeds[0].labels.sort().values, feeds[1].labels.sort().values)


def test_evaluation_of_a_split_counts_every_image(split: Shards) -> None:
    told = centre_errors(small_net(), split, torch.zeros(256, 256, 3))
    assert told["top1_error"] in (75.0, 80.0, 85.0)  # 16 ± 1 of 20: the net knows nothing yet
    assert told["val_loss"] == pytest.approx(np.log(5), abs=0.1)


def test_progress_shows_no_loss_before_it_is_known() -> None:
    clock = Clock()
    clock.start()
    assert clock.status() == "0% waiting for data"
    clock.loss = 2.4849
    assert clock.status() == "loss 2.485, 0% waiting for data"
