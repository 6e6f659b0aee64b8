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
    """Write into/retrieve: the nearest images in `data` by the model in `into`, and its codes."""
    net, moments, description = load_model(into / "train")
    mean = moments.to(device).mean_image
    train, val = Shards(data / "shards/train"), Shards(data / "shards/val")
    queries = neighbours.pick_evenly_spaced(val.records, neighbours.QUERIES)
    net.to(device)
    with pick_autocast(description.precision, device):
        nearest, rows = neighbours.find_nearest(
            net, train, val, queries, mean, binary_codes.MAX_ROWS
        )
        records = neighbours.pick_evenly_spaced(val.records, binary_codes.MAX_QUERIES)
        code_queries = neighbours.fc7_activations(net, val, records, mean)
    recalls = list(
        binary_codes.compute_recalls(rows.to(device), code_queries.to(device), description.seed)
    )
    with replace_folder(into / "retrieve") as folder:
        neighbours.write_neighbours(folder / "neighbours.csv", queries, nearest)
        binary_codes.write_recalls(folder / "codes.csv", recalls)
    binary_codes.print_recalls(recalls, len(rows))


if __name__ == "__main__":
    main()
