"""One line of figure 1: the four-layer net on CIFAR-10 at one rate → a CSV row an epoch."""

import argparse
import sys
from itertools import repeat
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "src"))

from omegaconf import OmegaConf

from alexnet.config.stage import errors_in_one_line
from alexnet.index.cifar10 import TRAIN, read_pixels
from alexnet.launch.gpus import pick_device
from alexnet.runtime.paths import raw_folder
from alexnet.runtime.processes import prepare_process
from error_curves import best_rate, read_errors, write_errors
from four_layers import FourLayers
from small_training import epochs, in_memory


def main() -> None:
    asked = _asked()
    prepare_process()
    device = pick_device(asked.device)
    images = in_memory(*read_pixels(raw_folder("raw/cifar10"), TRAIN), device)
    lr = _best(asked.sweep, asked.activation) if asked.sweep else asked.lr
    net = FourLayers(asked.activation, normalised=False, seed=asked.seed).to(device)
    errors = []
    for error in epochs(net, images, repeat(lr, asked.epochs), asked.seed):
        errors.append(error)
        told = f"{asked.activation}, lr {lr:g}, epoch {len(errors)}"
        print(f"{told}: training error {100 * error:.1f} %", flush=True)
        if error <= asked.target:
            break
    write_errors(asked.out, asked.activation, lr, errors)


def _best(sweep: Path, activation: str) -> float:
    params: Any = OmegaConf.load(Path(__file__).with_name("params.yaml"))
    return best_rate(read_errors(sweep), activation, params.rates)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("activation", choices=["relu", "tanh"])
    parser.add_argument("out", type=Path, help="the CSV file")
    rate = parser.add_mutually_exclusive_group(required=True)
    rate.add_argument("--lr", type=float)
    rate.add_argument("--sweep", type=Path, help="a folder of CSV files: the best rate among them")
    parser.add_argument("--epochs", type=int, required=True, help="at most")
    parser.add_argument("--target", type=float, default=0.0, help="training error that ends it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    return parser.parse_args()


if __name__ == "__main__":
    with errors_in_one_line():
        main()
