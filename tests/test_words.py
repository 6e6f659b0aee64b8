"""Idioms that a reader would have to translate are not used: see tests/words.txt."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WORDS = Path(__file__).with_name("words.txt")
PLACES = ("src", "stages", "conf", "tests", "benchmarks", "experiments", "docs")
FILES = ("README.md", "SECURITY.md", "dvc.yaml", "Makefile")
CODE = {".py", ".jinja", ".yaml", ".yml", ".c", ".html", ".css", ".js", ".j2"}
TEXT = CODE | {".md", ".txt"}


def text_files() -> list[Path]:
    """Return the project's code and documents, without words.txt and experiments' reports."""
    files = [ROOT / name for name in FILES]
    for place in PLACES:
        suffixes = CODE if place == "experiments" else TEXT
        files += [path for path in (ROOT / place).rglob("*") if path.suffix in suffixes]
    return sorted(set(files) - {WORDS})


def find_words(pattern: re.Pattern[str], name: str, text: str) -> list[str]:
    """Return `file:line: text` of every line that matches."""
    return [
        f"{name}:{number}: {line.strip()}"
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


def banned_words() -> re.Pattern[str]:
    return re.compile("|".join(WORDS.read_text().splitlines()), re.IGNORECASE)


def test_banned_words_do_not_occur() -> None:
    files = text_files()
    assert len(files) > 200
    found = []
    for path in files:
        name = str(path.relative_to(ROOT))
        found += find_words(banned_words(), name, path.read_text())
    assert not found, f"{len(found)} lines to reword:\n" + "\n".join(found)


@pytest.mark.parametrize("pattern", WORDS.read_text().splitlines())
def test_patterns_are_valid_and_match_words(pattern: str) -> None:
    assert not re.search(pattern, "", re.IGNORECASE), "matches every line"


def test_matches_are_reported_with_file_and_line() -> None:
    word = "men" + "ded"
    assert find_words(banned_words(), "a.py", f"fine\n# it is {word.upper()}") == [
        f"a.py:2: # it is {word.upper()}"
    ]
