"""Choose precision and deterministic algorithms."""

import os
from pathlib import Path

import torch


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
