"""What a stage is told: composed from params.yaml and conf/ by the schema, and `@stage`.

The only file that knows Hydra. params.yaml names one file in each group of conf/ and holds `seed`
and `lr`; every other value lives in exactly one file of conf/.
"""

import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import hydra
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from alexnet.errors import InputError
from alexnet.schema import Config as Config
from alexnet.scratch import CHECKOUT, record_run
from alexnet.workers import follow_parent

PRESETS = ("dataset", "model", "recipe")
GROUPS = (*PRESETS, "executor", "launcher")


@contextmanager
def workers(executor: dict[str, Any]) -> Iterator[Executor]:
    """The pool that conf/executor names: any class with the concurrent.futures API.

    Raises InputError where it cannot be had, or is lost with its work undone.
    """
    name = str(executor.get("_target_"))
    ours = {"initializer": follow_parent} if name.startswith("concurrent.futures.") else {}
    try:
        pool = instantiate(executor, **ours)
    except Exception as error:
        words = str(error.__cause__ or error).partition("full_key")[0]
        mend = "start what it connects to, or choose executor: processes in params.yaml"
        raise InputError(f"no {name}: {words}", mend) from None
    logging.disable()  # what a pool's library logs, in tracebacks, is told in a line
    try:
        with pool:
            yield pool
    except (BrokenExecutor, CancelledError) as error:
        what = f"{name} lost a worker or its scheduler ({type(error).__name__})"
        raise InputError(what, "run again: what is finished is kept") from None


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


def load_config(overrides: list[str]) -> Config:
    """What a stage would be told, for a command that is none. Raises InputError."""
    os.chdir(CHECKOUT)
    _store(_params())
    try:
        with initialize_config_dir(str(CHECKOUT / "conf"), version_base="1.3"):
            return _typed(compose("params", overrides))
    except (HydraException, OmegaConfBaseException) as error:
        mend = "name a parameter of params.yaml or conf/, with a value of its type"
        raise InputError(_first_words(error), mend) from None


def _typed(composed: DictConfig) -> Config:
    plain: Any = OmegaConf.to_container(composed)
    plain.pop("hydra", None)
    strict = OmegaConf.merge(OmegaConf.structured(Config), plain)  # no +key goes by
    config: Any = OmegaConf.to_object(strict)
    if min(config.seed, config.dataset.seed) < 0:
        raise InputError("seed and dataset.seed must not be negative", "choose 0 or more")
    return config  # type: ignore[no-any-return]


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """End the process with one line and exit code 1 on bad input, a full disk or Ctrl-C."""
    try:
        yield
    except InputError as error:
        sys.exit(f"error: {error}")
    except (HydraException, OmegaConfBaseException) as error:
        sys.exit(f"error: {InputError(_first_words(error), _mend())}")
    except OSError as error:
        where = f", {error.filename}" if error.filename else ""
        sys.exit(f"error: {error.strerror or error}{where}; mend: see to the disk and its rights")
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on, in resize and train from where they were")


def _params() -> dict[str, Any]:
    try:
        params = OmegaConf.to_container(OmegaConf.load("params.yaml"))
    except (OSError, ValueError, YAMLError) as error:
        raise InputError(
            f"params.yaml cannot be read: {error}", "git checkout params.yaml"
        ) from None
    lacking = [group for group in GROUPS if group not in params]  # type: ignore[operator]
    if lacking:
        raise InputError(f"params.yaml lacks {', '.join(lacking)}", "git checkout params.yaml")
    return params  # type: ignore[return-value]


def _store(params: dict[str, Any]) -> None:
    groups: list[Any] = [{group: params.pop(group)} for group in GROUPS]
    quiet = [{"override hydra/hydra_logging": "none"}, {"override hydra/job_logging": "stdout"}]
    here = {"run": {"dir": "."}, "output_subdir": None}
    store = ConfigStore.instance()
    store.store("schema", Config)
    defaults = ["schema", *groups, *quiet, "_self_"]
    store.store("params", {"defaults": defaults, "hydra": here, **params})


def _first_words(error: Exception) -> str:
    """What Hydra or OmegaConf says, without its lines on search paths and types."""
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    words = str(cause).partition("\n    ")[0].partition("Config search path")[0]
    words = words.partition("while composing config:")[2] or words
    key = re.search(r"full_key: (\S+)", str(error)) or re.search(r"full_key: (\S+)", str(cause))
    return f"{key[1]}: {words}" if key else words


def _mend() -> str:
    script = Path(sys.argv[0]).name
    return f"name a parameter shown by `python stages/{script} --cfg job`, with a value of its type"
