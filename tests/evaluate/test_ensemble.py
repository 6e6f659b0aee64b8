"""An ensemble is the naive mean of its members, and refuses what cannot be averaged."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from alexnet.dataset.index import ROW, Synset
from alexnet.evaluate.ensemble import ensemble
from alexnet.evaluate.predictions import write_predictions
from alexnet.evaluate.result import result_of, write_result
from alexnet.inference.predict import Predictions, count_errors
from alexnet.inference.top_k import rank_labels
from alexnet.runtime.errors import InputError

IMAGES, CLASSES = 40, 7
SYNSETS = [Synset(0, str(n), str(n)) for n in range(CLASSES)]


def member(folder: Path, seed: int, images: int = IMAGES, first: int = 0, **run: Any) -> Path:
    """What the evaluate stage leaves of a model that was trained with this seed."""
    rows = np.zeros(images, ROW)
    rows["name"] = [f"{n:03d}.JPEG".encode() for n in range(images)]
    drawn = np.random.default_rng(seed).dirichlet(np.full(CLASSES, 0.3), images)
    table = torch.from_numpy(drawn).float()
    labels = torch.arange(first, first + images) % CLASSES
    top, values = rank_labels(table)
    made = Predictions(torch.arange(images), labels, top, values, top, table)
    told = {"dataset": "folder", "split": "val", "classes": CLASSES, "model": "paper"}
    told |= {"recipe": "paper", "parameters": "0", "seed": seed, "lr": 0.01, **run}
    folder.mkdir()
    write_predictions(folder, made, rows, SYNSETS)
    write_result(folder / "result.json", result_of(count_errors(made), images, told))
    return folder


def test_it_is_the_naive_mean(tmp_path: Path) -> None:
    folders = [member(tmp_path / str(seed), seed) for seed in range(3)]
    predictions, result = ensemble(folders, "5 CNNs")
    tables = [np.load(folder / "probabilities.npy").astype(float) for folder in folders]
    wrong1 = wrong5 = 0
    assert predictions.probabilities is not None
    for n in range(IMAGES):
        mean = [sum(table[n][label] for table in tables) / 3 for label in range(CLASSES)]
        np.testing.assert_allclose(predictions.probabilities[n], mean, rtol=1e-7)
        order = sorted(range(CLASSES), key=lambda label, mean=mean: -mean[label])
        wrong1 += order[0] != n % CLASSES
        wrong5 += n % CLASSES not in order[:5]
    assert (result["top1_wrong"], result["top5_wrong"], result["images"]) == (wrong1, wrong5, 40)
    assert result["top1_error"] == 100 * wrong1 / 40
    assert result["row"] == "5 CNNs"
    assert [run["seed"] for run in result["members"]] == [0, 1, 2]
    assert (result["run"]["model"], result["run"]["seed"]) == ("paper", None)
    assert "center_top1_error" not in result


def test_one_member_counts_as_it_did(tmp_path: Path) -> None:
    folder = member(tmp_path / "a", 5)
    predictions, result = ensemble([folder], "1 CNN")
    alone = result_of(count_errors(predictions), IMAGES, result["run"])
    told = (folder / "result.json").read_text()
    for name in ("top1_wrong", "top5_wrong"):
        assert f'"{name}": {alone[name]},' in told
    assert result["run"]["seed"] == 5


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"dataset": "ilsvrc2012"}, "differ in dataset: folder and ilsvrc2012"),
        ({"split": "test"}, "differ in split: val and test"),
        ({"images": 39}, "differ in the number of images: 40 and 39"),
        ({"first": 1}, r"differ in record 0: 000.JPEG, label 0, and 000.JPEG, label 1"),
    ],
)
def test_members_of_other_images_are_refused(
    tmp_path: Path, other: dict[str, Any], says: str
) -> None:
    folders = [member(tmp_path / "a", 0), member(tmp_path / "b", 1, **other)]
    with pytest.raises(InputError, match=f"a and .*b {says}; fix: average models that"):
        ensemble(folders, "5 CNNs")


def test_a_member_that_is_none_is_refused(tmp_path: Path) -> None:
    one, two = (member(tmp_path / name, n) for n, name in enumerate("ab"))
    for folders in ([], [one, one], [one, tmp_path / "c" / ".." / "a"]):
        with pytest.raises(InputError, match="name each member once"):
            ensemble(folders, "5 CNNs")
    np.save(two / "probabilities.npy", np.zeros((3, CLASSES), np.float32))
    with pytest.raises(InputError, match=r"b is no evaluation: .*has 40 images"):
        ensemble([one, two], "5 CNNs")
    whole = (one / "probabilities.npy").read_bytes()
    for damaged in (b"\x93NUMPY", whole.replace(b"}", b"("), whole.replace(b"{", b"  \n {")):
        (two / "probabilities.npy").write_bytes(damaged)
        with pytest.raises(InputError, match="b is no evaluation"):
            ensemble([one, two], "5 CNNs")
    shutil.rmtree(two)
    with pytest.raises(InputError, match=r"b/result\.json is no result"):
        ensemble([one, two], "5 CNNs")
