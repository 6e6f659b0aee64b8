"""The one exception a user sees: what is wrong, where, and the command that mends it."""


class InputError(Exception):
    """Bad input, told in one line: `what, where; mend: command`. A stage prints it and exits 1."""

    def __init__(self, what: str, mend: str = "") -> None:
        line = " ".join(what.split())
        super().__init__(f"{line}; mend: {mend}" if mend else line)
