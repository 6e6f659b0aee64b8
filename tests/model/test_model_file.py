"""The model's file: all that prediction needs, and nothing believed that it does not bear out."""

import json
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import xxhash

from alexnet.model.alexnet import AlexNet
from alexnet.model.model_file import MODEL, SEAL, as_text, read_model
from alexnet.model.towers import RankLayout
from alexnet.model.weights import init_from, load, load_model, save_model
from alexnet.runtime.errors import InputError
from small_model import (
    CLASSES,
    described,
    moments,
    reshaped,
    rewrite,
    small_model,
    told_by,
    without,
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    small_model(folder)
    return folder


def test_the_file_alone_predicts_the_same(written: Path, tmp_path: Path) -> None:
    """From a file of any name or from its folder; model.json is the same, to look at."""
    shutil.copy(written / MODEL, tmp_path / "any.name")
    x, net = torch.randn(2, 3, 224, 224), small_model(tmp_path)
    for path in (tmp_path / "any.name", written):
        again, same, told = load_model(path)
        assert torch.equal(net(x), again.eval()(x))
        assert all(weight.requires_grad for weight in again.parameters())
        for name, value in vars(moments()).items():
            assert np.array_equal(getattr(same, name), value), name
        assert told == described() == told_by(written)
    assert (written / MODEL).read_bytes() == (tmp_path / MODEL).read_bytes()


def test_read_without_torch_it_is_the_same(written: Path) -> None:
    net, inputs, described = load_model(written)
    weights, same, description = read_model(written)
    assert description == described
    assert list(map(str, vars(same).values())) == list(map(str, vars(inputs).values()))
    assert weights.keys() == net.state_dict().keys()
    for name, tensor in net.state_dict().items():
        assert np.array_equal(weights[name], tensor), name


def test_the_seal_is_of_names_shapes_torchs_dtypes_and_bytes(written: Path) -> None:
    """As it has always been: older models can still be read."""
    tensors, state = load(written / MODEL)
    digest = xxhash.xxh3_64(as_text(state).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.numpy().tobytes())
    with safetensors.safe_open(written / MODEL, "numpy") as file:
        sealed = json.loads(file.metadata()["state"])
    assert sealed == state | {SEAL: digest.hexdigest()}


def test_a_tower_gets_its_own_part(written: Path) -> None:
    whole, *_ = load_model(written)
    part, *_ = load_model(written, RankLayout(tower=1, towers=2))
    assert torch.equal(part.conv2.weight, whole.conv2.weight[8:])


def flipped(folder: Path) -> None:
    data = bytearray((folder / MODEL).read_bytes())
    data[-5000] ^= 1
    (folder / MODEL).write_bytes(data)


def edited(folder: Path) -> None:
    data = (folder / MODEL).read_bytes()
    other = data.replace(rb"seed\": 0", rb"seed\": 1")
    assert other != data
    (folder / MODEL).write_bytes(other)


def cut(folder: Path) -> None:
    (folder / MODEL).write_bytes((folder / MODEL).read_bytes()[:-1000])


def text(folder: Path) -> None:
    (folder / MODEL).write_text("# A model\n" * 100)


def foreign(folder: Path) -> None:
    safetensors.torch.save_file({"w": torch.zeros(3)}, folder / MODEL, {"format": "pt"})


def gone(folder: Path) -> None:
    (folder / MODEL).unlink()


def a_folder(folder: Path) -> None:
    gone(folder)
    (folder / MODEL).mkdir()


def another(part: str, value: Any) -> Callable[[Path], None]:
    return lambda folder: rewrite(folder, part, value)


HARMS: list[tuple[Callable[[Path], None], str]] = [
    (flipped, "changed after it was written"),
    (cut, "cannot be read"),
    (text, "cannot be read"),
    (foreign, "no model of ours"),
    (gone, "No such file"),
    (a_folder, "Is a directory|No such file"),
    (lambda folder: without(folder, "conv1.bias"), r"are not those of its net: conv1\.bias"),
    (lambda folder: reshaped(folder, "more", 2), "are not those of its net: more"),
    (lambda folder: reshaped(folder, "mean_image", 2, 2), "mean_image is 2×2 F32.* 256×256×3 F32"),
    (lambda folder: reshaped(folder, "eigenvalues", 3), "eigenvalues is 3 F32.* 3 F64"),
    (lambda folder: reshaped(folder, "fc8.weight", CLASSES, 9), r"fc8\.weight is 7×9 F32"),
    (another("net.width_divisor", 8), r"\w+ is .* F32, its net has"),
    (another("net.neurons", 10**9), r"fc6\.\w+ is .* F32, its net has .*62500000"),
    (another("net.neurons", 10**30), "cannot be read"),
    (another("net.maps", {"conv1": 10**9}), "cannot be read"),
    (another("net.towers", 0), "cannot be read"),
    (another("net.towers", 2.0), r"conv2\.weight is .* F32, its net has 16×3.0×5×5 F32"),
    (another("net.neurons", 4096.0), r"fc6\.\w+ is .* F32, its net has 256.0"),
    (edited, "changed after it was written"),
    (another("synsets", []), "synsets is not a list of classes"),
]


@pytest.mark.parametrize(("harm", "says"), HARMS)
def test_harm_is_one_line_and_takes_no_memory(
    written: Path, tmp_path: Path, harm: Callable[[Path], None], says: str
) -> None:
    shutil.copytree(written, tmp_path / "model")
    harm(tmp_path / "model")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=says) as told:
        load_model(tmp_path / "model")
    with pytest.raises(InputError) as without_torch:
        read_model(tmp_path / "model")
    assert str(without_torch.value) == str(told.value)
    assert str(told.value).endswith("dvc repro -f train, or name another file")
    assert len(str(told.value)) < 450 + 2 * len(str(tmp_path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_a_model_is_a_checkpoint_whose_state_is_what_it_tells(written: Path) -> None:
    tensors, state = load(written / MODEL)
    assert state == told_by(written)
    assert {"mean_image", "eigenvalues", "eigenvectors", "conv1.weight"} <= tensors.keys()


def test_another_runs_weights_are_taken_where_they_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As for "1 CNN*": the same net, other classes."""
    pretrained, net = AlexNet(7, 16), AlexNet(5, 16)
    fc8 = net.fc8.weight.clone()
    save_model(tmp_path, pretrained, moments(), described())
    assert len(init_from(net, tmp_path)) == 64
    assert capsys.readouterr().out.endswith("new: fc8\n")
    for name, weight in net.state_dict().items():
        taken = pretrained.state_dict()[name]
        assert (
            torch.equal(weight, fc8)
            if name == "fc8.weight"
            else "fc8" in name or torch.equal(weight, taken)
        )
    with pytest.raises(InputError, match=r"no layer of .* fits"):
        init_from(AlexNet(9, 1), tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        init_from(net, tmp_path / "nowhere")
