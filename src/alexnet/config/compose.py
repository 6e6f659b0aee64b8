"""Compose the configuration of a stage from params.yaml and conf/, typed by the schema.

The only file that knows Hydra. params.yaml names one file in each group of conf/ and holds `seed`
and `lr`; every other value lives in exactly one file of conf/.
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

from alexnet.config.schema import Config as Config
from alexnet.runtime.errors import InputError
from alexnet.runtime.paths import CHECKOUT

PRESETS = ("dataset", "model", "recipe")
GROUPS = (*PRESETS, "executor", "launcher")
WRONG = (HydraException, OmegaConfBaseException, yaml.YAMLError, UnicodeError, RecursionError)
MOST_DEPTH, MOST_BYTES = 20, 1 << 20  # of a YAML file


def load_config(overrides: list[str]) -> Config:
    """What a stage would be told, for a command that is none. Raises InputError."""
    os.chdir(CHECKOUT)
    try:
        _store(_params())
        return _typed(_composed(overrides))
    except WRONG as error:
        fix = "name a parameter of params.yaml or conf/, with a value of its type"
        raise InputError(_first_words(error), fix) from None


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


def _params() -> dict[str, Any]:
    for path in (Path("params.yaml"), *sorted(Path("conf").glob("*/*.yaml"))):
        _check_yaml(path)
    loaded: Any = OmegaConf.to_container(OmegaConf.load("params.yaml"))
    params: dict[str, Any] = loaded
    fix = "git checkout params.yaml"
    if lacking := [group for group in GROUPS if group not in params]:
        raise InputError(f"params.yaml lacks {', '.join(lacking)}", fix)
    for group in GROUPS:  # a name, and not a path that leads out of conf/
        if not re.fullmatch(r"[\w.-]+", str(params[group])):
            raise InputError(f"params.yaml: {group} is {params[group]!r}, no name", fix)
    if strange := params.keys() & {"hydra", "defaults"}:
        raise InputError(f"params.yaml: {min(strange)} is none of ours", fix)
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
