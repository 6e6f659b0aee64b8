"""`@stage`: run a stage script on its composed configuration."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from alexnet.config.compose import INVALID, PRESETS, register, short_message, to_config
from alexnet.config.schema import Config
from alexnet.runtime.errors import InputError, disk_error
from alexnet.runtime.paths import CHECKOUT, home

# packages whose version can change a result
PACKAGES = ("cykooz-resizer", "dvc", "lmdb", "numpy", "pillow", "simplejpeg", "torch")

Main = Callable[[Config], float | None]


def stage(main: Main) -> Callable[[], None]:
    """Run `main` on the configuration composed from params.yaml, conf/ and the command line.

    Invalid input ends the process with one line on stderr and exit code 1. With `-m` (Hydra's
    multirun) job n writes to multirun/<n>; what `main` returns is the objective of a sweeper.
    """

    def run() -> None:
        os.environ["HYDRA_FULL_ERROR"] = "1"  # raise, instead of many lines by Hydra
        with errors_in_one_line():
            os.chdir(CHECKOUT)
            sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
            register()
            hydra.main(str(CHECKOUT / "conf"), "params", version_base="1.3")(job)()

    def job(composed: DictConfig) -> float | None:
        with errors_in_one_line():  # here as well: Hydra would print errors that pass through it
            started = time.time()
            objective = main(_job_config(composed))
            with suppress(OSError):  # the work is done, with or without its record
                record_run(Path(sys.argv[0]).stem, started)
            return objective

    return run


def _job_config(composed: DictConfig) -> Config:
    """Return the typed configuration, with the names of the presets.

    A job of a multirun writes to its own folder. sys.argv becomes the command of this job alone:
    torchrun starts the script again with it.
    """
    config, own = to_config(composed), HydraConfig.get()
    config.choices = {group: own.runtime.choices[group] for group in PRESETS}
    if own.mode == RunMode.MULTIRUN:
        sys.argv[1:] = own.overrides.task
        if config.into == config.data:
            config.into = str(Path(own.sweep.dir, own.sweep.subdir))
            sys.argv.append(f"into={config.into}")
    return config


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """End the process with one line and exit code 1 on invalid input, a full disk or Ctrl-C."""
    try:
        yield
    except InputError as error:
        sys.exit(f"error: {error}")
    except INVALID as error:
        sys.exit(f"error: {InputError(short_message(error), _fix())}")
    except OSError as error:
        sys.exit(f"error: {disk_error(error)}")
    except KeyboardInterrupt:
        sys.exit("stopped; run the same command to resume")


def _fix() -> str:
    script = Path(sys.argv[0]).name
    return f"name a parameter shown by `python stages/{script} --cfg job`, with a value of its type"


def record_run(stage: str, started: float) -> None:
    """Write .scratch/<stage>/run.json: time, host and versions, which no output may hold."""
    describe = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    commit = subprocess.run(describe, capture_output=True, text=True, check=False, cwd=CHECKOUT)
    run = {
        "command": sys.argv,
        "commit": commit.stdout.strip(),
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - started, 1),
        "host": platform.node(),
        "python": platform.python_version(),
        "packages": {d.name: d.version for d in distributions() if d.name in PACKAGES},
    }
    path = home() / ".scratch" / stage / "run.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(run, indent=1) + "\n")
