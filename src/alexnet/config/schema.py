"""What a stage can be told: every parameter, its type, and what it means.

Each value lives in exactly one file: the choices in params.yaml, the rest in conf/.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from omegaconf import MISSING

Layout = StrEnum(
    "Layout", "auto archives extracted flat_val kaggle ilsvrc2010 synset_tars folder cifar10"
)
Resample = StrEnum("Resample", ["bicubic", "area"])
Pixels = StrEnum("Pixels", ["raw", "jpeg"])
OnError = StrEnum("OnError", ["fail", "skip"])
Activation = StrEnum("Activation", ["relu", "tanh"])
Layer1Order = StrEnum("Layer1Order", ["relu_lrn_pool", "lrn_pool_relu"])
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
    layout: Layout = MISSING  # auto: recognised by file names; index/layouts.LAYOUTS describes each
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
    layer1_order: Layer1Order = MISSING
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
    bias_lr_multiplier: float = MISSING
    bias_decay: bool = MISSING
    plateau: Plateau | None = None  # one of these three
    multistep: list[int] | None = None
    dexp: Dexp | None = None
    random_crops: bool = MISSING
    crop_offsets: int = MISSING
    images_per_crop: int = MISSING
    reflections: bool = MISSING
    mean_under_crop: bool = MISSING
    alpha_std: float = MISSING
    colour_scale: ColourScale = MISSING
    colour_until: int | None = MISSING
    input_divisor: float = MISSING
    frozen_from: dict[str, int] = field(default_factory=dict)
    layer_lr_multiplier: dict[str, float] = field(default_factory=dict)
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
