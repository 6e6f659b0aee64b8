"""An ensemble is the mean of its members, and members that cannot be averaged are rejected."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from alexnet.dataset.index import ROW, Synset
from alexnet.evaluate.ensemble import ensemble
from alexnet.evaluate.outputs import write_outputs
from alexnet.evaluate.result import Result, Run, read_result, write_result
from alexnet.inference.predict import Predictions, count_errors
from alexnet.inference.top_k import rank_labels
from alexnet.runtime.errors import InputError

IMAGES, CLASSES = 40, 7
SYNSETS = [Synset(0, str(n), str(n)) for n in range(CLASSES)]
RUN = {"dataset": "folder", "split": "val", "classes": CLASSES, "model": "paper"}
RUN |= {"recipe": "paper", "parameters": "0", "lr": 0.01}


def write_member(folder: Path, seed: int, images: int = IMAGES, first: int = 0, **run: Any) -> Path:
    """Write what the evaluate stage writes for a model of this seed; label n is first + n."""
    rows = np.zeros(images, ROW)
    rows["name"] = [f"{n:03d}.JPEG".encode() for n in range(images)]
    drawn = np.random.default_rng(seed).dirichlet(np.full(CLASSES, 0.3), images)
    probabilities = torch.from_numpy(drawn).float()
    labels = torch.arange(first, first + images) % CLASSES
    top, values = rank_labels(probabilities)
    predictions = Predictions(torch.arange(images), labels, top, values, top, probabilities)
    folder.mkdir()
    write_outputs(folder, predictions, rows, SYNSETS)
    result = Result(count_errors(predictions), images, Run(**RUN | {"seed": seed} | run))
    write_result(folder / "result.json", result)
    return folder


def test_an_ensemble_is_the_mean_of_its_members_probabilities(tmp_path: Path) -> None:
    folders = [write_member(tmp_path / str(seed), seed) for seed in range(3)]
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
    assert result.counts == {"top1_wrong": wrong1, "top5_wrong": wrong5}
    assert (result.images, result.row) == (40, "5 CNNs")
    assert [run.seed for run in result.members] == [0, 1, 2]
    assert (result.run.model, result.run.seed) == ("paper", None)


def test_an_ensemble_of_one_has_the_counts_of_its_member(tmp_path: Path) -> None:
    folder = write_member(tmp_path / "a", 5)
    _, result = ensemble([folder], "1 CNN")
    member = read_result(folder / "result.json")
    assert result.counts.items() <= member.counts.items()
    assert result.run == member.run


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        ({"dataset": "ilsvrc2012"}, "differ in dataset: folder and ilsvrc2012"),
        ({"split": "test"}, "differ in split: val and test"),
        ({"images": 39}, "differ in the number of images: 40 and 39"),
        ({"first": 1}, r"differ in record 0: 000.JPEG, label 0, and 000.JPEG, label 1"),
    ],
)
def test_members_evaluated_on_different_images_are_rejected(
    tmp_path: Path, other: dict[str, Any], difference: str
) -> None:
    folders = [write_member(tmp_path / "a", 0), write_member(tmp_path / "b", 1, **other)]
    with pytest.raises(InputError, match=f"a and .*b {difference}; fix: average models that"):
        ensemble(folders, "5 CNNs")


def test_no_members_and_duplicate_members_are_rejected(tmp_path: Path) -> None:
    member = write_member(tmp_path / "a", 0)
    for folders in ([], [member, member], [member, tmp_path / "c" / ".." / "a"]):
        with pytest.raises(InputError, match="give each member once"):
            ensemble(folders, "5 CNNs")


def test_a_damaged_or_missing_member_is_rejected(tmp_path: Path) -> None:
    intact, damaged = (write_member(tmp_path / name, n) for n, name in enumerate("ab"))
    np.save(damaged / "probabilities.npy", np.zeros((3, CLASSES), np.float32))
    with pytest.raises(InputError, match=r"b/prob.*npy is damaged: its shape is 3×7, .*40 images"):
        ensemble([intact, damaged], "5 CNNs")
    data = (intact / "probabilities.npy").read_bytes()
    for content in (b"\x93NUMPY", data.replace(b"}", b"("), data.replace(b"{", b"  \n {")):
        (damaged / "probabilities.npy").write_bytes(content)
        with pytest.raises(InputError, match=r"b/probabilities\.npy is damaged"):
            ensemble([intact, damaged], "5 CNNs")
    (damaged / "probabilities.npy").unlink()
    with pytest.raises(InputError, match=r"b/probabilities\.npy is missing"):
        ensemble([intact, damaged], "5 CNNs")
    shutil.rmtree(damaged)
    with pytest.raises(InputError, match=r"b/result\.json is not a valid result"):
        ensemble([intact, damaged], "5 CNNs")
