"""Moments on disk: saved, loaded, and rejected if changed."""

import json
from pathlib import Path

import numpy as np
import pytest

from alexnet.dataset import moments
from alexnet.moments import pca
from alexnet.moments.pca import compute_mean_image
from alexnet.moments.sums import Sums, sum_images
from alexnet.runtime.errors import InputError
from images import Images


@pytest.fixture(scope="module")
def sums(images: Images) -> Sums:
    return sum_images(images)


def test_saved_moments_are_loaded_unchanged(tmp_path: Path, sums: Sums) -> None:
    colour = pca.save_moments(tmp_path, sums)
    loaded = moments.load_moments(tmp_path)
    assert np.array_equal(loaded.mean_image, compute_mean_image(sums))
    assert loaded.eigenvalues.tolist() == colour["eigenvalues"]
    assert "0–255" in json.loads((tmp_path / "moments.json").read_text())["units"]
    assert (tmp_path / "eigenvalues.csv").read_text().count("\n") == 4


def test_damaged_moments_are_rejected(tmp_path: Path, sums: Sums) -> None:
    colour = pca.save_moments(tmp_path, sums)
    saved = {path: path.read_bytes() for path in tmp_path.iterdir()}
    mean, pairs = tmp_path / "mean_image.npy", tmp_path / "moments.json"
    first = str(colour["eigenvalues"][0]).encode()
    damages = [
        (pairs, b"{"),
        (pairs, saved[pairs].replace(first, b"1.5" + first[3:])),
        (mean, saved[mean][:-1] + bytes([saved[mean][-1] ^ 1])),
        (mean, saved[mean][:-8]),
    ]
    for path, damaged in damages:
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="dvc repro -f moments"):
            moments.load_moments(tmp_path)
        path.write_bytes(saved[path])
    moments.load_moments(tmp_path)
