"""data/shards and data/moments → data/train: the model and its history per epoch."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from dataclasses import asdict
from functools import partial

import torch

from alexnet.config.schema import Config
from alexnet.config.stage import stage
from alexnet.dataset.index import load_synsets
from alexnet.dataset.moments import load_moments
from alexnet.dataset.shards import Shards
from alexnet.launch.torchrun import LaunchSettings, launch, shared_scratch
from alexnet.model.alexnet import AlexNet, initialise
from alexnet.model.description import ModelDescription, describe_input
from alexnet.model.net_config import NetConfig
from alexnet.model.towers import RankLayout, gather_rows, local_rows
from alexnet.model.weights import init_from, save_model
from alexnet.runtime.files import replace_folder
from alexnet.runtime.scratch import fingerprint, sources
from alexnet.runtime.threads import usable_threads
from alexnet.train.history import write_csv
from alexnet.train.inputs import augmentation_examples
from alexnet.train.loop import train
from alexnet.train.recipe import make_recipe

SPLITS = [f"shards/{s}/{f}" for s in ("train", "val") for f in ("manifest.json", "labels.npy")]
MOMENTS = ["moments/mean_image.npy", "moments/moments.json"]
INPUTS = ["index/classes.csv", *SPLITS, *MOMENTS]


@stage
def main(config: Config) -> float | None:
    return launch(LaunchSettings(**asdict(config.launcher)), partial(work, config))


def work(config: Config, layout: RankLayout, device: torch.device) -> float | None:
    """The work of one rank. Return the last centre-view top-1 error in %."""
    print(f"train: {usable_threads()}", flush=True)
    data = Path(config.data)
    synsets = load_synsets(data / "index")
    moments = load_moments(data / "moments")
    shards, val = Shards(data / "shards/train"), Shards(data / "shards/val")
    model, numbers = asdict(config.model), asdict(config.recipe)
    std, bias = model.pop("init_std"), model.pop("init_bias")
    net_config = NetConfig.from_mapping({"classes": len(synsets)} | model)
    recipe = make_recipe(numbers, config.lr, net_config.crop)

    whole, net = AlexNet(net_config), AlexNet(net_config, layout)
    initialise(whole, config.seed, std, bias)
    start = numbers["init_from"] and init_from(whole, Path(numbers["init_from"]))
    net.load_state_dict(local_rows(whole.state_dict(), layout))
    net.to(device).to(memory_format=torch.channels_last)
    parameters = asdict(net_config), std, bias, numbers, config.lr, config.seed, start
    mark = fingerprint(*parameters, *(data / name for name in INPUTS), *sources())
    steps = config.launcher.checkpoint_steps
    with shared_scratch("train", mark, layout) as scratch:
        history = train(net, shards, val, moments, recipe, config.seed, scratch, steps)
        whole.load_state_dict(gather_rows(net.state_dict(), layout))
        if not layout.is_main:
            return None
        description = ModelDescription(
            choices=config.choices,
            lr=config.lr,
            seed=config.seed,
            net=net_config,
            recipe=numbers,
            input=describe_input(
                config.dataset.resample, config.dataset.apply_exif, net_config.crop
            ),
            synsets=synsets,
        )
        with replace_folder(Path(config.into, "train")) as folder:
            save_model(folder, whole, moments, description)
            write_csv(folder / "history.csv", history)
            examples = augmentation_examples(shards, moments, recipe, config.seed)
            write_csv(folder / "augmentation.csv", examples)
    return history[-1]["top1_error"]


if __name__ == "__main__":
    main()
