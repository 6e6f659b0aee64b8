"""Section 3.3 on CIFAR-10: the four-layer net's test error with and without LRN → a JSON file."""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "src"))

from alexnet.archives import open_raw
from alexnet.cifar import TRAIN, VAL, read_pixels
from alexnet.config import errors_in_one_line
from alexnet.device import keep_freed_memory, pick_device
from alexnet.four_layers import FourLayers
from alexnet.scratch import write_atomically
from alexnet.small_training import epochs, error, in_memory

WEIGHT_DECAY = 0.004  # of cuda-convnet's net


def main() -> None:
    asked = _asked()
    keep_freed_memory()
    device = pick_device(asked.device)
    root = open_raw("raw/cifar10", 0, None)
    train, test = (in_memory(*read_pixels(root, names), device) for names in (TRAIN, [VAL]))
    net = FourLayers("relu", asked.normalised == "lrn", asked.seed).to(device)
    rates = [asked.lr] * asked.epochs + [asked.lr / 10] * asked.last_epochs
    for n, found in enumerate(epochs(net, train, rates, asked.seed, WEIGHT_DECAY), 1):
        print(f"{asked.normalised}, epoch {n}: training error {100 * found:.1f} %", flush=True)
    wrong = error(net, test, train.mean)
    print(f"{asked.normalised}, seed {asked.seed}: test error {100 * wrong:.2f} %")
    row = {"lrn": asked.normalised == "lrn", "seed": asked.seed, "epochs": len(rates)}
    row |= {"training_error": 100 * found, "test_error": 100 * wrong}
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(asked.out, json.dumps(row, indent=1).encode() + b"\n")


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("normalised", choices=["lrn", "plain"])
    parser.add_argument("out", type=Path, help="the JSON file")
    parser.add_argument("--lr", type=float, default=0.001)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--last-epochs", type=int, required=True, help="at a tenth of the rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    return parser.parse_args()


if __name__ == "__main__":
    with errors_in_one_line():
        main()
