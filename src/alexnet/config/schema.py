"""Stage configuration: every parameter with its type and meaning.

params.yaml holds the names of the presets, `seed` and `lr`; conf/ holds all other values.
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
    """Size of a generated dataset, in classes and in images per class."""

    classes: int = MISSING
    train_per_class: int = MISSING
    val_per_class: int = MISSING


@dataclass
class Dataset:
    layout: Layout = MISSING  # auto: recognised by file names; index/layouts.LAYOUTS describes each
    root: str = MISSING  # relative to the main checkout; IMAGENET_ROOT overrides it
    seed: int = MISSING  # for generated images, the held-out split and the shuffle
    held_out: float | None = MISSING  # fraction of each class for val if it has none, ≥ 1 image
    resample: Resample = MISSING  # bicubic, or area as in the 2012 code
    pixels: Pixels = MISSING  # raw, or jpeg of quality 95
    apply_exif: bool = MISSING  # rotate each image as its EXIF orientation says
    on_error: OnError = MISSING  # for an unreadable image: fail, or skip it
    drawn: Drawn | None = None


@dataclass
class Lrn:
    """Section 3.3: a / (k + alpha · Σ a²)^beta, the sum over n neighbouring maps."""

    k: float = MISSING
    n: int = MISSING
    alpha: float = MISSING
    beta: float = MISSING
    across_towers: bool = MISSING  # true: neighbours may belong to the other tower


@dataclass
class SpatialNorm:
    """As Lrn, the sum over size × size positions of one map."""

    k: float = MISSING
    size: int = MISSING
    alpha: float = MISSING
    beta: float = MISSING


@dataclass
class Maps:
    """Number of maps of each convolutional layer, all towers together; 0: no such layer."""

    conv1: int = MISSING
    conv2: int = MISSING
    conv3: int = MISSING
    conv4: int = MISSING
    conv5: int = MISSING
    conv6: int = MISSING


@dataclass
class Layers:
    """One value for each layer that has weights."""

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
    communicate: bool = MISSING  # false: conv3 (and conv6) see only their own tower
    activation: Activation = MISSING
    overlapping: bool = MISSING  # section 3.4: 3×3 pools with stride 2; false: 2×2
    layer1_order: Layer1Order = MISSING
    lrn: Lrn | None = field(default_factory=Lrn)
    spatial_norm: SpatialNorm | None = None
    dropout: float = MISSING
    dropout_form: DropoutForm = MISSING
    init_std: Layers = field(default_factory=Layers)
    init_bias: Layers = field(default_factory=Layers)


@dataclass
class Plateau:
    """Section 5: divide lr by ten "when the validation error rate stopped improving"."""

    patience: int = MISSING
    drops: int = MISSING


@dataclass
class Dexp:
    """The schedule of the 2012 code: lr falls by the factor `span`, in `steps` equal factors."""

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
    plateau: Plateau | None = None  # exactly one of these three
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
    towers: int = MISSING  # ranks that share one net: 1 or 2
    nodes: str = MISSING  # a number, or a range such as 1:4
    rendezvous: str | None = MISSING  # host:port, for several nodes
    max_restarts: int = MISSING
    deterministic: bool = MISSING  # affects GPUs; CPU runs always are
    checkpoint_steps: int = MISSING  # a killed run repeats at most this many steps


@dataclass
class Config:
    data: str = "data"  # folder of index, shards and moments
    into: str = "${data}"  # folder of outputs; differs from data in experiments/ and with -m
    seed: int = MISSING  # for init, crops, colour shift and dropout
    lr: float = MISSING
    dataset: Dataset = field(default_factory=Dataset)
    model: Model = field(default_factory=Model)
    recipe: Recipe = field(default_factory=Recipe)
    executor: dict[str, Any] = field(default_factory=dict)
    launcher: Launcher = field(default_factory=Launcher)
    choices: dict[str, str] = field(default_factory=dict)  # names of dataset, model, recipe
