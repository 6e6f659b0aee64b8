"""Results of several seeds together; none of them counted twice."""

import re
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import pytest

from alexnet.comparison.results_on_disk import on_disk
from alexnet.comparison.runs import differences, errors, together
from alexnet.comparison.tables import cells, comparison
from alexnet.evaluate.intervals import bits, difference_interval
from alexnet.runtime.errors import InputError
from small_results import ILSVRC2012, found, put, result


def test_seeds_are_averaged_with_their_spread(tmp_path: Path) -> None:
    wrong = {3: 400, 1: 430, 2: 420}
    for seed, count in wrong.items():
        put(tmp_path, f"more/{seed}.json", result(count, 100, **ILSVRC2012, seed=seed))
    put(tmp_path, "more/other.json", result(500, 100, **ILSVRC2012, lr=0.1))
    several, other = [row for row in comparison(on_disk(tmp_path)) if row.what == "1 CNN"]
    assert several.here is not None
    assert several.here[0].value == pytest.approx(mean((40, 43, 42)))
    assert several.here[0].spread == pytest.approx(stdev((40, 43, 42)))
    assert several.here[0].interval is None
    assert several.on.endswith("lr 0.01, seeds 1, 2, 3; experiments/more")
    assert other.on.endswith("lr 0.1, seed 0; experiments/more")
    assert cells(several)[2] == "41.7 ± 1.5 / 10.0 ± 0.0"


def test_a_difference_is_that_of_runs_of_one_seed(tmp_path: Path) -> None:
    """Where the seeds differ more than the nets do, the difference of the means would hide it."""
    for seed, base in enumerate((100, 300)):
        put(tmp_path, f"a/base{seed}.json", result(base, 50, seed=seed), "baseline")
        put(tmp_path, f"a/with{seed}.json", result(base + 10, 60, seed=seed), "no_lrn")
    put(tmp_path, "a/with7.json", result(999, 999, seed=7), "no_lrn")
    put(tmp_path, "b/with0.json", result(500, 500), "no_lrn")
    base, here, other = together(on_disk(tmp_path))
    runs, found = differences(here, [base])
    assert found is not None
    assert [figure.value for figure in found] == pytest.approx([1, 1])
    assert [figure.spread for figure in found] == pytest.approx([0, 0], abs=1e-12)
    assert [each["run"]["seed"] for each in runs.results] == [0, 1]
    assert errors(base)[0].spread == pytest.approx(stdev((10, 30)))
    assert differences(other, [base]) == (other, None)


def test_a_difference_of_one_seed_has_the_interval_of_the_pair(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    base = rng.random(300) < 0.1
    wrong = base | (rng.random(300) < 0.05)
    for name, which in (("baseline", base), ("no_lrn", wrong)):
        made = result(int(which.sum()), int(which.sum()), images=300)
        made["wrong_images"] = {"top1": bits(which), "top5": bits(which)}
        put(tmp_path, f"a/{name}.json", made, name)
    row = found(comparison(on_disk(tmp_path)), "without normalisation", "How")
    assert row.here is not None
    assert row.here[0].value == pytest.approx(100 * (wrong.mean() - base.mean()))
    assert row.here[0].interval == difference_interval(wrong, base)
    assert re.match(r"\+\d\.\d \(\+\d\.\d … \+\d\.\d\) / ", cells(row)[2])


def test_a_baseline_of_another_model_is_none(tmp_path: Path) -> None:
    put(tmp_path, "a/base.json", result(100, 10, model="quick"), "baseline")
    put(tmp_path, "a/with.json", result(110, 12), "no_lrn")
    assert found(comparison(on_disk(tmp_path)), "without normalisation", "How").here is None


def test_bits_that_are_not_of_the_count_are_refused(tmp_path: Path) -> None:
    made = result(3, 1, images=8) | {"wrong_images": {"top1": "80", "top5": "80"}}
    put(tmp_path, "a/1.json", made)
    with pytest.raises(InputError, match=r"1\.json is no result.*top1 is not of top1_wrong images"):
        comparison(on_disk(tmp_path))


def test_where_a_net_was_first_trained_is_told(tmp_path: Path) -> None:
    put(tmp_path, "a/1.json", result(3, 1) | {"first_trained_on": "wide"}, "finetuned")
    assert "; first trained on wide; model paper" in comparison(on_disk(tmp_path))[-1].on


def test_what_would_be_counted_twice_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "a/1.json", result(1, 1))
    put(tmp_path, "a/2.json", result(1, 1))
    with pytest.raises(InputError, match=r"2\.json is of the same run as another"):
        comparison(on_disk(tmp_path))
    put(tmp_path, "a/1.json", result(1, 1, lr=1), "baseline")
    put(tmp_path, "a/2.json", result(1, 1, lr=1, parameters="0"), "baseline")
    put(tmp_path, "a/3.json", result(1, 1, lr=1), "no_lrn")
    with pytest.raises(InputError, match="experiments/a has 2 baselines"):
        comparison(on_disk(tmp_path))
    (tmp_path / "experiments/a/results/3.json").write_text("{")
    with pytest.raises(InputError, match=r"3\.json is no result"):
        comparison(on_disk(tmp_path))
