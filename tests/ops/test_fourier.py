"""Fourier transforms: what the operator database does not ask."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch as reference

import pellucid as torch


@pytest.mark.parametrize("name", ["fftfreq", "rfftfreq"])
@pytest.mark.parametrize("count", [0, 1, 2, 5, 8])
@pytest.mark.parametrize("kind", ["float32", "float64", "bfloat16"])
def test_frequencies_equal_pytorchs(name: str, count: int, kind: str) -> None:
    """Every value and the dtype, odd and even counts, none at all."""
    ours = getattr(torch.fft, name)(count, 0.25, dtype=getattr(torch, kind))
    theirs = getattr(reference.fft, name)(count, 0.25, dtype=getattr(reference, kind))
    assert str(ours.dtype) == str(theirs.dtype)
    assert repr(ours.tolist()) == repr(theirs.tolist())


def test_frequencies_into_out() -> None:
    """`out=` is resized and written; integers are refused."""
    out = torch.empty(0)
    assert torch.fft.fftfreq(3, out=out) is out
    assert out.tolist() == torch.fft.fftfreq(3).tolist()
    with pytest.raises(RuntimeError, match="fftfreq requires a floating point or complex dtype"):
        torch.fft.fftfreq(3, dtype=torch.int64)


WRONG = {
    "norm": (lambda m, x: m.fft.fft(x, norm="none"), RuntimeError),
    "points": (lambda m, x: m.fft.rfft(x, n=0), RuntimeError),
    "twice": (lambda m, x: m.fft.fftn(x, dim=(0, -2)), RuntimeError),
    "lengths": (lambda m, x: m.fft.ifftn(x, s=(4,), dim=(0, 1)), RuntimeError),
    "too many": (lambda m, x: m.fft.rfftn(x, s=(4, 4, 4)), RuntimeError),
    "no axis": (lambda m, x: m.fft.irfftn(x, dim=()), RuntimeError),
    "half": (lambda m, x: m.fft.fft(x.half()), RuntimeError),
    "out": (lambda m, x: m.fft.fft(x, out=m.ones(4, 4)), RuntimeError),
    "complex": (lambda m, x: m.fft.rfft(x.to(m.complex64)), RuntimeError),
    "n": (lambda m, x: m.fft.fft(x, (2, 2)), TypeError),
    "window": (lambda m, x: m.stft(x, 4, window=m.ones(3), return_complex=True), RuntimeError),
    "hop": (lambda m, x: m.stft(x, 4, 0, window=m.ones(4), return_complex=True), RuntimeError),
    "real": (lambda m, x: m.stft(x, 4, window=m.ones(4)), RuntimeError),
    "align": (lambda m, x: m.stft(x, 4, window=m.ones(4), align_to_window=True), RuntimeError),
    "back": (lambda m, x: m.istft(x, 4, window=m.ones(4)), RuntimeError),
    "bins": (lambda m, x: m.istft(x.to(m.complex64), 9, window=m.ones(9)), RuntimeError),
}


@pytest.mark.parametrize("case", sorted(WRONG))
def test_refusals_have_pytorchs_first_sentence(case: str) -> None:
    """The same type of error, and PyTorch's message at the beginning of ours."""
    call, kind = WRONG[case]
    theirs = refusal(lambda: call(reference, reference.ones(4, 4)))
    with pytest.raises(kind, match=re.escape(theirs.splitlines()[0])):
        call(torch, torch.ones(4, 4))


def refusal(call: Callable[[], object]) -> str:
    """The message of the error that `call` raises."""
    try:
        call()
    except (RuntimeError, TypeError, IndexError) as error:
        return str(error)
    raise AssertionError("PyTorch raises no error here")


def test_a_signal_comes_back_from_its_stft() -> None:
    """`istft` inverts `stft`, and its gradient flows to the signal."""
    signal = torch.randn(2, 200, dtype=torch.float64, requires_grad=True)
    window = torch.hann_window(32, dtype=torch.float64)
    there = torch.stft(signal, 32, window=window, return_complex=True)
    back = torch.istft(there, 32, window=window, length=200)
    assert torch.allclose(back, signal)
    back.square().sum().backward()
    assert torch.allclose(signal.grad, 2 * signal.detach())


def test_without_a_window_a_warning_says_which_to_take() -> None:
    """A rectangular window is taken, and the warning names better ones."""
    with pytest.warns(UserWarning, match=r"torch\.hann_window"):
        torch.stft(torch.randn(20), 4, return_complex=True)


def test_a_point_under_no_window_cannot_be_inverted() -> None:
    """A window of zeros at the edge, not centred, leaves the first points unknown."""
    window = torch.hann_window(4)
    there = torch.stft(torch.randn(20), 4, window=window, center=False, return_complex=True)
    with pytest.raises(RuntimeError, match="window overlap add min: 1"):
        torch.istft(there, 4, window=window, center=False)
