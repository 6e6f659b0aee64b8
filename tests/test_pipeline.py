"""The whole DAG on a tiny miniature, in a clone of its own, by the commands a user gives."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
import yaml
from PIL import Image

from alexnet.drawings import draw

ROOT = Path(__file__).parents[1]
STAGES = ["index", "resize", "moments", "train", "evaluate", "retrieve", "report"]
TINY = [  # every kind of odd file in few images, a net of a sixteenth of the width
    ("conf/dataset/miniature.yaml", "classes", 3),
    ("conf/dataset/miniature.yaml", "train_per_class", 6),
    ("conf/dataset/miniature.yaml", "val_per_class", 2),
    ("conf/model/quick.yaml", "width_divisor", 16),
    ("conf/recipe/quick.yaml", "batch_size", 8),
    ("conf/recipe/quick.yaml", "epochs", 2),
]
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
AUTHOR = {
    "GIT_AUTHOR_NAME": "tester",
    "GIT_AUTHOR_EMAIL": "tester@localhost",
    "GIT_COMMITTER_NAME": "tester",
    "GIT_COMMITTER_EMAIL": "tester@localhost",
}

pytestmark = pytest.mark.slow


class Checkout:
    """A copy of the project in a git repository of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.check_output(listed, cwd=ROOT, text=True).splitlines():
            if (ROOT / name).exists() and name not in ("dvc.lock", "metrics.json"):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        for change in TINY:
            self.set(*change)
        self.run("git", "init", "-q")
        self.commit()

    def run(self, *command: str, fails: bool = False, **environment: str) -> str:
        """What a command says; it must succeed, or fail where `fails`."""
        bin_folder = str(Path(sys.executable).parent)
        env = {k: v for k, v in os.environ.items() if k not in ("DVC_ROOT", "IMAGENET_ROOT")}
        env["PATH"] = f"{bin_folder}{os.pathsep}{env['PATH']}"
        ran = subprocess.run(
            command,
            cwd=self.folder,
            env=env | AUTHOR | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert (ran.returncode != 0) is fails, ran.stdout
        return ran.stdout

    def commit(self) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "-qm", "state")

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert old in text, (name, old)
        (self.folder / name).write_text(text.replace(old, new))

    def set(self, name: str, key: str, value: object) -> None:
        (old,) = re.findall(rf"^ *{key}: .*$", (self.folder / name).read_text(), re.MULTILINE)
        self.edit(name, old, f"{old.partition(':')[0]}: {value}")

    def stages_run(self, said: str) -> list[str]:
        return re.findall(r"Running stage '(\w+)'", said)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Reproduced once, and committed with its dvc.lock."""
    made = Checkout(tmp_path_factory.mktemp("checkout"))
    said = made.run("dvc", "repro")
    assert sorted(made.stages_run(said)) == sorted(STAGES)
    made.commit()
    return made


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


def test_the_odd_files_are_in_the_ledger(checkout: Checkout) -> None:
    manifest = json.loads((checkout.folder / "data/shards/train/manifest.json").read_text())
    told = " ".join(entry["what"] for entry in manifest["odd"])
    for kind in ("CMYK", "mode L", "PNG", "gzip", "EXIF orientation 6", "truncated"):
        assert kind in told
    assert [entry["done"] for entry in manifest["odd"]].count("skipped") == 1


def test_dvcs_own_views(checkout: Checkout) -> None:
    assert "top1_error" in checkout.run("dvc", "metrics", "show")
    assert "evaluate" in checkout.run("dvc", "dag")
    assert "workspace" in checkout.run("dvc", "exp", "show", "--no-pager", "--csv")
    assert "failed" not in checkout.run("dvc", "plots", "show")
    assert "failed" not in checkout.run("dvc", "metrics", "show")
    assert (checkout.folder / "dvc_plots/index.html").exists()
    shutil.rmtree(checkout.folder / "dvc_plots")


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
    said = checkout.run("dvc", "exp", "run", "-S", "lr=0.02")
    ran = checkout.stages_run(said)
    assert (ran[0], sorted(ran[1:])) == ("train", ["evaluate", "report", "retrieve"])
    assert yaml.safe_load((checkout.folder / "params.yaml").read_text())["lr"] == 0.02
    assert "initialized at 0.01" in (checkout.folder / "params.yaml").read_text()
    checkout.run("git", "checkout", "--", ".")
    checkout.run("dvc", "checkout", "--force", "dvc.yaml")


def would_run(checkout: Checkout) -> list[str]:
    said = checkout.stages_run(checkout.run("dvc", "repro", "--dry"))
    checkout.run("git", "checkout", "--", ".")
    return said


def test_a_new_training_parameter_leaves_resize_cached(checkout: Checkout) -> None:
    checkout.edit(
        "src/alexnet/schema.py", "class Recipe:\n", "class Recipe:\n    warmup: int = 0\n"
    )
    with (checkout.folder / "conf/recipe/quick.yaml").open("a") as file:
        file.write("warmup: 5\n")
    assert would_run(checkout)[0] == "train"


def test_the_update_rules_code_leaves_resize_cached(checkout: Checkout) -> None:
    with (checkout.folder / "src/alexnet/optim.py").open("a") as file:
        file.write("# another rule\n")
    assert would_run(checkout)[0] == "train"


def test_what_decides_speed_alone_reruns_nothing(checkout: Checkout) -> None:
    checkout.set("conf/executor/processes.yaml", "max_workers", 1)
    checkout.set("conf/launcher/single.yaml", "device", "cpu")
    assert would_run(checkout) == []


def test_a_queue(checkout: Checkout) -> None:
    """In DVC's own copies of the checkout, which lack the git-ignored raw data and scratch.

    JPEG shards make a copy read the raw data, which it finds in the main checkout.
    """
    checkout.run("dvc", "exp", "run", "--queue", "-S", "lr=0.005,0.03")
    checkout.run("dvc", "exp", "run", "--queue", "-S", "conf/dataset/miniature.yaml:pixels=jpeg")
    checkout.run("dvc", "queue", "start")
    deadline = time.monotonic() + 500
    while (said := checkout.run("dvc", "queue", "status")).count("Success") < 3:
        assert "Failed" not in said
        assert time.monotonic() < deadline, said
        time.sleep(1)
    shown = checkout.run("dvc", "exp", "show", "--no-pager", "--csv").splitlines()
    runs = [row for row in csv.DictReader(shown) if row["rev"] not in ("workspace", "master")]
    runs = [row for row in runs if row["State"] != "Queued" and row["typ"] == "branch_commit"]
    assert len(runs) == 3
    assert {row["lr"] for row in runs} == {"0.005", "0.01", "0.03"}
    assert all(row["images"] == "6" and row["top1_error"] for row in runs)


def test_a_folder_of_photos(checkout: Checkout, tmp_path: Path) -> None:
    for n, name in ((n, name) for n in range(6) for name in ("snail", "daisy")):
        folder = tmp_path / ("train" if n < 4 else "val") / name
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw(0, 11 if name == "snail" else 3, n)).save(folder / f"{n}.png")
    command = "dvc", "exp", "run", "-S", "dataset=folder"
    said = checkout.run(*command, IMAGENET_ROOT=str(tmp_path))
    assert sorted(checkout.stages_run(said)) == sorted(STAGES)
    assert json.loads((checkout.folder / "metrics.json").read_text())["images"] == 4
    with (checkout.folder / "data/index/classes.csv").open() as file:
        assert [row["words"] for row in csv.DictReader(file)] == ["daisy", "snail"]
    checkout.run("git", "checkout", "--", ".")
    checkout.run("dvc", "checkout", "--force", "dvc.yaml")


def test_a_killed_training_goes_on_to_the_same_bytes(checkout: Checkout) -> None:
    command = [sys.executable, str(checkout.folder / "stages/train.py"), "recipe.epochs=12"]
    model = checkout.folder / "data/train/model.safetensors"
    checkout.run(*command)
    straight = model.read_bytes()
    run = subprocess.Popen([*command, "launcher.device=auto"], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    assert any(line.startswith("epoch   3/12") for line in run.stdout)
    run.kill()
    run.communicate()
    assert "train: going on after epoch " in checkout.run(*command)
    assert model.read_bytes() == straight
    checkout.run("dvc", "checkout", "--force", "dvc.yaml")


def test_damage_is_mended_by_what_the_message_says(checkout: Checkout) -> None:
    """A flipped bit in a shard is one in DVC's cache, too: both are the same file."""
    shard = checkout.folder / "data/shards/val/00000.lmdb"
    whole = shard.read_bytes()
    shard.chmod(0o644)
    with shard.open("r+b") as file:
        file.seek(len(whole) // 2)
        file.write(bytes([whole[len(whole) // 2] ^ 1]))
    said = checkout.run("python", "stages/evaluate.py", fails=True)
    assert re.search(r"val/00000.lmdb: record \d is damaged; mend: ", said)
    checkout.run("bash", "-c", said.partition("mend: ")[2])
    assert shard.read_bytes() == whole
    assert checkout.run("dvc", "status", "dvc.yaml") == "Data and pipelines are up to date.\n"


def alexnet(checkout: Checkout, *arguments: str, fails: bool = False) -> str:
    """What the command line says, of this copy and not of the checkout that is installed."""
    command = "python", "-m", "alexnet", *arguments
    return checkout.run(*command, fails=fails, PYTHONPATH=str(checkout.folder / "src"))


def test_verify(checkout: Checkout) -> None:
    assert alexnet(checkout, "verify").splitlines()[-1] == "verify: data/ is as it was written"
    mean = checkout.folder / "data/moments/mean_image.npy"
    whole = mean.read_bytes()
    mean.unlink()  # a link into DVC's cache: never written in place
    mean.write_bytes(whole[:-1] + b"?")
    said = alexnet(checkout, "verify", fails=True).splitlines()
    assert "mean_image.npy was changed" in said[0]
    assert said[1].startswith("data/moments is not that of dvc.lock; mend: find data/moments ")
    assert said[2:] == ["verify: 2 problems"]
    checkout.run("dvc", "checkout", "--force", "dvc.yaml")
    said = alexnet(checkout, "verify", "--md5", fails=True)
    assert said.startswith("error: the data set is drawn")


def test_inspect_moments(checkout: Checkout, tmp_path: Path) -> None:
    said = alexnet(checkout, "inspect", "moments", "--pictures", str(tmp_path / "pictures"))
    colour = json.loads((checkout.folder / "data/moments/moments.json").read_text())
    assert all(f"{mean:.2f}" in said for mean in colour["channel_means"])
    assert all(f"{root:.2f}" in said for root in colour["sqrt_eigenvalues"])
    assert "121.78" in said  # ImageNet's, beside
    for name in ("mean_image", "eigenpairs", "relit"):
        with Image.open(tmp_path / "pictures" / f"{name}.png") as picture:
            assert min(picture.size) > 100


def test_doctor(checkout: Checkout, tmp_path: Path) -> None:
    said = " ".join(alexnet(checkout, "doctor").split())
    assert "ILSVRC-2012 archives as downloaded in " in said
    assert "classes 3" in said
    assert "train images 18, " in said
    assert "to be written 0.00 GB as raw shards" in said
    assert "free disk" in said
    assert "problem" not in said
    said = alexnet(checkout, "doctor", "dataset=folder", fails=True)
    assert "raw/folder does not exist; mend: set IMAGENET_ROOT" in said
    assert "versions" in said  # it has gone on
    assert said.count("problem: ") == 1
    assert "Key 'nonsense' not in" in alexnet(checkout, "doctor", "nonsense=1", fails=True)


def test_explain(checkout: Checkout) -> None:
    said = alexnet(checkout, "explain", "top5_error")
    assert said.splitlines()[-1] == "explain: every link is on disk as it was"
    for name in ("metrics.json", "data/train", "00000.lmdb", "ILSVRC2012_img_train.tar"):
        assert f"✓ {name}" in said
    checkout.edit("params.yaml", "lr: 0.01", "lr: 0.02")
    said = alexnet(checkout, "explain", "top5_error", fails=True)
    checkout.run("git", "checkout", "--", "params.yaml")
    assert "; changed since: lr" in said
    assert "not as it was: params.yaml; mend: dvc repro" in said


def test_predict_says_of_a_photo_what_the_evaluation_said(
    checkout: Checkout, tmp_path: Path
) -> None:
    """From the archive's own files, by the model's file alone."""
    raw = next(checkout.folder.glob("raw/*/ILSVRC2012_img_val.tar"))
    with tarfile.open(raw) as tar:
        tar.extractall(tmp_path / "photos", filter="data")
    shutil.copy(checkout.folder / "data/train/model.safetensors", tmp_path)
    model = "--model", str(tmp_path / "model.safetensors")
    said = alexnet(checkout, "predict", str(tmp_path / "photos"), *model, "--json", "--as-stored")
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
            "raw/ilsvrc2012 does not exist; mend: ",
        ),
        ("executor: processes", "", "params.yaml lacks executor; mend: git checkout params.yaml"),
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
