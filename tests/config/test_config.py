"""Where each value lives, and how a wrong one is told."""

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from alexnet.config.compose import GROUPS
from alexnet.runtime.errors import InputError
from presets import preset

ROOT = Path(__file__).parents[2]
MISSING = object()
CHOICES = sorted((ROOT / "conf").glob("*/*.yaml"))


def keys(tree: dict[str, Any], prefix: str = "") -> list[str]:
    inner = [
        keys(v, f"{prefix}{k}.") if isinstance(v, dict) else [prefix + k] for k, v in tree.items()
    ]
    return [key for some in inner for key in some]


def test_every_value_has_one_place() -> None:
    """Within any choice of groups no key is defined twice, and params.yaml holds only its own."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert set(params) == {*GROUPS, "seed", "lr"}
    places = Counter(keys(params))
    for group in GROUPS:
        places.update(f"{group}.{key}" for key in keys(preset(group, params[group])))
    assert max(places.values()) == 1
    assert not [path for path in CHOICES if "lr" in yaml.safe_load(path.read_text())]


@pytest.mark.parametrize("group", sorted({*GROUPS} - {"executor"}))  # whose arguments are its own
def test_the_choices_of_a_group_define_the_same_keys(group: str) -> None:
    names = [path.stem for path in CHOICES if path.parent.name == group]
    assert len({frozenset(preset(group, name)) for name in names}) == 1


@pytest.mark.parametrize("path", [p for p in CHOICES if p.parent.name in ("model", "recipe")])
def test_a_preset_lists_only_what_differs_from_paper(path: Path) -> None:
    own = yaml.safe_load(path.read_text())
    if path.stem == "paper":
        assert "defaults" not in own
        return
    assert own.pop("defaults") == ["paper", "_self_"]
    paper = flat(preset(path.parent.name, "paper"))
    assert not [key for key, value in flat(own).items() if paper.get(key, MISSING) == value]


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by their dotted keys."""
    values: dict[str, Any] = {}
    for key, value in tree.items():
        nested = isinstance(value, dict) and value
        values |= flat(value, f"{prefix}{key}.") if nested else {prefix + key: value}
    return values


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of what a stage needs to start, so that none runs on data/."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("conf", "src", "stages"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "params.yaml", folder)
    return folder


def run(copy: Path, stage: str, *overrides: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(copy / f"stages/{stage}.py"), *overrides]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")


@pytest.mark.parametrize(
    ("override", "says"),
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
def test_a_wrong_parameter_is_one_clear_line(copy: Path, override: str, says: str) -> None:
    ran = run(copy, "moments", override)
    assert ran.returncode == 1
    (line,) = ran.stderr.splitlines()
    assert line.startswith("error: ")
    assert says in line
    assert "fix: " in line
    assert ran.stdout == ""


def test_help_and_the_composed_configuration_can_be_seen(copy: Path) -> None:
    shown = yaml.safe_load(run(copy, "train", "--cfg", "job", "lr=0.5", "model=paper").stdout)
    assert (shown["lr"], shown["model"]["width_divisor"]) == (0.5, 1)
    assert run(copy, "train", "--help").returncode == 0


def test_a_message_is_one_line() -> None:
    assert str(InputError("what\n  where", "command")) == "what where; fix: command"
    assert str(InputError("what")) == "what"
