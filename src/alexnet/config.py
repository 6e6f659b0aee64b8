"""What a stage is told: the schema, its composition from params.yaml and conf/, and `@stage`.

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
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import hydra
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from alexnet.errors import InputError
from alexnet.scratch import CHECKOUT, record_run

PRESETS = ("dataset", "model", "recipe")
GROUPS = (*PRESETS, "executor", "launcher")

Layout = StrEnum(
    "Layout", "auto archives extracted flat_val kaggle ilsvrc2010 synset_tars folder cifar10"
)
Resample = StrEnum("Resample", ["bicubic", "area"])
Pixels = StrEnum("Pixels", ["raw", "jpeg"])
OnError = StrEnum("OnError", ["fail", "skip"])
Activation = StrEnum("Activation", ["relu", "tanh"])
Order1 = StrEnum("Order1", ["relu_lrn_pool", "lrn_pool_relu"])
DropoutForm = StrEnum("DropoutForm", ["masked", "inverted"])
ColourScale = StrEnum("ColourScale", ["sqrt_eigenvalue", "eigenvalue"])
Precision = StrEnum("Precision", ["auto", "bf16", "tf32", "fp32"])


@dataclass
class Drawn:
    """How many images of how many drawn classes the miniature has."""

    classes: int = MISSING
    train_per_class: int = MISSING
    val_per_class: int = MISSING


@dataclass
class Dataset:
    layout: Layout = MISSING  # auto: found by looking; layouts.DESCRIPTIONS says what each is
    root: str = MISSING  # relative to the main checkout; IMAGENET_ROOT goes before it
    seed: int = MISSING  # of the drawing, the held-out part and the one global shuffle
    held_out: float | None = MISSING  # of each class, for val where there is none; at least 1 image
    resample: Resample = MISSING  # bicubic, or area: the 2012 code's choice
    pixels: Pixels = MISSING  # raw, or jpeg: quality 95
    apply_exif: bool = MISSING  # turn a picture as its EXIF orientation says
    on_error: OnError = MISSING  # of an unreadable image: fail, or skip
    drawn: Drawn | None = None


@dataclass
class Lrn:
    """Section 3.3: a / (k + alpha · Σ a²)^beta over n neighbouring maps, of one tower or of all."""

    k: float = MISSING
    n: int = MISSING
    alpha: float = MISSING
    beta: float = MISSING
    across_towers: bool = MISSING


@dataclass
class SpatialNorm:
    """The same over size × size places of one map."""

    k: float = MISSING
    size: int = MISSING
    alpha: float = MISSING
    beta: float = MISSING


@dataclass
class Maps:
    """Of each convolutional layer, all towers together; conv6 may have none."""

    conv1: int = MISSING
    conv2: int = MISSING
    conv3: int = MISSING
    conv4: int = MISSING
    conv5: int = MISSING
    conv6: int = MISSING


@dataclass
class Layers:
    """One number for each layer that has weights."""

    conv1: float = MISSING
    conv2: float = MISSING
    conv3: float = MISSING
    conv4: float = MISSING
    conv5: float = MISSING
    conv6: float = MISSING
    fc6: float = MISSING
    fc7: float = MISSING
    fc8: float = MISSING


@dataclass
class Model:
    width_divisor: int = MISSING
    towers: int = MISSING
    maps: Maps = field(default_factory=Maps)
    neurons: int = MISSING
    crop: int = MISSING
    padding: list[int] = MISSING
    communicate: bool = MISSING  # false: conv3 (and conv6) see their own tower alone
    activation: Activation = MISSING
    overlapping: bool = MISSING  # section 3.4: pools of 3×3; false: 2×2
    order1: Order1 = MISSING
    lrn: Lrn | None = field(default_factory=Lrn)
    spatial_norm: SpatialNorm | None = None
    dropout: float = MISSING
    dropout_form: DropoutForm = MISSING
    init_std: Layers = field(default_factory=Layers)
    init_bias: Layers = field(default_factory=Layers)


@dataclass
class Plateau:
    """Section 5: "when the validation error rate stopped improving", the rate is divided by ten."""

    patience: int = MISSING
    drops: int = MISSING


@dataclass
class Dexp:
    """The authors' automatic schedule: the rate falls by `span` over the epochs, in `steps`."""

    span: float = MISSING
    steps: int = MISSING


@dataclass
class Recipe:
    batch_size: int = MISSING
    epochs: int = MISSING
    momentum: float = MISSING
    weight_decay: float = MISSING
    bias_lr: float = MISSING
    bias_decay: bool = MISSING
    plateau: Plateau | None = None  # one of these three
    multistep: list[int] | None = None
    dexp: Dexp | None = None
    random_crops: bool = MISSING
    offsets: int = MISSING
    shared_by: int = MISSING
    reflections: bool = MISSING
    mean_under_crop: bool = MISSING
    alpha_std: float = MISSING
    colour_scale: ColourScale = MISSING
    colour_until: int | None = MISSING
    input_divisor: float = MISSING
    frozen_from: dict[str, int] = field(default_factory=dict)
    layer_lr: dict[str, float] = field(default_factory=dict)
    init_from: str | None = MISSING
    shuffled_labels: bool = MISSING
    precision: Precision = MISSING


@dataclass
class Launcher:
    device: str = MISSING
    processes: int = MISSING  # on each node
    towers: int = MISSING  # processes that share one net: 1 or 2
    nodes: str = MISSING  # a number, or as torchrun's 1:4
    rendezvous: str | None = MISSING  # host:port, for several nodes
    max_restarts: int = MISSING
    deterministic: bool = MISSING  # on a GPU; a CPU always is
    checkpoint_steps: int = MISSING  # at most so many steps are done again after a kill


@dataclass
class Config:
    data: str = "data"  # where index, shards and moments are
    into: str = "${data}"  # where train and evaluate put theirs: experiments/ has its own
    seed: int = MISSING  # of init, crops, colour shift and dropout
    lr: float = MISSING
    dataset: Dataset = field(default_factory=Dataset)
    model: Model = field(default_factory=Model)
    recipe: Recipe = field(default_factory=Recipe)
    executor: dict[str, Any] = field(default_factory=dict)
    launcher: Launcher = field(default_factory=Launcher)
    choices: dict[str, str] = field(default_factory=dict)  # dataset, model, recipe: names chosen


@contextmanager
def workers(executor: dict[str, Any]) -> Iterator[Executor]:
    """The pool that conf/executor names: any class with the concurrent.futures API.

    Raises InputError where it cannot be had, or is lost with its work undone.
    """
    name = executor.get("_target_")
    try:
        pool = instantiate(executor)
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
