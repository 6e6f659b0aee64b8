"""Train the four-layer net on CIFAR-10 with or without LRN (section 3.3) and record its result."""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "src"))

from torch import Tensor

from alexnet.config.stage import errors_in_one_line
from alexnet.evaluate.intervals import pack_bits
from alexnet.evaluate.result import Result, Run, write_result
from alexnet.index.cifar10 import TRAIN, VAL, read_pixels
from alexnet.inference.top_k import is_error
from alexnet.launch.gpus import pick_device
from alexnet.runtime.paths import raw_folder
from alexnet.runtime.processes import prepare_process
from alexnet.runtime.scratch import fingerprint
from four_layers import FourLayerNet
from small_training import in_memory, most_probable_labels, train_epochs

ROWS = {"lrn": "baseline", "plain": "cifar10_no_lrn"}  # of the comparison
WEIGHT_DECAY = 0.004  # of cuda-convnet's net


def main() -> None:
    args = parse_args()
    prepare_process()
    device = pick_device(args.device)
    root = raw_folder("raw/cifar10")
    train, test = (in_memory(*read_pixels(root, names), device) for names in (TRAIN, [VAL]))
    net = FourLayerNet("relu", args.normalised == "lrn", args.seed).to(device)
    rates = [args.lr] * args.epochs + [args.lr / 10] * args.last_epochs
    for n, error in enumerate(train_epochs(net, train, rates, args.seed, WEIGHT_DECAY), 1):
        print(f"{args.normalised}, epoch {n}: training error {100 * error:.1f} %", flush=True)
    top = most_probable_labels(net, test, train.mean)
    result = make_result(args, rates, top.cpu(), test.labels.cpu())
    print(f"{args.normalised}, seed {args.seed}: test error {result.error('top1'):.2f} %")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_result(args.out, result)


def make_result(
    args: argparse.Namespace, rates: list[float], top: Tensor, labels: Tensor
) -> Result:
    """Return the test result.

    top: the most probable labels (n, 5); labels: the true ones (n,).
    """
    images = {f"top{k}": is_error(top, labels, k).numpy() for k in (1, 5)}
    run = Run(
        dataset="cifar10",
        split="val",
        classes=10,
        model="four_layers",
        recipe=f"{len(rates)} epochs",
        parameters=fingerprint(rates, WEIGHT_DECAY)[:8],
        seed=args.seed,
        lr=args.lr,
    )
    return Result(
        {f"{name}_wrong": int(which.sum()) for name, which in images.items()},
        len(labels),
        run,
        row=ROWS[args.normalised],
        wrong_images={name: pack_bits(which) for name, which in images.items()},
    )


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("normalised", choices=["lrn", "plain"], help="with or without LRN")
    parser.add_argument("out", type=Path, help="JSON file to write")
    parser.add_argument("--lr", type=float, default=0.001, help="learning rate [0.001]")
    parser.add_argument("--epochs", type=int, required=True, help="number of epochs at --lr")
    parser.add_argument("--last-epochs", type=int, required=True, help="further epochs at lr / 10")
    parser.add_argument("--seed", type=int, default=0, help="initial weights and order [0]")
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto [auto]")
    return parser.parse_args()


if __name__ == "__main__":
    with errors_in_one_line():
        main()
