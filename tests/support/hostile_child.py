"""Reads mutated inputs one after the other, in a process with limits.

python tests/support/hostile_child.py FOLDER FIRST COUNT [KIND]
reads COUNT inputs of a seeded sequence from number FIRST, of all kinds or of one. Each is written
to FOLDER/input, after a line with its number and kind, before it is read: after a crash or a hang
it can be found there. Prints a line of JSON.
"""

import json
import os
import resource
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

SECONDS = 10  # of CPU time for one input
WAITING = 600  # seconds for an input whose reader sleeps for ever
MEMORY = 1 << 30
FORBIDDEN = (  # audit events that no reader has a reason to cause
    *(
        "os.system",
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.posix_spawn",
        "os.spawn",
        "os.startfile",
    ),
    *("subprocess.Popen", "pickle.find_class", "ctypes.dlopen"),
    *("socket.connect", "socket.bind", "os.link", "os.symlink", "os.chmod", "os.chown"),
    *("os.rename", "os.remove", "os.rmdir", "os.truncate", "shutil.move", "shutil.rmtree"),
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Watch:
    """Records forbidden audit events: programs run, files written elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.on = folder, False
        self.violations: list[str] = []
        sys.addaudithook(self.note)

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
        place = f"{arguments[0]}/" if arguments else ""
        elsewhere = not place.startswith((f"{self.folder}/", "/dev/null/"))
        if event in FORBIDDEN or ((writes or event == "os.mkdir") and elsewhere):
            self.violations.append(f"{event} {arguments[:2]}"[:200])


def peak_memory() -> int:
    """Return the peak memory of this process in bytes."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) << 10


def limit_memory() -> None:
    """Allow MEMORY more bytes than the libraries already use; beyond that, MemoryError."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))


def clear(folder: Path) -> None:
    for entry in list(folder.iterdir()):
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def make_input(kinds: list[str], n: int) -> tuple[str, bytes]:
    """Return the kind and the bytes of the n-th input."""
    rng = Random(n)
    shares = [FEEDS[kind].share for kind in kinds]
    (kind,) = rng.choices(kinds, shares)
    return kind, FEEDS[kind].make(rng)


def outcome(kind: str, data: bytes, watch: Watch) -> str:
    """Return "accepted", "rejected" or what went wrong.

    SIGPROF or SIGALRM ends this process if the reader takes too long.
    """
    watch.on, watch.violations = True, []
    reader = FEEDS[kind].read
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.alarm(WAITING)
    try:
        reader(data, watch.folder)
        result = "accepted"
    except (InputError, UnreadableImageError) as error:
        message = str(error)
        is_line = len(message.splitlines()) == 1
        result = "rejected" if is_line else f"not a line: {message!r}"
    except BaseException as error:
        result = f"{type(error).__name__}: {str(error)[:200]}"
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.alarm(0)
    watch.on = False
    return result


def main() -> None:
    folder, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    kinds = sys.argv[4:] or sorted(FEEDS)
    hostile_outputs.VALID = folder / "valid"
    hostile_outputs.valid_files(hostile_outputs.VALID)
    watch, counts, failures = Watch(folder / "work"), Counter(), []
    limit_memory()
    watch.folder.mkdir()
    note = (folder / "input").open("wb", buffering=0)
    slowest = 0.0
    for n in range(first, first + count):
        kind, data = make_input(kinds, n)
        note.seek(0)
        note.truncate()
        note.write(f"{n} {kind}\n".encode() + data)
        start = time.process_time()
        result = outcome(kind, data, watch)
        slowest = max(slowest, time.process_time() - start)
        clear(watch.folder)
        is_valid = result in ("accepted", "rejected")
        counts[f"{kind} {result if is_valid else 'failed'}"] += 1
        if peak_memory() > MEMORY:
            is_valid, result = False, f"{peak_memory():,} bytes of memory"
        if watch.violations or not is_valid:
            failures.append(f"{n} {kind}: {result} {watch.violations}")
    report = {"counts": dict(sorted(counts.items())), "failures": failures}
    print(json.dumps(report | {"slowest": slowest, "peak": peak_memory()}))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

    import hostile_outputs
    from alexnet.resize.decode import UnreadableImageError
    from alexnet.runtime.errors import InputError
    from hostile_feeds import FEEDS

    main()
