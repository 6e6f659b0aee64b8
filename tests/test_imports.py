"""Which heavy packages each command and stage imports.

`python -X importtime` lists every imported module, also those of worker processes.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from alexnet.cli.main import COMMANDS as ALL_COMMANDS
from checkout import Checkout

HEAVY = {"torch", "matplotlib", "scipy", "dvc", "hydra", "lmdb", "PIL", "jinja2", "safetensors"}
LIGHT = {"numpy", "rich"}  # too heavy only for the help
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
    "verify": {"PIL", "hydra", "safetensors"},  # DVC runs in a process of its own
    "export --pt2 {}/net.pt2": {"PIL", "safetensors", "torch"},
}
STAGES = {
    "index": {"PIL", "hydra"},  # scipy only when a miniature is generated
    "resize": {"PIL", "hydra", "lmdb"},
    "moments": {"PIL", "hydra"},
    "report": {"PIL", "hydra", "matplotlib", "jinja2", "safetensors"},
}
UNCHANGED = """
import os, pkgutil, signal, threading, torch, alexnet
from importlib import import_module

def state():
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    threads = torch.get_num_threads(), torch.get_num_interop_threads(), threading.active_count()
    return dict(os.environ), handlers, threads, os.getcwd()

before = state()
names = [module.name for module in pkgutil.walk_packages(alexnet.__path__, "alexnet.")]
for name in names:
    import_module(name)
    assert state() == before, name
print(len(names))
"""


def imported(output: str) -> set[str]:
    """Return the packages among HEAVY and LIGHT that -X importtime lists."""
    names = re.findall(r"^import time: +\d+ \| +\d+ \| +([\w]+)", output, re.MULTILINE)
    return set(names) & (HEAVY | LIGHT)


def test_the_table_lists_every_command_that_needs_no_photos() -> None:
    listed = {line.split()[0] for line in COMMANDS if line[0] != "-"}
    assert listed == set(ALL_COMMANDS) - {"predict", "submit"}


@pytest.mark.parametrize("command", ["", "predict", "inspect", "explain", "verify", "doctor"])
def test_help_imports_no_heavy_package(command: str) -> None:
    line = [sys.executable, "-X", "importtime", "-m", "alexnet", *command.split(), "--help"]
    ran = subprocess.run(line, capture_output=True, text=True, check=True)
    assert "alexnet.cli" in ran.stderr
    assert not imported(ran.stderr)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_imports_only_what_it_uses(
    checkout: Checkout, tmp_path: Path, command: str
) -> None:
    line = command.format(tmp_path).split()
    source = str(checkout.folder / "src")
    output = checkout.run("python", "-X", "importtime", "-m", "alexnet", *line, PYTHONPATH=source)
    assert imported(output) - LIGHT == COMMANDS[command]


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_imports_only_what_it_uses(checkout: Checkout, stage: str) -> None:
    output = checkout.run("python", "-X", "importtime", f"stages/{stage}.py")
    assert imported(output) - LIGHT == STAGES[stage]


def test_imports_leave_the_process_state_unchanged() -> None:
    """Environment, signal handlers, threads and working directory stay the same."""
    line = [sys.executable, "-c", UNCHANGED]
    ran = subprocess.run(line, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) > 50
