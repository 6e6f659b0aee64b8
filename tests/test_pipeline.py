"""The whole DAG on a tiny miniature, in a clone of its own, by the commands a user gives."""

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from PIL import Image

from alexnet.miniature.render import draw
from checkout import STAGES, Checkout

ARTIFACTS = [
    "index/train.npy",
    "index/classes.csv",
    "shards/train/00000.lmdb",
    "shards/val/manifest.json",
    "moments/mean_image.npy",
    "moments/mean_image.png",
    "moments/moments.json",
    "moments/eigenvalues.csv",
    "train/model.safetensors",
    "train/model.json",
    "evaluate/predictions.csv",
    "evaluate/probabilities.npy",
    "evaluate/submission.txt",
    "evaluate/result.json",
    "retrieve/neighbours.csv",
    "retrieve/codes.csv",
    "report/index.html",
    "report/kernels.png",
    "report/eigenpairs.png",
]

pytestmark = pytest.mark.slow


@pytest.fixture
def checkout(checkout: Checkout, tmp_path: Path) -> Iterator[Checkout]:
    """A copy for each test: whatever it leaves there, no other test meets."""
    copy = checkout.copied(tmp_path / "copy")
    yield copy
    shutil.rmtree(copy.folder)


def test_every_artifact_is_there(checkout: Checkout) -> None:
    data = checkout.folder / "data"
    for name in ARTIFACTS:
        assert (data / name).stat().st_size > 0, name
    metrics = json.loads((checkout.folder / "metrics.json").read_text())
    assert metrics["images"] == 6
    assert metrics["top1_error"] == pytest.approx(100 * metrics["top1_wrong"] / 6)
    assert metrics == json.loads((data / "evaluate/result.json").read_text())
    chosen = {"dataset": "miniature", "model": "quick", "recipe": "quick", "seed": 0, "lr": 0.01}
    parameters = metrics["run"].pop("parameters")
    assert len(parameters) == 8
    assert metrics["run"] == chosen | {"split": "val", "classes": 3}
    with (data / "train/history.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]


def test_odd_files_are_listed_in_the_manifest(checkout: Checkout) -> None:
    manifest = json.loads((checkout.folder / "data/shards/train/manifest.json").read_text())
    reasons = " ".join(entry["what"] for entry in manifest["odd"])
    for kind in ("CMYK", "mode L", "PNG", "gzip", "EXIF orientation 6", "truncated"):
        assert kind in reasons
    assert [entry["done"] for entry in manifest["odd"]].count("skipped") == 1


def test_dvcs_own_views(checkout: Checkout) -> None:
    assert "evaluate" in checkout.run("dvc", "dag")
    assert "workspace" in checkout.run("dvc", "exp", "show", "--no-pager", "--csv")
    assert "failed" not in checkout.run("dvc", "plots", "show")
    said = checkout.run("dvc", "metrics", "show")
    assert "top1_error" in said
    assert "failed" not in said
    assert (checkout.folder / "dvc_plots/index.html").exists()


def test_a_second_repro_does_nothing(checkout: Checkout) -> None:
    assert checkout.stages_run(checkout.run("dvc", "repro")) == []
    assert checkout.run("git", "status", "--porcelain") == ""


def test_forced_repro_leaves_the_lock_as_it_was(checkout: Checkout) -> None:
    said = checkout.run("dvc", "repro", "-f")
    assert sorted(checkout.stages_run(said)) == sorted(STAGES)
    assert checkout.run("git", "diff", "dvc.lock", "metrics.json") == ""


def test_a_stage_run_by_hand_gives_what_dvc_gave(checkout: Checkout) -> None:
    """Also from another folder; and with an override that changes the outcome, something else."""
    checkout.run("bash", "-c", "cd stages && python train.py")
    command = "python", str(checkout.folder / "stages/train.py")
    assert "Data and pipelines are up to date" in checkout.run("dvc", "status", "dvc.yaml")
    checkout.run(*command, "recipe.epochs=1")
    assert "train" in checkout.run("dvc", "status", "dvc.yaml")
    checkout.run("dvc", "checkout", "--force", "dvc.yaml")
    assert "Data and pipelines are up to date" in checkout.run("dvc", "status", "dvc.yaml")


def test_a_rate_reruns_only_what_follows_from_it(checkout: Checkout) -> None:
    assert checkout.stages_run(checkout.run("dvc", "exp", "run", "-S", "lr=0.02", "evaluate")) == [
        "train",
        "evaluate",
    ]
    assert sorted(checkout.stages_run(checkout.run("dvc", "repro", "--dry"))) == [
        "report",
        "retrieve",
    ]
    assert yaml.safe_load((checkout.folder / "params.yaml").read_text())["lr"] == 0.02
    assert "initialized at 0.01" in (checkout.folder / "params.yaml").read_text()


def would_run(checkout: Checkout) -> list[str]:
    return checkout.stages_run(checkout.run("dvc", "repro", "--dry"))


def test_a_new_training_parameter_leaves_resize_cached(checkout: Checkout) -> None:
    checkout.edit(
        "src/alexnet/config/schema.py", "class Recipe:\n", "class Recipe:\n    warmup: int = 0\n"
    )
    with (checkout.folder / "conf/recipe/quick.yaml").open("a") as file:
        file.write("warmup: 5\n")
    assert would_run(checkout)[0] == "train"


def test_the_update_rules_code_leaves_resize_cached(checkout: Checkout) -> None:
    with (checkout.folder / "src/alexnet/train/optimizer.py").open("a") as file:
        file.write("# another rule\n")
    assert would_run(checkout)[0] == "train"


def test_what_decides_speed_alone_reruns_nothing(checkout: Checkout) -> None:
    checkout.set("conf/executor/processes.yaml", "max_workers", 1)
    checkout.set("conf/launcher/single.yaml", "device", "cpu")
    assert would_run(checkout) == []


def test_a_folder_of_photos(checkout: Checkout, tmp_path: Path) -> None:
    for n, name in ((n, name) for n in range(6) for name in ("snail", "daisy")):
        folder = tmp_path / ("train" if n < 4 else "val") / name
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw(0, 11 if name == "snail" else 3, n)).save(folder / f"{n}.png")
    command = "dvc", "exp", "run", "-S", "dataset=folder", "evaluate"
    said = checkout.run(*command, IMAGENET_ROOT=str(tmp_path))
    assert checkout.stages_run(said) == STAGES[:5]
    assert json.loads((checkout.folder / "metrics.json").read_text())["images"] == 4
    with (checkout.folder / "data/index/classes.csv").open() as file:
        assert [row["words"] for row in csv.DictReader(file)] == ["daisy", "snail"]


@pytest.mark.parametrize(("file", "reruns"), [("paper", True), ("quick", True), ("caffe", False)])
def test_a_preset_and_what_it_inherits_rerun_training(
    checkout: Checkout, file: str, reruns: bool
) -> None:
    path = checkout.folder / f"conf/recipe/{file}.yaml"
    before = path.read_text()
    path.write_text(before + ("momentum: 0.8\n" if file != "paper" else ""))
    if file == "paper":
        checkout.set("conf/recipe/paper.yaml", "momentum", 0.8)
    assert ("train" in would_run(checkout)) is reruns
    path.write_text(before)
