"""The matrices of experiments/: what a run depends on, and that each row is the net it names."""

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
from imports import ROOT, SOURCE, imported, package

FOLDERS = sorted(path.parent for path in (ROOT / "experiments").glob("*/dvc.yaml"))
STAGES: list[tuple[str, str, Any]] = [
    (folder.name, name, told)
    for folder in FOLDERS
    for name, told in yaml.safe_load((folder / "dvc.yaml").read_text())["stages"].items()
]
ROWS = {
    path.name: path.read_text().split() for path in (ROOT / "experiments/ablations/rows").iterdir()
}


@pytest.mark.parametrize(("folder", "name", "told"), STAGES)
def test_deps_are_the_scripts_and_their_packages(folder: str, name: str, told: Any) -> None:
    commands = told["cmd"] if isinstance(told["cmd"], list) else [told["cmd"]]
    scripts = {ROOT / script for each in commands for script in re.findall(r"python (\S+)", each)}
    modules = scripts.union(*map(imported, scripts))
    expected = {SOURCE / package(path) if package(path) else path for path in modules}
    listed = {ROOT / dep for dep in told["deps"] if dep.startswith("src") or dep.endswith(".py")}
    assert listed == expected


@pytest.mark.parametrize(("folder", "name", "told"), STAGES)
def test_outputs_lie_in_its_own_folder(folder: str, name: str, told: Any) -> None:
    written = told["outs"]
    assert written
    for each in written:
        path = each if isinstance(each, str) else next(iter(each))
        assert path.startswith(f"experiments/{folder}/")


def test_a_plain_repro_depends_on_no_experiment() -> None:
    """But on what was collected of them, which none of their stages writes."""
    named = re.findall(r"experiments/\S*", (ROOT / "dvc.yaml").read_text())
    assert named == [str(COLLECTED)]
    assert not [folder for folder, _, told in STAGES if str(COLLECTED) in str(told["outs"])]


def test_the_rows_are_those_of_the_matrix() -> None:
    told = yaml.safe_load((ROOT / "experiments/ablations/dvc.yaml").read_text())
    assert set(told["stages"]["train"]["matrix"]["row"]) == set(ROWS)


@pytest.fixture
def same_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path.cwd())  # where load_config leaves the process


@pytest.mark.usefixtures("same_folder")
@pytest.mark.parametrize("row", ROWS)
def test_a_row_differs_from_the_baseline_in_what_its_name_says(row: str) -> None:
    plain, other = (_told(overrides) for overrides in ([], ROWS[row]))
    changed = {name for name, value in plain.items() if other[name] != value}
    assert changed == {each.partition("=")[0] for each in ROWS[row]}
    assert bool(changed) is (row != "baseline")
    if removed := re.fullmatch(r"no_(conv\d)", row):
        assert other[f"model.maps.{removed[1]}"] == 0


@pytest.mark.usefixtures("same_folder")
@pytest.mark.parametrize("row", ROWS)
def test_each_row_is_a_net(row: str) -> None:
    model = asdict(load_config(ROWS[row]).model)
    net = AlexNet(3, **{k: v for k, v in model.items() if not k.startswith("init")})
    assert list(layers_of(net))[-1] == "fc8"


def test_every_row_of_the_paper_that_is_not_a_plain_run_is_filled_by_an_experiment() -> None:
    """Fall 2009's images can no longer be had; CIFAR-10's script names its rows itself."""
    keys = {row.key.partition(",")[0] for table in TABLES for row in table.rows if row.key}
    recorded = set(re.findall(r'"(\w+)"', _line_of("experiments/cifar10/lrn.py", "ROWS = ")))
    for _, _, told in STAGES:
        commands = told["cmd"] if isinstance(told["cmd"], list) else [told["cmd"]]
        for name in re.findall(r'(?:record|average)\.py (".*?"|\S+)', " ".join(commands)):
            item = re.fullmatch(r"\$\{item\.(\w+)\}", name)
            recorded |= set(told["matrix"][item[1]]) if item else {name.strip('"')}
    assert keys - {*PLAIN_ROWS, "Fall 2009"} <= recorded


def _line_of(path: str, start: str) -> str:
    return next(each for each in (ROOT / path).read_text().splitlines() if each.startswith(start))


def test_an_ensemble_has_the_members_that_it_depends_on(tmp_path: Path) -> None:
    """Folders that other seeds have left behind are none of them."""
    for name in ("five", "seven"):
        told = next(
            told for folder, stage, told in STAGES if (folder, stage) == ("ensembles", name)
        )
        members = {dep for dep in told["deps"] if re.fullmatch(r"experiments/.*/evaluate", dep)}
        for seed in range(10):
            for run in (f"ensembles/runs/{seed}", f"pretraining/runs/finetuned-{seed}"):
                (tmp_path / "experiments" / run / "evaluate").mkdir(parents=True, exist_ok=True)
        globs = told["cmd"].split(".json ")[1].split()
        found = [path for glob in globs for path in tmp_path.glob(glob)]
        assert {str(path.relative_to(tmp_path)) for path in found} == members


def _told(overrides: list[str]) -> dict[str, Any]:
    """Every parameter by its dotted name."""
    found: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict) and value:
            for key, each in value.items():
                walk(f"{prefix}.{key}" if prefix else key, each)
        else:
            found[prefix] = value

    walk("", asdict(load_config(overrides)))
    for key in [key for key in found if key.startswith("model.lrn.")]:
        found["model.lrn"] = found.get("model.lrn", {}) | {key: found.pop(key)}
    return found
