"""Files and folders are replaced completely, or stay as they were."""

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from alexnet.runtime.files import move_into_place, replace_folder, write_atomically


def fail(*_: object) -> Any:
    raise OSError(28, "No space left on device")


def fill(folder: Path, text: str, then: Callable[[], None] = lambda: None) -> None:
    with replace_folder(folder) as new:
        (new / "file").write_text(text)
        then()


def inject_failure(monkeypatch: pytest.MonkeyPatch, place: str | None) -> None:
    if place == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    elif place:
        renames = iter([fail] if place == "first rename" else [Path.rename, fail])
        monkeypatch.setattr(Path, "replace", lambda *a: next(renames, Path.rename)(*a))


def test_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space") as caught:
        write_atomically(path, b"new")
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_outputs_are_never_written_in_place(tmp_path: Path) -> None:
    """The old file may be a hard link into DVC's cache."""
    folder, cached = tmp_path / "out", tmp_path / "cached"
    cached.write_text("old")
    with replace_folder(folder) as new:
        os.link(cached, new / "file")
    fill(folder, "new")
    assert (folder / "file").read_text() == "new"
    assert cached.read_text() == "old"


@pytest.mark.parametrize("place", [None, "fsync", "first rename", "second rename"])
def test_failed_replacement_keeps_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str | None
) -> None:
    folder = tmp_path / "out"
    fill(folder, "old")
    inject_failure(monkeypatch, place)
    with pytest.raises(OSError, match="No space"):
        fill(folder, "new", then=lambda: None if place else fail())
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (folder / "file").read_text() == "old"


def test_folder_moved_away_before_a_kill_is_restored(tmp_path: Path) -> None:
    (tmp_path / ".out.old").mkdir()
    with pytest.raises(OSError, match="No space"), replace_folder(tmp_path / "out"):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_finished_work_survives_a_failed_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, folder = tmp_path / "work", tmp_path / "data/out"
    work.mkdir()
    (work / "file").write_text("days of work")
    inject_failure(monkeypatch, "first rename")
    with pytest.raises(OSError, match="No space"):
        move_into_place(work, folder)
    assert (work / "file").read_text() == "days of work"
    monkeypatch.undo()
    move_into_place(work, folder)
    assert (folder / "file").read_text() == "days of work"
    assert not work.exists()


def test_work_on_another_disk_is_copied(tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second disk")
    with TemporaryDirectory(dir=other) as work:
        Path(work, "file").write_text("done")
        move_into_place(Path(work), tmp_path / "out")
    assert (tmp_path / "out/file").read_text() == "done"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
