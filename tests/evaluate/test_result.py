"""The form of a result: its errors are its counts, and what is no result is refused."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from alexnet.evaluate.result import errors_table, interval, read_result, result_of, run_of, wilson
from alexnet.evaluate.result import write_result as write
from alexnet.runtime.errors import InputError
from small_model import small_description

COUNTS = {"top1_wrong": 75, "top5_wrong": 3, "center_top1_wrong": 90, "center_top5_wrong": 6}
MODEL = replace(
    small_description(),
    choices={"dataset": "folder", "model": "paper", "recipe": "quick"},
    recipe={"epochs": 24, "precision": "fp32"},
    seed=4,
    lr=0.02,
)
RESULT = result_of(COUNTS, 300, run_of(MODEL, "test"))
PARAMETERS = RESULT["run"]["parameters"]


def test_errors_are_the_counts_of_the_images() -> None:
    errors = {"top1_error": 25, "top5_error": 1, "center_top1_error": 30, "center_top5_error": 2}
    run = {"dataset": "folder", "split": "test", "classes": 7, "model": "paper"}
    run |= {"recipe": "quick", "parameters": PARAMETERS, "seed": 4, "lr": 0.02}
    assert {**errors, **COUNTS, "images": 300, "run": run} == RESULT


def test_an_override_is_another_run_of_the_same_names() -> None:
    assert len(PARAMETERS) == 8
    for other in (
        replace(MODEL, net=replace(MODEL.net, dropout=0.1)),
        replace(MODEL, recipe={**MODEL.recipe, "epochs": 25}),
        replace(MODEL, input=replace(MODEL.input, resample="area")),
    ):
        assert run_of(other, "test")["parameters"] != PARAMETERS
    same = replace(MODEL, seed=5, lr=0.5)
    assert run_of(same, "test")["parameters"] == PARAMETERS


def test_seeds_that_began_with_runs_of_their_own_are_of_one_kind() -> None:
    def began(start: str | None) -> Any:
        return run_of(replace(MODEL, recipe={**MODEL.recipe, "init_from": start}), "test")

    assert began("runs/pretrained-0/train") == began("runs/pretrained-1/train") != began(None)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write(tmp_path / "a.json", RESULT)
    assert read_result(tmp_path / "a.json") == RESULT
    assert (tmp_path / "a.json").read_text().endswith("}\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1, 2]",
        "{}",
        json.dumps({**RESULT, "top5_error": "low"}),
        json.dumps({**RESULT, "run": {"dataset": "folder"}}),
        json.dumps({**RESULT, "run": None}),
        json.dumps({**RESULT, "run": "dataset split classes model recipe seed lr"}),
        json.dumps({**RESULT, "run": {**RESULT["run"], "classes": "nine"}}),
        json.dumps({**RESULT, "images": 0}),
    ],
)
def test_what_is_no_result_is_refused_in_a_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=r"a\.json is no result: .*; fix: dvc repro") as told:
        read_result(tmp_path / "a.json")
    assert "\n" not in str(told.value)


def test_the_table_tells_errors_and_intervals() -> None:
    file = io.StringIO()
    Console(file=file, width=100).print(errors_table(RESULT))
    told = file.getvalue()
    low, high = (100 * bound for bound in wilson(75 / 300, 300))
    assert (round(low, 1), round(high, 1)) == (20.4, 30.2)
    assert interval(RESULT, "top1") == (low, high)
    assert "300 test images" in told
    assert "25.0 % (20.4–30.2)" in told
    assert "2.0 % (0.9–4.3)" in told
    ensemble = {name: value for name, value in RESULT.items() if "center" not in name}
    assert errors_table(ensemble).row_count == 1


@pytest.mark.parametrize(("wrong", "n"), [(5, 10), (0, 300), (300, 300), (71, 300), (1, 50_000)])
def test_wilson_bounds_solve_the_score_equation(wrong: int, n: int) -> None:
    rate = wrong / n
    bounds = wilson(rate, n)
    for bound in bounds:
        score = (rate - bound) ** 2
        assert score == pytest.approx(1.959964**2 * bound * (1 - bound) / n, abs=1e-12)
    assert bounds[0] <= rate <= bounds[1]
    assert wilson(0.5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(0.3, 0) == (0, 1)
