"""Outputs of a real DVC pipeline, damaged; then repaired by the commands that the lines name."""

import os
import shutil
import subprocess
from contextlib import chdir
from pathlib import Path

import pytest
from dvc.repo import Repo

from alexnet.cli.dvc_lock import compare_outputs, report
from alexnet.runtime.errors import InputError, rebuild_command

STAGES = """
stages:
  index:
    cmd: true index && mkdir -p data && cp -r source/index data/
    deps: [source/index, index.py]
    params: [dataset]
    outs: [data/index]
  resize:
    cmd: cp -r source/shards data/
    deps: [data/index]
    outs: [data/shards]
  evaluate:
    cmd: cp -r source/evaluate data/ && cp source/metrics.json .
    deps: [data/shards]
    outs: [data/evaluate]
    metrics: [metrics.json: {cache: false}]
"""
FILES = {
    "index/train.npy": "rows",
    "index/classes.csv": "label,wnid",
    "shards/train/00000.lmdb": "pixels",
    "shards/train/manifest.json": "{}",
    "evaluate/predictions.csv": "1,2",
    "metrics.json": '{"top1_error": 1}',
}
Lines = tuple[list[str], list[str]]


def write_checkout(root: Path, link: str) -> Path:
    """Run the pipeline; its outputs are links of this kind into DVC's cache."""
    for name, text in FILES.items():
        (root / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "source" / name).write_text(text)
    (root / "index.py").write_text("# index\n")
    (root / "params.yaml").write_text("dataset: small\n")
    (root / "dvc.yaml").write_text(STAGES)
    Repo.init(str(root), no_scm=True).close()
    with Repo(str(root)).config.edit("repo") as config:
        config["core"]["analytics"] = False
        config["cache"] = {"type": [link]}
    repro(root)
    return root


def repro(root: Path, *stages: str, force: bool = False) -> None:
    with chdir(root):
        Repo().reproduce(stages or None, force=force)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkout(tmp_path_factory.mktemp("locked") / "checkout", "hardlink")


@pytest.fixture
def root(checkout: Path, tmp_path: Path) -> Path:
    """A copy that keeps the links."""
    subprocess.run(["cp", "-a", checkout, tmp_path / "checkout"], check=True)
    return tmp_path / "checkout"


def compare(root: Path) -> Lines:
    """Return the lines of damage, and the notes."""
    notes: list[str] = []
    lines = [line for out in compare_outputs(root) for line in report(root, out, notes.append)]
    return lines, notes


def changed_paths(lines: list[str]) -> list[str]:
    return [line.partition(" differs from dvc.lock; fix: ")[0] for line in lines]


def rot(path: Path) -> None:
    """Flip a bit in place, in a linked cache too, and keep size and time."""
    file = path.resolve()
    before = file.stat()
    file.chmod(0o644)
    with file.open("r+b") as opened:
        byte = opened.read(1)
        opened.seek(0)
        opened.write(bytes([byte[0] ^ 1]))
    file.chmod(before.st_mode)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path: Path) -> None:
    path.unlink()
    path.write_text("other")


def run(root: Path, command: str) -> None:
    subprocess.run(command, shell=True, cwd=root, check=True)


def test_intact_outputs_give_no_lines(checkout: Path) -> None:
    assert compare(checkout) == ([], [])


@pytest.mark.parametrize("link", ["hardlink", "symlink", "copy"])
def test_each_damaged_file_is_named_with_a_fix_that_works(tmp_path: Path, link: str) -> None:
    """Bit rot in a linked file is in the cache too: `dvc repro` alone would keep it."""
    root = write_checkout(tmp_path / "checkout", link)
    rot(root / "data/index/train.npy")
    rot(root / "data/index/classes.csv")
    replace(root / "data/evaluate/predictions.csv")
    replace(root / "metrics.json")
    (root / "data/shards/train/manifest.json").unlink()
    (root / "data/index/test.npy").write_text("extra")
    lines, notes = compare(root)
    names = ["index/classes.csv", "index/test.npy", "index/train.npy", "shards/train/manifest.json"]
    paths = [*(f"data/{name}" for name in names), "data/evaluate/predictions.csv", "metrics.json"]
    assert notes == []
    assert changed_paths(lines) == paths
    for line in lines:
        command = line.partition("; fix: ")[2]
        assert command.endswith("dvc repro")
        run(root, command.removesuffix("dvc repro").replace("$(dvc cache dir)", ".dvc/cache"))
    repro(root)
    assert compare(root) == ([], [])
    for name, text in FILES.items():
        assert (root / ("" if name == "metrics.json" else "data") / name).read_text() == text


@pytest.mark.parametrize("link", ["hardlink", "symlink", "copy"])
def test_the_rebuild_command_of_a_reader_repairs_bit_rot(tmp_path: Path, link: str) -> None:
    root = write_checkout(tmp_path / "checkout", link)
    rot(root / "data/index/train.npy")
    command = rebuild_command(root / "data/index/train.npy", "index")
    rerun = "; dvc repro -f index"
    assert command.endswith(rerun)
    run(root, command.removesuffix(rerun).replace("$(dvc cache dir)", ".dvc/cache"))
    repro(root, "index", force=True)
    assert compare(root) == ([], [])


def test_a_missing_metrics_file_is_a_note(root: Path) -> None:
    (root / "metrics.json").unlink()
    assert compare(root) == ([], ["metrics.json is missing; run dvc repro or dvc pull"])


def test_shards_are_not_read_but_their_manifests_are(root: Path) -> None:
    """Shards have their SHA-256 in the manifest, which `verify` compares."""
    rot(root / "data/shards/train/00000.lmdb")
    assert compare(root) == ([], [])
    rot(root / "data/shards/train/manifest.json")
    (root / "data/shards/train/labels.npy").write_text("extra")
    lines, _ = compare(root)
    names = ["labels.npy", "manifest.json"]
    assert changed_paths(lines) == [f"data/shards/train/{name}" for name in names]


@pytest.mark.parametrize(
    ("path", "text", "reason"),
    [
        ("params.yaml", "dataset: large\n", "params.yaml changed"),
        ("index.py", "# another\n", "index.py changed"),
        ("dvc.yaml", STAGES.replace("true index", "true"), "its command changed"),
    ],
)
def test_outputs_newer_than_the_lock_are_notes(
    root: Path, path: str, text: str, reason: str
) -> None:
    """A stage run by hand may write other files; equal files still count as compared."""
    (root / path).write_text(text)
    assert compare(root) == ([], [])
    replace(root / "data/index/train.npy")
    replace(root / "data/evaluate/predictions.csv")
    lines, notes = compare(root)
    assert lines == []
    assert [note.split()[0] for note in notes] == ["data/index", "data/evaluate"]
    assert all(reason in note and note.endswith("run dvc repro") for note in notes)


def test_a_stage_run_by_hand_to_the_same_bytes_is_no_damage(root: Path) -> None:
    shutil.rmtree(root / "data/index")
    shutil.copytree(root / "source/index", root / "data/index")
    assert compare(root) == ([], [])


def test_missing_and_unlocked_outputs_are_notes(root: Path) -> None:
    shutil.rmtree(root / "data/evaluate")
    missing = "data/evaluate is missing; run dvc repro or dvc pull"
    assert compare(root) == ([], [missing])
    (root / "dvc.lock").unlink()
    lines, notes = compare(root)
    assert lines == []
    unlocked = "is not compared: it is not in dvc.lock; run dvc repro"
    assert missing in notes
    assert sum(unlocked in note for note in notes) == 3


def test_folders_are_compared_without_their_lists_of_files(root: Path) -> None:
    for file_list in (root / ".dvc/cache/files/md5").rglob("*.dir"):
        file_list.unlink()
    lost = "data/shards is checked by its manifests alone: DVC's cache has lost its list of files"
    assert compare(root) == ([], [lost])
    rot(root / "data/index/train.npy")
    lines, notes = compare(root)
    assert changed_paths(lines) == ["data/index"]
    assert notes == [lost]


def test_a_damaged_list_of_files_is_no_damage_to_the_files(root: Path) -> None:
    for file_list in (root / ".dvc/cache/files/md5").rglob("*.dir"):
        file_list.chmod(0o644)
        file_list.write_text(file_list.read_text().replace("train", "trained"))
    lines, _ = compare(root)
    assert lines == []


def test_a_missing_pipeline_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dvc.yaml is not a valid DVC file.*fix: git checkout"):
        compare_outputs(tmp_path)
