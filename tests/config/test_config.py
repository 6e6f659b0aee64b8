"""Each parameter has one place, invalid values are reported, Hydra's own features work."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from alexnet.config.compose import GROUPS
from alexnet.runtime.errors import InputError
from presets import preset

ROOT = Path(__file__).parents[2]
MISSING = object()
PRESETS = sorted((ROOT / "conf").glob("*/*.yaml"))


def test_each_parameter_is_defined_in_one_place() -> None:
    """params.yaml holds only names of presets, seed and lr; no preset holds these two."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert set(params) == {*GROUPS, "seed", "lr"}
    assert not [path for path in PRESETS if "lr" in yaml.safe_load(path.read_text())]


@pytest.mark.parametrize("group", sorted({*GROUPS} - {"executor"}))  # each has its own arguments
def test_the_presets_of_a_group_define_the_same_keys(group: str) -> None:
    names = [path.stem for path in PRESETS if path.parent.name == group]
    assert len({frozenset(preset(group, name)) for name in names}) == 1


@pytest.mark.parametrize("path", [p for p in PRESETS if p.parent.name in ("model", "recipe")])
def test_a_preset_lists_only_what_differs_from_paper(path: Path) -> None:
    own = yaml.safe_load(path.read_text())
    if path.stem == "paper":
        assert "defaults" not in own
        return
    assert own.pop("defaults") == ["paper", "_self_"]
    paper = flat(preset(path.parent.name, "paper"))
    assert not [key for key, value in flat(own).items() if paper.get(key, MISSING) == value]


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values by their dotted keys."""
    values: dict[str, Any] = {}
    for key, value in tree.items():
        nested = isinstance(value, dict) and value
        values |= flat(value, f"{prefix}{key}.") if nested else {prefix + key: value}
    return values


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a stage needs to start, so that none runs on data/."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("conf", "src", "stages"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "params.yaml", folder)
    return folder


def run(copy: Path, stage: str, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(copy / f"stages/{stage}.py"), *args]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd="/", env=os.environ | env
    )


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("lr=fast", "lr: Value 'fast'"),
        ("rl=0.01", "Key 'rl' not in 'Config'"),
        ("+recipe.momentumm=0.9", "Key 'momentumm' not in 'Recipe'"),
        ("recipe.epochs=many", "recipe.epochs: Value 'many'"),
        ("dataset.pixels=png", "dataset.pixels: Invalid value 'png', expected one of [raw, jpeg]"),
        (
            "model=alexnett",
            "'model/alexnett' Available options in 'model': caffe one_gpu original paper quick",
        ),
        ("lr=[", "no viable alternative"),
    ],
)
def test_an_invalid_parameter_gives_one_line(copy: Path, override: str, message: str) -> None:
    ran = run(copy, "moments", override)
    assert ran.returncode == 1
    (line,) = ran.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert "fix: " in line
    assert ran.stdout == ""


def test_help_and_the_composed_configuration_are_printed(copy: Path) -> None:
    shown = yaml.safe_load(run(copy, "train", "--cfg", "job", "lr=0.5", "model=paper").stdout)
    assert (shown["lr"], shown["model"]["width_divisor"]) == (0.5, 1)
    assert run(copy, "train", "--help").returncode == 0


def test_the_shell_can_complete_parameters(copy: Path) -> None:
    assert "complete -o nospace" in run(copy, "train", "-sc", "install=bash").stdout
    line = {"COMP_LINE": "python stages/train.py model=q", "COMP_POINT": "30"}
    assert run(copy, "train", "-sc", "query=bash", **line).stdout.strip() == "model=quick"


def test_hydra_itself_can_be_configured_on_the_command_line(copy: Path) -> None:
    ran = run(copy, "train", "--cfg", "hydra", "hydra.run.dir=elsewhere", "+hydra.job.env_set.A=b")
    shown = yaml.safe_load(ran.stdout)["hydra"]
    assert (shown["run"]["dir"], shown["job"]["env_set"]) == ("elsewhere", {"A": "b"})


def test_each_job_of_a_multirun_writes_to_its_own_folder(copy: Path) -> None:
    small = ["dataset.drawn.train_per_class=2", "dataset.drawn.val_per_class=2"]
    ran = run(copy, "index", "-m", "dataset.seed=1,2", *small)
    assert ran.returncode == 0, ran.stderr
    first, second = (copy / f"multirun/{n}/index/train.npy" for n in range(2))
    assert first.read_bytes() != second.read_bytes()
    assert not (copy / "data").exists()


JOB = """
import sys
sys.path.insert(0, "src")
from alexnet.config.stage import stage

@stage
def main(config):
    print(config.data, config.into, config.lr, sys.argv[1:])

main()
"""


def test_a_job_of_a_multirun_can_restart_itself_alone(copy: Path) -> None:
    """torchrun starts a script again with sys.argv, which then must not name all jobs."""
    (copy / "stages/job.py").write_text(JOB)
    lines = run(copy, "job", "-m", "lr=0.1,0.2").stdout.splitlines()
    assert lines[0] == "data multirun/0 0.1 ['lr=0.1', 'into=multirun/0']"
    assert lines[-1] == "data multirun/1 0.2 ['lr=0.2', 'into=multirun/1']"
    assert run(copy, "job", "-m", "lr=0.1", "into=x").stdout == "data x 0.1 ['lr=0.1', 'into=x']\n"
    assert run(copy, "job", "lr=0.1").stdout == "data data 0.1 ['lr=0.1']\n"


def test_a_message_is_one_line() -> None:
    assert str(InputError("problem\n  place", "command")) == "problem place; fix: command"
    assert str(InputError("problem")) == "problem"
