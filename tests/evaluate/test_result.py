"""Results: errors follow from counts, JSON round-trips, and invalid JSON is rejected."""

import io
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from rich.console import Console

from alexnet.evaluate.intervals import pack_bits, wilson_interval
from alexnet.evaluate.result import Result, errors_table, read_result, run_of, write_result
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
RESULT = Result(COUNTS, 300, run_of(MODEL, "test"))
PARAMETERS = RESULT.run.parameters


def test_json_holds_errors_counts_images_and_the_run() -> None:
    errors = {"top1_error": 25, "top5_error": 1, "center_top1_error": 30, "center_top5_error": 2}
    run = {"dataset": "folder", "split": "test", "classes": 7, "model": "paper"}
    run |= {"recipe": "quick", "parameters": PARAMETERS, "seed": 4, "lr": 0.02}
    expected = {**errors, **COUNTS, "images": 300, "run": run}
    assert list(RESULT.to_json().items()) == list(expected.items())


def test_an_override_changes_the_parameters_hash() -> None:
    assert PARAMETERS is not None
    assert len(PARAMETERS) == 8
    for other in (
        replace(MODEL, net=replace(MODEL.net, dropout=0.1)),
        replace(MODEL, recipe={**MODEL.recipe, "epochs": 25}),
        replace(MODEL, input=replace(MODEL.input, resample="area")),
    ):
        assert run_of(other, "test").parameters != PARAMETERS
    same = replace(MODEL, seed=5, lr=0.5)
    assert run_of(same, "test").parameters == PARAMETERS


def test_the_path_of_the_initial_weights_does_not_change_the_parameters_hash() -> None:
    def parameters(init_from: str | None) -> str | None:
        recipe = {**MODEL.recipe, "init_from": init_from}
        return run_of(replace(MODEL, recipe=recipe), "test").parameters

    first, second = (parameters(f"runs/pretrained-{seed}/train") for seed in (0, 1))
    assert first == second != parameters(None)


@pytest.mark.parametrize(
    "result",
    [
        RESULT,
        Result({"top1_wrong": 75, "top5_wrong": 3}, 300, RESULT.run, "5 CNNs", (RESULT.run,) * 5),
        Result(
            {"top1_wrong": 1, "top5_wrong": 0},
            2,
            replace(RESULT.run, seed=None, lr=None),
            wrong_images={"top1": pack_bits([True, False]), "top5": "00"},  # type: ignore[arg-type]
            first_trained_on="wide",
        ),
    ],
)
def test_a_result_is_read_as_it_was_written(tmp_path: Path, result: Result) -> None:
    write_result(tmp_path / "a.json", result)
    assert read_result(tmp_path / "a.json") == result
    assert (tmp_path / "a.json").read_text().endswith("}\n")


JSON = RESULT.to_json()
RUN = asdict(RESULT.run)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1, 2]",
        "{}",
        json.dumps({**JSON, "top5_error": "low"}),
        json.dumps({**JSON, "top5_error": 1.5}),
        json.dumps({**JSON, "top5_wrong": 301, "top5_error": 100 * 301 / 300}),
        json.dumps({**JSON, "top5_wrong": -3, "top5_error": -1}),
        json.dumps({**JSON, "center_top1_wrong": None}),
        json.dumps({**JSON, "run": {"dataset": "folder"}}),
        json.dumps({**JSON, "run": None}),
        json.dumps({**JSON, "run": "dataset split classes model recipe seed lr"}),
        json.dumps({**JSON, "run": {**RUN, "classes": "nine"}}),
        json.dumps({**JSON, "run": {**RUN, "seed": [1]}}),
        json.dumps({**JSON, "images": 0}),
        json.dumps({**JSON, "images": 300.0}),
        json.dumps({**JSON, "row": 3}),
        json.dumps({**JSON, "members": [{}]}),
        json.dumps({**JSON, "members": 5}),
        json.dumps({**JSON, "wrong_images": {"top1": "80"}}),
        json.dumps({**JSON, "wrong_images": [1]}),
    ],
)
def test_an_invalid_result_is_rejected_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=r"a\.json is not a valid result: .*; fix: dvc") as error:
        read_result(tmp_path / "a.json")
    assert "\n" not in str(error.value)


def test_the_table_shows_errors_and_intervals() -> None:
    file = io.StringIO()
    Console(file=file, width=100).print(errors_table(RESULT))
    text = file.getvalue()
    low, high = (100 * bound for bound in wilson_interval(75 / 300, 300))
    assert (round(low, 1), round(high, 1)) == (20.4, 30.2)
    assert RESULT.interval("top1") == (low, high)
    assert "300 test images" in text
    assert "25.0 % (20.4–30.2)" in text
    assert "2.0 % (0.9–4.3)" in text
    without_centre = Result({"top1_wrong": 75, "top5_wrong": 3}, 300, RESULT.run)
    assert errors_table(without_centre).row_count == 1
