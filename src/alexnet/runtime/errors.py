"""The error that a user can fix: what is wrong, where, and the command that fixes it."""

from pathlib import Path


class InputError(Exception):
    """Invalid input, reported as one line: `problem; fix: command`. A stage prints it, exits 1."""

    def __init__(self, problem: str, fix: str = "") -> None:
        line = " ".join(problem.split())
        super().__init__(f"{line}; fix: {fix}" if fix else line)


def rebuild_command(path: Path, stage: str) -> str:
    """Return the command that rebuilds a corrupt output.

    An output is a link into DVC's cache, so the command deletes the corrupt file there too.
    """
    rerun = f"dvc repro -f {stage}"
    return (
        f'find -H "$(dvc cache dir)" -samefile {path} -delete; {rerun}' if path.exists() else rerun
    )


def disk_error(error: OSError) -> InputError:
    """The line for an error of the operating system: what failed, and where."""
    where = f", {error.filename}" if error.filename else ""
    return InputError(f"{error.strerror or error}{where}", "check disk space and permissions")
