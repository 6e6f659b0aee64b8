"""The runs of figure 1 → figure1.png, and figure1.json: epochs to the target, and their ratio."""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "src"))

from alexnet.config.stage import errors_in_one_line
from alexnet.runtime.files import write_atomically
from error_curves import figure1_picture, ratio, read_errors

HERE = ROOT / "experiments/cifar10"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", type=float, required=True)
    target = parser.parse_args().target
    runs = read_errors(HERE / "run")
    rates = {f"{activation}_lr": lr for activation, lr in runs}
    found = ratio({activation: errors for (activation, _), errors in runs.items()}, target)
    write_atomically(HERE / "figure1.png", figure1_picture(runs, target))
    write_atomically(HERE / "figure1.json", json.dumps(rates | found, indent=1).encode() + b"\n")
    print(json.dumps(rates | found, indent=1))


if __name__ == "__main__":
    with errors_in_one_line():
        main()
