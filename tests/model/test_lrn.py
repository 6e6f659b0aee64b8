"""LRN against loops in float64 over the formula of section 3.3, for every path and dtype."""

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor

from alexnet.model import lrn as lrn_module
from alexnet.model.lrn import Constants, LrnFunction, lrn

CHECKOUT = Path(__file__).parents[2]
PAPER = Constants(2.0, 5, 1e-4, 0.75, 2)
FORMATS = {"NCHW": torch.contiguous_format, "channels-last": torch.channels_last}
WITHIN = {torch.float64: 1e-13, torch.float32: 1e-5, torch.bfloat16: 2**-7, torch.float16: 2**-9}
SHAPES = ((2, 96, 5, 3), (1, 256, 3, 3), (3, 12, 1, 4), (2, 10, 2, 2), (1, 4, 1, 1))
Implementation = Callable[[Tensor, Constants], Tensor]


def apply_lrn(x: Tensor, constants: Constants) -> Tensor:
    return lrn(x, *constants)


def naive(a: Tensor, constants: Constants) -> Tensor:
    """Return the formula's value, map by map."""
    k, n, alpha, beta, towers = constants
    maps = a.shape[1] // towers
    out = []
    for i in range(a.shape[1]):
        tower = range(i // maps * maps, (i // maps + 1) * maps)
        squares = sum(a[:, j] ** 2 for j in tower if abs(j - i) <= n // 2)
        out.append(a[:, i] / (k + alpha * squares) ** beta)
    return torch.stack(out, 1)


def output_and_gradient(
    implementation: Implementation, x: Tensor, g: Tensor, constants: Constants
) -> tuple[Tensor, Tensor]:
    x = x.detach().requires_grad_()
    y = implementation(x, constants)
    return y.detach(), torch.autograd.grad(y, x, g)[0]


def differences(implementation: Implementation, x: Tensor, constants: Constants) -> list[float]:
    """Return the largest errors of output and gradient, relative to their largest values."""
    g = torch.randn_like(x)
    found = output_and_gradient(implementation, x, g, constants)
    exact = output_and_gradient(naive, x.double(), g.double(), constants)
    pairs = zip(found, exact, strict=True)
    return [float((f.double() - e).abs().max() / (e.abs().max() + 1e-30)) for f, e in pairs]


def make_input(
    shape: tuple[int, ...], dtype: torch.dtype, order: torch.memory_format, device: str = "cpu"
) -> Tensor:
    x = (60 * torch.randn(shape, dtype=torch.float64)).relu()
    return x.to(device, dtype).contiguous(memory_format=order)


@pytest.mark.parametrize("dtype", WITHIN, ids=str)
@pytest.mark.parametrize("order", FORMATS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_path_computes_the_formula(
    shape: tuple[int, ...], order: str, dtype: torch.dtype
) -> None:
    x = make_input(shape, dtype, FORMATS[order])
    for towers in (1, 2):
        for n, beta in ((5, 0.75), (3, 0.75), (1, 0.75), (7, 0.5)):
            constants = Constants(2.0, n, 3e-3, beta, towers)
            assert max(differences(apply_lrn, x, constants)) < WITHIN[dtype], constants


@pytest.mark.parametrize("maps", [3, 5, 7, 97])
def test_towers_may_have_an_odd_number_of_maps(maps: int) -> None:
    for order in FORMATS.values():
        x = make_input((2, maps, 3, 2), torch.float64, order)
        assert max(differences(apply_lrn, x, PAPER._replace(towers=1))) < 1e-13


@pytest.mark.parametrize("order", FORMATS)
@pytest.mark.parametrize("beta", [0.75, 0.5])
def test_the_gradient_passes_gradcheck(beta: float, order: str) -> None:
    x = torch.randn(2, 12, 2, 3, dtype=torch.float64).contiguous(memory_format=FORMATS[order])
    x.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: lrn(x, 2, 5, 0.3, beta), (x,))


@pytest.mark.parametrize("order", FORMATS)
def test_the_size_of_chunks_does_not_change_the_result(
    order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = make_input((5, 12, 3, 3), torch.float64, FORMATS[order])
    whole = output_and_gradient(apply_lrn, x, x, PAPER)
    monkeypatch.setattr(lrn_module, "CHUNK", 6 * 9 * 4 // torch.get_num_threads())
    for found, expected in zip(output_and_gradient(apply_lrn, x, x, PAPER), whole, strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("order", FORMATS)
def test_towers_do_not_affect_each_other(order: str) -> None:
    """The gradient to a map of another tower is exactly zero."""
    x = make_input((2, 12, 2, 2), torch.float32, FORMATS[order]) + 1
    for i in range(12):
        g = torch.zeros_like(x)
        g[:, i] = 1
        affected = output_and_gradient(apply_lrn, x, g, PAPER)[1].abs().sum((0, 2, 3)) > 0
        tower = range(6) if i < 6 else range(6, 12)
        assert affected.nonzero().flatten().tolist() == [j for j in tower if abs(j - i) <= 2]


@pytest.mark.parametrize("order", FORMATS)
def test_the_memory_format_is_kept(order: str) -> None:
    x = make_input((2, 96, 5, 4), torch.bfloat16, FORMATS[order])
    for other in FORMATS.values():  # of the gradient
        g = torch.randn_like(x).contiguous(memory_format=other)
        for out in output_and_gradient(apply_lrn, x, g, PAPER):
            assert out.is_contiguous(memory_format=FORMATS[order])
            assert out.dtype == torch.bfloat16


def test_inputs_may_be_strided_views() -> None:
    x = make_input((4, 24, 6, 5), torch.float64, torch.channels_last)
    for part in (
        x[:, ::2],
        x[::2, :, 1:],
        x.transpose(2, 3),
        x[:, :, :, ::2],
        x[:1].expand(3, -1, -1, -1),
    ):
        assert max(differences(apply_lrn, part, PAPER)) < 1e-13
    y = part.detach().requires_grad_()
    lrn(y, *PAPER).sum().backward()  # a gradient of stride 0
    assert y.grad is not None
    assert y.grad.shape == part.shape


def test_inputs_may_be_empty_or_zero() -> None:
    x = torch.zeros(0, 12, 3, 3, requires_grad=True)
    lrn(x, *PAPER).sum().backward()
    assert lrn(torch.zeros(2, 12, 3, 3), *PAPER).eq(0).all()


def test_autocast_does_not_change_the_result() -> None:
    x = make_input((2, 96, 4, 4), torch.float32, torch.channels_last)
    plain = output_and_gradient(apply_lrn, x, x, PAPER)
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast = output_and_gradient(apply_lrn, x, x, PAPER)
    for found, expected in zip(under_autocast, plain, strict=True):
        assert torch.equal(found, expected)


def test_squares_of_float16_do_not_overflow() -> None:
    x = torch.full((1, 12, 1, 1), 3e4, dtype=torch.float16)  # its square is beyond float16
    assert max(differences(apply_lrn, x, PAPER)) < WITHIN[torch.float16]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
def test_the_triton_kernels_compute_the_formula_when_interpreted() -> None:
    """In a process of its own: Triton selects its interpreter when it is imported."""
    env = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": f"{CHECKOUT / 'src'}:{CHECKOUT}"}
    command = [
        sys.executable,
        "-c",
        "from tests.model import test_lrn; test_lrn.check_kernels('cpu')",
    ]
    done = subprocess.run(command, env=env, cwd=CHECKOUT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
def test_the_triton_kernels_compute_the_formula_on_a_gpu() -> None:
    check_kernels("cuda")
    for dtype in (torch.float32, torch.bfloat16):  # as the net calls them, against the CPU's path
        x = make_input((8, 96, 55, 55), dtype, torch.channels_last, "cuda")
        plain = output_and_gradient(lambda x, c: LrnFunction.apply(x, c), x, x, PAPER)
        for found, expected in zip(output_and_gradient(apply_lrn, x, x, PAPER), plain, strict=True):
            assert found.is_contiguous(memory_format=torch.channels_last)
            difference = (found.double() - expected.double()).abs().max()
            assert difference / expected.abs().max() < WITHIN[dtype]


def check_kernels(device: str) -> None:
    """Compare the kernels with the formula; towers of 256 and 6 maps take 3 and ½ blocks."""
    from alexnet.model import lrn_triton

    shapes = (2, 96, 7, 5), (1, 256, 2, 3), (3, 12, 1, 4)
    for shape, dtype in ((s, d) for s in shapes for d in lrn_triton.DTYPES):
        for towers, n, beta in ((2, 5, 0.75), (1, 3, 0.5)):
            x = make_input(shape, dtype, torch.channels_last, device)
            constants = Constants(2.0, n, 3e-3, beta, towers)
            errors = differences(lrn_triton.lrn, x, constants)
            assert max(errors) < WITHIN[dtype], (shape, dtype, constants)
