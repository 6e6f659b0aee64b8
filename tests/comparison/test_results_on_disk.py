"""Results on disk and collected, with the commits that made them."""

import json
import subprocess
from pathlib import Path

import pytest

from alexnet.comparison.results_on_disk import (
    COLLECTED,
    collect,
    current_commit,
    read_collected,
    read_results,
)
from alexnet.comparison.tables import compare_with_paper
from alexnet.runtime.errors import InputError
from small_results import ILSVRC2012, find_row, small_result, write_small_result


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text("lr: 0.01\n")
    git(tmp_path, "init", "-q")
    commit(tmp_path)
    write_small_result(tmp_path, "metrics.json", small_result(400, 180, **ILSVRC2012))
    write_small_result(tmp_path, "a/1.json", small_result(380, 160, **ILSVRC2012), "5 CNNs")
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    command = ["git", *author, *arguments]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


def commit(folder: Path) -> str:
    git(folder, "add", "params.yaml")
    git(folder, "commit", "-q", "--allow-empty", "-m", "a step")
    return git(folder, "rev-parse", "--short", "HEAD")


def test_collected_results_are_those_on_disk(checkout: Path) -> None:
    collect(checkout)
    assert read_collected(checkout) == read_results(checkout)
    assert [entry.experiment for entry in read_collected(checkout)] == ["", "a"]
    (checkout / "experiments/a/results/1.json").unlink()
    assert len(read_collected(checkout)) == 2  # until results are collected again
    assert len(collect(checkout)) == 1


def test_a_result_keeps_the_commit_that_made_it(checkout: Path) -> None:
    first = git(checkout, "rev-parse", "--short", "HEAD")
    collect(checkout)
    second = commit(checkout)
    write_small_result(checkout, "a/2.json", small_result(370, 150, **ILSVRC2012), "7 CNNs*")
    assert [entry.commit for entry in collect(checkout)] == ["", first, second]
    rows = compare_with_paper(read_collected(checkout))
    assert find_row(rows, "5 CNNs").runs.endswith(f"; experiments/a at {first}")
    write_small_result(checkout, "a/1.json", small_result(381, 160, **ILSVRC2012), "5 CNNs")
    assert [entry.commit for entry in read_results(checkout)] == ["", "", second]


def test_changed_code_marks_the_commit(checkout: Path) -> None:
    head = current_commit(checkout)
    (checkout / "metrics.json").write_text("{}")
    assert current_commit(checkout) == head
    (checkout / "params.yaml").write_text("lr: 0.02\n")
    assert current_commit(checkout) == f"{head}…"


def test_without_git_commits_are_empty(tmp_path: Path) -> None:
    write_small_result(tmp_path, "metrics.json", small_result(400, 180))
    write_small_result(tmp_path, "a/1.json", small_result(380, 160))
    assert [entry.commit for entry in collect(tmp_path)] == ["", ""]


@pytest.mark.parametrize("text", ["", "[", "{}x", '[{"path": 1}]', '[{"path": "a", "commit": ""}]'])
def test_a_damaged_file_is_rejected_in_one_line(checkout: Path, text: str) -> None:
    (checkout / COLLECTED).write_text(text)
    with pytest.raises(InputError, match=r"results\.json cannot be read: .*; fix: git checkout"):
        read_collected(checkout)


def test_an_invalid_collected_result_is_rejected(checkout: Path) -> None:
    collect(checkout)
    entries = json.loads((checkout / COLLECTED).read_text())
    entries[0]["result"]["images"] = 0
    (checkout / COLLECTED).write_text(json.dumps(entries))
    with pytest.raises(InputError, match="images is 0, not a positive count"):
        read_collected(checkout)
