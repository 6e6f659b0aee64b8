"""What stages leave, and what they are told, as an enemy might change it, and who reads it."""

import json
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
import safetensors.torch
import torch

from alexnet.config import compose
from alexnet.dataset.index import Index, Synset, load_index, rows_of, save_index
from alexnet.dataset.moments import load_moments
from alexnet.dataset.shards import Shards
from alexnet.evaluate.result import read_result
from alexnet.model.model_file import MODEL, as_text, seal_of
from alexnet.model.weights import load_model
from alexnet.moments.pca import save_moments
from alexnet.moments.sums import NOTHING, Sums
from hostile_raw import use
from images import random_images, write_split
from mutations import mutated, mutated_value, strange
from small_model import small_model

ROOT = Path(__file__).resolve().parents[2]
RUN = {"dataset": "miniature", "split": "val", "classes": 12, "model": "quick", "recipe": "quick"}
RESULT = {
    **{"top1_error": 11.0, "top5_error": 1.0, "top1_wrong": 33, "top5_wrong": 3, "images": 300},
    "run": RUN | {"parameters": "5e1f0a93", "seed": 17, "lr": 0.0125},
}
MADE = Path()  # where `written` puts what is changed: set by whoever reads the feeds


# What stages wrote: the index, a split of shards, moments, a model, a result


def make_part(chance: Random, part: str) -> bytes:
    """The name of one file, then its changed bytes. JSON is changed in its values, too."""
    whole = written(MADE)[part]
    name = chance.choice(sorted(whole))
    data = whole[name]
    if name.endswith(".json") and chance.random() < 0.7:
        data = json.dumps(mutated_value(json.loads(data), chance)).encode()
    else:
        data = mutated(data, chance, list(whole.values()))
    return name.encode() + b"\n" + data


def put(data: bytes, whole: dict[str, bytes], folder: Path) -> None:
    changed, _, content = data.partition(b"\n")
    for name, right in whole.items():
        (folder / name).write_bytes(content if name == changed.decode() else right)


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


@cache
def written(folder: Path) -> dict[str, dict[str, bytes]]:
    """The files of a small index, split, moments and model, made once in `folder`."""
    rows = rows_of([(b"a.JPEG", 0, 3), (b"b.JPEG", 3, 3)], 0, 0)
    index = Index({"train": rows, "val": rows}, [("a.tar", 6)], [Synset(0, "n0", "a, b")])
    for name in ("index", "moments", "model"):
        (folder / name).mkdir(parents=True)
    save_index(index, folder / "index")
    write_split(folder / "split", random_images(2), [0, 1])
    pixels = np.full((256, 256, 3), 7, np.uint64)
    save_moments(folder / "moments", NOTHING + Sums(1, pixels, np.eye(3, dtype=np.uint64)))
    small_model(folder / "model")
    found = {name: _contents(folder / name) for name in ("index", "split", "moments", "model")}
    del found["moments"]["mean_image.png"], found["model"]["model.json"]
    return found


def read_index(data: bytes, folder: Path) -> None:
    put(data, written(MADE)["index"], folder)
    (folder / "a.tar").write_bytes(b"abcdef")
    use(load_index(folder), folder)


def read_split(data: bytes, folder: Path) -> None:
    put(data, written(MADE)["split"], folder)
    shards = Shards(folder)
    for record in shards.records.tolist():
        assert shards.read(record).shape == (256, 256, 3)
    for n in range(len(shards.manifest["shards"])):
        list(shards.damage(n))


def read_moments(data: bytes, folder: Path) -> None:
    put(data, written(MADE)["moments"], folder)
    moments = load_moments(folder)
    assert moments.mean_image.shape == (256, 256, 3)
    assert (moments.eigenvalues.shape, moments.eigenvectors.shape) == ((3,), (3, 3))


def make_model(chance: Random) -> bytes:
    """The bytes changed; or what the file tells, or a tensor, and all sealed again."""
    data = written(MADE)["model"][MODEL]
    if chance.random() < 0.4:
        size = int.from_bytes(data[:8], "little")
        return mutated(data[: 8 + size], chance, [data]) + data[8 + size :]
    if chance.random() < 0.3:
        return mutated(data, chance, [data])
    tensors = safetensors.torch.load(data)
    state = json.loads(_metadata(data)["state"])
    state.pop("xxh3")
    if chance.random() < 0.7:
        state = mutated_value(state, chance)
    else:
        name = chance.choice(sorted(tensors))
        kinds = [torch.float16, torch.int8, torch.float32]
        shape = [chance.randint(0, 3) for _ in range(chance.randint(0, 4))]
        tensors[name] = torch.zeros(shape, dtype=chance.choice(kinds))
    if isinstance(state, dict):
        state["xxh3"] = seal_of(tensors, state)
    return safetensors.torch.save(tensors, {"state": as_text(state)})


def _metadata(data: bytes) -> dict[str, str]:
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    told: dict[str, str] = header["__metadata__"]
    return told


def read_model(data: bytes, folder: Path) -> None:
    (folder / MODEL).write_bytes(data)
    net, moments, described = load_model(folder)
    assert moments.mean_image.shape == (256, 256, 3)
    assert len(described["synsets"]) == len(net.fc8.bias)


def make_result(chance: Random) -> bytes:
    text = json.dumps(RESULT)
    if chance.random() < 0.7:
        return json.dumps(mutated_value(json.loads(text), chance)).encode()
    return mutated(text.encode(), chance, [text.encode()])


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


def make_config(chance: Random) -> bytes:
    """A changed file, or overrides of the command line: pieces of its grammar put together."""
    if chance.random() < 0.5:
        name = chance.choice(CHOSEN)
        return name.encode() + b"\n" + mutated(settings()[name], chance, list(settings().values()))
    pairs = [
        chance.choice(KEYS) + chance.choice(["=", "=", "=", "", "=="]) + chance.choice(VALUES)
        for _ in range(chance.randint(1, 3))
    ]
    if chance.random() < 0.3:
        pairs.append(str(strange(chance)))
    if chance.random() < 0.3:
        pairs = [mutated(p.encode(), chance, [b"a=b"]).decode(errors="replace") for p in pairs]
    return b"\n" + json.dumps(pairs).encode()


def read_config(data: bytes, folder: Path) -> None:
    name, _, content = data.partition(b"\n")
    for path, right in settings().items():
        there = folder / path
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(content if path == name.decode() else right)
    compose.CHECKOUT = folder
    compose.load_config([] if name else json.loads(content))
