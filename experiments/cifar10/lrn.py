"""Section 3.3 on CIFAR-10: the four-layer net's test error with and without LRN → a result."""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "src"))

from alexnet.config.stage import errors_in_one_line
from alexnet.evaluate.intervals import bits
from alexnet.evaluate.result import result_of, write_result
from alexnet.index.cifar10 import TRAIN, VAL, read_pixels
from alexnet.inference.top_k import is_error
from alexnet.launch.gpus import pick_device
from alexnet.runtime.paths import raw_folder
from alexnet.runtime.processes import prepare_process
from alexnet.runtime.scratch import fingerprint
from four_layers import FourLayers
from small_training import epochs, guesses, in_memory

ROWS = {"lrn": "baseline", "plain": "cifar10_no_lrn"}  # of the comparison
WEIGHT_DECAY = 0.004  # of cuda-convnet's net


def main() -> None:
    asked = _asked()
    prepare_process()
    device = pick_device(asked.device)
    root = raw_folder("raw/cifar10")
    train, test = (in_memory(*read_pixels(root, names), device) for names in (TRAIN, [VAL]))
    net = FourLayers("relu", asked.normalised == "lrn", asked.seed).to(device)
    rates = [asked.lr] * asked.epochs + [asked.lr / 10] * asked.last_epochs
    for n, found in enumerate(epochs(net, train, rates, asked.seed, WEIGHT_DECAY), 1):
        print(f"{asked.normalised}, epoch {n}: training error {100 * found:.1f} %", flush=True)
    top = guesses(net, test, train.mean)
    missed = {f"top{k}": is_error(top, test.labels, k).cpu().numpy() for k in (1, 5)}
    counts = {f"{name}_wrong": int(which.sum()) for name, which in missed.items()}
    run = {"dataset": "cifar10", "split": "val", "classes": 10, "model": "four_layers"}
    run |= {"recipe": f"{len(rates)} epochs", "seed": asked.seed, "lr": asked.lr}
    run["parameters"] = fingerprint(rates, WEIGHT_DECAY)[:8]
    result = result_of(counts, len(top), run) | {"row": ROWS[asked.normalised]}
    result["wrong_images"] = {name: bits(which) for name, which in missed.items()}
    print(f"{asked.normalised}, seed {asked.seed}: test error {result['top1_error']:.2f} %")
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    write_result(asked.out, result)


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
