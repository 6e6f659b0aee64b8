"""A real DVC pipeline, its outputs linked to its cache, harmed; and fixed as the lines say."""

import os
import shutil
import subprocess
from contextlib import chdir
from pathlib import Path

import pytest
from dvc.repo import Repo

from alexnet.cli.dvc_lock import Output, damage, outputs
from alexnet.runtime.errors import InputError, rebuild_command

STAGES = """
stages:
  index:
    cmd: true index && mkdir -p data && cp -r made/index data/
    deps: [made/index, index.py]
    params: [dataset]
    outs: [data/index]
  resize:
    cmd: cp -r made/shards data/
    deps: [data/index]
    outs: [data/shards]
  evaluate:
    cmd: cp -r made/evaluate data/ && cp made/metrics.json .
    deps: [data/shards]
    outs: [data/evaluate]
    metrics: [metrics.json: {cache: false}]
"""
MADE = {
    "index/train.npy": "rows",
    "index/classes.csv": "label,wnid",
    "shards/train/00000.lmdb": "pixels",
    "shards/train/manifest.json": "{}",
    "evaluate/predictions.csv": "1,2",
    "metrics.json": '{"top1_error": 1}',
}


def written(root: Path, link: str) -> Path:
    """A checkout with one run, whose outputs are links of this kind into DVC's cache."""
    for name, text in MADE.items():
        (root / "made" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "made" / name).write_text(text)
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
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("locked") / "checkout", "hardlink")


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A copy, the links in it kept."""
    subprocess.run(["cp", "-a", made, tmp_path / "checkout"], check=True)
    return tmp_path / "checkout"


def told(root: Path) -> tuple[list[str], list[str]]:
    """Lines of damage, and notes."""
    notes: list[str] = []
    lines = [line for output in outputs(root) for line in damage(root, output, notes.append)]
    return lines, notes


def rot(path: Path) -> None:
    """In place, in the cache too where it is the same file, and with the time that it had."""
    file = path.resolve()
    was = file.stat()
    file.chmod(0o644)
    with file.open("r+b") as opened:
        byte = opened.read(1)
        opened.seek(0)
        opened.write(bytes([byte[0] ^ 1]))
    file.chmod(was.st_mode)
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))


def replaced(path: Path) -> None:
    path.unlink()
    path.write_text("other")


def test_a_run_as_it_was_written(made: Path) -> None:
    assert told(made) == ([], [])


@pytest.mark.parametrize("link", ["hardlink", "symlink", "copy"])
def test_harm_is_named_and_its_mend_mends(tmp_path: Path, link: str) -> None:
    """Rot in place is in the cache too, where that is the same file: `dvc repro` alone keeps it."""
    root = written(tmp_path / "checkout", link)
    rot(root / "data/index/train.npy")
    rot(root / "data/index/classes.csv")
    replaced(root / "data/evaluate/predictions.csv")
    replaced(root / "metrics.json")
    (root / "data/shards/train/manifest.json").unlink()
    (root / "data/index/test.npy").write_text("one too many")
    lines, notes = told(root)
    named = ["index/classes.csv", "index/test.npy", "index/train.npy", "shards/train/manifest.json"]
    paths = [*(f"data/{name}" for name in named), "data/evaluate/predictions.csv", "metrics.json"]
    assert notes == []
    assert [line.partition(" is not that of dvc.lock; fix: ")[0] for line in lines] == paths
    for path, line in zip(paths, lines, strict=True):
        command = line.partition("; fix: ")[2]
        assert command.startswith(f"rm -rf {root / path}")
        assert command.endswith("; dvc repro")
        run(root, command.removesuffix("; dvc repro"))
    repro(root)
    assert told(root) == ([], [])
    for name, text in MADE.items():
        assert (root / ("" if name == "metrics.json" else "data") / name).read_text() == text
    rot(root / "data/index/train.npy")  # what a reader of it says
    command = rebuild_command(root / "data/index/train.npy", "index")
    again = "; dvc repro -f index"
    assert command.endswith(again)
    run(root, command.removesuffix(again).replace("$(dvc cache dir)", ".dvc/cache"))
    repro(root, "index", force=True)
    assert told(root) == ([], [])


def run(root: Path, command: str) -> None:
    subprocess.run(command, shell=True, cwd=root, check=True)


def test_a_lost_metric_is_a_note(root: Path) -> None:
    (root / "metrics.json").unlink()
    there = "metrics.json is not there: dvc repro makes it, dvc pull brings it"
    assert told(root) == ([], [there])


def test_shards_are_looked_for_and_not_read(root: Path) -> None:
    rot(root / "data/shards/train/00000.lmdb")
    assert told(root) == ([], [])
    (root / "data/shards/train/00000.lmdb").unlink()
    (root / "data/shards/train/00001.lmdb").write_text("one too many")
    lines, _ = told(root)
    assert [line.split()[0][-10:] for line in lines] == ["00000.lmdb", "00001.lmdb"]


@pytest.mark.parametrize(
    ("path", "text", "since"),
    [
        ("params.yaml", "dataset: large\n", "params.yaml changed since"),
        ("index.py", "# another\n", "index.py changed since"),
        ("dvc.yaml", STAGES.replace("true index", "true"), "its command changed"),
    ],
)
def test_a_lock_older_than_its_stages_is_a_note(
    root: Path, path: str, text: str, since: str
) -> None:
    """Run by hand, they made other files, rightly; what is the same is still known to be."""
    (root / path).write_text(text)
    assert told(root) == ([], [])
    replaced(root / "data/index/train.npy")
    replaced(root / "data/evaluate/predictions.csv")
    lines, notes = told(root)
    assert lines == []
    assert [note.split()[0] for note in notes] == ["data/index", "data/evaluate"]
    assert all(since in note and note.endswith("dvc repro makes both anew") for note in notes)


def test_a_stage_run_by_hand_to_the_same_bytes_is_no_damage(root: Path) -> None:
    shutil.rmtree(root / "data/index")
    shutil.copytree(root / "made/index", root / "data/index")
    assert told(root) == ([], [])


def test_what_is_not_there_and_what_is_in_no_lock_are_notes(root: Path) -> None:
    shutil.rmtree(root / "data/evaluate")
    assert told(root) == (
        [],
        ["data/evaluate is not there: dvc repro makes it, dvc pull brings it"],
    )
    (root / "dvc.lock").unlink()
    lines, notes = told(root)
    assert lines == []
    assert sum("is in no dvc.lock, so not compared" in note for note in notes) == 3


def test_without_the_lists_of_files_folders_are_still_compared(root: Path) -> None:
    for listed in (root / ".dvc/cache/files/md5").rglob("*.dir"):
        listed.unlink()
    lost = "data/shards: DVC's cache has lost its list of files, so manifests stand alone"
    assert told(root) == ([], [lost])
    rot(root / "data/index/train.npy")
    lines, notes = told(root)
    assert [line.partition(" is ")[0] for line in lines] == ["data/index"]
    assert notes == [lost]


def test_a_list_that_was_damaged_is_not_believed(root: Path) -> None:
    for listed in (root / ".dvc/cache/files/md5").rglob("*.dir"):
        listed.chmod(0o644)
        listed.write_text(listed.read_text().replace("train", "trained"))
    lines, _ = told(root)
    assert lines == []


def test_no_pipeline_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"DVC says: .*fix: dvc repro"):
        outputs(tmp_path)


def test_outputs_know_their_files(root: Path) -> None:
    found = {str(output.path): output for output in outputs(root)}
    assert set(found) == {"data/index", "data/shards", "data/evaluate", "metrics.json"}
    index: Output = found["data/index"]
    assert index.files is not None
    assert set(index.files) == {"train.npy", "classes.csv"}
