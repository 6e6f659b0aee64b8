import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from alexnet.cli.answers import as_json, as_table, bar, heading
from alexnet.cli.photos import Answer

SYNSETS = [
    {"devkit_id": 1, "wnid": "n01440764", "words": "tench, Tinca tinca"},
    {"devkit_id": 2, "wnid": "n01443537", "words": "gold\x1b[2Jfish"},
]
ANSWER = Answer(Path("a/\x1b[31m.jpg"), [1, 0], [0.75, 0.25], ["mode L"])


def test_a_line_of_json_holds_the_answer() -> None:
    line = as_json(ANSWER, SYNSETS)
    assert "\n" not in line
    told = json.loads(line)
    assert told["photo"] == "a/\x1b[31m.jpg"
    assert told["top"][1] == {
        "label": 0,
        "wnid": "n01440764",
        "words": "tench, Tinca tinca",
        "probability": 0.25,
    }
    assert told["odd"] == ["mode L"]


def test_a_table_obeys_nothing_a_name_says() -> None:
    out = io.StringIO()
    screen = Console(file=out, width=80, force_terminal=True, color_system=None)
    screen.print(heading(ANSWER))
    screen.print(as_table(ANSWER, SYNSETS))
    said = out.getvalue()
    assert "\x1b[2J" not in said
    assert "\x1b[31m" not in said
    assert "gold\\x1b[2Jfish" in said
    assert "75.0 %" in said
    assert max(map(len, said.splitlines())) <= 80


@pytest.mark.parametrize(
    ("probability", "shown"), [(0, ""), (1, "█" * 20), (0.5, "█" * 10), (0.00625, "▏"), (0.03, "▋")]
)
def test_a_bar_is_as_long_as_its_probability(probability: float, shown: str) -> None:
    assert bar(probability) == shown.ljust(20)
