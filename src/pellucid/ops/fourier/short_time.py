"""The short-time Fourier transform: a window slides over a signal, and each stretch is transformed;
`istft` adds the stretches up again (Griffin and Lim 1984, equation 6).
"""

from __future__ import annotations

import warnings
from typing import Any

from pellucid.ops.api import F
from pellucid.ops.arguments import integer
from pellucid.ops.dispatch import composite
from pellucid.ops.fourier.kernels import (
    FULL,
    NONE,
    ROOT,
    complex_to_complex,
    complex_to_real,
    real_to_complex,
)
from pellucid.ops.views.parts import unfold_backward
from pellucid.tensor.dtype import FLOATING
from pellucid.tensor.tensor import Tensor

_RECTANGLE = (
    "To suppress this warning and use a rectangular window, explicitly set "
    "`window=torch.ones(n_fft, device=<device>)`."
)
_COMPLEX = "Cannot have onesided output if window or input is complex"


def _shown(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _call(name: str, head: str, **settings: Any) -> str:
    """The call as PyTorch repeats it in front of an error."""
    window = settings["window"]
    drawn = "None" if window is None else f"torch.{window.dtype.tensor_type}"
    if window is not None:
        drawn += f"{{{list(window.shape)}}}"
    parts = [f"{key}={drawn if key == 'window' else _shown(v)}" for key, v in settings.items()]
    return f"{name}({head}, {', '.join(parts)})"


def _centred(window: Tensor | None, like: Tensor, length: int, n_fft: int) -> Tensor | None:
    """The window with zeros on both sides, as long as a stretch."""
    if length == n_fft:
        return window
    if window is None:
        window = F.ones(length, dtype=like.dtype)
    left = (n_fft - length) // 2
    return F.constant_pad_nd(window, [left, n_fft - length - left], 0)


# --- there ----------------------------------------------------------------------------------------


def _check_stft(
    call: str, input: Tensor, n_fft: int, hop: int, length: int, window: Tensor | None
) -> None:
    problem = ""
    size = input.shape[-1] if input.dim() else 0
    if input.dtype.category < FLOATING:
        problem = "expected a tensor of floating point or complex values"
    elif input.dim() not in (1, 2):
        problem = "expected a 1D or 2D tensor"
    elif not 0 < n_fft <= size:
        problem = f"expected 0 < n_fft < {size}, but got n_fft={n_fft}"
    elif hop <= 0:
        problem = f"expected hop_length > 0, but got hop_length={hop}"
    elif not 0 < length <= n_fft:
        problem = f"expected 0 < win_length <= n_fft, but got win_length={length}"
    elif window is not None and tuple(window.shape) != (length,):
        problem = (
            f"expected a 1D window tensor of size equal to win_length={length}, but got window "
            f"with size {list(window.shape)}"
        )
    if problem:
        raise RuntimeError(f"{call} : {problem}")


def _answers_complex(input: Tensor, window: Tensor | None, wanted: bool | None) -> bool:
    if wanted is None:
        wanted = input.is_complex() or (window is not None and window.is_complex())
        if not wanted:
            raise RuntimeError(
                "stft requires the return_complex parameter be given for real inputs, and will "
                "further require that return_complex=True in a future PyTorch release."
            )
    if not wanted:
        warnings.warn(
            "stft with return_complex=False is deprecated. In a future pytorch release, stft will "
            "return complex tensors for all inputs, and return_complex=False will raise an error.\n"
            "Note: you can still call torch.view_as_real on the complex output to recover the old "
            "return format.",
            UserWarning,
            stacklevel=4,
        )
    return wanted


def _reflected(input: Tensor, pad: int, mode: str) -> Tensor:
    shape = (1,) * (3 - input.dim()) + tuple(input.shape)
    padded = F.nn.pad(input.view(shape), [pad, pad], mode)
    return padded.view(padded.shape[-input.dim() :])


@composite(where="torch Tensor")
def stft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Tensor:
    """The transforms of stretches of `n_fft` points, `hop_length` (n_fft / 4) apart, each times
    `window`.

    Shape: `(batch?, frequencies, stretches)`, n_fft/2 + 1 frequencies if `onesided`, which is the
    default for real signals. With `center` the signal is padded at both ends, so that stretch t is
    centred at t * hop_length. Raises: RuntimeError for sizes that do not fit, and for real signals
    without `return_complex`.
    """
    n_fft = integer("stft", "n_fft", 2, n_fft)
    if center and align_to_window is not None:
        raise RuntimeError("stft align_to_window should only be set when center = false")
    if center:
        input = _reflected(input, n_fft // 2, pad_mode)
    hop = n_fft >> 2 if hop_length is None else integer("stft", "hop_length", 3, hop_length)
    length = n_fft if win_length is None else integer("stft", "win_length", 4, win_length)
    if window is None:
        warnings.warn(
            "A window was not provided. A rectangular window will be applied,which is known to "
            "cause spectral leakage. Other windows such as torch.hann_window or "
            f"torch.hamming_window are recommended to reduce spectral leakage.{_RECTANGLE}",
            UserWarning,
            stacklevel=3,
        )
    as_complex = _answers_complex(input, window, return_complex)
    call = _call(
        "stft",
        f"torch.{input.dtype.tensor_type}{list(input.shape)}",
        n_fft=n_fft,
        hop_length=hop,
        win_length=length,
        window=window,
        normalized=normalized,
        onesided=onesided,
        return_complex=return_complex,
        align_to_window=align_to_window,
    )
    _check_stft(call, input, n_fft, hop, length, window)
    signal = input if input.dim() == 2 else input.unsqueeze(0)
    if align_to_window:
        left = (n_fft - length) // 2
        signal = F.constant_pad_nd(signal, [left, n_fft - length - left], 0)
    stretches = signal.unfold(-1, n_fft, hop)
    window = _centred(window, input, length, n_fft)
    if window is not None:
        stretches = stretches * window
    scale = ROOT if normalized else NONE
    half = not stretches.is_complex() if onesided is None else onesided
    if stretches.is_complex():
        if half:
            raise RuntimeError(_COMPLEX)
        found = complex_to_complex(stretches, (2,), scale, True)
    else:
        found = real_to_complex(stretches, (2,), scale, half)
    found = found.transpose(1, 2)
    found = found.squeeze(0) if input.dim() == 1 else found
    found._base = None  # a tensor of its own: nobody else knows the one before it was turned
    return found if as_complex else F.view_as_real(found)


# --- and back -------------------------------------------------------------------------------------


def _check_istft(
    call: str,
    shape: tuple[int, ...],
    n_fft: int,
    hop: int,
    length: int,
    window: Tensor | None,
    half: bool,
) -> None:
    problem, bins = "", shape[-2]
    wanted = n_fft // 2 + 1 if half else n_fft
    if 0 in shape:
        problem = "input tensor cannot be empty."
    elif len(shape) not in (2, 3):
        problem = f"expected a tensor with 3 or 4 dimensions, but got {len(shape) + 1}"
    elif bins != wanted:
        rule = "n_fft / 2 + 1 when onesided=True" if half else "n_fft when onesided=False"
        problem = (
            "expected the frequency dimension (3rd to the last) of the input tensor to match "
            f"{rule}, but got {bins}"
        )
    elif not 0 < hop <= length:
        problem = "expected 0 < hop_length <= win_length"
    elif not 0 < length <= n_fft:
        problem = "expected 0 < win_length <= n_fft"
    elif window is not None and tuple(window.shape) != (length,):
        problem = "Invalid window shape. window has to be 1D and length of `win_length`"
    if problem:
        raise RuntimeError(f"{call} : {problem}")


def _stretches(
    input: Tensor, window: Tensor | None, n_fft: int, scale: str, half: bool, as_complex: bool
) -> Tensor:
    """The inverse transform of each stretch: `(batch, stretches, n_fft)`."""
    turned = input.transpose(1, 2)
    if as_complex:
        if half:
            raise RuntimeError(_COMPLEX)
        return complex_to_complex(turned, (2,), scale, False)
    if window is not None and window.is_complex():
        raise RuntimeError("Complex windows are incompatible with return_complex=False")
    if not half:
        turned = turned.narrow(-1, 0, n_fft // 2 + 1)
    return complex_to_real(turned, (2,), scale, n_fft)


@composite(where="torch Tensor")
def istft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Tensor:
    """The signal whose `stft` comes nearest to `input` in the sense of least squares: all stretches
    times `window` added up, over the sum of the squared windows.

    Shape: `(batch?, length)`. Raises: RuntimeError for sizes that do not fit, and for windows that
    leave a point of the signal uncovered.
    """
    if not input.is_complex():
        raise RuntimeError(
            "istft requires a complex-valued input tensor matching the output from stft with "
            "return_complex=True."
        )
    if input.dim() < 2:
        raise IndexError(
            "Dimension out of range (expected to be in range of "
            f"[-{input.dim() + 1}, {input.dim()}], but got -3)\n"
            "  A transform has a dimension of frequencies and one of stretches."
        )
    n_fft = integer("istft", "n_fft", 2, n_fft)
    hop = n_fft >> 2 if hop_length is None else integer("istft", "hop_length", 3, hop_length)
    size = n_fft if win_length is None else integer("istft", "win_length", 4, win_length)
    if window is None:
        warnings.warn(
            "A window was not provided. A rectangular window will be applied.Please provide the "
            f"same window used by stft to make the inversion lossless.{_RECTANGLE}",
            UserWarning,
            stacklevel=3,
        )
    call = _call(
        "istft",
        f"CPU{input.dtype.tensor_type.removesuffix('Tensor')}Type{list(input.shape)}",
        n_fft=n_fft,
        hop_length=hop,
        win_length=size,
        window=window,
        center=center,
        normalized=normalized,
        onesided=onesided,
        length=length,
        return_complex=return_complex,
    )
    half = input.shape[-2] != n_fft if onesided is None else onesided
    _check_istft(call, tuple(input.shape), n_fft, hop, size, window, half)
    whole = input if input.dim() == 3 else input.unsqueeze(0)
    parts = _stretches(whole, window, n_fft, ROOT if normalized else FULL, half, return_complex)
    found = _added(call, parts, _centred(window, parts, size, n_fft), hop, center, length)
    found = found.squeeze(0) if input.dim() == 2 else found
    return found


def _added(
    call: str, parts: Tensor, window: Tensor | None, hop: int, center: bool, length: int | None
) -> Tensor:
    """The stretches at their places, over the squared windows there, cut to what is asked for."""
    batch, count, n_fft = parts.shape
    if window is None:
        window = F.ones(n_fft, dtype=parts.dtype.to_real())
    total = n_fft + hop * (count - 1)
    signal = unfold_backward(parts * window, (batch, total), 1, n_fft, hop)
    squares = window.pow(2).expand(1, count, n_fft)
    envelope = unfold_backward(squares, (1, total), 1, n_fft, hop)
    start = n_fft // 2 if center else 0
    if length is not None:
        end = start + length
    else:
        end = total - n_fft // 2 if center else total
    envelope = envelope.narrow(1, start, max(min(end, total) - start, 0))
    lowest = envelope.detach().abs().min()
    if bool(lowest < 1e-11):
        raise RuntimeError(
            f"{call} window overlap add min: 1\n[ CPUBoolType{{}} ]\n"
            "  Some points lie under no window: a smaller hop_length, center=True, or a shorter "
            "length covers every point."
        )
    found = signal.narrow(1, start, envelope.shape[1]) / envelope
    if end > total:
        warnings.warn(
            "The length of signal is shorter than the length parameter. Result is being padded "
            "with zeros in the tail. Please check your center and hop_length settings.",
            UserWarning,
            stacklevel=4,
        )
        found = F.constant_pad_nd(found, [0, end - total], 0)
    return found
