"""Write figure1.png, and figure1.json with the epochs to the target and their ratio."""

import argparse
import json
import sys
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "src"))

from alexnet.config.stage import errors_in_one_line
from alexnet.figures.style import plot_png
from alexnet.runtime.files import write_atomically
from error_curves import epoch_ratio, plot_figure1, read_errors

HERE = ROOT / "experiments/cifar10"


def main() -> None:
    args = parse_args()
    runs = read_errors(HERE / "run")
    rates = {f"{activation}_lr": lr for activation, lr in runs}
    errors = {activation: errors for (activation, _), errors in runs.items()}
    text = json.dumps(rates | epoch_ratio(errors, args.target), indent=1)
    write_atomically(HERE / "figure1.png", plot_png(partial(plot_figure1, runs, args.target)))
    write_atomically(HERE / "figure1.json", text.encode() + b"\n")
    print(text)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", type=float, required=True, help="training error, 0–1")
    return parser.parse_args()


if __name__ == "__main__":
    with errors_in_one_line():
        main()
