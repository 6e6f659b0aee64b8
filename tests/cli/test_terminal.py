import io
import sys

import pytest

from alexnet.cli import terminal
from alexnet.cli.terminal import Screen, bar_if_slow, printable


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("seconds", "shown"), [(0.0, True), (60.0, False)])
def test_a_bar_appears_on_stderr_after_a_delay(
    monkeypatch: pytest.MonkeyPatch, seconds: float, shown: bool
) -> None:
    monkeypatch.setattr(terminal, "BAR_DELAY", seconds)
    monkeypatch.setenv("TERM", "xterm")
    out, err = io.StringIO(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with bar_if_slow(3, "predict") as advance:
        for n in range(3):
            advance(1)
            print(n)
    assert out.getvalue() == "0\n1\n2\n"
    assert ("predict" in err.getvalue()) is shown


def test_no_bar_appears_if_stderr_is_not_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "BAR_DELAY", 0.0)
    err = io.StringIO()
    monkeypatch.setattr(sys, "stderr", err)
    with bar_if_slow(1, "predict") as advance:
        advance(1)
    assert err.getvalue() == ""


def test_control_characters_are_escaped() -> None:
    assert printable("Γ wheel\x1b[2J\n\u202e") == r"Γ wheel\x1b[2J\n\u202e"


def test_a_broken_pipe_is_raised() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        Screen(file=Closed()).print("table")
