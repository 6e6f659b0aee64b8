"""Results on disk and collected, with the commits they were made at."""

import json
import subprocess
from pathlib import Path

import pytest

from alexnet.comparison.results_on_disk import COLLECTED, collect, collected, commit, on_disk
from alexnet.comparison.tables import comparison
from alexnet.runtime.errors import InputError
from small_results import ILSVRC2012, found, put, result


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text("lr: 0.01\n")
    git(tmp_path, "init", "-q")
    save(tmp_path)
    put(tmp_path, "metrics.json", result(400, 180, **ILSVRC2012))
    put(tmp_path, "a/1.json", result(380, 160, **ILSVRC2012), "5 CNNs")
    return tmp_path


def git(folder: Path, *command: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    ran = ["git", *who, *command]
    return subprocess.run(
        ran, cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


def save(folder: Path) -> str:
    git(folder, "add", "params.yaml")
    git(folder, "commit", "-q", "--allow-empty", "-m", "a step")
    return git(folder, "rev-parse", "--short", "HEAD")


def test_what_is_collected_is_what_lies_on_disk(checkout: Path) -> None:
    collect(checkout)
    assert collected(checkout) == on_disk(checkout)
    assert [each.experiment for each in collected(checkout)] == ["", "a"]
    (checkout / "experiments/a/results/1.json").unlink()
    assert len(collected(checkout)) == 2  # until it is collected again
    assert len(collect(checkout)) == 1


def test_a_result_keeps_the_commit_that_made_it(checkout: Path) -> None:
    first = git(checkout, "rev-parse", "--short", "HEAD")
    collect(checkout)
    second = save(checkout)
    put(checkout, "a/2.json", result(370, 150, **ILSVRC2012), "7 CNNs*")
    assert [each.commit for each in collect(checkout)] == ["", first, second]
    rows = comparison(collected(checkout))
    assert found(rows, "5 CNNs").on.endswith(f"; experiments/a at {first}")
    put(checkout, "a/1.json", result(381, 160, **ILSVRC2012), "5 CNNs")
    assert [each.commit for each in on_disk(checkout)] == ["", "", second]


def test_code_that_was_changed_since_is_told(checkout: Path) -> None:
    head = commit(checkout)
    (checkout / "metrics.json").write_text("{}")
    assert commit(checkout) == head
    (checkout / "params.yaml").write_text("lr: 0.02\n")
    assert commit(checkout) == f"{head}…"


def test_without_git_no_commit_is_told(tmp_path: Path) -> None:
    put(tmp_path, "metrics.json", result(400, 180))
    put(tmp_path, "a/1.json", result(380, 160))
    assert [each.commit for each in collect(tmp_path)] == ["", ""]


@pytest.mark.parametrize("text", ["", "[", "{}x", '[{"path": 1}]', '[{"path": "a", "commit": ""}]'])
def test_a_damaged_file_is_one_line(checkout: Path, text: str) -> None:
    (checkout / COLLECTED).write_text(text)
    with pytest.raises(InputError, match=r"results\.json cannot be read: .*; fix: git checkout"):
        collected(checkout)


def test_a_damaged_result_is_one_line(checkout: Path) -> None:
    collect(checkout)
    told = json.loads((checkout / COLLECTED).read_text())
    told[0]["result"]["images"] = 0
    (checkout / COLLECTED).write_text(json.dumps(told))
    with pytest.raises(InputError, match="is no count"):
        collected(checkout)
