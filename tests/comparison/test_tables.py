"""Results on disk beside the paper's rows: where they belong, averaged, and never by hand."""

import io
import re
import subprocess
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
from rich.console import Console

from alexnet.comparison.results_on_disk import collected, on_disk
from alexnet.comparison.tables import (
    BEGIN,
    ELSEWHERE,
    END,
    cells,
    comparison,
    comparison_markdown,
    comparison_table,
    write_readme,
)
from alexnet.evaluate.result import interval
from alexnet.runtime.errors import InputError
from small_results import ILSVRC2012, MINIATURE, PLAIN, found, put, result

ROOT = Path(__file__).parents[2]
ILSVRC2010 = {"dataset": "ilsvrc2010", "split": "test", "classes": 1000}


def test_nothing_run_leaves_the_paper_alone(tmp_path: Path) -> None:
    rows = comparison(on_disk(tmp_path))
    assert all(row.here is None for row in rows)
    assert cells(found(rows, "CNN, centre view")) == (
        "CNN, centre view",
        "39.0 / 18.3",
        "",
        "not yet run",
    )
    assert cells(found(rows, "Sparse coding"))[2:] == ("", "")
    assert found(rows, "SIFT + FVs", "Table 2").paper == "– / – (test 26.2)"
    assert found(rows, "without normalisation", "How").paper == "+1.4 / +1.2"
    assert found(rows, "without the colour shift").paper == "> 1 / –"


def test_a_run_on_the_papers_images_stands_beside_it(tmp_path: Path) -> None:
    made = result(400, 180, **ILSVRC2010)
    put(tmp_path, "metrics.json", made)
    rows = comparison(on_disk(tmp_path))
    one, centre = found(rows, "CNN"), found(rows, "CNN, centre view")
    assert one.here is not None
    assert (one.here[0].value, one.here[0].interval) == (40.0, interval(made, "top1"))
    assert cells(one)[2] == "40.0 (37.0–43.1) / 18.0 (15.7–20.5)"
    assert centre.here is not None
    assert [figure.value for figure in centre.here] == [41.0, 19.0]
    assert one.comparable
    assert "ilsvrc2010 test, 1,000 images of 1,000 classes" in one.on
    assert one.on.endswith("model paper, recipe paper (0a1b2c3d), lr 0.01, seed 0")
    assert not [row for row in rows if row.table == ELSEWHERE]
    assert found(rows, "1 CNN").here is None


@pytest.mark.parametrize("other", [MINIATURE, ILSVRC2010 | {"split": "val"}, {"classes": 100}])
def test_a_run_on_other_images_stands_apart(tmp_path: Path, other: dict[str, Any]) -> None:
    put(tmp_path, "metrics.json", result(400, 180, **ILSVRC2012 | other))
    rows = comparison(on_disk(tmp_path))
    apart = [row for row in rows if row.table == ELSEWHERE]
    assert [row.what.partition("CNN")[2] for row in apart] == ["", ", centre view"]
    assert not any(row.comparable for row in apart)
    assert all(row.here is None for row in rows if row.table != ELSEWHERE)


def test_ensembles_tell_their_members(tmp_path: Path) -> None:
    made = result(380, 160, **ILSVRC2012, seed=None, lr=None)
    put(tmp_path, "ensembles/five.json", made | {"members": [PLAIN] * 5}, "5 CNNs")
    row = found(comparison(on_disk(tmp_path)), "5 CNNs")
    assert row.here is not None
    assert row.on.endswith("; 5 members; experiments/ensembles")


def test_an_ablation_is_the_difference_to_its_baseline_seed_by_seed(tmp_path: Path) -> None:
    """Of other images it is shown and marked; a seed without a baseline does not count."""
    for seed, (base, without) in enumerate([(100, 150), (200, 230), (50, 130)]):
        put(tmp_path, f"ablations/base{seed}.json", result(base, 40, seed=seed), "baseline")
        put(tmp_path, f"ablations/lrn{seed}.json", result(without, 30, seed=seed), "no_lrn")
    put(tmp_path, "ablations/lrn9.json", result(900, 900, seed=9), "no_lrn")
    put(tmp_path, "ablations/gpu1.json", result(190, 40, seed=1), "one_gpu")
    put(tmp_path, "another/colour.json", result(500, 200), "no_colour")
    rows = comparison(on_disk(tmp_path))
    row = found(rows, "without normalisation", "How")
    assert row.here is not None
    assert row.here[0].value == pytest.approx(mean((5, 3, 8)))
    assert row.here[0].spread == pytest.approx(stdev((5, 3, 8)))
    assert row.here[1].value == pytest.approx(-1)
    assert cells(row)[2] == "+5.3 ± 2.5 / −1.0 ± 0.0"
    assert row.on.endswith("seeds 0, 1, 2; experiments/ablations")
    assert not row.comparable
    assert cells(row)[3].endswith("; not comparable")
    assert cells(found(rows, "on one GPU, half the maps"))[2] == "−1.0 / +0.0"
    assert found(rows, "without the colour shift").here is None
    assert {row.what for row in rows if row.table == ELSEWHERE} == {"baseline", "no_colour"}


def test_both_tables_hold_every_cell(tmp_path: Path) -> None:
    put(tmp_path, "metrics.json", result(123, 45, model="a|b*[c]"))
    rows = comparison(on_disk(tmp_path))
    file = io.StringIO()
    Console(file=file, width=400).print(comparison_table(rows))
    markdown = comparison_markdown(rows)
    plain = re.sub(r"\\(.)", r"\1", markdown)
    for row in rows:
        assert row.table in plain
        assert row.table in file.getvalue()
        assert f"| {' | '.join(cells(row))} |" in plain
        assert all(cell in file.getvalue() for cell in cells(row))
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {5}


def test_only_what_is_between_the_markers_is_replaced(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"# Über\n{BEGIN}\nold\n{END}\nafter\n", "utf-8")
    rows = comparison(on_disk(tmp_path))
    for _ in range(2):
        write_readme(readme, rows)
        table = comparison_markdown(rows)
        assert readme.read_text("utf-8") == f"# Über\n{BEGIN}\n{table}{END}\nafter\n"
    readme.write_text(f"{END}{BEGIN}")
    with pytest.raises(InputError, match=r"README\.md lacks the lines .*; fix: put them"):
        write_readme(readme, rows)
    assert readme.read_text() == f"{END}{BEGIN}"


def git(*command: str) -> str:
    ran = ["git", *command]
    return subprocess.run(ran, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_the_readme_is_not_stale(tmp_path: Path) -> None:
    """Its table is what the committed results give; fix: alexnet compare --readme.

    Or what those on disk give, before they are committed: a run of one's own breaks nothing.
    """
    there = git("ls-tree", "-r", "--name-only", "HEAD", "metrics.json", "experiments").split()
    for name in (name for name in there if name.endswith(".json")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(git("show", f"HEAD:{name}"), "utf-8")
    assert (tmp_path / "metrics.json").exists()
    shown = (ROOT / "README.md").read_text("utf-8")
    made = []
    for root in (tmp_path, ROOT):
        (tmp_path / "README.md").write_text(shown, "utf-8")
        write_readme(tmp_path / "README.md", comparison(collected(root)))
        made.append((tmp_path / "README.md").read_text("utf-8"))
    assert shown in made
