"""An exported graph computes what the model does, or is not kept."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.cli import graph_export
from alexnet.cli.graph_export import TOLERANCE, check_packages, export_graph
from alexnet.inference.ten_views import predict_views
from alexnet.model.net_config import SpatialNormConfig
from alexnet.model.weights import load_model
from alexnet.runtime.errors import InputError
from small_model import CLASSES, moments, small_description, small_model

MEAN = torch.from_numpy(moments().mean_image)
ORIGINAL = {  # the 2012 code's net, with everything that is hard to export
    "layer1_order": "lrn_pool_relu",
    "spatial_norm": SpatialNormConfig(k=1.0, size=5, alpha=4e-5, beta=0.75),
}


@pytest.mark.parametrize(
    ("kind", "net", "ten_views"), [("pt2", {}, True), ("onnx", ORIGINAL, False)]
)
def test_a_graph_computes_what_the_model_does(
    tmp_path: Path, kind: str, net: dict[str, object], ten_views: bool
) -> None:
    """Compared again here, on other images in batches of other sizes."""
    small_model(tmp_path, **net)
    model, _, description = load_model(tmp_path)
    path = tmp_path / f"graph.{kind}"
    assert export_graph(path, kind, model, MEAN, description, ten_views) <= TOLERANCE
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        ["model.safetensors", "model.json", path.name]
    )
    draw = np.random.default_rng(5)
    for n in (1, 4):
        noise = draw.integers(-40, 40, (n, 256, 256, 3))
        images = np.clip(moments().mean_image + noise, 0, 255).astype(np.uint8)
        with torch.no_grad():
            ten, centre = predict_views(model, torch.from_numpy(images), MEAN)
        run = graph_export.KINDS[kind][1](path)
        found = run(np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32))
        assert found.shape == (n, CLASSES)
        assert abs(found - (ten if ten_views else centre).numpy()).max() <= TOLERANCE
    assert metadata(path)["synsets"] == small_description().to_json()["synsets"]
    assert "RGB, 0–255" in metadata(path)["takes"]


def metadata(path: Path) -> dict[str, object]:
    text = {"alexnet.json": ""}
    if path.suffix == ".pt2":
        torch.export.load(path, extra_files=text)
    else:
        import onnx

        text = {p.key: p.value for p in onnx.load(path).metadata_props}
    content: dict[str, object] = json.loads(text["alexnet.json"])
    return content


def test_a_graph_that_differs_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = small_model(tmp_path / "model")
    write, load = graph_export.KINDS["pt2"]

    def write_shifted(path: Path, model: graph_export.Classifier, text: str) -> None:
        model.mean += 1.0
        write(path, model, text)

    monkeypatch.setitem(graph_export.KINDS, "pt2", (write_shifted, load))
    (tmp_path / "graph.pt2").write_text("previous")
    with pytest.raises(InputError, match=r"differs by .*no file was written"):
        export_graph(tmp_path / "graph.pt2", "pt2", net, MEAN, small_description(), False)
    assert (tmp_path / "graph.pt2").read_text() == "previous"
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["graph.pt2"]


@pytest.mark.parametrize("value", [np.nan, 0.2])
def test_nan_and_constant_outputs_are_differences(tmp_path: Path, value: float) -> None:
    net = small_model(tmp_path)
    with pytest.raises(InputError, match="differs"):
        graph_export.largest_difference(
            lambda x: np.full((len(x), CLASSES), value, np.float32), net, MEAN, False
        )


def test_a_missing_package_is_an_input_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> object:
        return None if name == "onnxscript" else find_spec(name)

    monkeypatch.setattr(graph_export, "find_spec", find)
    check_packages("pt2")
    with pytest.raises(
        InputError, match=r'requires onnxscript; fix: pip install "alexnet\[onnx\]"'
    ):
        check_packages("onnx")
