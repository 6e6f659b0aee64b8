"""Outputs of stages and configuration, changed as an attacker might, and their readers."""

import json
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
import safetensors.torch
import torch

from alexnet.config import compose
from alexnet.dataset.index import Index, Synset, load_index, make_rows, save_index
from alexnet.dataset.moments import load_moments
from alexnet.dataset.shards import Shards
from alexnet.evaluate.result import read_result
from alexnet.model.model_file import MODEL
from alexnet.model.tensor_file import checksum_of, json_text
from alexnet.model.weights import load_model
from alexnet.moments.sums import ZERO, Sums
from hostile_raw import read_rows
from images import random_images, save_moments_of, write_split
from mutations import mutate, mutate_value, strange_value
from small_model import small_model

ROOT = Path(__file__).resolve().parents[2]
RUN = {"dataset": "miniature", "split": "val", "classes": 12, "model": "quick", "recipe": "quick"}
RESULT = {
    **{"top1_error": 11.0, "top5_error": 1.0, "top1_wrong": 33, "top5_wrong": 3, "images": 300},
    "run": RUN | {"parameters": "5e1f0a93", "seed": 17, "lr": 0.0125},
}
VALID = Path()  # the folder of the valid files; set by hostile_child.py


# Outputs: the index, a split of shards, moments, a model, a result


def make_part(rng: Random, part: str) -> bytes:
    """Return the name of a file and its changed bytes; JSON may be changed in its values."""
    files = valid_files(VALID)[part]
    name = rng.choice(sorted(files))
    data = files[name]
    if name.endswith(".json") and rng.random() < 0.7:
        data = json.dumps(mutate_value(json.loads(data), rng)).encode()
    else:
        data = mutate(data, rng, list(files.values()))
    return name.encode() + b"\n" + data


def put(data: bytes, files: dict[str, bytes], folder: Path) -> None:
    """Write the files, with the changed one in place of the valid one."""
    changed, _, content = data.partition(b"\n")
    for name, valid in files.items():
        (folder / name).write_bytes(content if name == changed.decode() else valid)


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


@cache
def valid_files(folder: Path) -> dict[str, dict[str, bytes]]:
    """Write a small index, split, moments and model to `folder`; return their files."""
    rows = make_rows([(b"a.JPEG", 0, 3), (b"b.JPEG", 3, 3)], 0, 0)
    index = Index({"train": rows, "val": rows}, [("a.tar", 6)], [Synset(0, "n0", "a, b")])
    for name in ("index", "moments", "model"):
        (folder / name).mkdir(parents=True)
    save_index(index, folder / "index")
    write_split(folder / "split", random_images(2), [0, 1])
    pixels = np.full((256, 256, 3), 7, np.uint64)
    save_moments_of(folder / "moments", ZERO + Sums(1, pixels, np.eye(3, dtype=np.uint64)))
    small_model(folder / "model")
    files = {name: _contents(folder / name) for name in ("index", "split", "moments", "model")}
    del files["moments"]["mean_image.png"], files["model"]["model.json"]
    return files


def read_index(data: bytes, folder: Path) -> None:
    put(data, valid_files(VALID)["index"], folder)
    (folder / "a.tar").write_bytes(b"abcdef")
    read_rows(load_index(folder), folder)


def read_split(data: bytes, folder: Path) -> None:
    put(data, valid_files(VALID)["split"], folder)
    shards = Shards(folder)
    for record in shards.records.tolist():
        assert shards.read(record).shape == (256, 256, 3)
    for n in range(len(shards.manifest.shards)):
        list(shards.find_damage(n))


def read_moments(data: bytes, folder: Path) -> None:
    put(data, valid_files(VALID)["moments"], folder)
    moments = load_moments(folder)
    assert moments.mean_image.shape == (256, 256, 3)
    assert (moments.eigenvalues.shape, moments.eigenvectors.shape) == ((3,), (3, 3))


def make_model(rng: Random) -> bytes:
    """Change the bytes of a model file; or its metadata or a tensor, with a valid checksum."""
    data = valid_files(VALID)["model"][MODEL]
    if rng.random() < 0.4:
        size = int.from_bytes(data[:8], "little")
        return mutate(data[: 8 + size], rng, [data]) + data[8 + size :]
    if rng.random() < 0.3:
        return mutate(data, rng, [data])
    tensors = safetensors.torch.load(data)
    state = json.loads(_metadata(data)["state"])
    state.pop("xxh3")
    if rng.random() < 0.7:
        state = mutate_value(state, rng)
    else:
        name = rng.choice(sorted(tensors))
        kinds = [torch.float16, torch.int8, torch.float32]
        shape = [rng.randint(0, 3) for _ in range(rng.randint(0, 4))]
        tensors[name] = torch.zeros(shape, dtype=rng.choice(kinds))
    if isinstance(state, dict):
        state["xxh3"] = checksum_of(tensors, state)
    return safetensors.torch.save(tensors, {"state": json_text(state)})


def _metadata(data: bytes) -> dict[str, str]:
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    metadata: dict[str, str] = header["__metadata__"]
    return metadata


def read_model(data: bytes, folder: Path) -> None:
    (folder / MODEL).write_bytes(data)
    net, moments, description = load_model(folder)
    assert moments.mean_image.shape == (256, 256, 3)
    assert len(description.synsets) == len(net.fc8.bias)


def make_result(rng: Random) -> bytes:
    text = json.dumps(RESULT)
    if rng.random() < 0.7:
        return json.dumps(mutate_value(json.loads(text), rng)).encode()
    return mutate(text.encode(), rng, [text.encode()])


def read_metrics(data: bytes, folder: Path) -> None:
    (folder / "metrics.json").write_bytes(data)
    read_result(folder / "metrics.json")


# Configuration


@cache
def settings() -> dict[str, bytes]:
    paths = [ROOT / "params.yaml", *sorted((ROOT / "conf").glob("*/*.yaml"))]
    return {str(path.relative_to(ROOT)): path.read_bytes() for path in paths}


CHOSEN = ("params.yaml", *(f"conf/{part}.yaml" for part in (
    "dataset/miniature", "model/quick", "recipe/quick", "executor/processes", "launcher/single",
)))  # fmt: skip
KEYS = ["lr", "seed", "model", "dataset.root", "+executor._target_", "hydra.run.dir", "~recipe.lr"]
KEYS += ["+dataset.x", "model.lrn", "recipe.frozen_from", "+choices.x", "data", "into", "+hydra"]
VALUES = ["[", "{a:1}", "${into}", "${data}", "${oc.env:HOME}", "${x", "null", "???", "-1", "1e999"]
VALUES += ["paper", "[1,2]", "'", "\\", "range(1,3)", "a,b", "str(1)", "${oc.decode:'1'}", "é"]


def make_config(rng: Random) -> bytes:
    """Return a changed file, or overrides of the command line, put together from pieces."""
    if rng.random() < 0.5:
        name = rng.choice(CHOSEN)
        return name.encode() + b"\n" + mutate(settings()[name], rng, list(settings().values()))
    pairs = [
        rng.choice(KEYS) + rng.choice(["=", "=", "=", "", "=="]) + rng.choice(VALUES)
        for _ in range(rng.randint(1, 3))
    ]
    if rng.random() < 0.3:
        pairs.append(str(strange_value(rng)))
    if rng.random() < 0.3:
        pairs = [mutate(p.encode(), rng, [b"a=b"]).decode(errors="replace") for p in pairs]
    return b"\n" + json.dumps(pairs).encode()


def read_config(data: bytes, folder: Path) -> None:
    name, _, content = data.partition(b"\n")
    for path, valid in settings().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content if path == name.decode() else valid)
    compose.CHECKOUT = folder
    compose.load_config([] if name else json.loads(content))
