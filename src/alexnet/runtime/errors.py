"""The one exception a user sees: what is wrong, where, and the command that mends it."""

from pathlib import Path


class InputError(Exception):
    """Bad input, told in one line: `what, where; mend: command`. A stage prints it and exits 1."""

    def __init__(self, what: str, mend: str = "") -> None:
        line = " ".join(what.split())
        super().__init__(f"{line}; mend: {mend}" if mend else line)


def made_anew(path: Path, stage: str) -> str:
    """The command that makes a damaged output anew: DVC's cache holds the same file, so it too."""
    again = f"dvc repro -f {stage}"
    return (
        f'find -H "$(dvc cache dir)" -samefile {path} -delete; {again}' if path.exists() else again
    )
