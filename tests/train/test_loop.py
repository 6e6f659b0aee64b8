"""The training loop: it learns, resumes to the same bytes, and stops with clear errors."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from alexnet.dataset.moments import Moments, load_moments
from alexnet.dataset.shards import Shards
from alexnet.input.augment import AugmentSettings
from alexnet.model.alexnet import AlexNet
from alexnet.model.tensor_file import load_tensors
from alexnet.moments.sums import sum_images
from alexnet.runtime.errors import InputError
from alexnet.runtime.threads import core_count, find_libgomp, hold_threads
from alexnet.train import loop
from alexnet.train.checkpoint import NEWEST, PREVIOUS
from alexnet.train.inputs import TrainingSet
from alexnet.train.loop import train, train_step
from alexnet.train.schedule import Plateau
from alexnet.train.state import TrainState
from alexnet.train.throughput import Throughput
from images import Images, save_moments_of, write_split
from small_recipe import RECIPE, initialised_net


def same_weights(a: AlexNet, b: AlexNet) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def test_bytes_depend_on_the_number_of_threads_but_not_on_how_they_wait(
    split: Shards, moments: Moments, tmp_path: Path
) -> None:
    """One step; with another number of threads the same terms are added in another order."""
    settings = AugmentSettings(alpha_std=0.0)
    one_step = replace(RECIPE, batch_size=20, epochs=1, augmentation=settings)
    nets = {}
    for name, threads, held in (("one", 1, 0), ("two", 2, 0), ("two, held", 2, core_count())):
        torch.set_num_threads(threads)
        release = hold_threads(find_libgomp(), held) if held else None
        nets[name] = initialised_net()
        (tmp_path / name).mkdir()
        train(nets[name], split, split, moments, one_step, 0, tmp_path / name)
        if release:
            release.set()
    assert same_weights(nets["two"], nets["two, held"])
    start, one, two = (net.state_dict() for net in (initialised_net(), nets["one"], nets["two"]))
    for name, weight in start.items():
        change = one[name] - weight
        torch.testing.assert_close(
            two[name] - weight, change, rtol=0, atol=1e-3 * float(change.abs().max())
        )


def test_training_can_overfit_twenty_images(tmp_path: Path) -> None:
    coarse = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8)
    patches = coarse.repeat(32, axis=1).repeat(32, axis=2)
    shards = write_split(tmp_path / "patches", patches, [n % 5 for n in range(20)], records=20)
    save_moments_of(tmp_path, sum_images(patches))
    recipe = replace(
        RECIPE,
        lr=0.003,
        epochs=60,
        schedule=Plateau(patience=100, drops=3),
        augmentation=AugmentSettings(random_crops=False, reflections=False, alpha_std=0.0),
    )
    net = initialised_net(width_divisor=8, dropout=0.0)
    history = train(net, shards, shards, load_moments(tmp_path), recipe, 0, tmp_path)
    assert history[-1]["top1_error"] == 0
    assert history[-1]["train_loss"] < 0.1


@pytest.mark.parametrize("checkpoint_steps", [1, 2, 3, 1000])
def test_interrupted_run_resumes_to_the_same_bytes(
    tmp_path: Path,
    split: Shards,
    moments: Moments,
    monkeypatch: pytest.MonkeyPatch,
    checkpoint_steps: int,
) -> None:
    straight, interrupted, resumed = initialised_net(), initialised_net(), initialised_net()
    for name in ("straight", "interrupted"):
        (tmp_path / name).mkdir()
    history = train(straight, split, split, moments, RECIPE, 0, tmp_path / "straight")

    def interrupt(state: TrainState, *arguments: Any) -> torch.Tensor:
        if state.step == 5:  # inside the second epoch
            raise KeyboardInterrupt
        return train_step(state, *arguments)

    folder = tmp_path / "interrupted"
    monkeypatch.setattr(loop, "train_step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(interrupted, split, split, moments, RECIPE, 0, folder, checkpoint_steps)
    monkeypatch.setattr(loop, "train_step", train_step)
    assert train(resumed, split, split, moments, RECIPE, 0, folder) == history
    assert same_weights(resumed, straight)
    assert not same_weights(interrupted, straight)


def test_weights_depend_on_the_seed_alone(tmp_path: Path, split: Shards, moments: Moments) -> None:
    nets = [initialised_net() for _ in range(3)]
    for n, (net, seed) in enumerate(zip(nets, (1, 1, 2), strict=True)):
        (tmp_path / str(n)).mkdir()
        train(net, split, split, moments, replace(RECIPE, epochs=1), seed, tmp_path / str(n))
    assert same_weights(nets[0], nets[1])
    assert not same_weights(nets[0], nets[2])


def test_schedule_ends_training(tmp_path: Path, split: Shards, moments: Moments) -> None:
    """At a rate near zero the error never falls: with patience 1, three drops, then the end."""
    recipe = replace(RECIPE, lr=1e-30, epochs=20, schedule=Plateau(patience=1, drops=3))
    history = train(initialised_net(), split, split, moments, recipe, 0, tmp_path)
    assert [row["lr"] / 1e-30 for row in history] == pytest.approx([1, 1, 0.1, 0.01, 0.001])


def test_infinite_loss_stops_training(tmp_path: Path, split: Shards, moments: Moments) -> None:
    recipe = replace(RECIPE, lr=1e9)
    message = r"became NaN or infinite in epoch 1, step \d+.*; fix: lower lr: dvc exp run -S lr=1e"
    with pytest.raises(InputError, match=message):
        train(initialised_net(), split, split, moments, recipe, 0, tmp_path)


def test_corrupt_checkpoint_falls_back_to_the_previous_one(
    tmp_path: Path, split: Shards, moments: Moments, capsys: pytest.CaptureFixture[str]
) -> None:
    straight, resumed = initialised_net(), initialised_net()
    history = train(straight, split, split, moments, RECIPE, 0, tmp_path)
    newest = tmp_path / NEWEST
    newest.write_bytes(newest.read_bytes()[:-100])
    assert train(resumed, split, split, moments, RECIPE, 0, tmp_path) == history
    assert same_weights(resumed, straight)
    output = capsys.readouterr().out
    assert f"{NEWEST} cannot be read" in output
    assert load_tensors(tmp_path / PREVIOUS)[1]["epoch"] == 2
    assert "resuming after epoch 2" in output


def test_labels_beyond_the_classes_of_the_net_are_rejected(
    tmp_path: Path, split: Shards, images: Images, moments: Moments
) -> None:
    """Before hours of training, also if only the validation split has them."""
    net = initialised_net()
    other = write_split(tmp_path / "other", images, [net.config.classes] * 20)
    for train_shards, val_shards in ((other, split), (split, other)):
        with pytest.raises(InputError, match=f"other has label {net.config.classes}, but"):
            train(net, train_shards, val_shards, moments, RECIPE, 0, tmp_path)


@pytest.mark.parametrize("name", ["epochs", "batch_size"])
def test_zero_epochs_or_images_are_rejected(
    tmp_path: Path, split: Shards, moments: Moments, name: str
) -> None:
    recipe = replace(RECIPE, **{name: 0})  # type: ignore[arg-type]
    with pytest.raises(InputError, match=rf"recipe\.{name} is 0, but must be 1 or more"):
        train(initialised_net(), split, split, moments, recipe, 0, tmp_path)


def test_shuffled_labels_are_a_permutation(split: Shards, moments: Moments) -> None:
    plain, shuffled = (
        TrainingSet.load(
            split, moments, replace(RECIPE, shuffled_labels=shuffle), 0, torch.device("cpu")
        ).labels
        for shuffle in (False, True)
    )
    assert not torch.equal(plain, shuffled)
    assert torch.equal(plain.sort().values, shuffled.sort().values)


def test_status_shows_no_loss_before_it_is_known() -> None:
    throughput = Throughput()
    throughput.start_epoch()
    assert throughput.status() == "0% waiting for data"
    throughput.loss = 2.4849
    assert throughput.status() == "loss 2.485, 0% waiting for data"
