"""The command line on what a run has left; and stages that are told what they cannot do."""

import csv
import json
import shutil
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from checkout import Checkout

pytestmark = pytest.mark.slow


def test_verify(checkout: Checkout) -> None:
    assert checkout.alexnet("verify").splitlines()[-1] == "verify: data/ is as it was written"
    mean = checkout.folder / "data/moments/mean_image.npy"
    whole = mean.read_bytes()
    mean.unlink()  # a link into DVC's cache: never written in place
    mean.write_bytes(whole[:-1] + b"?")
    said = checkout.alexnet("verify", fails=True).splitlines()
    assert "mean_image.npy was changed" in said[0]
    assert said[1].startswith("data/moments/mean_image.npy is not that of dvc.lock; fix: rm -rf ")
    assert said[-1] == "verify: 2 problems"
    checkout.run("dvc", "checkout", "--force", "dvc.yaml")
    said = checkout.alexnet("verify", "--md5", fails=True)
    assert said.startswith("error: the data set is drawn")


def test_inspect_moments(checkout: Checkout, tmp_path: Path) -> None:
    said = checkout.alexnet("inspect", "moments", "--pictures", str(tmp_path / "pictures"))
    colour = json.loads((checkout.folder / "data/moments/moments.json").read_text())
    assert all(f"{mean:.2f}" in said for mean in colour["channel_means"])
    assert all(f"{root:.2f}" in said for root in colour["sqrt_eigenvalues"])
    assert "121.78" in said  # ImageNet's, beside
    for name in ("mean_image", "eigenpairs", "relit"):
        with Image.open(tmp_path / "pictures" / f"{name}.png") as picture:
            assert min(picture.size) > 100


def test_doctor(checkout: Checkout, tmp_path: Path) -> None:
    said = " ".join(checkout.alexnet("doctor").split())
    assert "ILSVRC-2012 archives as downloaded in " in said
    assert "classes 3" in said
    assert "train images 18, " in said
    assert "to be written 0.00 GB as raw shards" in said
    assert "free disk" in said
    assert "problem" not in said
    said = checkout.alexnet("doctor", "dataset=folder", fails=True)
    assert "raw/folder does not exist; fix: set IMAGENET_ROOT" in said
    assert "versions" in said  # it has gone on
    assert said.count("problem: ") == 1
    assert "Key 'nonsense' not in" in checkout.alexnet("doctor", "nonsense=1", fails=True)


def test_explain(checkout: Checkout) -> None:
    said = checkout.alexnet("explain", "top5_error")
    assert said.splitlines()[-1] == "explain: every link is on disk as it was"
    for name in ("metrics.json", "data/train", "00000.lmdb", "ILSVRC2012_img_train.tar"):
        assert f"✓ {name}" in said
    checkout.edit("params.yaml", "lr: 0.01", "lr: 0.02")
    said = checkout.alexnet("explain", "top5_error", fails=True)
    checkout.run("git", "checkout", "--", "params.yaml")
    assert "; changed since: lr" in said
    assert "not as it was: params.yaml; fix: dvc repro" in said


def test_predict_says_of_a_photo_what_the_evaluation_said(
    checkout: Checkout, tmp_path: Path
) -> None:
    """From the archive's own files, by the model's file alone."""
    raw = next(checkout.folder.glob("raw/*/ILSVRC2012_img_val.tar"))
    with tarfile.open(raw) as tar:
        tar.extractall(tmp_path / "photos", filter="data")
    shutil.copy(checkout.folder / "data/train/model.safetensors", tmp_path)
    model = "--model", str(tmp_path / "model.safetensors")
    said = checkout.alexnet("predict", str(tmp_path / "photos"), *model, "--json", "--as-stored")
    with (checkout.folder / "data/evaluate/predictions.csv").open() as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    answers = [json.loads(line) for line in said.splitlines()]
    assert len(answers) == len(rows) == 6
    for answer in answers:
        row = rows[Path(answer["photo"]).name]
        for n, one in enumerate(answer["top"], 1):
            assert one["label"] == int(row[f"label{n}"])
            assert one["probability"] == pytest.approx(float(row[f"probability{n}"]), abs=2e-3)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "dataset: miniature",
            "dataset: ilsvrc2012",
            "raw/ilsvrc2012 does not exist; fix: ",
        ),
        ("executor: processes", "", "params.yaml lacks executor; fix: git checkout params.yaml"),
        ("seed: 0", "sede: 0", "Key 'sede' not in 'Config'"),
        ("lr: 0.01", "lr: fast", "lr: Value 'fast' of type 'str' could not be converted to Float"),
    ],
    ids=["no root", "no executor", "unknown parameter", "no number"],
)
def test_bad_input_is_one_clear_line(checkout: Checkout, old: str, new: str, says: str) -> None:
    checkout.edit("params.yaml", old, new)
    said = checkout.run("python", "stages/index.py", fails=True)
    checkout.run("git", "checkout", "--", ".")
    assert said.startswith("error: ")
    assert says in " ".join(said.split())
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("dataset", "says"),
    [("ilsvrc2012", "ILSVRC2012_img_train.tar is missing"), ("folder", "train is missing")],
)
def test_a_wrong_layout_is_one_clear_line(
    checkout: Checkout, tmp_path: Path, dataset: str, says: str
) -> None:
    command = "python", "stages/index.py", f"dataset={dataset}"
    said = checkout.run(*command, fails=True, IMAGENET_ROOT=str(tmp_path))
    assert says in said
    assert said.count("\n") == 1
    assert checkout.run("dvc", "status", "dvc.yaml") == "Data and pipelines are up to date.\n"
