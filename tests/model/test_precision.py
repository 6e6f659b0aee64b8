"""Precision, determinism and the device are those requested."""

import pytest
import torch

from alexnet.launch.gpus import pick_device
from alexnet.model.precision import make_deterministic, pick_autocast
from alexnet.runtime.errors import InputError

CPU = torch.device("cpu")


def test_an_unknown_device_is_reported_in_one_line() -> None:
    with pytest.raises(InputError, match=r"launcher.device: warp: .*; fix: launcher.device=auto"):
        pick_device("warp")
    assert pick_device("cpu") == CPU


@pytest.mark.parametrize(
    ("precision", "bf16", "tf32"),
    [("bf16", True, False), ("tf32", False, True), ("fp32", False, False)],
)
def test_products_have_the_requested_precision(precision: str, bf16: bool, tf32: bool) -> None:
    a = torch.rand(4, 4)
    with pick_autocast(precision, CPU):
        assert (torch.mm(a, a).dtype == torch.bfloat16) is bf16
    assert torch.backends.cudnn.allow_tf32 is tf32
    assert torch.backends.cuda.matmul.allow_tf32 is tf32


def test_deterministic_algorithms_can_be_selected() -> None:
    try:
        make_deterministic()
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
