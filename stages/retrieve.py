"""data/train and data/shards → data/retrieve: nearest neighbours (figure 4) and binary codes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import torch

from alexnet.config.schema import Config
from alexnet.config.stage import stage
from alexnet.dataset.shards import Shards
from alexnet.launch.gpus import leased_device
from alexnet.model.precision import pick_autocast
from alexnet.model.weights import load_model
from alexnet.retrieve import binary_codes, neighbours
from alexnet.runtime.files import replace_folder
from alexnet.runtime.processes import prepare_process


@stage
def main(config: Config) -> None:
    prepare_process()
    with leased_device(config.launcher.device) as device:
        retrieve(Path(config.data), Path(config.into), device)


def retrieve(data: Path, into: Path, device: torch.device) -> None:
    """The neighbours and the codes of the model in `into`, among the images of `data`."""
    net, moments, described = load_model(into / "train")
    mean = torch.from_numpy(moments.mean_image).to(device)
    train, val = Shards(data / "shards/train"), Shards(data / "shards/val")
    queries = neighbours.evenly(val.records, neighbours.QUERIES)
    net.to(device)
    with pick_autocast(described["recipe"]["precision"], device):
        found, rows = neighbours.search(net, train, val, queries, mean, binary_codes.SAMPLE)
        asked = neighbours.hidden(
            net, val, neighbours.evenly(val.records, binary_codes.QUERIES), mean
        )
    recalls = list(binary_codes.recalls(rows.to(device), asked.to(device), described["seed"]))
    with replace_folder(into / "retrieve") as folder:
        neighbours.write_neighbours(folder / "neighbours.csv", queries, found)
        binary_codes.write_codes(folder / "codes.csv", recalls)
    binary_codes.print_table(recalls, len(rows))


if __name__ == "__main__":
    main()
