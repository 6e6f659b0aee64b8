"""Results of several seeds: averaged, compared with their baseline, none counted twice."""

import re
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import pytest

from alexnet.comparison.results_on_disk import read_results
from alexnet.comparison.runs import error_increases, group_by_seed, mean_errors
from alexnet.comparison.tables import compare_with_paper, format_cells
from alexnet.evaluate.intervals import pack_bits, paired_interval
from alexnet.runtime.errors import InputError
from small_results import ILSVRC2012, find_row, small_result, write_small_result


def test_seeds_are_averaged_with_their_spread(tmp_path: Path) -> None:
    for seed, count in {3: 400, 1: 430, 2: 420}.items():
        result = small_result(count, 100, **ILSVRC2012, seed=seed)
        write_small_result(tmp_path, f"more/{seed}.json", result)
    write_small_result(tmp_path, "more/other.json", small_result(500, 100, **ILSVRC2012, lr=0.1))
    rows = compare_with_paper(read_results(tmp_path))
    several, other = [row for row in rows if row.system == "1 CNN"]
    assert several.ours is not None
    assert several.ours[0].value == pytest.approx(mean((40, 43, 42)))
    assert several.ours[0].spread == pytest.approx(stdev((40, 43, 42)))
    assert several.ours[0].interval is None
    assert several.runs.endswith("lr 0.01, seeds 1, 2, 3; experiments/more")
    assert other.runs.endswith("lr 0.1, seed 0; experiments/more")
    assert format_cells(several)[2] == "41.7 ± 1.5 / 10.0 ± 0.0"


def test_increases_are_between_runs_of_the_same_seed(tmp_path: Path) -> None:
    """The seeds differ more than the nets: the difference of the means would hide the increase."""
    for seed, base in enumerate((100, 300)):
        baseline, ablation = (
            small_result(base, 50, seed=seed),
            small_result(base + 10, 60, seed=seed),
        )
        write_small_result(tmp_path, f"a/base{seed}.json", baseline, "baseline")
        write_small_result(tmp_path, f"a/with{seed}.json", ablation, "no_lrn")
    write_small_result(tmp_path, "a/with7.json", small_result(999, 999, seed=7), "no_lrn")
    write_small_result(tmp_path, "b/with0.json", small_result(500, 500), "no_lrn")
    base, ablation, other = group_by_seed(read_results(tmp_path))
    runs, increases = error_increases(ablation, [base])
    assert increases is not None
    assert [estimate.value for estimate in increases] == pytest.approx([1, 1])
    assert [estimate.spread for estimate in increases] == pytest.approx([0, 0], abs=1e-12)
    assert [result.run.seed for result in runs.results] == [0, 1]
    assert mean_errors(base)[0].spread == pytest.approx(stdev((10, 30)))
    assert error_increases(other, [base]) == (other, None)


def test_an_increase_of_one_seed_has_the_paired_interval(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    base = rng.random(300) < 0.1
    wrong = base | (rng.random(300) < 0.05)
    for name, images in (("baseline", base), ("no_lrn", wrong)):
        bits, count = pack_bits(images), int(images.sum())
        result = small_result(count, count, images=300)
        result = replace(result, wrong_images={"top1": bits, "top5": bits})
        write_small_result(tmp_path, f"a/{name}.json", result, name)
    rows = compare_with_paper(read_results(tmp_path))
    row = find_row(rows, "without normalisation", "Increase")
    assert row.ours is not None
    assert row.ours[0].value == pytest.approx(100 * (wrong.mean() - base.mean()))
    assert row.ours[0].interval == paired_interval(wrong, base)
    assert re.match(r"\+\d\.\d \(\+\d\.\d … \+\d\.\d\) / ", format_cells(row)[2])


def test_a_baseline_of_another_model_does_not_count(tmp_path: Path) -> None:
    write_small_result(tmp_path, "a/base.json", small_result(100, 10, model="quick"), "baseline")
    write_small_result(tmp_path, "a/with.json", small_result(110, 12), "no_lrn")
    rows = compare_with_paper(read_results(tmp_path))
    assert find_row(rows, "without normalisation", "Increase").ours is None


def test_wrong_images_that_contradict_the_count_are_rejected(tmp_path: Path) -> None:
    result = replace(small_result(3, 1, images=8), wrong_images={"top1": "80", "top5": "80"})
    write_small_result(tmp_path, "a/1.json", result)
    message = r"1\.json is not a valid result.*top1 does not hold top1_wrong images"
    with pytest.raises(InputError, match=message):
        compare_with_paper(read_results(tmp_path))


def test_the_data_set_of_pretraining_is_shown(tmp_path: Path) -> None:
    result = replace(small_result(3, 1), first_trained_on="wide")
    write_small_result(tmp_path, "a/1.json", result, "finetuned")
    assert (
        "; pretrained on wide; model paper" in compare_with_paper(read_results(tmp_path))[-1].runs
    )


def test_a_run_counted_twice_is_rejected(tmp_path: Path) -> None:
    write_small_result(tmp_path, "a/1.json", small_result(1, 1))
    write_small_result(tmp_path, "a/2.json", small_result(1, 1))
    with pytest.raises(InputError, match=r"2\.json is a second result of the same run; fix: rm"):
        compare_with_paper(read_results(tmp_path))


def test_two_baselines_of_one_experiment_are_rejected(tmp_path: Path) -> None:
    write_small_result(tmp_path, "a/1.json", small_result(1, 1), "baseline")
    write_small_result(tmp_path, "a/2.json", small_result(1, 1, parameters="0"), "baseline")
    write_small_result(tmp_path, "a/3.json", small_result(1, 1), "no_lrn")
    with pytest.raises(InputError, match="experiments/a has 2 baselines"):
        compare_with_paper(read_results(tmp_path))
    (tmp_path / "experiments/a/results/3.json").write_text("{")
    with pytest.raises(InputError, match=r"3\.json is not a valid result"):
        compare_with_paper(read_results(tmp_path))
