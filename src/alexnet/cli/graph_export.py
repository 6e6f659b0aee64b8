"""A model as an ONNX or torch.export graph, compared with the original before it is kept."""

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.dataset.shards import SIDE
from alexnet.inference.ten_views import CENTRE_VIEW, predict_views, view_corners
from alexnet.model.alexnet import AlexNet
from alexnet.model.description import ModelDescription
from alexnet.runtime.errors import InputError

TOLERANCE = 1e-5  # of a probability
LOG_TOLERANCE = 1e-3  # of a log probability above LEAST: tests the small ones beside a large one
LEAST = 1e-6
ONNX_PACKAGES = ("onnx", "onnxruntime", "onnxscript")

Floats = npt.NDArray[np.float32]
Run = Callable[[Floats], Floats]


class Classifier(nn.Module):
    """A net with its preprocessing, from images to class probabilities.

    (n, 3, 256, 256) float32 RGB, 0–255 → (n, classes) float32. Subtracts the mean image; takes the
    centre view or averages ten views (section 4.1).
    """

    mean: Tensor

    def __init__(self, net: AlexNet, mean: Tensor, ten_views: bool) -> None:
        super().__init__()
        self.net, self.ten_views = net, ten_views
        self.register_buffer("mean", mean.permute(2, 0, 1).contiguous())

    def forward(self, images: Tensor) -> Tensor:
        """Compute what ten_views.predict_views does, from float images."""
        x, crop = images - self.mean, self.net.config.crop
        corners = view_corners(crop) if self.ten_views else [view_corners(crop)[CENTRE_VIEW]]
        views = [x[:, :, top : top + crop, left : left + crop] for top, left in corners]
        views += [view.flip(3) for view in views if self.ten_views]
        probabilities = F.softmax(self.net(torch.cat(views)), dim=1)
        return probabilities.reshape(len(views), -1, self.net.config.classes).mean(dim=0)


def export_graph(
    path: Path,
    kind: str,
    net: AlexNet,
    mean: Tensor,
    description: ModelDescription,
    ten_views: bool,
) -> float:
    """Write an "onnx" or "pt2" graph for any batch size.

    mean (256, 256, 3). The graph is compared with evaluation on noise, on extremes and on pictures
    like the mean image; `path` is written only if they agree within TOLERANCE. `description`
    and the signature become its metadata. Returns the largest difference of a probability. Raises
    InputError.
    """
    model = Classifier(net.eval(), mean, ten_views).eval()
    write, load = KINDS[kind]
    text = json.dumps(description.to_json() | _signature(model), ensure_ascii=False)
    part = path.with_name(f".part-{path.name}")
    try:
        with _silenced():
            write(part, model, text)
            difference = largest_difference(load(part), net, mean, ten_views)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return difference


def largest_difference(run: Run, net: AlexNet, mean: Tensor, ten_views: bool) -> float:
    """Return a probability's largest difference. Raises InputError if above TOLERANCE."""
    largest = 0.0
    for images in _inputs(mean):
        found = torch.from_numpy(
            run(images.permute(0, 3, 1, 2).float().contiguous().numpy())
        ).double()
        with torch.no_grad():
            ten, centre = predict_views(net, images, mean)
        expected = ten if ten_views else centre
        difference = (found - expected).abs().max().item()
        log_difference = (found.clamp(LEAST).log() - expected.clamp(LEAST).log()).abs().max().item()
        if not (difference <= TOLERANCE and log_difference <= LOG_TOLERANCE):
            problem = f"a probability of the exported model differs by {difference:.1g}"
            raise InputError(f"{problem}; no file was written", "report an issue with the model")
        largest = max(largest, difference)
    return largest


def _inputs(mean: Tensor) -> Iterator[Tensor]:
    """Yield (n, 256, 256, 3) uint8: batches of two, one and five."""
    draw = torch.Generator().manual_seed(0)
    yield torch.randint(0, 256, (2, SIDE, SIDE, 3), generator=draw, dtype=torch.uint8)
    yield mean.round().to(torch.uint8)[None]
    extremes = torch.tensor([0, 255], dtype=torch.uint8)[:, None, None, None].expand(
        2, SIDE, SIDE, 3
    )
    coarse = torch.randn(3, 3, 8, 8, generator=draw)
    smooth = F.interpolate(coarse, SIDE, mode="bilinear").permute(0, 2, 3, 1)
    pictures = (mean + 40 * smooth).clamp(0, 255).to(torch.uint8)
    yield torch.cat([extremes, pictures])


def _signature(model: Classifier) -> dict[str, str]:
    views = "the mean of ten views" if model.ten_views else "the centre view"
    return {
        "takes": f"images: float32 (n, 3, {SIDE}, {SIDE}), RGB, 0–255, mean not subtracted",
        "gives": f"probabilities: float32 (n, {model.net.config.classes}), ordered as synsets, "
        f"of {views}",
    }


def _graph(model: Classifier) -> Any:
    example = torch.zeros(2, 3, SIDE, SIDE)
    sizes = {"images": {0: torch.export.Dim("n")}}
    return torch.export.export(model, (example,), dynamic_shapes=sizes)


def _write_pt2(path: Path, model: Classifier, text: str) -> None:
    torch.export.save(_graph(model), path, extra_files={"alexnet.json": text})


def _load_pt2(path: Path) -> Run:
    graph: Any = torch.export.load(path).module()
    return lambda images: graph(torch.from_numpy(images)).detach().numpy()


def _write_onnx(path: Path, model: Classifier, text: str) -> None:
    names: Any = {"input_names": ["images"], "output_names": ["probabilities"]}
    program = torch.onnx.export(_graph(model), dynamo=True, verbose=False, **names)
    assert program is not None
    program.model.metadata_props["alexnet.json"] = text
    program.save(path, external_data=False)


def _load_onnx(path: Path) -> Run:
    runtime = import_module("onnxruntime")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: session.run(["probabilities"], {"images": images})[0]


@contextmanager
def _silenced() -> Iterator[None]:
    """Silence the exporters' warnings: the result is compared anyway."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(logging.NOTSET)


KINDS: dict[str, tuple[Callable[[Path, Classifier, str], None], Callable[[Path], Run]]] = {
    "onnx": (_write_onnx, _load_onnx),
    "pt2": (_write_pt2, _load_pt2),
}


def check_packages(kind: str) -> None:
    """Raise InputError if a package that `kind` needs is missing."""
    missing = [name for name in ONNX_PACKAGES if kind == "onnx" and find_spec(name) is None]
    if missing:
        raise InputError(f"ONNX requires {', '.join(missing)}", 'pip install "alexnet[onnx]"')
