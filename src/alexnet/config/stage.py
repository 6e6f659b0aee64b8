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
from hydra import compose, initialize
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from alexnet.config.compose import PRESETS, WRONG, _composed, _first_words, _params, _store, _typed
from alexnet.config.schema import Config as Config
from alexnet.runtime.errors import InputError
from alexnet.runtime.paths import CHECKOUT, home

# parts of Hydra's own configuration by which it would call, or write to, whatever they name
HYDRA = ("callbacks", "hydra_logging", "job_logging", "launcher", "sweeper", "run", "output_subdir")


def stage(main: Callable[[Config], None]) -> Callable[[], None]:
    """Run `main` on the configuration composed from params.yaml, conf/ and the command line.

    Bad input ends in one line on stderr and exit code 1.
    """

    def run() -> None:
        os.environ["HYDRA_FULL_ERROR"] = "1"  # raise to here: Hydra itself would print many lines
        with errors_in_one_line():
            os.chdir(CHECKOUT)
            sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
            _store(_params())
            _check_own(sys.argv[1:])
            hydra.main(str(CHECKOUT / "conf"), "params", version_base="1.3")(job)()

    def job(composed: DictConfig) -> None:
        with errors_in_one_line():  # inside, too: Hydra would print of an error that passes it
            config = _typed(composed)
            chosen = HydraConfig.get().runtime.choices
            config.choices = {group: chosen[group] for group in PRESETS}
            started = time.time()
            main(config)
            with suppress(OSError):  # the work is done: its record must not undo that
                record_run(Path(sys.argv[0]).stem, started)

    return run


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """End the process with one line and exit code 1 on bad input, a full disk or Ctrl-C."""
    try:
        yield
    except InputError as error:
        sys.exit(f"error: {error}")
    except WRONG as error:
        sys.exit(f"error: {InputError(_first_words(error), _fix())}")
    except OSError as error:
        where = f", {error.filename}" if error.filename else ""
        sys.exit(f"error: {error.strerror or error}{where}; fix: see to the disk and its rights")
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on, in resize and train from where they were")


def _check_own(line: list[str]) -> None:
    """Raise InputError where Hydra's own parts are not Hydra's: there `_target_` is for nobody."""
    asked = get_args_parser().parse_args(line)
    if asked.config_path or asked.config_dir or asked.config_name:
        raise InputError("values come from params.yaml and conf/ alone", "leave out --config-…")
    told = _composed(asked.overrides).hydra
    with initialize(None, version_base="1.3"):
        own = compose("hydra_alone", return_hydra_config=True).hydra
    for part in HYDRA:
        if told[part] != own[part]:
            raise InputError(f"hydra.{part} is changed, which no parameter may", _fix())


def _fix() -> str:
    script = Path(sys.argv[0]).name
    return f"name a parameter shown by `python stages/{script} --cfg job`, with a value of its type"


# whose versions can change a result
PACKAGES = ("cykooz-resizer", "dvc", "lmdb", "numpy", "pillow", "simplejpeg", "torch")


def record_run(stage: str, started: float) -> None:
    """Write `.scratch/<stage>/run.json`: what no output may hold, since it differs every time."""
    asked = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    commit = subprocess.run(asked, capture_output=True, text=True, check=False, cwd=CHECKOUT)
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
