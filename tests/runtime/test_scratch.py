"""What is unfinished is kept, what is written is whole."""

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from alexnet.config.stage import record_run
from alexnet.runtime import scratch
from alexnet.runtime.files import replaced, take_place, write_atomically
from alexnet.runtime.scratch import fingerprint, sources


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
        said = ""
        while "waiting for another run" not in said:
            assert thread.is_alive()
            said += capsys.readouterr().out
            time.sleep(0.01)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"


def test_outputs_are_never_written_in_place(tmp_path: Path) -> None:
    """The old file may be a hard link into DVC's cache."""
    folder, cached = tmp_path / "out", tmp_path / "cached"
    cached.write_text("old")
    with replaced(folder) as new:
        os.link(cached, new / "file")
    with replaced(folder) as new:
        (new / "file").write_text("new")
    assert (folder / "file").read_text() == "new"
    assert cached.read_text() == "old"


@pytest.mark.parametrize("fails", [None, "fsync", "first rename", "second rename"])
def test_a_folder_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str | None
) -> None:
    folder = tmp_path / "out"
    replace(folder, "old")
    failing(monkeypatch, fails)
    with pytest.raises(OSError, match="No space"):
        replace(folder, "new", then=lambda: None if fails else full())
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (folder / "file").read_text() == "old"


def test_a_folder_that_was_moved_away_when_killed_comes_back(tmp_path: Path) -> None:
    (tmp_path / ".out.old").mkdir()
    with pytest.raises(OSError, match="No space"), replaced(tmp_path / "out"):
        full()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_finished_work_that_cannot_be_moved_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, folder = tmp_path / "work", tmp_path / "data/out"
    work.mkdir()
    (work / "file").write_text("days of work")
    failing(monkeypatch, "first rename")
    with pytest.raises(OSError, match="No space"):
        take_place(work, folder)
    assert (work / "file").read_text() == "days of work"
    monkeypatch.undo()
    take_place(work, folder)
    assert (folder / "file").read_text() == "days of work"
    assert not work.exists()


def test_work_on_another_disk_is_copied(tmp_path: Path) -> None:
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("one disk alone")
    with TemporaryDirectory(dir=elsewhere) as work:
        Path(work, "file").write_text("done")
        take_place(Path(work), tmp_path / "out")
    assert (tmp_path / "out/file").read_text() == "done"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def replace(folder: Path, text: str, then: Callable[[], None] = lambda: None) -> None:
    with replaced(folder) as new:
        (new / "file").write_text(text)
        then()


def failing(monkeypatch: pytest.MonkeyPatch, what: str | None) -> None:
    if what == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    elif what:
        renames = iter([full] if what == "first rename" else [Path.rename, full])
        monkeypatch.setattr(Path, "replace", lambda *a: next(renames, Path.rename)(*a))


def full(*_: object) -> Any:
    raise OSError(28, "No space left on device")


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
