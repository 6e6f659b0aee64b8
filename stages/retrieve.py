"""data/train and data/shards → data/retrieve: nearest neighbours (figure 4) and binary codes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import torch

from alexnet import codes, retrieval
from alexnet.checkpoint import load_model
from alexnet.config import Config, stage
from alexnet.device import pick_autocast, prepare_process
from alexnet.leases import leased_device
from alexnet.scratch import replaced
from alexnet.shards import Shards


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
    queries = retrieval.evenly(val.records, retrieval.QUERIES)
    net.to(device)
    with pick_autocast(described["recipe"]["precision"], device):
        found, rows = retrieval.search(net, train, val, queries, mean, codes.SAMPLE)
        asked = retrieval.hidden(net, val, retrieval.evenly(val.records, codes.QUERIES), mean)
    recalls = list(codes.recalls(rows.to(device), asked.to(device), described["seed"]))
    with replaced(into / "retrieve") as folder:
        retrieval.write_neighbours(folder / "neighbours.csv", queries, found)
        codes.write_codes(folder / "codes.csv", recalls)
    codes.print_table(recalls, len(rows))


if __name__ == "__main__":
    main()
