"""The moments are read as they were written, and any change of the files is rejected."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from alexnet.dataset.checksummed import read_checksummed_json, save_array, write_checksummed_json
from alexnet.dataset.moments import load_moments, save_moments
from alexnet.runtime.errors import InputError

MEAN = np.random.default_rng(0).uniform(0, 255, (256, 256, 3)).astype(np.float32)
COLOUR: dict[str, Any] = {
    "units": "RGB pixel values, 0–255; covariance and eigenvalues in their squares",
    "images": 20,
    "channel_means": [120.5, 110.25, 100.0],
    "covariance": [[9.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 1.0]],
    "eigenvalues": [9.0, 4.0, 1.0],
    "sqrt_eigenvalues": [3.0, 2.0, 1.0],
    "eigenvectors": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_moments(tmp_path, MEAN, COLOUR)
    return tmp_path


def test_moments_are_read_as_written(folder: Path) -> None:
    loaded = load_moments(folder)
    assert np.array_equal(loaded.mean_image, MEAN)
    assert loaded.eigenvalues.tolist() == COLOUR["eigenvalues"]
    assert loaded.eigenvectors.tolist() == COLOUR["eigenvectors"]
    assert "0–255" in json.loads((folder / "moments.json").read_text())["units"]
    assert (folder / "eigenvalues.csv").read_text().splitlines() == [
        "axis,eigenvalue,sqrt_eigenvalue", "1,9.0,3.0", "2,4.0,2.0", "3,1.0,1.0"
    ]  # fmt: skip
    assert (folder / "mean_image.png").exists()


def test_moments_become_tensors_of_the_same_dtypes(folder: Path) -> None:
    tensors = load_moments(folder).to("cpu")
    assert [tensor.dtype for tensor in tensors] == [torch.float32, torch.float64, torch.float64]
    assert np.array_equal(tensors.mean_image.numpy(), MEAN)
    assert tensors.eigenvalues.tolist() == COLOUR["eigenvalues"]
    assert tensors.eigenvectors.tolist() == COLOUR["eigenvectors"]


def test_changed_moments_are_rejected(folder: Path) -> None:
    saved = {path: path.read_bytes() for path in folder.iterdir()}
    mean, colour = folder / "mean_image.npy", folder / "moments.json"
    damages = [
        (colour, b"{"),
        (colour, saved[colour].replace(b"9.0", b"1.5")),
        (mean, saved[mean][:-1] + bytes([saved[mean][-1] ^ 1])),
        (mean, saved[mean][:-8]),
    ]
    for path, damaged in damages:
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="dvc repro -f moments"):
            load_moments(folder)
        path.write_bytes(saved[path])
    load_moments(folder)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("units", "RGB, 0–1"),
        *[("images", value) for value in (0, -1, 1.5, True, None)],
        *[("channel_means", value) for value in ([1.0, 2.0], [1, 2, 3], "123", None)],
        *[("eigenvalues", value) for value in ([1.0, 1.0, -1.0], [1.0, 1.0, float("nan")], [])],
        ("sqrt_eigenvalues", [1.0, -1.0, 1.0]),
        *[("eigenvectors", value) for value in ([[1.0]], [[1.0], [1.0, 2.0]], [1.0, 2.0, 3.0])],
    ],
)
def test_invalid_values_with_a_right_checksum_are_rejected(
    folder: Path, name: str, value: Any
) -> None:
    content = read_checksummed_json(folder / "moments.json")
    write_checksummed_json(folder / "moments.json", content | {name: value})
    with pytest.raises(InputError, match=r"holds no valid moments.*dvc repro -f moments"):
        load_moments(folder)


@pytest.mark.parametrize("value", [-1, 256, np.nan, np.inf])
def test_a_mean_image_out_of_range_is_rejected(folder: Path, value: float) -> None:
    mean = MEAN.copy()
    mean[3, 4, 1] = value
    content = read_checksummed_json(folder / "moments.json")
    checksum = save_array(folder / "mean_image.npy", mean)
    write_checksummed_json(folder / "moments.json", content | {"mean_image": checksum})
    with pytest.raises(InputError, match=r"mean_image.npy has pixels outside 0–255"):
        load_moments(folder)
