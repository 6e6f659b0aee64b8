"""Where and in what precision to compute, and how the CPU's memory is kept."""

import ctypes
import os
import platform
from pathlib import Path

import torch

from alexnet.errors import InputError
from alexnet.threads import Limit, share_cores


def pick_device(name: str) -> torch.device:
    """`name`, or for "auto" a GPU where there is one. Raises InputError where there is no such."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        why = str(error).partition("\n")[0]
        raise InputError(f"launcher.device: {name}: {why}", "launcher.device=auto") from None


def pick_autocast(precision: str, device: torch.device) -> torch.autocast:
    """bf16, tf32 or fp32; for "auto" bf16 where the processor multiplies it in hardware.

    fp32 is fp32: a GPU multiplies in TF32 only where "tf32" asks for it.
    """
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    bf16 = _has_bf16(device) if precision == "auto" else precision == "bf16"
    return torch.autocast(device.type, torch.bfloat16, enabled=bf16)


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    cpuinfo = Path("/proc/cpuinfo")
    flags = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    return not flags.isdisjoint({"avx512_bf16", "amx_bf16"})


def make_deterministic() -> None:
    """Have a GPU, too, give the same bytes every time, with algorithms that may be slower.

    To be called before anything is computed on it.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True)


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
