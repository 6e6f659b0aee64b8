import pytest

from alexnet.runtime import progress
from alexnet.runtime.progress import track


def test_items_pass_and_plain_lines_tell_rate_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10_000, 20))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    assert list(track(range(4), 4, "resize")) == [0, 1, 2, 3]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "resize: 1/4, 0 images/s, 60 s left"
    assert lines[-1].startswith("resize: 4 images in 100.0 s")
    assert len(lines) == 4


def test_the_rate_shown_is_that_of_the_last_ten_seconds(
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


def test_what_is_done_at_once_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track("abc", 3, "index", "classes")) == ["a", "b", "c"]
    assert capsys.readouterr().out == ""


def test_a_bar_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress.sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert list(track(range(3), 3, "resize train")) == [0, 1, 2]
    assert "resize train" in capsys.readouterr().out
