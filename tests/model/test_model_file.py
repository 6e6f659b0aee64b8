"""The model file holds all that prediction needs, and a damaged one is rejected unused."""

import json
import resource
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import xxhash

from alexnet.model.alexnet import AlexNet
from alexnet.model.model_file import MODEL, read_model
from alexnet.model.net_config import MAPS, NetConfig
from alexnet.model.tensor_file import CHECKSUM, json_text, load_tensors
from alexnet.model.towers import RankLayout
from alexnet.model.weights import init_from, load_model, save_model
from alexnet.runtime.errors import InputError
from small_model import (
    CLASSES,
    description_json,
    moments,
    remove_tensor,
    replace_tensor,
    set_in_file,
    small_description,
    small_model,
)

Damage = Callable[[Path], None]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    small_model(folder)
    return folder


def test_a_loaded_model_predicts_the_same(saved: Path, tmp_path: Path) -> None:
    """From a file of any name or from its folder; model.json repeats the description."""
    shutil.copy(saved / MODEL, tmp_path / "any.name")
    x, net = torch.randn(2, 3, 224, 224), small_model(tmp_path)
    for path in (tmp_path / "any.name", saved):
        loaded, loaded_moments, description = load_model(path)
        assert torch.equal(net(x), loaded.eval()(x))
        assert all(weight.requires_grad for weight in loaded.parameters())
        for name, value in vars(moments()).items():
            assert np.array_equal(getattr(loaded_moments, name), value), name
        assert description == small_description()
        assert description.to_json() == description_json(saved)
    assert (saved / MODEL).read_bytes() == (tmp_path / MODEL).read_bytes()


def test_reading_without_torch_gives_the_same(saved: Path) -> None:
    net, its_moments, its_description = load_model(saved)
    weights, same_moments, description = read_model(saved)
    assert description == its_description
    assert list(map(str, vars(same_moments).values())) == list(map(str, vars(its_moments).values()))
    assert weights.keys() == net.state_dict().keys()
    for name, tensor in net.state_dict().items():
        assert np.array_equal(weights[name], tensor), name


def test_the_checksum_covers_names_shapes_dtypes_and_bytes(saved: Path) -> None:
    """Under torch's names of dtypes, so that existing files remain valid."""
    tensors, state = load_tensors(saved / MODEL)
    digest = xxhash.xxh3_64(json_text(state).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.numpy().tobytes())
    with safetensors.safe_open(saved / MODEL, "numpy") as file:
        in_file = json.loads(file.metadata()["state"])
    assert in_file == state | {CHECKSUM: digest.hexdigest()}


def test_each_tower_loads_its_own_rows(saved: Path) -> None:
    whole, *_ = load_model(saved)
    tower, *_ = load_model(saved, RankLayout(tower=1, towers=2))
    assert torch.equal(tower.conv2.weight, whole.conv2.weight[8:])


def flip_a_bit(folder: Path) -> None:
    data = bytearray((folder / MODEL).read_bytes())
    data[-5000] ^= 1
    (folder / MODEL).write_bytes(data)


def edit_the_seed(folder: Path) -> None:
    data = (folder / MODEL).read_bytes()
    edited = data.replace(rb"seed\": 0", rb"seed\": 1")
    assert edited != data
    (folder / MODEL).write_bytes(edited)


def truncate(folder: Path) -> None:
    (folder / MODEL).write_bytes((folder / MODEL).read_bytes()[:-1000])


def write_text(folder: Path) -> None:
    (folder / MODEL).write_text("# A model\n" * 100)


def write_other_safetensors(folder: Path) -> None:
    safetensors.torch.save_file({"w": torch.zeros(3)}, folder / MODEL, {"format": "pt"})


def delete(folder: Path) -> None:
    (folder / MODEL).unlink()


def make_a_folder(folder: Path) -> None:
    delete(folder)
    (folder / MODEL).mkdir()


def change(name: str, value: Any) -> Damage:
    return partial(set_in_file, name=name, value=value)


DAMAGES: list[tuple[Damage, str]] = [
    (flip_a_bit, "do not match its checksum"),
    (edit_the_seed, "do not match its checksum"),
    (truncate, "cannot be read"),
    (write_text, "cannot be read"),
    (write_other_safetensors, "not an alexnet model file"),
    (delete, "No such file"),
    (make_a_folder, "Is a directory|No such file"),
    (partial(remove_tensor, name="conv1.bias"), r"are not those of its net: conv1\.bias"),
    (lambda folder: replace_tensor(folder, "more", 2), "are not those of its net: more"),
    (
        lambda folder: replace_tensor(folder, "mean_image", 2, 2),
        "mean_image is 2×2 F32.* 256×256×3 F32",
    ),
    (lambda folder: replace_tensor(folder, "eigenvalues", 3), "eigenvalues is 3 F32.* 3 F64"),
    (lambda folder: replace_tensor(folder, "fc8.weight", CLASSES, 9), r"fc8\.weight is 7×9 F32"),
    (change("net.width_divisor", 8), r"\w+ is .* F32, its net has"),
    (change("net.neurons", 10**9), r"fc6\.\w+ is .* F32, its net has .*62500000"),
    (change("net.neurons", 10**30), "cannot be read"),
    (change("net.maps", MAPS | {"conv1": 96 * 10**9}), r"conv1\.weight is .* F32, its net has"),
    (change("net.maps", {"conv1": 10**9}), "model.maps is"),
    (change("net.towers", 0), "model.towers is 0"),
    (change("net.towers", 2.0), "model.towers is 2.0"),
    (change("net.neurons", 4096.0), "model.neurons is 4096.0"),
    (change("synsets", []), "synsets is not a list of classes"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_a_damaged_file_is_rejected_in_one_line_and_little_memory(
    saved: Path, tmp_path: Path, damage: Damage, message: str
) -> None:
    shutil.copytree(saved, tmp_path / "model")
    damage(tmp_path / "model")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=message) as error:
        load_model(tmp_path / "model")
    with pytest.raises(InputError) as without_torch:
        read_model(tmp_path / "model")
    assert str(without_torch.value) == str(error.value)
    assert str(error.value).endswith("dvc repro -f train, or name another file")
    assert len(str(error.value)) < 450 + 2 * len(str(tmp_path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_a_model_file_can_be_read_like_a_checkpoint(saved: Path) -> None:
    tensors, state = load_tensors(saved / MODEL)
    assert state == description_json(saved)
    assert {"mean_image", "eigenvalues", "eigenvectors", "conv1.weight"} <= tensors.keys()


def test_another_runs_weights_are_copied_where_shapes_match(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As for "1 CNN*": the same net with other classes."""
    pretrained, net = AlexNet(NetConfig(7, 16)), AlexNet(NetConfig(5, 16))
    fc8 = net.fc8.weight.clone()
    save_model(tmp_path, pretrained, moments(), small_description())
    assert len(init_from(net, tmp_path)) == 64
    assert capsys.readouterr().out.endswith("new: fc8\n")
    assert torch.equal(net.fc8.weight, fc8)
    for name, weight in net.state_dict().items():
        assert "fc8" in name or torch.equal(weight, pretrained.state_dict()[name]), name
    with pytest.raises(InputError, match=r"no layer of .* fits"):
        init_from(AlexNet(NetConfig(9, 1)), tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        init_from(net, tmp_path / "nowhere")
