"""conv1 on blocks of pixels against the plain convolution."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.model.conv1 import blocked_conv1

FORMATS = (torch.contiguous_format, torch.channels_last)


def outputs_and_gradients(
    x: Tensor, weight: Tensor, bias: Tensor | None
) -> tuple[list[Tensor], list[Tensor]]:
    """Return the result and its gradients, by blocked_conv1 and by the plain convolution."""
    both = []
    for y in (blocked_conv1(x, weight, bias), F.conv2d(x, weight, bias, stride=4)):
        leaves = [t for t in (x, weight, bias) if t is not None and t.requires_grad]
        g = torch.randn(y.shape, generator=torch.Generator().manual_seed(0)).to(y.dtype)
        both.append([y, *torch.autograd.grad(y, leaves, g)])
    return both[0], both[1]


@pytest.mark.parametrize("order", FORMATS)
@pytest.mark.parametrize("size", [(227, 227), (11, 11), (228, 230), (13, 40)])
def test_it_is_the_plain_convolution(size: tuple[int, int], order: torch.memory_format) -> None:
    options = {"dtype": torch.float64}
    x = (50 * torch.randn(2, 3, *size, **options)).contiguous(memory_format=order).requires_grad_()
    weight = torch.randn(8, 3, 11, 11, **options).contiguous(memory_format=order).requires_grad_()
    for bias in (torch.randn(8, **options, requires_grad=True), None):
        blocked, plain = outputs_and_gradients(x, weight, bias)
        assert blocked[0].is_contiguous(memory_format=torch.channels_last)
        for found, expected in zip(blocked, plain, strict=True):
            assert found.shape == expected.shape
            assert (found - expected).abs().max() <= 1e-12 * expected.abs().max()


def test_it_agrees_in_float32() -> None:
    x, weight = 50 * torch.randn(2, 3, 227, 227), torch.randn(96, 3, 11, 11, requires_grad=True)
    for found, expected in zip(*outputs_and_gradients(x, weight, None), strict=True):
        assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_it_follows_autocast() -> None:
    x, weight = torch.randn(2, 3, 227, 227), torch.randn(96, 3, 11, 11, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        blocked, plain = outputs_and_gradients(x, weight, torch.randn(96))
    assert [tensor.dtype for tensor in blocked] == [torch.bfloat16, torch.float32]
    for found, expected in zip(blocked, plain, strict=True):
        assert (found - expected).abs().max() <= 0.02 * expected.abs().max()


def test_a_batch_may_be_empty() -> None:
    """A rank may have no image of the last batch of an epoch; in bf16 too."""
    x = torch.zeros(0, 3, 227, 227, requires_grad=True)
    for dtype in (torch.float32, torch.bfloat16):
        y = blocked_conv1(x.to(dtype), torch.ones(8, 3, 11, 11, dtype=dtype), None)
        assert y.shape == (0, 8, 55, 55)
