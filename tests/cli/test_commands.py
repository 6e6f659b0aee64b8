"""Commands on the outputs of a run, and stages with invalid input."""

import csv
import json
import shutil
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from checkout import Checkout

pytestmark = pytest.mark.slow


def test_verify_reports_a_damaged_file(checkout: Checkout) -> None:
    assert checkout.alexnet("verify").splitlines()[-1] == "verify: all files match their checksums"
    mean = checkout.folder / "data/moments/mean_image.npy"
    content = mean.read_bytes()
    mean.unlink()  # a link into DVC's cache: never write in place
    mean.write_bytes(content[:-1] + b"?")
    output = checkout.alexnet("verify", fails=True).splitlines()
    assert "mean_image.npy was changed" in output[0]
    assert output[1].startswith("data/moments/mean_image.npy differs from dvc.lock; fix: rm -rf ")
    assert output[-1] == "verify: 2 problems"
    checkout.run("dvc", "checkout", "--force", "dvc.yaml")
    output = checkout.alexnet("verify", "--md5", fails=True)
    assert output.startswith("error: a generated data set has no published MD5")


def test_inspect_moments_prints_and_draws(checkout: Checkout, tmp_path: Path) -> None:
    output = checkout.alexnet("inspect", "moments", "--pictures", str(tmp_path / "pictures"))
    colour = json.loads((checkout.folder / "data/moments/moments.json").read_text())
    assert all(f"{mean:.2f}" in output for mean in colour["channel_means"])
    assert all(f"{root:.2f}" in output for root in colour["sqrt_eigenvalues"])
    assert "121.78" in output  # ImageNet's, beside
    for name in ("mean_image", "eigenpairs", "relit"):
        with Image.open(tmp_path / "pictures" / f"{name}.png") as picture:
            assert min(picture.size) > 100


def test_doctor_reports_findings_and_problems(checkout: Checkout, tmp_path: Path) -> None:
    output = " ".join(checkout.alexnet("doctor").split())
    assert "ILSVRC-2012 archives as downloaded in " in output
    assert "classes 3" in output
    assert "train images 18, " in output
    assert "shards 0.00 GB as raw pixels" in output
    assert "free disk" in output
    assert "problem" not in output
    output = checkout.alexnet("doctor", "dataset=folder", fails=True)
    assert "raw/folder does not exist; fix: set IMAGENET_ROOT" in output
    assert "versions" in output  # the next checks still run
    assert output.count("problem: ") == 1
    assert "Key 'nonsense' not in" in checkout.alexnet("doctor", "nonsense=1", fails=True)


def test_explain_names_what_changed_since_the_run(checkout: Checkout) -> None:
    output = checkout.alexnet("explain", "top5_error")
    assert output.splitlines()[-1] == "explain: nothing has changed since the run"
    for name in ("metrics.json", "data/train", "00000.lmdb", "ILSVRC2012_img_train.tar"):
        assert f"✓ {name}" in output
    checkout.edit("params.yaml", "lr: 0.01", "lr: 0.02")
    output = checkout.alexnet("explain", "top5_error", fails=True)
    checkout.run("git", "checkout", "--", "params.yaml")
    assert "; changed since: lr" in output
    assert "changed since the run: params.yaml; fix: dvc repro" in output


def test_predict_gives_the_answers_of_evaluate(checkout: Checkout, tmp_path: Path) -> None:
    """Classifies files from the archive with only the model file."""
    raw = next(checkout.folder.glob("raw/*/ILSVRC2012_img_val.tar"))
    with tarfile.open(raw) as tar:
        tar.extractall(tmp_path / "photos", filter="data")
    shutil.copy(checkout.folder / "data/train/model.safetensors", tmp_path)
    model = "--model", str(tmp_path / "model.safetensors")
    output = checkout.alexnet("predict", str(tmp_path / "photos"), *model, "--json", "--as-stored")
    with (checkout.folder / "data/evaluate/predictions.csv").open() as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    answers = [json.loads(line) for line in output.splitlines()]
    assert len(answers) == len(rows) == 6
    for answer in answers:
        row = rows[Path(answer["photo"]).name]
        for n, entry in enumerate(answer["top"], 1):
            assert entry["label"] == int(row[f"label{n}"])
            assert entry["probability"] == pytest.approx(float(row[f"probability{n}"]), abs=2e-3)


@pytest.mark.parametrize(
    ("old", "new", "message"),
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
    ids=["no root", "no executor", "unknown parameter", "not a number"],
)
def test_invalid_parameters_are_a_one_line_error(
    checkout: Checkout, old: str, new: str, message: str
) -> None:
    checkout.edit("params.yaml", old, new)
    output = checkout.run("python", "stages/index.py", fails=True)
    checkout.run("git", "checkout", "--", ".")
    assert output.startswith("error: ")
    assert message in " ".join(output.split())
    assert output.count("\n") == 1


@pytest.mark.parametrize(
    ("dataset", "message"),
    [("ilsvrc2012", "ILSVRC2012_img_train.tar is missing"), ("folder", "train is missing")],
)
def test_a_wrong_layout_is_a_one_line_error(
    checkout: Checkout, tmp_path: Path, dataset: str, message: str
) -> None:
    command = "python", "stages/index.py", f"dataset={dataset}"
    output = checkout.run(*command, fails=True, IMAGENET_ROOT=str(tmp_path))
    assert message in output
    assert output.count("\n") == 1
    assert checkout.run("dvc", "status", "dvc.yaml") == "Data and pipelines are up to date.\n"
