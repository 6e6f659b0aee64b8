"""Record the result of a run as a row of the comparison, in a JSON file."""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from alexnet.config.stage import errors_in_one_line
from alexnet.evaluate.predictions import read_predictions
from alexnet.evaluate.result import read_result, write_result


def main() -> None:
    args = parse_args()
    start = read_description(args.run / "train")["recipe"]["init_from"]
    result = replace(
        read_result(args.run / "evaluate/result.json"),
        row=args.row,
        wrong_images=read_predictions(args.run / "evaluate/predictions.csv").wrong_images(),
        first_trained_on=read_description(Path(start))["choices"]["dataset"] if start else "",
    )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_result(args.out, result)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("row", help="row of the comparison")
    parser.add_argument("run", type=Path, help="folder that holds train/ and evaluate/")
    parser.add_argument("out", type=Path, help="JSON file to write")
    return parser.parse_args()


def read_description(folder: Path) -> Any:
    """Read the model.json of a train folder."""
    return json.loads((folder / "model.json").read_bytes())


if __name__ == "__main__":
    with errors_in_one_line():
        main()
