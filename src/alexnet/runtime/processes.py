"""Set up a process, follow its parent, and stop on SIGTERM."""

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
def follow_parent() -> None:
    """In a worker: end when the parent ends, even a killed one.

    A worker left behind would hold the locks it inherited, and write beside the next run's. A pool
    of ours has it as initializer, so that one which never got a job ends too; jobs that may be done
    in another's pool call it themselves.
    """
    if multiprocessing.parent_process() is not None:
        threading.Thread(target=_end_after_parent, daemon=True).start()


def _end_after_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def prepare_process() -> Limit:
    """Set this process up to compute with a net; return how many threads it uses.

    Every process that does calls it once: stages, ranks, commands, experiments, benchmarks.
    """
    keep_freed_memory()
    return share_cores()


def keep_freed_memory() -> None:
    """Have glibc keep what tensors free: giving pages back doubles the time of a step."""
    if platform.libc_ver()[0] == "glibc":
        trim_threshold, mmap_max = -1, -4
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_max, 0)


STOPPED = 128 + signal.SIGTERM  # the exit code: dvc repro takes it for a failure, and stops


class Stop:
    """While entered, SIGTERM ends nothing at once: it is obeyed between two steps."""

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._ask)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

    def end(self, step: int) -> None:
        """End the process, after a checkpoint, with a code that stops `dvc repro`."""
        print(f"train: stopped after step {step}; the same command goes on", flush=True)
        sys.exit(STOPPED)
