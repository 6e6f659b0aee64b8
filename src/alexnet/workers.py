"""What a process of a pool owes to the one that started it."""

import multiprocessing
import os
import threading
from functools import cache


@cache
def follow_parent() -> None:
    """In a worker: end when the parent ends, even a killed one. To be called by every job.

    A worker left behind would hold the locks it inherited, and write beside the next run's.
    """
    if multiprocessing.parent_process() is not None:
        threading.Thread(target=_end_after_parent, daemon=True).start()


def _end_after_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
