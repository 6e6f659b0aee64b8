"""Average the probabilities of evaluated models: one row of the comparison, as a JSON file."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from rich.console import Console

from alexnet.config.stage import errors_in_one_line
from alexnet.evaluate.ensemble import ensemble
from alexnet.evaluate.result import errors_table, write_result


def main() -> None:
    args = parse_args()
    _, result = ensemble(args.members, args.row)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_result(args.out, result)
    Console().print(errors_table(result))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("row", help='row of the comparison, such as "5 CNNs"')
    parser.add_argument("out", type=Path, help="JSON file to write")
    parser.add_argument("members", type=Path, nargs="+", help="each member's evaluate/ folder")
    return parser.parse_args()


if __name__ == "__main__":
    with errors_in_one_line():
        main()
