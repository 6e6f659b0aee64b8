"""data/train and data/shards → metrics.json and data/evaluate: ten-view and centre-view errors."""

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
from alexnet.evaluate.outputs import choose_split, write_outputs
from alexnet.evaluate.result import Result, errors_table, run_of, write_result
from alexnet.inference.predict import count_errors, predict
from alexnet.launch.torchrun import LaunchSettings, launch
from alexnet.model.precision import pick_autocast
from alexnet.model.towers import RankLayout
from alexnet.model.weights import load_model
from alexnet.runtime.files import replace_folder

MAIN = Path("data")  # only this run writes metrics.json


@stage
def main(config: Config) -> None:
    settings = LaunchSettings(**asdict(config.launcher))
    launch(settings, partial(work, Path(config.data), Path(config.into)))


def work(data: Path, into: Path, layout: RankLayout, device: torch.device) -> None:
    """The work of one rank."""
    net, moments, description = load_model(into / "train", layout)
    index = load_index(data / "index")
    split, shards = choose_split(data, index, description)
    mean = moments.to(device).mean_image
    with pick_autocast(description.precision, device):
        predictions = predict(net.to(device), shards, mean)
    if not layout.is_main:
        return
    result = Result(count_errors(predictions), len(shards), run_of(description, split))
    with replace_folder(into / "evaluate") as folder:
        write_outputs(folder, predictions, index.splits[split], index.synsets)
        write_result(folder / "result.json", result)
    if into == MAIN:
        write_result(Path("metrics.json"), result)
    Console().print(errors_table(result))


if __name__ == "__main__":
    main()
