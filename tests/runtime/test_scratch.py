"""Scratch folders are kept while work is unfinished and used by one run at a time."""

import threading
import time
from pathlib import Path

import pytest

from alexnet.runtime.scratch import fingerprint, scratch_folder, sources


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))


def test_fingerprint_depends_on_every_part(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one")
    digests = [fingerprint({"lr": 0.01}, 0, file), fingerprint({"lr": 0.02}, 0, file)]
    digests += [fingerprint({"lr": 0.01}, 1, file), fingerprint("ab", "c"), fingerprint("a", "bc")]
    file.write_bytes(b"two")
    digests.append(fingerprint({"lr": 0.01}, 0, file))
    assert len(set(digests)) == len(digests)
    assert fingerprint({"lr": 0.01}, 0, file) == digests[-1]


def test_scratch_folder_is_kept_on_interruption_and_deleted_on_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> None:
        with scratch_folder("train", "key") as folder:
            (folder / "half").write_text("done")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert (tmp_path / ".scratch/train/key/half").exists()
    with scratch_folder("train", "key") as folder:
        assert (folder / "half").read_text() == "done"
    assert capsys.readouterr().out == "train: resuming from .scratch/train/key\n"
    assert not folder.exists()
    with scratch_folder("train", "key") as folder:
        assert not list(folder.iterdir())


def test_second_run_waits_for_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    order = []

    def second() -> None:
        with scratch_folder("resize", "key"):
            order.append("second")

    with scratch_folder("resize", "key"):
        thread = threading.Thread(target=second)
        thread.start()
        printed = ""
        while "waiting for another run" not in printed:
            assert thread.is_alive()
            printed += capsys.readouterr().out
            time.sleep(0.01)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_sources_are_the_packages_files_without_config() -> None:
    import alexnet.config.schema  # noqa: F401  # imported, but excluded

    names = [path.name for path in sources()]
    assert "scratch.py" in names
    assert not {"compose.py", "schema.py"} & set(names)
