"""Train the four-layer net on CIFAR-10 for one curve of figure 1: a CSV row an epoch."""

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
from four_layers import FourLayerNet
from small_training import in_memory, train_epochs


def main() -> None:
    args = parse_args()
    prepare_process()
    device = pick_device(args.device)
    images = in_memory(*read_pixels(raw_folder("raw/cifar10"), TRAIN), device)
    lr = best_rate_of_sweep(args.sweep, args.activation) if args.sweep else args.lr
    net = FourLayerNet(args.activation, normalised=False, seed=args.seed).to(device)
    errors = []
    for error in train_epochs(net, images, repeat(lr, args.epochs), args.seed):
        errors.append(error)
        run = f"{args.activation}, lr {lr:g}, epoch {len(errors)}"
        print(f"{run}: training error {100 * error:.1f} %", flush=True)
        if error <= args.target:
            break
    write_errors(args.out, args.activation, lr, errors)


def best_rate_of_sweep(sweep: Path, activation: str) -> float:
    """Return the best of the rates in params.yaml."""
    params: Any = OmegaConf.load(Path(__file__).with_name("params.yaml"))
    return best_rate(read_errors(sweep), activation, params.rates)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("activation", choices=["relu", "tanh"])
    parser.add_argument("out", type=Path, help="CSV file to write")
    rate = parser.add_mutually_exclusive_group(required=True)
    rate.add_argument("--lr", type=float, help="learning rate")
    rate.add_argument("--sweep", type=Path, help="folder of CSV files: use its best rate")
    parser.add_argument("--epochs", type=int, required=True, help="maximum number of epochs")
    parser.add_argument("--target", type=float, default=0.0, help="stop at this error [0]")
    parser.add_argument("--seed", type=int, default=0, help="initial weights and order [0]")
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto [auto]")
    return parser.parse_args()


if __name__ == "__main__":
    with errors_in_one_line():
        main()
