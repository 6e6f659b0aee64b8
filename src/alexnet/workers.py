"""What a process of a pool owes to the one that started it."""

import multiprocessing
import os
import threading
from functools import cache


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
