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
import yaml
from hydra import compose, initialize, initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from alexnet.errors import InputError
from alexnet.schema import Config as Config
from alexnet.scratch import CHECKOUT, record_run
from alexnet.threads import usable_cores
from alexnet.workers import follow_parent

PRESETS = ("dataset", "model", "recipe")
GROUPS = (*PRESETS, "executor", "launcher")
POOL = ("submit", "map", "shutdown")  # what a class must have for `_target_` to name it
# parts of Hydra's own configuration by which it would call, or write to, whatever they name
HYDRA = ("callbacks", "hydra_logging", "job_logging", "launcher", "sweeper", "run", "output_subdir")
WRONG = (HydraException, OmegaConfBaseException, yaml.YAMLError, UnicodeError, RecursionError)
MOST_DEPTH, MOST_BYTES = 20, 1 << 20  # of a YAML file


@contextmanager
def workers(executor: dict[str, Any]) -> Iterator[Executor]:
    """The pool that conf/executor names: any class with the concurrent.futures API.

    Raises InputError where it cannot be had, is none, or is lost with its work undone.
    """
    name = str(executor.get("_target_"))
    ours: dict[str, Any] = {}
    if name.startswith("concurrent.futures."):
        count = executor.get("max_workers") or usable_cores().count
        ours = {"initializer": follow_parent, "max_workers": count}
    try:
        _refuse_calls({"_target_": None} | executor)
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


def _refuse_calls(part: Any) -> None:
    """Raise ValueError where a `_target_` in it, at any depth, names something else than a pool.

    Looked at before anything is called; to look, its module is imported.
    """
    if isinstance(part, dict) and part.get("_partial_"):
        raise ValueError("an executor is made whole, not _partial_")
    if isinstance(part, dict) and "_target_" in part:
        made = get_class(str(part["_target_"]))
        if not all(callable(getattr(made, method, None)) for method in POOL):
            raise ValueError(f"{part['_target_']} is no executor: it lacks {', '.join(POOL)}")
    if isinstance(part, str) and "${" in part:  # it would be looked up once more, in the making
        raise ValueError(f"{part} is looked up too late")
    if isinstance(part, dict | list):
        for inner in part.values() if isinstance(part, dict) else part:
            _refuse_calls(inner)


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


def load_config(overrides: list[str]) -> Config:
    """What a stage would be told, for a command that is none. Raises InputError."""
    os.chdir(CHECKOUT)
    try:
        _store(_params())
        return _typed(_composed(overrides))
    except WRONG as error:
        mend = "name a parameter of params.yaml or conf/, with a value of its type"
        raise InputError(_first_words(error), mend) from None


def _composed(overrides: list[str]) -> DictConfig:
    """With Hydra's own part; nothing that any of it names is called yet."""
    try:
        with initialize_config_dir(str(CHECKOUT / "conf"), version_base="1.3"):
            return compose("params", overrides, return_hydra_config=True)
    except (AssertionError, RecursionError, ValueError) as error:  # Hydra's, of what it was given
        raise HydraException(f"{' '.join(overrides)} cannot be composed: {error!r}") from None


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
    except WRONG as error:
        sys.exit(f"error: {InputError(_first_words(error), _mend())}")
    except OSError as error:
        where = f", {error.filename}" if error.filename else ""
        sys.exit(f"error: {error.strerror or error}{where}; mend: see to the disk and its rights")
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on, in resize and train from where they were")


def _params() -> dict[str, Any]:
    for path in (Path("params.yaml"), *sorted(Path("conf").glob("*/*.yaml"))):
        _check_yaml(path)
    loaded: Any = OmegaConf.to_container(OmegaConf.load("params.yaml"))
    params: dict[str, Any] = loaded
    mend = "git checkout params.yaml"
    if lacking := [group for group in GROUPS if group not in params]:
        raise InputError(f"params.yaml lacks {', '.join(lacking)}", mend)
    for group in GROUPS:  # a name, and not a path that leads out of conf/
        if not re.fullmatch(r"[\w.-]+", str(params[group])):
            raise InputError(f"params.yaml: {group} is {params[group]!r}, no name", mend)
    if strange := params.keys() & {"hydra", "defaults"}:
        raise InputError(f"params.yaml: {min(strange)} is none of ours", mend)
    return params


def _check_yaml(path: Path) -> None:
    """Raise InputError where a file is damaged, no mapping, or would take up the memory.

    An alias (*name) stands for a value that may hold more of them: a few lines make millions.
    """
    depth = 0
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES:,} bytes")
        for event in yaml.parse(path.read_text("utf-8"), yaml.SafeLoader):
            if not depth and isinstance(event, yaml.ScalarEvent | yaml.SequenceStartEvent):
                raise ValueError("it holds no names and values")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > MOST_DEPTH:
                raise ValueError(f"an alias, or more than {MOST_DEPTH} levels: {event.start_mark}")
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read: {error}", f"git checkout {path}") from None


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
            raise InputError(f"hydra.{part} is changed, which no parameter may", _mend())


def _store(params: dict[str, Any]) -> None:
    groups: list[Any] = [{group: params.pop(group)} for group in GROUPS]
    quiet = [{"override hydra/hydra_logging": "none"}, {"override hydra/job_logging": "stdout"}]
    here = {"run": {"dir": "."}, "output_subdir": None}
    store = ConfigStore.instance()
    store.store("schema", Config)
    defaults = ["schema", *groups, *quiet, "_self_"]
    store.store("params", {"defaults": defaults, "hydra": here, **params})
    store.store("hydra_alone", {"defaults": [*quiet, "_self_"], "hydra": here})


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
