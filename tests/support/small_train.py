"""A training short enough to be killed often: python tests/support/small_train.py DATA FOLDER."""

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

import torch

from alexnet.dataset.moments import load_moments
from alexnet.dataset.shards import Shards
from alexnet.model.alexnet import AlexNet, initialise
from alexnet.model.net_config import NetConfig
from alexnet.model.weights import save_model
from alexnet.train.loop import train
from alexnet.train.recipe import make_recipe
from presets import preset
from small_model import small_description


def main() -> None:
    torch.set_num_threads(1)
    data, folder = map(Path, sys.argv[1:])
    model = preset("model", "quick")
    numbers = preset("recipe", "quick")
    std, bias = model.pop("init_std"), model.pop("init_bias")
    config = NetConfig.from_mapping(model | {"classes": 5, "width_divisor": 16})
    net = AlexNet(config)
    initialise(net, 0, std, bias)
    recipe = replace(make_recipe(numbers, 0.01, 224), epochs=4, batch_size=4, precision="fp32")
    split, moments = Shards(data / "train"), load_moments(data / "moments")
    print("begun", flush=True)
    train(net, split, split, moments, recipe, 0, folder, checkpoint_steps=3)
    save_model(folder, net, moments, replace(small_description(), net=config))


if __name__ == "__main__":
    main()
