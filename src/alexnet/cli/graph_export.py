"""A model as a graph that others run, ONNX or torch.export, compared before it is kept."""

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
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
from alexnet.inference.ten_views import CENTRE_VIEW, view_probabilities
from alexnet.input.augment import views_of
from alexnet.model.alexnet import AlexNet
from alexnet.runtime.errors import InputError

TOLERANCE = 1e-5  # of a probability
LOG_TOLERANCE = 1e-3  # of the logarithm of one above LEAST: where one class takes all, others tell
LEAST = 1e-6
NEEDED = ("onnx", "onnxruntime", "onnxscript")

Floats = npt.NDArray[np.float32]
Run = Callable[[Floats], Floats]


class Classifier(nn.Module):
    """(n, 3, 256, 256) float32 RGB, 0–255 → class probabilities (n, classes) float32.

    Of the centre view, or the mean of ten views' (section 4.1); the mean image is subtracted here.
    """

    mean: Tensor

    def __init__(self, net: AlexNet, mean: Tensor, ten_views: bool) -> None:
        super().__init__()
        self.net, self.ten_views = net, ten_views
        self.register_buffer("mean", mean.permute(2, 0, 1).contiguous())

    def forward(self, images: Tensor) -> Tensor:
        """As evaluation.view_probabilities, of images that are no longer bytes."""
        x, crop = images - self.mean, self.net.crop
        places = views_of(crop) if self.ten_views else [views_of(crop)[CENTRE_VIEW]]
        views = [x[:, :, top : top + crop, left : left + crop] for top, left in places]
        views += [view.flip(3) for view in views if self.ten_views]
        probabilities = F.softmax(self.net(torch.cat(views)), dim=1)
        return probabilities.reshape(len(views), -1, self.net.classes).mean(dim=0)


def export(
    path: Path, kind: str, net: AlexNet, mean: Tensor, described: Mapping[str, Any], ten_views: bool
) -> float:
    """Write the graph to `path`; `kind`: "onnx" or "pt2". Batches of any size go in.

    mean (256, 256, 3). What it computes is compared with what evaluation computes, on noise, on
    extremes and on pictures like the mean image: within TOLERANCE, or nothing is left behind.
    Returns the greatest difference. `described` goes into the file's metadata, with what goes in
    and out. Raises InputError.
    """
    model = Classifier(net.eval(), mean, ten_views).eval()
    write, run_of = KINDS[kind]
    text = json.dumps(dict(described) | _signature(model), ensure_ascii=False)
    part = path.with_name(f".part-{path.name}")
    try:
        with _quietly():
            write(part, model, text)
            apart = difference(run_of(part), net, mean, ten_views)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return apart


def difference(run: Run, net: AlexNet, mean: Tensor, ten_views: bool) -> float:
    """The greatest difference of a probability. Raises InputError where it is beyond TOLERANCE."""
    greatest = 0.0
    for images in _inputs(mean):
        found = torch.from_numpy(
            run(images.permute(0, 3, 1, 2).float().contiguous().numpy())
        ).double()
        with torch.no_grad():
            ten, centre = view_probabilities(net, images, mean)
        expected = ten if ten_views else centre
        apart = (found - expected).abs().max().item()
        logs = (found.clamp(LEAST).log() - expected.clamp(LEAST).log()).abs().max().item()
        if not (apart <= TOLERANCE and logs <= LOG_TOLERANCE):
            what = f"the exported model differs from the original by {apart:.1g} of a probability"
            raise InputError(what, "nothing was written; say so, with the model, in an issue")
        greatest = max(greatest, apart)
    return greatest


def _inputs(mean: Tensor) -> Iterator[Tensor]:
    """(n, 256, 256, 3) uint8: batches of one, two and five."""
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
    rule = "the mean of ten views" if model.ten_views else "the centre view"
    return {
        "takes": f"images: float32 (n, 3, {SIDE}, {SIDE}), RGB, 0–255, mean not yet subtracted",
        "gives": f"probabilities: float32 (n, {model.net.classes}), as synsets, of {rule}",
    }


def _graph(model: Classifier) -> Any:
    example = torch.zeros(2, 3, SIDE, SIDE)
    sizes = {"images": {0: torch.export.Dim("n")}}
    return torch.export.export(model, (example,), dynamic_shapes=sizes)


def _write_pt2(path: Path, model: Classifier, text: str) -> None:
    torch.export.save(_graph(model), path, extra_files={"alexnet.json": text})


def _run_pt2(path: Path) -> Run:
    again: Any = torch.export.load(path).module()
    return lambda images: again(torch.from_numpy(images)).detach().numpy()


def _write_onnx(path: Path, model: Classifier, text: str) -> None:
    names: Any = {"input_names": ["images"], "output_names": ["probabilities"]}
    program = torch.onnx.export(_graph(model), dynamo=True, verbose=False, **names)
    assert program is not None
    program.model.metadata_props["alexnet.json"] = text
    program.save(path, external_data=False)


def _run_onnx(path: Path) -> Run:
    runtime = import_module("onnxruntime")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: session.run(["probabilities"], {"images": images})[0]


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what the exporters say of themselves; what matters is what they wrote."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(logging.NOTSET)


KINDS: dict[str, tuple[Callable[[Path, Classifier, str], None], Callable[[Path], Run]]] = {
    "onnx": (_write_onnx, _run_onnx),
    "pt2": (_write_pt2, _run_pt2),
}


def check_needed(kind: str) -> None:
    """Raise InputError where a package is missing that `kind` is written or run with."""
    missing = [name for name in NEEDED if kind == "onnx" and find_spec(name) is None]
    if missing:
        raise InputError(f"ONNX needs {', '.join(missing)}", 'pip install "alexnet[onnx]"')
