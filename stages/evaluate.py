"""data/train and data/shards/val → metrics.json and data/evaluate: errors of ten views and one."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import json

import torch

from alexnet import evaluation
from alexnet.checkpoint import load_model
from alexnet.config import Config, stage
from alexnet.device import keep_freed_memory, pick_autocast, pick_device
from alexnet.scratch import emptied, write_atomically
from alexnet.shards import Shards


@stage
def main(config: Config) -> None:
    keep_freed_memory()
    device = pick_device(config.launcher.device)
    net, moments, described = load_model(Path("data/train"))
    mean = torch.from_numpy(moments.mean_image).to(device)
    with pick_autocast(described["recipe"]["precision"], device):
        shards = Shards(Path("data/shards/val"))
        predictions = evaluation.predict(net.to(device), shards, mean)
    folder = emptied(Path("data/evaluate"))
    evaluation.write_predictions(folder / "predictions.csv", predictions)
    errors = evaluation.metrics(predictions)
    write_atomically(Path("metrics.json"), json.dumps(errors, indent=1).encode() + b"\n")
    evaluation.print_table(errors)


if __name__ == "__main__":
    main()
