"""Process setup, workers that exit with their parent, and SIGTERM as a request to stop."""

import ctypes
import multiprocessing
import os
import platform
import signal
import sys
import threading
from functools import cache
from types import FrameType, TracebackType
from typing import Any

from alexnet.runtime.threads import Limit, share_cores


@cache
def exit_with_parent() -> None:
    """In a worker: start a thread that exits when the parent ends, even by SIGKILL.

    An orphaned worker would keep the locks it inherited and write at the same time as the next run.
    Our own pools call this as initializer, so that idle workers exit too. Jobs that may run in
    another library's pool call it themselves.
    """
    if multiprocessing.parent_process() is not None:
        threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def prepare_process() -> Limit:
    """Set up memory and threads to run a net; return the thread limit.

    Every process that runs a net calls it once: stages, ranks, commands, experiments, benchmarks.
    """
    keep_freed_memory()
    return share_cores()


def keep_freed_memory() -> None:
    """Make glibc keep freed memory: returning pages doubles the time of a step."""
    if platform.libc_ver()[0] == "glibc":
        trim_threshold, mmap_max = -1, -4
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_max, 0)


STOPPED = 128 + signal.SIGTERM  # exit code; dvc repro treats it as a failure and stops


class Stop:
    """A context in which SIGTERM only sets `requested`, which is checked after each step."""

    def __init__(self) -> None:
        self.requested = False
        self._previous: Any = None

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGTERM, self._request)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True

    def exit(self, step: int) -> None:
        """Exit after a checkpoint, with a code that stops `dvc repro`."""
        print(f"train: stopped after step {step}; run the same command to resume", flush=True)
        sys.exit(STOPPED)
