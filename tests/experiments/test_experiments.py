"""The pipelines of experiments/: dependencies, outputs, and rows that change what they claim."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from alexnet.comparison.paper import TABLES
from alexnet.comparison.results_on_disk import COLLECTED
from alexnet.comparison.runs import PLAIN_ROWS
from alexnet.config.compose import load_config
from alexnet.model.alexnet import AlexNet, layers_of
from alexnet.model.net_config import NetConfig
from imports import ROOT, SOURCE, imported, package

FOLDERS = sorted(path.parent for path in (ROOT / "experiments").glob("*/dvc.yaml"))
STAGES: list[tuple[str, str, Any]] = [
    (folder.name, name, stage)
    for folder in FOLDERS
    for name, stage in yaml.safe_load((folder / "dvc.yaml").read_text())["stages"].items()
]
ROWS = {
    path.name: path.read_text().split() for path in (ROOT / "experiments/ablations/rows").iterdir()
}


def commands(stage: Any) -> list[str]:
    return stage["cmd"] if isinstance(stage["cmd"], list) else [stage["cmd"]]


@pytest.mark.parametrize(("folder", "name", "stage"), STAGES)
def test_deps_are_the_scripts_and_the_packages_they_import(
    folder: str, name: str, stage: Any
) -> None:
    found = re.findall(r"python (\S+)", " ".join(commands(stage)))
    scripts = {ROOT / script for script in found}
    modules = scripts.union(*map(imported, scripts))
    expected = {SOURCE / package(path) if package(path) else path for path in modules}
    listed = {ROOT / dep for dep in stage["deps"] if dep.startswith("src") or dep.endswith(".py")}
    assert listed == expected


@pytest.mark.parametrize(("folder", "name", "stage"), STAGES)
def test_outputs_are_in_the_experiments_own_folder(folder: str, name: str, stage: Any) -> None:
    assert stage["outs"]
    for out in stage["outs"]:
        path = out if isinstance(out, str) else next(iter(out))
        assert path.startswith(f"experiments/{folder}/")


def test_the_main_pipeline_depends_only_on_the_collected_results() -> None:
    """Otherwise a plain `dvc repro` would train the experiments."""
    named = re.findall(r"experiments/\S*", (ROOT / "dvc.yaml").read_text())
    assert named == [str(COLLECTED)]
    assert not [folder for folder, _, stage in STAGES if str(COLLECTED) in str(stage["outs"])]


def test_the_matrix_of_ablations_has_all_rows() -> None:
    pipeline = yaml.safe_load((ROOT / "experiments/ablations/dvc.yaml").read_text())
    assert set(pipeline["stages"]["train"]["matrix"]["row"]) == set(ROWS)


@pytest.fixture
def same_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Return to the current folder after the test: load_config changes it."""
    monkeypatch.chdir(Path.cwd())


@pytest.mark.usefixtures("same_folder")
@pytest.mark.parametrize("row", ROWS)
def test_an_ablation_changes_only_the_parameters_it_names(row: str) -> None:
    baseline, ablation = (parameters(overrides) for overrides in ([], ROWS[row]))
    changed = {name for name, value in baseline.items() if ablation[name] != value}
    assert changed == {override.partition("=")[0] for override in ROWS[row]}
    assert bool(changed) is (row != "baseline")
    if removed := re.fullmatch(r"no_(conv\d)", row):
        assert ablation[f"model.maps.{removed[1]}"] == 0


@pytest.mark.usefixtures("same_folder")
@pytest.mark.parametrize("row", ROWS)
def test_each_ablation_is_a_valid_net(row: str) -> None:
    model = asdict(load_config(ROWS[row]).model)
    del model["init_std"], model["init_bias"]
    net = AlexNet(NetConfig.from_mapping({"classes": 3} | model))
    assert list(layers_of(net))[-1] == "fc8"


def test_an_experiment_fills_each_row_of_the_paper_that_is_not_a_plain_run() -> None:
    """Fall 2009 is no longer available; the script for CIFAR-10 names its rows itself."""
    keys = {row.key.partition(",")[0] for table in TABLES for row in table.rows if row.key}
    recorded = set(re.findall(r'"(\w+)"', line_of("experiments/cifar10/lrn.py", "ROWS = ")))
    for _, _, stage in STAGES:
        for name in re.findall(r'(?:record|average)\.py (".*?"|\S+)', " ".join(commands(stage))):
            item = re.fullmatch(r"\$\{item\.(\w+)\}", name)
            recorded |= set(stage["matrix"][item[1]]) if item else {name.strip('"')}
    assert keys - {*PLAIN_ROWS, "Fall 2009"} <= recorded


def line_of(path: str, start: str) -> str:
    return next(line for line in (ROOT / path).read_text().splitlines() if line.startswith(start))


def test_an_ensemble_averages_the_members_it_depends_on(tmp_path: Path) -> None:
    """Its globs must not match the folders of other seeds."""
    for name in ("five", "seven"):
        (stage,) = (s for folder, stage, s in STAGES if (folder, stage) == ("ensembles", name))
        members = {dep for dep in stage["deps"] if re.fullmatch(r"experiments/.*/evaluate", dep)}
        for seed in range(10):
            for run in (f"ensembles/runs/{seed}", f"pretraining/runs/finetuned-{seed}"):
                (tmp_path / "experiments" / run / "evaluate").mkdir(parents=True, exist_ok=True)
        globs = stage["cmd"].split(".json ")[1].split()
        found = [path for glob in globs for path in tmp_path.glob(glob)]
        assert {str(path.relative_to(tmp_path)) for path in found} == members


def parameters(overrides: list[str]) -> dict[str, Any]:
    """Return every parameter by its dotted name."""
    found: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict) and value:
            for key, item in value.items():
                walk(f"{prefix}.{key}" if prefix else key, item)
        else:
            found[prefix] = value

    walk("", asdict(load_config(overrides)))
    for key in [key for key in found if key.startswith("model.lrn.")]:
        found["model.lrn"] = found.get("model.lrn", {}) | {key: found.pop(key)}
    return found
