"""What each command and stage imports: a heavy package only where its row has it.

`python -X importtime` names every module as it is imported, in workers too.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from alexnet.cli.main import _parser
from checkout import Checkout

HEAVY = {"torch", "matplotlib", "scipy", "dvc", "hydra", "lmdb", "PIL", "jinja2", "safetensors"}
LIGHT = {"numpy", "rich"}  # of no importance but to the help
COMMANDS = {
    "--help": set(),
    "--version": set(),
    "doctor": {"hydra", "lmdb", "PIL"},
    "inspect index": {"PIL"},
    "inspect shards": {"PIL"},
    "inspect moments": {"PIL"},
    "inspect model": {"PIL", "safetensors"},
    "inspect shards --pictures {}": {"PIL", "matplotlib"},
    "inspect moments --pictures {}": {"PIL", "matplotlib"},
    "inspect model --pictures {}": {"PIL", "safetensors", "matplotlib"},
    "explain top1_error": {"PIL", "hydra", "dvc"},
    "compare": set(),
    "verify": {"PIL", "hydra", "dvc", "safetensors"},
    "export --pt2 {}/net.pt2": {"PIL", "safetensors", "torch"},
}
STAGES = {
    "index": {"PIL", "hydra"},
    "resize": {"PIL", "hydra", "lmdb"},
    "moments": {"PIL", "hydra"},
    "report": {"PIL", "hydra", "matplotlib", "jinja2", "safetensors"},
}
UNCHANGED = """
import os, pkgutil, signal, threading, torch, alexnet
from importlib import import_module

def state():
    handlers = {each: signal.getsignal(each) for each in signal.valid_signals()}
    threads = torch.get_num_threads(), torch.get_num_interop_threads(), threading.active_count()
    return dict(os.environ), handlers, threads, os.getcwd()

before, names = state(), [each.name for each in pkgutil.walk_packages(alexnet.__path__, "alexnet.")]
for name in names:
    import_module(name)
    assert state() == before, name
print(len(names))
"""


def imported(said: str) -> set[str]:
    """The packages among HEAVY and LIGHT that -X importtime names."""
    names = re.findall(r"^import time: +\d+ \| +\d+ \| +([\w]+)", said, re.MULTILINE)
    return set(names) & (HEAVY | LIGHT)


def test_the_table_has_all_commands_that_need_no_photo() -> None:
    names = set(re.findall(r"^    (\w+) {2,}", _parser().format_help(), re.MULTILINE))
    assert {line.split()[0] for line in COMMANDS if line[0] != "-"} == names - {"predict", "submit"}


@pytest.mark.parametrize("command", ["", "predict", "inspect", "explain", "verify", "doctor"])
def test_help_imports_nothing(command: str) -> None:
    line = [sys.executable, "-X", "importtime", "-m", "alexnet", *command.split(), "--help"]
    ran = subprocess.run(line, capture_output=True, text=True, check=True)
    assert "alexnet.cli" in ran.stderr
    assert not imported(ran.stderr)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_imports_what_it_uses(checkout: Checkout, tmp_path: Path, command: str) -> None:
    line = command.format(tmp_path).split()
    source = str(checkout.folder / "src")
    said = checkout.run("python", "-X", "importtime", "-m", "alexnet", *line, PYTHONPATH=source)
    assert imported(said) - LIGHT == COMMANDS[command]


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_imports_what_it_uses(checkout: Checkout, stage: str) -> None:
    said = checkout.run("python", "-X", "importtime", f"stages/{stage}.py")
    assert imported(said) - LIGHT == STAGES[stage]


def test_no_import_changes_the_process() -> None:
    """Nor where it is: environment, signal handlers, threads and folder are as they were."""
    line = [sys.executable, "-c", UNCHANGED]
    ran = subprocess.run(line, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) > 50
