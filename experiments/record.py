"""The result of a run → a file that `alexnet compare` reads, with the name of its row."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from alexnet.config.stage import errors_in_one_line
from alexnet.evaluate.intervals import read_wrong
from alexnet.evaluate.result import read_result, write_result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("row", help="of the comparison")
    parser.add_argument("run", type=Path, help="the folder that holds its evaluate/")
    parser.add_argument("out", type=Path, help="the JSON file")
    asked = parser.parse_args()
    result = read_result(asked.run / "evaluate/result.json") | {"row": asked.row}
    result["wrong_images"] = read_wrong(asked.run / "evaluate/predictions.csv")
    start = _told(asked.run / "train")["recipe"]["init_from"]
    if start:
        result["first_trained_on"] = _told(Path(start))["choices"]["dataset"]
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    write_result(asked.out, result)


def _told(folder: Path) -> Any:
    """What a model tells of itself."""
    return json.loads((folder / "model.json").read_bytes())


if __name__ == "__main__":
    with errors_in_one_line():
        main()
