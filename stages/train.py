"""data/shards and data/moments → data/train: the model, and the history of its epochs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from dataclasses import asdict

import torch

from alexnet import training
from alexnet.checkpoint import save_model
from alexnet.config import Config, stage
from alexnet.device import pick_device
from alexnet.index import load_synsets
from alexnet.model import AlexNet, initialise
from alexnet.moments import load_moments
from alexnet.optim import Plateau
from alexnet.scratch import emptied, fingerprint, scratch, sources
from alexnet.shards import Shards

DATA = Path("data")
SPLITS = [f"shards/{s}/{f}" for s in ("train", "val") for f in ("manifest.json", "labels.npy")]
MOMENTS = ["moments/mean_image.npy", "moments/moments.json"]
INPUTS = [DATA / name for name in ("index/classes.csv", *SPLITS, *MOMENTS)]


@stage
def main(config: Config) -> None:
    synsets = [asdict(synset) for synset in load_synsets(DATA / "index")]
    moments = load_moments(DATA / "moments")
    train, val = Shards(DATA / "shards/train"), Shards(DATA / "shards/val")
    model, numbers = asdict(config.model), asdict(config.recipe)
    recipe = training.Recipe(**numbers | {"plateau": Plateau(**numbers["plateau"])}, lr=config.lr)
    std, bias = model.pop("init_std"), model.pop("init_bias")
    shape = {"classes": len(synsets)} | model

    device = pick_device(config.launcher.device)
    net = AlexNet(**shape)
    initialise(net, config.seed, std, bias)
    net.to(device).to(memory_format=torch.channels_last)
    mark = fingerprint(shape, std, bias, asdict(recipe), config.seed, *INPUTS, *sources())
    with scratch("train", mark) as work:
        history = training.train(net, train, val, moments, recipe, config.seed, work)
        described = {
            "chosen": config.choices,
            "lr": config.lr,
            "seed": config.seed,
            "net": shape,
            "recipe": numbers,
            "input": "RGB 0–255, short side to 256, centre 256×256, minus mean_image, 224×224",
            "synsets": synsets,
        }
        folder = emptied(DATA / "train")
        save_model(folder, net, moments, described)
        training.write_history(folder / "history.csv", history)


if __name__ == "__main__":
    main()
