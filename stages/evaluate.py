"""data/train and data/shards → metrics.json and data/evaluate: errors of ten views and of one."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from dataclasses import asdict
from functools import partial

import torch
from rich.console import Console

from alexnet.config.schema import Config
from alexnet.config.stage import stage
from alexnet.dataset.index import load_index
from alexnet.evaluate.predictions import choose_split, write_predictions
from alexnet.evaluate.result import errors_table, result_of, run_of, write_result
from alexnet.inference.ten_views import counts_of, predict
from alexnet.launch.torchrun import Launch, launched
from alexnet.model.precision import pick_autocast
from alexnet.model.towers import RankLayout
from alexnet.model.weights import load_model
from alexnet.runtime.files import replace_folder

MAIN = Path("data")  # the run whose errors stand in metrics.json


@stage
def main(config: Config) -> None:
    how = asdict(config.launcher)
    del how["checkpoint_steps"]
    launched(Launch(**how), partial(work, Path(config.data), Path(config.into)))


def work(data: Path, into: Path, place: RankLayout, device: torch.device) -> None:
    """What is done in each process."""
    net, moments, described = load_model(into / "train", place)
    index = load_index(data / "index")
    split, shards = choose_split(data, index, described)
    mean = torch.from_numpy(moments.mean_image).to(device)
    with pick_autocast(described["recipe"]["precision"], device):
        predictions = predict(net.to(device), shards, mean)
    if not place.first:
        return
    result = result_of(counts_of(predictions), len(shards), run_of(described, split))
    with replace_folder(into / "evaluate") as folder:
        write_predictions(folder, predictions, index.splits[split], index.synsets)
        write_result(folder / "result.json", result)
    if into == MAIN:
        write_result(Path("metrics.json"), result)
    Console().print(errors_table(result))


if __name__ == "__main__":
    main()
