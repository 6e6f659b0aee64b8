"""Functions run in several threads that switch as often as possible."""

import sys
import threading
from collections.abc import Callable


def run_in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run work(0), work(1), … at the same time."""
    start, interval = threading.Barrier(count), sys.getswitchinterval()

    def begin(n: int) -> None:
        start.wait()
        work(n)

    threads = [threading.Thread(target=begin, args=(n,)) for n in range(count)]
    sys.setswitchinterval(1e-5)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)
