"""What is exported computes what the original does, or is not kept."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.cli import graph_export as export_module
from alexnet.cli.graph_export import TOLERANCE, check_needed, export
from alexnet.inference.ten_views import view_probabilities
from alexnet.model.weights import load_model
from alexnet.runtime.errors import InputError
from small_model import CLASSES, described, moments, small_model

MEAN = torch.from_numpy(moments().mean_image)
ORIGINAL = {  # the 2012 code's net, with all that is hard to export
    "layer1_order": "lrn_pool_relu",
    "spatial_norm": {"k": 1.0, "size": 5, "alpha": 4e-5, "beta": 0.75},
}


@pytest.mark.parametrize(
    ("kind", "net", "ten_views"), [("pt2", {}, True), ("onnx", ORIGINAL, False)]
)
def test_a_graph_computes_what_the_net_does(
    tmp_path: Path, kind: str, net: dict[str, object], ten_views: bool
) -> None:
    """Compared here once more, on images of its own, in batches of other sizes."""
    small_model(tmp_path, **net)
    whole, _, told = load_model(tmp_path)
    path = tmp_path / f"graph.{kind}"
    assert export(path, kind, whole, MEAN, told, ten_views) <= TOLERANCE
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        ["model.safetensors", "model.json", path.name]
    )
    draw = np.random.default_rng(5)
    for n in (1, 4):
        noise = draw.integers(-40, 40, (n, 256, 256, 3))
        images = np.clip(moments().mean_image + noise, 0, 255).astype(np.uint8)
        with torch.no_grad():
            ten, centre = view_probabilities(whole, torch.from_numpy(images), MEAN)
        run = export_module.KINDS[kind][1](path)
        found = run(np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32))
        assert found.shape == (n, CLASSES)
        assert abs(found - (ten if ten_views else centre).numpy()).max() <= TOLERANCE
    assert metadata(path)["synsets"] == described()["synsets"]
    assert "RGB, 0–255" in metadata(path)["takes"]


def metadata(path: Path) -> dict[str, object]:
    text = {"alexnet.json": ""}
    if path.suffix == ".pt2":
        torch.export.load(path, extra_files=text)
    else:
        import onnx

        text = {p.key: p.value for p in onnx.load(path).metadata_props}
    told: dict[str, object] = json.loads(text["alexnet.json"])
    return told


def test_what_differs_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = small_model(tmp_path / "model")
    write, run_of = export_module.KINDS["pt2"]

    def harmed(path: Path, model: export_module.Classifier, text: str) -> None:
        model.mean += 1.0
        write(path, model, text)

    monkeypatch.setitem(export_module.KINDS, "pt2", (harmed, run_of))
    (tmp_path / "graph.pt2").write_text("the one before")
    with pytest.raises(InputError, match="differs from the original"):
        export(tmp_path / "graph.pt2", "pt2", net, MEAN, described(), False)
    assert (tmp_path / "graph.pt2").read_text() == "the one before"
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["graph.pt2"]


@pytest.mark.parametrize("value", [np.nan, 0.2])
def test_no_number_is_a_difference_too(tmp_path: Path, value: float) -> None:
    net = small_model(tmp_path)
    with pytest.raises(InputError, match="differs"):
        export_module.difference(
            lambda x: np.full((len(x), CLASSES), value, np.float32), net, MEAN, False
        )


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(name: str) -> object:
        return None if name == "onnxscript" else find_spec(name)

    monkeypatch.setattr(export_module, "find_spec", found)
    check_needed("pt2")
    with pytest.raises(InputError, match=r'needs onnxscript; fix: pip install "alexnet\[onnx\]"'):
        check_needed("onnx")
