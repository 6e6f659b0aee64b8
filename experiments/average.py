"""Several evaluated models as one, the mean of their probabilities → a row of the comparison."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from rich.console import Console

from alexnet.config.stage import errors_in_one_line
from alexnet.evaluate.ensemble import ensemble
from alexnet.evaluate.result import errors_table, write_result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("row", help='of the comparison, such as "5 CNNs"')
    parser.add_argument("out", type=Path, help="the JSON file")
    parser.add_argument("members", type=Path, nargs="+", help="of each its evaluate/")
    asked = parser.parse_args()
    _, result = ensemble(asked.members, asked.row)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    write_result(asked.out, result)
    Console().print(errors_table(result))


if __name__ == "__main__":
    with errors_in_one_line():
        main()
