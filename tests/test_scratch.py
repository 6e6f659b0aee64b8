"""What is unfinished is kept, what is written is whole."""

import json
import os
import threading
import time
from pathlib import Path

import pytest

from alexnet import scratch
from alexnet.scratch import emptied, fingerprint, moved_into, record_run, sources, write_atomically


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))


def test_fingerprints_differ_with_any_part(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one")
    marks = [fingerprint({"lr": 0.01}, 0, file), fingerprint({"lr": 0.02}, 0, file)]
    marks += [fingerprint({"lr": 0.01}, 1, file), fingerprint("ab", "c"), fingerprint("a", "bc")]
    file.write_bytes(b"two")
    marks.append(fingerprint({"lr": 0.01}, 0, file))
    assert len(set(marks)) == len(marks)
    assert fingerprint({"lr": 0.01}, 0, file) == marks[-1]


def test_an_interrupted_folder_is_kept_and_a_finished_one_goes(tmp_path: Path) -> None:
    def killed() -> None:
        with scratch.scratch("train", "mark") as folder:
            (folder / "half").write_text("done")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed()
    assert (tmp_path / ".scratch/train/mark/half").exists()
    with scratch.scratch("train", "mark") as folder:
        assert (folder / "half").read_text() == "done"
    assert not folder.exists()
    with scratch.scratch("train", "mark") as folder:
        assert not list(folder.iterdir())


def test_one_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    order = []

    def second() -> None:
        with scratch.scratch("resize", "mark"):
            order.append("second")

    with scratch.scratch("resize", "mark"):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert "waiting for another run" in capsys.readouterr().out


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"


def test_outputs_are_never_written_in_place(tmp_path: Path) -> None:
    """The old file may be a hard link into DVC's cache."""
    folder, cached = tmp_path / "out", tmp_path / "cached"
    cached.write_text("old")
    emptied(folder)
    os.link(cached, folder / "file")
    (emptied(folder) / "file").write_text("new")
    assert cached.read_text() == "old"
    work = tmp_path / "work"
    (work / "train").mkdir(parents=True)
    moved_into(folder, work, ["train"])
    assert [path.name for path in folder.iterdir()] == ["train"]


def test_sources_are_the_packages_files_without_config() -> None:
    names = [path.name for path in sources()]
    assert "scratch.py" in names
    assert not {"config.py", "schema.py"} & set(names)


def test_a_runs_record_holds_what_outputs_may_not(tmp_path: Path) -> None:
    record_run("train", time.time() - 5)
    run = json.loads((tmp_path / ".scratch/train/run.json").read_text())
    assert 5 <= run["seconds"] < 60
    assert {"commit", "host", "started", "command"} <= set(run)
    assert "torch" in run["packages"]
