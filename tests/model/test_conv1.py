import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.model.conv1 import blocked_conv1

FORMATS = (torch.contiguous_format, torch.channels_last)


def both(x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[list[Tensor], list[Tensor]]:
    """The result and the gradients to all that need one: here, and of the plain convolution."""
    found = []
    for y in (blocked_conv1(x, weight, bias), F.conv2d(x, weight, bias, stride=4)):
        wanted = [each for each in (x, weight, bias) if each is not None and each.requires_grad]
        g = torch.randn(y.shape, generator=torch.Generator().manual_seed(0)).to(y.dtype)
        found.append([y, *torch.autograd.grad(y, wanted, g)])
    return found[0], found[1]


@pytest.mark.parametrize("order", FORMATS)
@pytest.mark.parametrize("size", [(227, 227), (11, 11), (228, 230), (13, 40)])
def test_the_same_convolution(size: tuple[int, int], order: torch.memory_format) -> None:
    kinds = {"dtype": torch.float64}
    x = (50 * torch.randn(2, 3, *size, **kinds)).contiguous(memory_format=order).requires_grad_()
    weight = torch.randn(8, 3, 11, 11, **kinds).contiguous(memory_format=order).requires_grad_()
    bias = torch.randn(8, **kinds, requires_grad=True)
    for given in (bias, None):
        ours, plain = both(x, weight, given)
        assert ours[0].is_contiguous(memory_format=torch.channels_last)
        for found, expected in zip(ours, plain, strict=True):
            assert found.shape == expected.shape
            assert (found - expected).abs().max() <= 1e-12 * expected.abs().max()


def test_float32() -> None:
    x, weight = 50 * torch.randn(2, 3, 227, 227), torch.randn(96, 3, 11, 11, requires_grad=True)
    for found, expected in zip(*both(x, weight, None), strict=True):
        assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_under_autocast() -> None:
    x, weight = torch.randn(2, 3, 227, 227), torch.randn(96, 3, 11, 11, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        ours, plain = both(x, weight, torch.randn(96))
    assert [each.dtype for each in ours] == [torch.bfloat16, torch.float32]
    for found, expected in zip(ours, plain, strict=True):
        assert (found - expected).abs().max() <= 0.02 * expected.abs().max()


def test_no_images() -> None:
    """Of the last batch of an epoch a rank may have none; in bf16, too."""
    x = torch.zeros(0, 3, 227, 227, requires_grad=True)
    for dtype in (torch.float32, torch.bfloat16):
        y = blocked_conv1(x.to(dtype), torch.ones(8, 3, 11, 11, dtype=dtype), None)
        assert y.shape == (0, 8, 55, 55)
