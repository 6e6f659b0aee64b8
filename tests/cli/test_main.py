"""The command `alexnet`: arguments, output and exit codes."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.cli import main, predict
from alexnet.dataset.index import ROW, Index, Synset, save_index
from alexnet.model.model_file import MODEL
from alexnet.moments.sums import sum_images
from alexnet.runtime import paths
from images import random_images, save_moments_of, write_split
from small_model import small_model

ROOT = Path(__file__).parents[2]
NAMES = ["predict", "inspect", "explain", "compare", "export", "submit", "verify", "doctor"]


def alexnet(*arguments: object) -> int:
    """Return the exit code; print a message of SystemExit as Python would."""
    with pytest.raises(SystemExit) as exit_info:
        main.main([str(argument) for argument in arguments])
    if isinstance(exit_info.value.code, str):
        print(exit_info.value.code, file=sys.stderr)
        return 1
    return int(exit_info.value.code or 0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write what the stages would write, and photos beside it."""
    data = tmp_path_factory.mktemp("checkout") / "data"
    images = random_images(6)
    (data / "index").mkdir(parents=True)
    (data / "moments").mkdir()
    rows = {"train": np.zeros(4, ROW), "val": np.zeros(2, ROW)}
    synsets = [Synset(1, "n01440764", "tench"), Synset(2, "n01443537", "goldfish")]
    rows["train"]["label"] = [0, 0, 0, 1]
    save_index(Index(rows, [("train.tar", 12_000_000)], synsets), data / "index")
    write_split(data / "shards/train", images[:4], [0, 0, 0, 1], records=3)
    write_split(data / "shards/val", images[4:], [0, 0])
    save_moments_of(data / "moments", sum_images(images[:4]))
    small_model(data / "train")
    (data.parent / "photos").mkdir()
    for n in range(3):
        Image.fromarray(images[n]).save(data.parent / f"photos/{n}.png")
    return data


@pytest.fixture(autouse=True)
def _checkout(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "CHECKOUT", data.parent)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_with_examples(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert alexnet(name, "--help") == 0
    output = capsys.readouterr().out
    assert f"alexnet {name}" in output.partition("examples:")[2]
    assert alexnet("--help") == 0
    output = capsys.readouterr().out
    assert f"  {name} " in output
    assert "exit codes" in output


@pytest.mark.parametrize(
    "line",
    [
        [],
        ["nonsense"],
        ["predict"],
        ["predict", "x.jpg", "--top", "0"],
        ["predict", "x.jpg", "--batch", "many"],
        ["inspect", "nothing"],
        ["explain"],
        ["export"],
        ["compare", "--markdown", "--readme"],
    ],
)
def test_usage_errors_exit_with_2(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert alexnet(*line) == 2
    assert "usage: alexnet" in capsys.readouterr().err


def test_predict_prints_a_table_and_json(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = data.parent / "photos"
    assert alexnet("predict", photos, "--json", "--top", 2) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(line["photo"]).name for line in lines] == ["0.png", "1.png", "2.png"]
    assert all(len(line["top"]) == 2 for line in lines)
    assert alexnet("predict", photos / "1.png") == 0
    output = capsys.readouterr().out
    best = lines[1]["top"][0]
    assert f"{100 * best['probability']:.1f} %" in output.splitlines()[1]
    assert best["wnid"] in output.splitlines()[1]
    assert "\x1b" not in output


def test_predict_reports_unreadable_photos_and_classifies_the_rest(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    named = f"{tmp_path}/gone.jpg\n{data.parent}/photos/0.png\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(named))
    assert alexnet("predict", "-", "--json", "--center", "--model", data / "train" / MODEL) == 1
    output = capsys.readouterr()
    assert output.err == f"{tmp_path}/gone.jpg: No such file or directory\n"
    assert output.out.count("\n") == 1


def test_invalid_names_do_not_stop_predict(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name on stdin is a whole line: any bytes, any length, even U+2028."""
    shutil.copy(data.parent / "photos/0.png", tmp_path / "a\u2028b.png")
    names = [b"caf\xe9.png", b"", b"n" * 5000, b"a\0b.png", "a\u2028b.png".encode()]
    stdin = io.TextIOWrapper(io.BytesIO(b"\n".join(names) + b"\n"), "utf-8", "strict")
    monkeypatch.setattr(sys, "stdin", stdin)
    monkeypatch.chdir(tmp_path)
    assert alexnet("predict", "-", "--json", "--center", "--model", data / "train") == 1
    output = capfd.readouterr()
    assert [json.loads(line)["photo"] for line in output.out.splitlines()] == ["a\u2028b.png"]
    reasons = [line.partition(": ")[2] for line in output.err.splitlines()]
    assert reasons == ["No such file or directory", "File name too long", "invalid file name"]


def test_predict_without_names_on_stdin_is_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    assert alexnet("predict", "-") == 1
    assert capsys.readouterr().err.startswith("error: no photo names on stdin; fix: ")


def test_an_invalid_model_is_a_one_line_error(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model").write_text("not a model")
    for line in (
        ["predict", "x.jpg", "--model", tmp_path / "gone"],
        ["inspect", "model", "--model", tmp_path / "model"],
        ["export", "--pt2", tmp_path / "x.pt2", "--model", tmp_path],
    ):
        assert alexnet(*line) == 1
        output = capsys.readouterr().err
        assert output.startswith("error: ")
        assert re.search(r"; fix: .*dvc repro", output)
        assert output.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("what", "expected", "drawn"),
    [
        ("index", ["2 classes", "3 n01440764", "1 n01443537", "train.tar", "12.0"], []),
        ("shards", ["train: 4 images", "00001.lmdb", "val: 2 images"], ["train", "val"]),
        ("moments", ["mean of R", "121.78"], ["eigenpairs", "mean_image", "relit"]),
        ("model", ["conv5", "quick", "wheel"], ["kernels"]),
    ],
)
def test_inspect_prints_tables_and_draws(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    what: str,
    expected: list[str],
    drawn: list[str],
) -> None:
    assert alexnet("inspect", what, "--pictures", tmp_path / "pictures") == 0
    out = capsys.readouterr().out
    for words in expected:
        assert words in out
    assert max(len(line) for line in out.splitlines() if str(tmp_path) not in line) <= 80
    assert sorted(path.stem for path in tmp_path.glob("pictures/*.png")) == drawn
    for path in tmp_path.glob("pictures/*.png"):
        with Image.open(path) as picture:
            assert picture.size > (100, 90)


def test_unwritable_pictures_are_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert alexnet("inspect", "model", "--pictures", tmp_path / "file") == 1
    assert "fix: choose another folder" in capsys.readouterr().err


def test_export_prints_the_file_it_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert alexnet("export", "--pt2", tmp_path / "net.pt2") == 0
    assert f"{tmp_path}/net.pt2: " in capsys.readouterr().out


def test_compare_prints_tables_and_needs_markers(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "CHECKOUT", tmp_path)
    assert alexnet("compare") == 0
    assert "40.7 / 18.2" in capsys.readouterr().out
    assert alexnet("compare", "--markdown") == 0
    table = capsys.readouterr().out
    assert "| 40.7 / 18.2 |" in table
    (tmp_path / "README.md").write_text("no markers\n")
    assert alexnet("compare", "--readme") == 1


def test_ctrl_c_exits_with_130_and_no_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(predict, "run", interrupt)
    assert alexnet("predict", "x.jpg") == 130
    assert capsys.readouterr() == ("", "")


def python(*words: str, folder: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_help_imports_no_heavy_package(tmp_path: Path) -> None:
    """Importing torch takes a second or two, rich a tenth."""
    code = "import sys; from alexnet.cli.main import make_parser; make_parser().format_help()"
    code += "; print(*sys.modules)"
    modules, _ = python("-c", code, folder=tmp_path, PYTHONPATH=str(ROOT / "src")).communicate()
    assert not {"torch", "numpy", "rich", "hydra", "dvc"} & set(modules.split())


def test_an_installed_package_predicts_until_the_pipe_breaks(data: Path, tmp_path: Path) -> None:
    """As from a wheel: no checkout, no params.yaml; photos have relative names."""
    shutil.copytree(ROOT / "src/alexnet", tmp_path / "site/alexnet")
    shutil.copytree(data.parent / "photos", tmp_path / "here/photos")
    command = "-m", "alexnet", "predict", *["photos"] * 2000, "--center", "--json"
    model = "--model", str(data / "train")
    run = python(*command, *model, folder=tmp_path / "here", PYTHONPATH=str(tmp_path / "site"))
    assert run.stdout is not None
    assert json.loads(run.stdout.readline())["photo"] == "photos/0.png"
    run.stdout.close()  # as `head` does
    assert run.stderr is not None
    assert run.stderr.read() == ""
    assert run.wait() == 141
