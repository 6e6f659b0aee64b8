"""Compose the configuration of a stage from params.yaml and conf/, typed by the schema.

params.yaml names one file in each group of conf/ and holds `seed` and `lr`; every other value is in
one of these files. A preset of model or recipe lists only what differs from paper.yaml.
"""

import os
import re
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from alexnet.config.schema import Config
from alexnet.runtime.errors import InputError
from alexnet.runtime.paths import CHECKOUT

PRESETS = ("dataset", "model", "recipe")
GROUPS = (*PRESETS, "executor", "launcher")
INVALID = (HydraException, OmegaConfBaseException, yaml.YAMLError, UnicodeError, RecursionError)
MAX_DEPTH, MAX_BYTES = 20, 1 << 20  # of a YAML file
NAME = re.compile(r"[\w.-]+")  # not a path that leads out of conf/


def load_config(overrides: list[str]) -> Config:
    """Return the configuration a stage would get, for a command. Raises InputError."""
    os.chdir(CHECKOUT)
    try:
        register()
        return to_config(_composed(overrides))
    except INVALID as error:
        fix = "name a parameter of params.yaml or conf/, with a value of its type"
        raise InputError(short_message(error), fix) from None


def _composed(overrides: list[str]) -> DictConfig:
    try:
        with initialize_config_dir(str(CHECKOUT / "conf"), version_base="1.3"):
            return compose("params", overrides, return_hydra_config=True)
    except (AssertionError, RecursionError, ValueError) as error:  # Hydra's, for invalid overrides
        raise HydraException(f"{' '.join(overrides)} cannot be composed: {error!r}") from None


def to_config(composed: DictConfig) -> Config:
    """Check a composed configuration against the schema. Raises InputError or one of INVALID."""
    plain: Any = OmegaConf.to_container(composed)
    plain.pop("hydra", None)
    strict = OmegaConf.merge(OmegaConf.structured(Config), plain)  # rejects unknown keys
    config: Any = OmegaConf.to_object(strict)
    if min(config.seed, config.dataset.seed) < 0:
        raise InputError("seed and dataset.seed must not be negative", "choose 0 or more")
    return config  # type: ignore[no-any-return]


def register() -> None:
    """Give Hydra the schema, params.yaml and the settings of a run, after checking all files.

    In a multirun (`-m`) job n has the folder multirun/<n>.
    """
    params = _checked_params()
    groups: list[Any] = [{group: params.pop(group)} for group in GROUPS]
    quiet = [{"override hydra/hydra_logging": "none"}, {"override hydra/job_logging": "stdout"}]
    own = {
        "run": {"dir": "."},
        "sweep": {"dir": "multirun", "subdir": "${hydra.job.num}"},
        "output_subdir": None,
    }
    store = ConfigStore.instance()
    store.store("schema", Config)
    defaults = ["schema", *groups, *quiet, "_self_"]
    store.store("params", {"defaults": defaults, "hydra": own, **params})


def _checked_params() -> dict[str, Any]:
    for path in sorted(Path("conf").iterdir()):  # conf/hydra/ or conf/params.yaml would go first
        if path.name not in GROUPS and (path.is_dir() or path.suffix == ".yaml"):
            raise InputError(f"{path} is not a parameter group", f"git clean -fdx {path}")
    for path in sorted(Path("conf").glob("*/*.yaml")):
        _check_file(path)
    path = Path("params.yaml")
    params, fix = _check_file(path), "git checkout params.yaml"
    if missing := [group for group in GROUPS if group not in params]:
        raise InputError(f"params.yaml lacks {', '.join(missing)}", fix)
    for group in GROUPS:
        if not NAME.fullmatch(str(params[group])):
            raise InputError(f"params.yaml: {group} is {params[group]!r}, an invalid name", fix)
    if "defaults" in params:
        raise InputError("params.yaml: defaults is not a parameter", fix)
    return params


def _check_file(path: Path) -> dict[str, Any]:
    """Return the content of a YAML file of conf/. Raises InputError if it is invalid.

    A file may set nothing of Hydra itself (which could call any function), and inherit only from
    files beside it. The command line may: the person who types it can run any program anyway.
    """
    try:
        text = _bounded_text(path)
        loaded: Any = OmegaConf.to_container(OmegaConf.load(path))
        values: dict[str, Any] = dict(loaded)
        bases = values.get("defaults", [])
        inherits = isinstance(bases, list) and all(NAME.fullmatch(str(base)) for base in bases)
        if "hydra" in values or "@package" in text or not inherits:
            raise ValueError("it changes settings of Hydra")
    except (OSError, ValueError, TypeError, *INVALID) as error:
        raise InputError(f"{path} cannot be read: {error}", f"git checkout {path}") from None
    return values


def _bounded_text(path: Path) -> str:
    """Read a YAML file of bounded size and depth. Raises OSError, ValueError or YAMLError.

    No aliases (*name): each stands for a value that may hold more of them, up to millions.
    """
    depth, text = 0, path.read_text("utf-8") if path.stat().st_size <= MAX_BYTES else ""
    if not text:
        raise ValueError(f"it is empty or larger than {MAX_BYTES:,} bytes")
    for event in yaml.parse(text, yaml.SafeLoader):
        if not depth and isinstance(event, yaml.ScalarEvent | yaml.SequenceStartEvent):
            raise ValueError("it is not a mapping of names to values")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent) or depth > MAX_DEPTH:
            raise ValueError(f"an alias, or more than {MAX_DEPTH} levels: {event.start_mark}")
    return text


def short_message(error: Exception) -> str:
    """Return the message of Hydra or OmegaConf without its lines on search paths and types."""
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    words = str(cause).partition("\n    ")[0].partition("Config search path")[0]
    words = words.partition("while composing config:")[2] or words
    key = re.search(r"full_key: (\S+)", str(error)) or re.search(r"full_key: (\S+)", str(cause))
    return f"{key[1]}: {words}" if key else words
