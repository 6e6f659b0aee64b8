import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from alexnet.cli.answers import as_json, as_table, bar, heading
from alexnet.cli.photos import Answer
from alexnet.dataset.index import Synset

SYNSETS = [
    Synset(1, "n01440764", "tench, Tinca tinca"),
    Synset(2, "n01443537", "gold\x1b[2Jfish"),
]
ANSWER = Answer(Path("a/\x1b[31m.jpg"), [1, 0], [0.75, 0.25], ["mode L"])


def test_json_contains_the_answer_in_one_line() -> None:
    line = as_json(ANSWER, SYNSETS)
    assert "\n" not in line
    content = json.loads(line)
    assert content["photo"] == "a/\x1b[31m.jpg"
    assert content["top"][1] == {
        "label": 0,
        "wnid": "n01440764",
        "words": "tench, Tinca tinca",
        "probability": 0.25,
    }
    assert content["odd"] == ["mode L"]


def test_a_table_escapes_control_characters_in_names() -> None:
    out = io.StringIO()
    screen = Console(file=out, width=80, force_terminal=True, color_system=None)
    screen.print(heading(ANSWER))
    screen.print(as_table(ANSWER, SYNSETS))
    text = out.getvalue()
    assert "\x1b[2J" not in text
    assert "\x1b[31m" not in text
    assert "gold\\x1b[2Jfish" in text
    assert "75.0 %" in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("probability", "expected"),
    [(0, ""), (1, "█" * 20), (0.5, "█" * 10), (0.00625, "▏"), (0.03, "▋")],
)
def test_the_length_of_a_bar_is_its_probability(probability: float, expected: str) -> None:
    assert bar(probability) == expected.ljust(20)
