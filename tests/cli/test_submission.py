"""A submission holds the evaluation stage's answers for unlabelled images."""

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from alexnet.cli.submission import load_ensemble, write_submission
from alexnet.dataset.shards import Shards
from alexnet.inference.predict import predict
from alexnet.model.alexnet import initialise
from alexnet.model.net_config import LAYERS
from alexnet.model.weights import load_model, save_model
from alexnet.runtime.errors import InputError
from images import Images, smooth_images, write_split
from small_model import STD, moments, small_description, small_model

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def images() -> Images:
    return smooth_images(40)


@pytest.fixture(scope="module")
def test_tar(tmp_path_factory: pytest.TempPathFactory, images: Images) -> Path:
    """Write the images unsorted into a folder of a tar; number 7 is truncated."""
    path = tmp_path_factory.mktemp("raw") / "ILSVRC2012_img_test.tar"
    with tarfile.open(path, "w") as tar:
        for n in np.random.default_rng(2).permutation(len(images)).tolist():
            file = io.BytesIO()
            Image.fromarray(images[n]).save(file, "PNG")
            data = file.getvalue()[: 100 if n == 7 else None]
            member = tarfile.TarInfo(f"test/ILSVRC2012_test_{n + 1:08d}.JPEG")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Save two models with different weights."""
    first, second = (tmp_path_factory.mktemp(name) for name in ("first", "second"))
    net = small_model(first)
    initialise(net, 1, STD, dict.fromkeys(LAYERS, 0.1))
    save_model(second, net, moments(), small_description())
    return [first, second]


@pytest.mark.parametrize("count", [1, 2])
def test_submission_equals_the_evaluation_stage(
    tmp_path: Path, images: Images, test_tar: Path, models: list[Path], count: int
) -> None:
    problems = write_submission(tmp_path / "out.txt", load_ensemble(models[:count], CPU), test_tar)
    lines = [line.split() for line in (tmp_path / "out.txt").read_text().splitlines()]
    write_split(tmp_path / "val", images, [0] * len(images))
    mean = torch.from_numpy(moments().mean_image)
    outputs = [predict(load_model(m)[0], Shards(tmp_path / "val"), mean) for m in models[:count]]
    total = torch.zeros(len(images), 7, dtype=torch.float64)
    for output in outputs:
        assert output.probabilities is not None
        total += output.probabilities
    expected = 1 + total.argsort(dim=1, descending=True)[:, :5]  # ids: labels + 1
    assert len(lines) == len(images)
    for n, line in enumerate(lines):
        assert line == ["0"] * 5 if n == 7 else list(map(str, expected[n].tolist()))
    assert len({tuple(line) for line in lines}) > 3
    assert len(problems) == 1
    assert problems[0].startswith("ILSVRC2012_test_00000008.JPEG: ")


def test_unusable_models_and_images_are_input_errors(
    tmp_path: Path, test_tar: Path, models: list[Path]
) -> None:
    description = small_description()
    other = replace(description, synsets=description.synsets[::-1])
    save_model(tmp_path, load_model(models[0])[0], moments(), other)
    with pytest.raises(InputError, match="differ in their synsets; fix: choose models"):
        load_ensemble([models[0], tmp_path], CPU)
    other = replace(description, synsets=[replace(s, devkit_id=0) for s in other.synsets])
    save_model(tmp_path, load_model(models[0])[0], moments(), other)
    with pytest.raises(InputError, match="no ILSVRC ids"):
        write_submission(tmp_path / "out.txt", load_ensemble([tmp_path], CPU), test_tar)
    ensemble = load_ensemble(models[:1], CPU)
    with pytest.raises(InputError, match="does not exist"):
        write_submission(tmp_path / "out.txt", ensemble, tmp_path / "test.tar")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="contains no images"):
        write_submission(tmp_path / "out.txt", ensemble, tmp_path / "empty")
    assert not (tmp_path / "out.txt").exists()
