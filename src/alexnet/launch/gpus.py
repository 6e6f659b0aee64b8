"""Lease GPUs: runs on one machine take different ones, and wait while none is free."""

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

POLL_SECONDS = 1.0


@contextmanager
def leased_device(name: str) -> Iterator[torch.device]:
    """Yield the device `name`; "auto" leases a free GPU, or is the CPU if there is none.

    Prints a line and waits while other runs hold all GPUs. A device given by name is not leased.
    """
    names = visible_gpus()
    if name != "auto" or not names:
        yield pick_device(name)
        return
    with leased(names, 1) as (number,):
        yield pick_device(f"cuda:{number}")


@contextmanager
def leased(names: Sequence[str], count: int, folder: Path | None = None) -> Iterator[list[int]]:
    """Lease `count` of the devices `names` and yield their positions in it.

    Takes all at once or none, so that two runs that need several cannot deadlock. `folder` holds
    the lock files, and is the same for all runs of a user on this machine. A lease ends with its
    process, however that ends.
    """
    folder = folder or Path(tempfile.gettempdir(), f"alexnet-gpus-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    waiting = False
    while True:
        with ExitStack() as stack:
            paths = [folder / f"{name.replace('/', '_')}.lock" for name in names]  # MIG-GPU-…/1/0
            files = [stack.enter_context(path.open("w")) for path in paths]
            free = [n for n, file in enumerate(files) if _try_lock(file)]
            for n in free[count:]:
                fcntl.flock(files[n], fcntl.LOCK_UN)
            if len(free) >= count:
                yield free[:count]
                return
        if not waiting:
            print(f"waiting for {count} of {len(names)} GPUs, which other runs hold", flush=True)
            waiting = True
        time.sleep(POLL_SECONDS)


def visible_gpus() -> list[str]:
    """Return the GPUs of this process, as named in CUDA_VISIBLE_DEVICES, or else numbered."""
    count = torch.cuda.device_count()  # asks NVML, so it allocates no GPU memory
    names = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    return names[:count] if names != [""] else [str(n) for n in range(count)]


def _try_lock(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def pick_device(name: str) -> torch.device:
    """Return the device `name`; "auto" is a GPU if there is one. Raises InputError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"launcher.device: {name}: {reason}", "launcher.device=auto") from None
