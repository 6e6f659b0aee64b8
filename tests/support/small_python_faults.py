"""The faults of small_faults.c for writes from Python, where there is no C compiler.

It has the same three functions. Writes from C code, such as LMDB's, are not affected.
"""

import builtins
import io
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

NONE, ONCE, DEAD, FULL, SHORT, CUT, KILLED, SLOW = range(8)
TAKES_SPACE = ("open", "mkdir", "write")
REAL_OPEN = io.open


class PythonFaults:
    """Stands in for the shared library."""

    def faults_begin(self, under: bytes, kind: int, nth: int, code: int) -> None:
        self.under, self.kind, self.nth, self.code = os.fsdecode(under), kind, nth, code
        self.names: list[bytes] = []
        self.patches = [
            patch.object(module, "open", self._open) for module in (io, builtins)
        ] + [
            patch.object(os, name, self._checked(name, getattr(os, name)))
            for name in ("fsync", "mkdir", "rename", "replace", "rmdir", "unlink")
        ]  # fmt: skip
        for replacement in self.patches:
            replacement.start()

    def faults_end(self) -> int:
        for replacement in self.patches:
            replacement.stop()
        return len(self.names)

    def faults_name(self, n: int) -> bytes:
        return self.names[n]

    def is_short(self, name: str, path: Any) -> bool:
        """Return whether this write writes half only. Raises OSError if this call fails."""
        if not self._is_inside(path):
            return False
        n = len(self.names)
        self.names.append(name.encode())
        if n == self.nth and self.kind == KILLED:
            os.kill(os.getpid(), signal.SIGKILL)
        full = n >= self.nth and self.kind in (FULL, CUT) and name in TAKES_SPACE
        first = n == self.nth and name == "write" and self.kind in (SHORT, CUT)
        once = n == self.nth and self.kind == ONCE
        if not first and (full or once or (n >= self.nth and self.kind == DEAD)):
            where = None if isinstance(path, int) or name == "write" else path
            raise OSError(self.code, os.strerror(self.code), where)
        return first

    def _is_inside(self, path: Any) -> bool:
        if isinstance(path, int):
            path = Path(f"/proc/self/fd/{path}").readlink()
        return Path(os.path.abspath(os.fsdecode(path))).is_relative_to(self.under)  # noqa: PTH100

    def _checked(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def checked(path: Any, *more: Any, **named: Any) -> Any:
            if "dir_fd" not in named:  # rmtree's way: by names in an open folder
                self.is_short(name, path)
            return real(path, *more, **named)

        return checked

    def _open(
        self, path: Any, mode: str = "r", buffering: int = -1, *more: Any, **named: Any
    ) -> Any:
        if not set(mode) & set("wax+") or isinstance(path, int):
            return REAL_OPEN(path, mode, buffering, *more, **named)
        self.is_short("open", path)
        raw = _Raw(path, mode.replace("b", "").replace("t", ""))
        raw.faults = self
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, *more, **named)


class _Raw(io.FileIO):
    faults: PythonFaults

    def write(self, data: Any) -> int:
        view = memoryview(data)
        short = self.faults.is_short("write", self.name)
        return super().write(view[: len(view) // 2] if short and len(view) > 1 else view) or 0
