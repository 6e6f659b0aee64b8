"""A GPU for each run: several on one machine take different ones, and wait while none is free."""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

import torch

from alexnet.runtime.errors import InputError

SECONDS_A_LOOK = 1.0


@contextmanager
def leased_device(name: str) -> Iterator[torch.device]:
    """As pick_device; of several GPUs for "auto" one that no other run has, held meanwhile.

    Waits, and says so, while others hold them all. A device that is named is not asked about.
    """
    names = visible_gpus()
    if name != "auto" or not names:
        yield pick_device(name)
        return
    with leased(names, 1) as (n,):
        yield pick_device(f"cuda:{n}")


@contextmanager
def leased(names: Sequence[str], count: int, folder: Path | None = None) -> Iterator[list[int]]:
    """Hold `count` of the devices `names` and yield their places, free again when the process ends.

    All at once or none, so that two runs that want several never wait for each other. folder: of
    the lock files, one for all runs of a user on this machine.
    """
    folder = folder or Path(tempfile.gettempdir(), f"alexnet-gpus-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    told = False
    while True:
        with ExitStack() as held:
            paths = [folder / f"{name.replace('/', '_')}.lock" for name in names]  # MIG-GPU-…/1/0
            files = [held.enter_context(path.open("w")) for path in paths]
            free = [n for n, file in enumerate(files) if _is_mine(file)]
            for n in free[count:]:
                fcntl.flock(files[n], fcntl.LOCK_UN)
            if len(free) >= count:
                yield free[:count]
                return
        if not told:
            print(f"waiting for {count} of {len(names)} GPUs, which other runs hold", flush=True)
            told = True
        time.sleep(SECONDS_A_LOOK)


def visible_gpus() -> list[str]:
    """What this process may use, by the names that CUDA_VISIBLE_DEVICES gives them, or numbers."""
    count = torch.cuda.device_count()  # by the driver's library alone: no memory is taken
    told = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    return told[:count] if told != [""] else [str(n) for n in range(count)]


def _is_mine(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def pick_device(name: str) -> torch.device:
    """`name`, or for "auto" a GPU where there is one. Raises InputError where there is no such."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        why = str(error).partition("\n")[0]
        raise InputError(f"launcher.device: {name}: {why}", "launcher.device=auto") from None
