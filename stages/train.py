"""data/shards and data/moments → data/train: the model, and the history of its epochs."""

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
from alexnet.launch.torchrun import Launch, held, launched
from alexnet.model.alexnet import AlexNet, initialise
from alexnet.model.description import input_rule
from alexnet.model.towers import RankLayout, gather_rows, local_rows
from alexnet.model.weights import init_from, save_model
from alexnet.runtime.files import replace_folder
from alexnet.runtime.scratch import fingerprint, sources
from alexnet.runtime.threads import usable_threads
from alexnet.train.loop import train, write_history
from alexnet.train.recipe import recipe_of

SPLITS = [f"shards/{s}/{f}" for s in ("train", "val") for f in ("manifest.json", "labels.npy")]
MOMENTS = ["moments/mean_image.npy", "moments/moments.json"]
INPUTS = ["index/classes.csv", *SPLITS, *MOMENTS]


@stage
def main(config: Config) -> None:
    how = asdict(config.launcher)
    steps = how.pop("checkpoint_steps")
    launched(Launch(**how), partial(work, config, steps))


def work(config: Config, steps: int, place: RankLayout, device: torch.device) -> None:
    """What is done in each process."""
    print(f"train: {usable_threads()}", flush=True)
    data = Path(config.data)
    synsets = [asdict(synset) for synset in load_synsets(data / "index")]
    moments = load_moments(data / "moments")
    shards, val = Shards(data / "shards/train"), Shards(data / "shards/val")
    dataset = config.dataset
    model, numbers = asdict(config.model), asdict(config.recipe)
    std, bias = model.pop("init_std"), model.pop("init_bias")
    shape = {"classes": len(synsets)} | model
    recipe = recipe_of(numbers, config.lr, model["crop"])

    whole, net = AlexNet(**shape), AlexNet(**shape, place=place)
    initialise(whole, config.seed, std, bias)
    start = numbers["init_from"] and init_from(whole, Path(numbers["init_from"]))
    net.load_state_dict(local_rows(whole.state_dict(), place))
    net.to(device).to(memory_format=torch.channels_last)
    told = shape, std, bias, numbers, config.lr, config.seed, start
    mark = fingerprint(*told, *(data / name for name in INPUTS), *sources())
    with held("train", mark, place) as scratch:
        history = train(net, shards, val, moments, recipe, config.seed, scratch, steps)
        whole.load_state_dict(gather_rows(net.state_dict(), place))
        if not place.first:
            return
        described = {
            "chosen": config.choices,
            "lr": config.lr,
            "seed": config.seed,
            "net": shape,
            "recipe": numbers,
            "input": input_rule(dataset.resample, dataset.apply_exif, model["crop"]),
            "synsets": synsets,
        }
        with replace_folder(Path(config.into, "train")) as folder:
            save_model(folder, whole, moments, described)
            write_history(folder / "history.csv", history)


if __name__ == "__main__":
    main()
