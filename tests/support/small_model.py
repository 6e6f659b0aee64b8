"""A narrow net in a model's file, as the train stage writes it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from alexnet.dataset.moments import Moments
from alexnet.model.alexnet import AlexNet, initialise
from alexnet.model.description import input_rule
from alexnet.model.layer_shapes import LAYERS
from alexnet.model.model_file import MODEL
from alexnet.model.weights import load, save, save_model

STD = dict.fromkeys(LAYERS, 0.02)
CLASSES = 7


def described(**net: Any) -> dict[str, Any]:
    words = ["wheel, rim", "Γ", "ladder", "daisy", "fish", "gear", "snail"]
    return {
        "chosen": {"dataset": "miniature", "model": "quick", "recipe": "quick"},
        "lr": 0.01,
        "seed": 0,
        "net": {"classes": CLASSES, "width_divisor": 16, **net},
        "recipe": {"precision": "fp32"},
        "input": input_rule("bicubic", False, 224),
        "synsets": [
            {"devkit_id": n + 1, "wnid": f"n{n:08d}", "words": word} for n, word in enumerate(words)
        ],
    }


def moments() -> Moments:
    mean = np.random.default_rng(0).uniform(90, 160, (256, 256, 3)).astype(np.float32)
    return Moments(mean, np.array([3.0, 2, 1]), np.eye(3))


def small_model(folder: Path, **net: Any) -> AlexNet:
    """A net whose answers differ between images, saved in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    told = described(**net)
    small = AlexNet(**told["net"])
    initialise(small, 0, STD, dict.fromkeys(LAYERS, 0.1))
    save_model(folder, small, moments(), told)
    return small.eval()


def rewrite(folder: Path, part: str, value: Any) -> None:
    """Have the file tell another `part`, "net.crop" as it were, of itself."""
    tensors, told = load(folder / MODEL)
    *outer, name = part.split(".")
    at = told
    for key in outer:
        at = at[key]
    at[name] = value
    save(folder / MODEL, tensors, told)


def without(folder: Path, name: str) -> None:
    """Have the file lack a tensor."""
    tensors, told = load(folder / MODEL)
    del tensors[name]
    save(folder / MODEL, tensors, told)


def reshaped(folder: Path, name: str, *shape: int) -> None:
    """Have the file hold another tensor under a name."""
    tensors, told = load(folder / MODEL)
    save(folder / MODEL, tensors | {name: torch.zeros(shape)}, told)


def told_by(folder: Path) -> Any:
    return json.loads((folder / "model.json").read_text(encoding="utf-8"))
