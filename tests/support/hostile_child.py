"""Changed inputs read one after the other in a process that may not do much else.

python tests/support/hostile_child.py FOLDER FIRST COUNT [KIND]:
inputs FIRST … of a seeded row, all kinds
or one. Each is written to FOLDER/input, behind a line with its number and kind, before it is read:
after a crash or a hang it lies there. Prints a line of JSON.
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

SECONDS = 10  # of a processor, for one input
WAITING = 600  # seconds, whatever else the machine does: for one that waits for ever
MEMORY = 1 << 30
CRIMES = (  # of which the interpreter tells; no reader has a reason for any
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
    """Notes what Python itself tells of: code that is run, files that are written elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.on = folder, False
        self.crimes: list[str] = []
        sys.addaudithook(self.note)

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
        place = f"{arguments[0]}/" if arguments else ""
        elsewhere = not place.startswith((f"{self.folder}/", "/dev/null/"))
        if event in CRIMES or ((writes or event == "os.mkdir") and elsewhere):
            self.crimes.append(f"{event} {arguments[:2]}"[:200])


def peak() -> int:
    """The most memory this process ever had, bytes."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) << 10


def bounded() -> None:
    """A gibibyte beyond what the libraries took up; beyond it MemoryError, and no sick machine."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))


def clear(folder: Path) -> None:
    for entry in list(folder.iterdir()):
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def one_input(kinds: list[str], n: int) -> tuple[str, bytes]:
    """The n-th of the seeded row: its kind and its bytes."""
    chance = Random(n)
    shares = [FEEDS[kind].share for kind in kinds]
    (kind,) = chance.choices(kinds, shares)
    return kind, FEEDS[kind].make(chance)


def outcome(kind: str, data: bytes, watch: Watch) -> str:
    """ "answer", "refused", or what went wrong. No answer in time: SIGPROF or SIGALRM ends us."""
    watch.on, watch.crimes = True, []
    reader = FEEDS[kind].read
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.alarm(WAITING)
    try:
        reader(data, watch.folder)
        told = "answer"
    except (InputError, UnreadableImageError) as error:
        words = str(error)
        told = "refused" if words and len(words.splitlines()) == 1 else f"not a line: {words!r}"
    except BaseException as error:
        told = f"{type(error).__name__}: {str(error)[:200]}"
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.alarm(0)
    watch.on = False
    return told


def main() -> None:
    folder, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    kinds = sys.argv[4:] or sorted(FEEDS)
    hostile_outputs.MADE = folder / "made"
    hostile_outputs.written(hostile_outputs.MADE)
    watch, told, wrong = Watch(folder / "work"), Counter(), []
    bounded()
    watch.folder.mkdir()
    note = (folder / "input").open("wb", buffering=0)
    slowest = 0.0
    for n in range(first, first + count):
        kind, data = one_input(kinds, n)
        note.seek(0)
        note.truncate()
        note.write(f"{n} {kind}\n".encode() + data)
        start = time.process_time()
        what = outcome(kind, data, watch)
        slowest = max(slowest, time.process_time() - start)
        clear(watch.folder)
        told[kind, what if what in ("answer", "refused") else "wrong"] += 1
        if peak() > MEMORY:
            what = f"{peak():,} bytes of memory"
        if watch.crimes or what not in ("answer", "refused"):
            wrong.append(f"{n} {kind}: {what} {watch.crimes}")
    counts = {f"{kind} {what}": number for (kind, what), number in sorted(told.items())}
    print(json.dumps({"counts": counts, "wrong": wrong, "slowest": slowest, "peak": peak()}))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

    import hostile_outputs
    from alexnet.resize.decode import UnreadableImageError
    from alexnet.runtime.errors import InputError
    from hostile_feeds import FEEDS

    main()
