"""The result of a run → a file that `alexnet compare` reads, with the name of its row."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from alexnet.config import errors_in_one_line
from alexnet.results import read_result, write_result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("row", help="of the comparison")
    parser.add_argument("run", type=Path, help="the folder that holds its evaluate/")
    parser.add_argument("out", type=Path, help="the JSON file")
    asked = parser.parse_args()
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    write_result(asked.out, read_result(asked.run / "evaluate/result.json") | {"row": asked.row})


if __name__ == "__main__":
    with errors_in_one_line():
        main()
