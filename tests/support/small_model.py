"""A narrow net in a model file, as the train stage writes it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from alexnet.dataset.index import Synset
from alexnet.dataset.moments import Moments
from alexnet.model.alexnet import AlexNet, initialise
from alexnet.model.description import ModelDescription, describe_input
from alexnet.model.model_file import DESCRIPTION, MODEL
from alexnet.model.net_config import LAYERS, NetConfig
from alexnet.model.tensor_file import load_tensors, save_tensors
from alexnet.model.weights import save_model

STD = dict.fromkeys(LAYERS, 0.02)
CLASSES = 7
WORDS = ["wheel, rim", "Γ", "ladder", "daisy", "fish", "gear", "snail"]


def small_description(**net: Any) -> ModelDescription:
    """Describe a net a sixteenth as wide; `net`: other fields of its NetConfig."""
    return ModelDescription(
        choices={"dataset": "miniature", "model": "quick", "recipe": "quick"},
        lr=0.01,
        seed=0,
        net=NetConfig(CLASSES, 16, **net),
        recipe={"precision": "fp32"},
        input=describe_input("bicubic", False, 224),
        synsets=[Synset(n + 1, f"n{n:08d}", words) for n, words in enumerate(WORDS)],
    )


def moments() -> Moments:
    mean = np.random.default_rng(0).uniform(90, 160, (256, 256, 3)).astype(np.float32)
    return Moments(mean, np.array([3.0, 2, 1]), np.eye(3))


def small_model(folder: Path, **net: Any) -> AlexNet:
    """Save in `folder` a net whose answers differ between images, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    description = small_description(**net)
    small = AlexNet(description.net)
    initialise(small, 0, STD, dict.fromkeys(LAYERS, 0.1))
    save_model(folder, small, moments(), description)
    return small.eval()


def set_in_file(folder: Path, name: str, value: Any) -> None:
    """Change a value of the file's description, such as "net.crop", with a valid checksum."""
    tensors, state = load_tensors(folder / MODEL)
    *outer, last = name.split(".")
    part = state
    for key in outer:
        part = part[key]
    part[last] = value
    save_tensors(folder / MODEL, tensors, state)


def remove_tensor(folder: Path, name: str) -> None:
    tensors, state = load_tensors(folder / MODEL)
    del tensors[name]
    save_tensors(folder / MODEL, tensors, state)


def replace_tensor(folder: Path, name: str, *shape: int) -> None:
    """Store zeros of another shape under `name`."""
    tensors, state = load_tensors(folder / MODEL)
    save_tensors(folder / MODEL, tensors | {name: torch.zeros(shape)}, state)


def description_json(folder: Path) -> Any:
    return json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
