"""Precision of products, and deterministic algorithms."""

import os
from pathlib import Path

import torch


def pick_autocast(precision: str, device: torch.device) -> torch.autocast:
    """Return the autocast context for "bf16", "tf32", "fp32" or "auto", and set TF32.

    "auto" is bf16 if the processor multiplies bf16 in hardware, else fp32. A GPU multiplies in TF32
    only for "tf32".
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
    """Select algorithms with which a GPU gives the same bytes in every run.

    They may be slower. Must be called before the first computation on the GPU.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True)
