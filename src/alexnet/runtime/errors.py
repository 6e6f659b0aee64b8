"""The one exception a user sees: what is wrong, where, and the command that fixes it."""

from pathlib import Path


class InputError(Exception):
    """Bad input, told in one line: `what, where; fix: command`. A stage prints it and exits 1."""

    def __init__(self, what: str, fix: str = "") -> None:
        line = " ".join(what.split())
        super().__init__(f"{line}; fix: {fix}" if fix else line)


def rebuild_command(path: Path, stage: str) -> str:
    """The command that makes a damaged output anew: DVC's cache holds the same file, so it too."""
    again = f"dvc repro -f {stage}"
    return (
        f'find -H "$(dvc cache dir)" -samefile {path} -delete; {again}' if path.exists() else again
    )


def disk_error(error: OSError) -> InputError:
    """The line for an error of the operating system: what failed, and where."""
    where = f", {error.filename}" if error.filename else ""
    return InputError(f"{error.strerror or error}{where}", "check disk space and permissions")
