"""Progress: rate and time left in plain lines, a bar on a terminal."""

import pytest

from alexnet.runtime import progress
from alexnet.runtime.progress import track


def test_track_passes_items_on_and_prints_rate_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10_000, 20))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    assert list(track(range(4), 4, "resize")) == [0, 1, 2, 3]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "resize: 1/4, 0 images/s, 60 s left"
    assert lines[-1].startswith("resize: 4 images in 100.0 s")
    assert len(lines) == 4


def test_rate_covers_the_time_since_the_last_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 0.0, 20.0, 25.0, 40.0, 41.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.progress(2000, "train", note=lambda: "") as advance:
        for images in (100, 100, 300, 500):
            advance(images)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "train: 200/2,000, 10 images/s, 180 s left"
    assert lines[1] == "train: 1,000/2,000, 40 images/s, 25 s left"


def test_short_work_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track("abc", 3, "index", "classes")) == ["a", "b", "c"]
    assert capsys.readouterr().out == ""


def test_terminal_shows_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress.sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert list(track(range(3), 3, "resize train")) == [0, 1, 2]
    assert "resize train" in capsys.readouterr().out
