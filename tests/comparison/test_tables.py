"""The comparison: each result in its row, in a terminal and in the README."""

import io
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
from rich.console import Console

from alexnet.comparison.results_on_disk import read_collected, read_results
from alexnet.comparison.tables import (
    BEGIN,
    END,
    NOT_IN_PAPER,
    build_table,
    compare_with_paper,
    format_cells,
    format_markdown,
    write_readme,
)
from alexnet.runtime.errors import InputError
from small_results import (
    ILSVRC2010,
    ILSVRC2012,
    MINIATURE,
    find_row,
    small_result,
    write_small_result,
)

ROOT = Path(__file__).parents[2]


def test_without_results_only_the_papers_numbers_are_shown(tmp_path: Path) -> None:
    rows = compare_with_paper(read_results(tmp_path))
    assert all(row.ours is None for row in rows)
    cells = format_cells(find_row(rows, "CNN, centre view"))
    assert cells == ("CNN, centre view", "39.0 / 18.3", "", "not run yet")
    assert format_cells(find_row(rows, "Sparse coding"))[2:] == ("", "")
    assert find_row(rows, "SIFT + FVs", "Table 2").paper == "– / – (test 26.2)"
    assert find_row(rows, "without normalisation", "Increase").paper == "+1.4 / +1.2"
    assert find_row(rows, "without colour augmentation").paper == "> 1 / –"


def test_a_run_on_the_papers_images_is_shown_in_the_papers_row(tmp_path: Path) -> None:
    result = small_result(400, 180, **ILSVRC2010)
    write_small_result(tmp_path, "metrics.json", result)
    rows = compare_with_paper(read_results(tmp_path))
    ten_views, centre = find_row(rows, "CNN"), find_row(rows, "CNN, centre view")
    assert ten_views.ours is not None
    assert ten_views.ours[0][:2] == (40.0, result.interval("top1"))
    assert format_cells(ten_views)[2] == "40.0 (37.0–43.1) / 18.0 (15.7–20.5)"
    assert centre.ours is not None
    assert [estimate.value for estimate in centre.ours] == [41.0, 19.0]
    assert ten_views.comparable
    assert "ilsvrc2010 test, 1,000 images of 1,000 classes" in ten_views.runs
    assert ten_views.runs.endswith("model paper, recipe paper (0a1b2c3d), lr 0.01, seed 0")
    assert not [row for row in rows if row.table == NOT_IN_PAPER]
    assert find_row(rows, "1 CNN").ours is None


@pytest.mark.parametrize("other", [MINIATURE, ILSVRC2010 | {"split": "val"}, {"classes": 100}])
def test_a_run_on_other_images_is_shown_as_not_comparable(
    tmp_path: Path, other: dict[str, Any]
) -> None:
    write_small_result(tmp_path, "metrics.json", small_result(400, 180, **ILSVRC2012 | other))
    rows = compare_with_paper(read_results(tmp_path))
    others = [row for row in rows if row.table == NOT_IN_PAPER]
    assert [row.system.partition("CNN")[2] for row in others] == ["", ", centre view"]
    assert not any(row.comparable for row in others)
    assert all(row.ours is None for row in rows if row.table != NOT_IN_PAPER)


def test_an_ensemble_shows_its_number_of_members(tmp_path: Path) -> None:
    result = small_result(380, 160, **ILSVRC2012, seed=None, lr=None)
    result = replace(result, members=(small_result(1, 1).run,) * 5)
    write_small_result(tmp_path, "ensembles/five.json", result, "5 CNNs")
    row = find_row(compare_with_paper(read_results(tmp_path)), "5 CNNs")
    assert row.ours is not None
    assert row.runs.endswith("; 5 members; experiments/ensembles")


def test_an_ablation_is_the_increase_over_its_baseline_seed_by_seed(tmp_path: Path) -> None:
    """On other images it is marked as not comparable; a seed without a baseline is left out."""

    def write(name: str, top1: int, top5: int, row: str, seed: int = 0) -> None:
        write_small_result(tmp_path, f"{name}{seed}.json", small_result(top1, top5, seed=seed), row)

    for seed, (base, without) in enumerate([(100, 150), (200, 230), (50, 130)]):
        write("ablations/base", base, 40, "baseline", seed)
        write("ablations/lrn", without, 30, "no_lrn", seed)
    write("ablations/lrn", 900, 900, "no_lrn", seed=9)
    write("ablations/gpu", 190, 40, "one_gpu", seed=1)
    write("another/colour", 500, 200, "no_colour")
    rows = compare_with_paper(read_results(tmp_path))
    row = find_row(rows, "without normalisation", "Increase")
    assert row.ours is not None
    assert row.ours[0].value == pytest.approx(mean((5, 3, 8)))
    assert row.ours[0].spread == pytest.approx(stdev((5, 3, 8)))
    assert row.ours[1].value == pytest.approx(-1)
    assert format_cells(row)[2] == "+5.3 ± 2.5 / −1.0 ± 0.0"
    assert row.runs.endswith("seeds 0, 1, 2; experiments/ablations")
    assert not row.comparable
    assert format_cells(row)[3].endswith("; not comparable")
    assert format_cells(find_row(rows, "one GPU, half of the feature maps"))[2] == "−1.0 / +0.0"
    assert find_row(rows, "without colour augmentation").ours is None
    others = {row.system for row in rows if row.table == NOT_IN_PAPER}
    assert others == {"baseline", "no_colour"}


def test_terminal_and_markdown_tables_hold_every_cell(tmp_path: Path) -> None:
    write_small_result(tmp_path, "metrics.json", small_result(123, 45, model="a|b*[c]"))
    rows = compare_with_paper(read_results(tmp_path))
    file = io.StringIO()
    Console(file=file, width=400).print(build_table(rows))
    markdown = format_markdown(rows)
    plain = re.sub(r"\\(.)", r"\1", markdown)
    for row in rows:
        assert row.table in plain
        assert row.table in file.getvalue()
        assert f"| {' | '.join(format_cells(row))} |" in plain
        assert all(cell in file.getvalue() for cell in format_cells(row))
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {5}


def test_only_the_text_between_the_markers_is_replaced(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"# Über\n{BEGIN}\nold\n{END}\nafter\n", "utf-8")
    rows = compare_with_paper(read_results(tmp_path))
    for _ in range(2):
        write_readme(readme, rows)
        table = format_markdown(rows)
        assert readme.read_text("utf-8") == f"# Über\n{BEGIN}\n{table}{END}\nafter\n"
    readme.write_text(f"{END}{BEGIN}")
    with pytest.raises(InputError, match=r"README\.md lacks the lines .*; fix: add them where"):
        write_readme(readme, rows)
    assert readme.read_text() == f"{END}{BEGIN}"


def git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_the_readme_is_up_to_date(tmp_path: Path) -> None:
    """Its table shows the results committed, or on disk; fix: alexnet compare --readme.

    Results on disk that are not committed yet, of a user's own run, must not fail the test.
    """
    committed = git("ls-tree", "-r", "--name-only", "HEAD", "metrics.json", "experiments").split()
    for name in (name for name in committed if name.endswith(".json")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(git("show", f"HEAD:{name}"), "utf-8")
    assert (tmp_path / "metrics.json").exists()
    readme = (ROOT / "README.md").read_text("utf-8")
    expected = []
    for root in (tmp_path, ROOT):
        (tmp_path / "README.md").write_text(readme, "utf-8")
        write_readme(tmp_path / "README.md", compare_with_paper(read_collected(root)))
        expected.append((tmp_path / "README.md").read_text("utf-8"))
    assert readme in expected
