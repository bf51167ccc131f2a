"""Convolution and transposed convolution in one, two and three dimensions.

Three operators are linear in each other's arguments and are each other's gradients, so gradients
of any order exist: `convolve` (forward), `convolve_input` (the transposed convolution, which is the
gradient for the input) and `convolve_weight` (the gradient for the weight). The public names check
arguments and call them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.autograd.modes import state
from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.nn import kernels_convolution as kernels
from pellucid.ops.nn.convolution_checks import (
    check_operands,
    check_output_padding,
    check_sizes,
    expand,
)
from pellucid.ops.nn.kernels_convolution import Geometry
from pellucid.ops.nn.support import Ints, scratch_for, settle, tie, working
from pellucid.tensor.dtype import REDUCED, float32
from pellucid.tensor.layout import (
    Layout,
    channels_last,
    channels_last_3d,
    contiguous,
    squeeze,
    unsqueeze,
)
from pellucid.tensor.tensor import Tensor, empty

_MAKERS = {4: (channels_last, "channels_last"), 5: (channels_last_3d, "channels_last_3d")}


def _layout(shape: Ints, keeps_volumes: bool, *operands: Tensor) -> Layout:
    """Channels-last if an operand is; volumes only where PyTorch has a kernel that keeps it.

    A sequence is a plane of height 1 to PyTorch, which makes the input contiguous but not the
    second operand, the weight.
    """
    if len(shape) == 3:
        plane = unsqueeze(operands[1]._layout, 2)
        if plane.suggested_memory_format == "channels_last":
            return squeeze(channels_last((*shape[:2], 1, shape[2])), 2)
    if len(shape) in _MAKERS and (len(shape) == 4 or keeps_volumes):
        maker, format = _MAKERS[len(shape)]
        if any(x._layout.suggested_memory_format == format for x in operands):
            return maker(shape)
    return contiguous(shape)


def _keeps_volumes(input: Tensor, weight: Tensor, groups: int) -> bool:
    """Whether PyTorch gives a 3-d convolution to oneDNN: float32, and not too small for it."""
    if input.dtype is not float32:
        return input.dtype in REDUCED
    shape, kernel = input._layout.shape, weight._layout.shape[2:]
    return groups > 1 or min(kernel[-2:]) > 3 or shape[0] > 1 or math.prod(shape[:4]) > 20480


def _run(
    kernel: Callable[..., None], first: Tensor, second: Tensor, out: Tensor, g: Geometry,
    bias: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Call an array kernel and add a bias; half precision is computed in float32."""
    if not out._layout.numel:
        return out
    scratch = scratch_for(out)
    if first._layout.numel and second._layout.numel:
        with np.errstate(all="ignore"):
            kernel(working(first), working(second), scratch, g)
    else:
        scratch.fill(0)
    if bias is not None:
        scratch += working(bias).reshape(-1, *[1] * (scratch.ndim - 2))
    return settle(out, scratch)


def _conj(x: Tensor) -> Tensor:
    return x.conj() if x.dtype.is_complex else x


def _for_bias(grad: Tensor, *others: Tensor) -> Tensor:
    total = grad.sum((0, *range(2, grad.dim())))
    return tie(total, others) if state.grad else total


def _forward_gradient(
    grad: Tensor, needs: frozenset[str], input: Tensor, weight: Tensor, g: Geometry
) -> tuple[Tensor | None, ...]:
    return (
        convolve_input(grad, _conj(weight), None, tuple(input.shape), g)
        if "input" in needs
        else None,
        convolve_weight(grad, _conj(input), tuple(weight.shape), g) if "weight" in needs else None,
        _for_bias(grad, input, weight) if "bias" in needs else None,
    )


@operator(
    where="internal",
    backward_name="ConvolutionBackward0",
    gradient={("input", "weight", "bias"): _forward_gradient},
)
def convolve(
    input: Tensor, weight: Tensor, bias: Tensor | None, g: Geometry, size: Ints | None = None
) -> Tensor:
    """Cross-correlation: (N, C, *S) with (K, C / groups, *F) gives (N, K, *O), plus a bias each.

    `size` cuts the spatial sizes of the output, where less is wanted than fits.
    """
    if size is None:
        size = kernels.output_size(input._layout.shape[2:], weight._layout.shape[2:], g)
    shape = (input._layout.shape[0], weight._layout.shape[0], *size)
    layout = _layout(shape, _keeps_volumes(input, weight, g.groups), input, weight)
    return _run(kernels.forward, input, weight, empty(layout, input.dtype), g, bias)


def _input_gradient(
    grad: Tensor, needs: frozenset[str], input: Tensor, weight: Tensor, g: Geometry
) -> tuple[Tensor | None, ...]:
    return (
        convolve(grad, _conj(weight), None, g, tuple(input.shape[2:]))
        if "input" in needs
        else None,
        convolve_weight(_conj(input), grad, tuple(weight.shape), g) if "weight" in needs else None,
        _for_bias(grad, input, weight) if "bias" in needs else None,
    )


@operator(
    where="internal",
    backward_name="ConvolutionBackward0",
    gradient={("input", "weight", "bias"): _input_gradient},
)
def convolve_input(
    input: Tensor, weight: Tensor, bias: Tensor | None, shape: Ints, g: Geometry
) -> Tensor:
    """The transposed convolution: (N, K, *O) with (K, C / groups, *F) gives `shape`, (N, C, *S)."""
    size = kernels.output_size(shape[2:], weight._layout.shape[2:], g)
    padded = any(o > s for o, s in zip(size, input._layout.shape[2:], strict=True))
    keeps = not padded and _keeps_volumes(input, weight, g.groups)
    layout = _layout(shape, keeps, input, weight)
    return _run(kernels.input_gradient, input, weight, empty(layout, input.dtype), g, bias)


@operator(
    where="internal",
    backward_name="ConvolutionBackward0",
    gradient={
        "grad_out": lambda grad, input, g, grad_out: convolve(
            input, _conj(grad), None, g, tuple(grad_out.shape[2:])
        ),
        "input": lambda grad, grad_out, g, input: convolve_input(
            grad_out, _conj(grad), None, tuple(input.shape), g
        ),
    },
)
def convolve_weight(grad_out: Tensor, input: Tensor, shape: Ints, g: Geometry) -> Tensor:
    """The weight's gradient: (N, K, *O) and (N, C, *S) give `shape`, (K, C / groups, *F)."""
    layout = _layout(shape, input.dtype in (float32, *REDUCED), input, grad_out)
    return _run(kernels.weight_gradient, grad_out, input, empty(layout, input.dtype), g)


# -- the public names


def _same_padding(kernel: Ints, stride: Ints, dilation: Ints) -> tuple[Ints, Ints]:
    """Padding with which the output has the input's size, and what is missing at each end of it."""
    if max(stride) > 1:
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    totals = [d * (f - 1) for f, d in zip(kernel, dilation, strict=True)]
    extra = [amount for t in reversed(totals) for amount in (0, t % 2)]
    return tuple(t // 2 for t in totals), tuple(extra) if any(extra) else ()


Plan = tuple[Geometry, tuple[int, ...]]
"""A convolution's geometry, and what is padded at the ends before it."""

_plans: dict[Any, Plan] = {}
_MOST_PLANS = 4096


def _plan(
    name: str,
    count: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Plan:
    """Check the arguments and read the geometry from them. `input` has its batch dimension."""
    strides = expand(name, "stride", stride, count)
    dilations = expand(name, "dilation", dilation, count)
    extra: tuple[int, ...] = ()
    if not isinstance(padding, str):
        paddings = expand(name, "padding", padding, count)
    elif padding == "same":
        paddings, extra = _same_padding(weight._layout.shape[2:], strides, dilations)
    elif padding == "valid":
        paddings = (0,) * count
    else:
        raise RuntimeError(
            f"Invalid padding string: '{padding}'\n  It is 'same', 'valid', or numbers."
        )
    g = Geometry(strides, paddings, dilations, groups)
    check_sizes(input, weight, bias, g, False, extra)
    return g, extra


def _conv(
    name: str,
    count: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Tensor:
    key: Any = None
    if isinstance(input, Tensor) and isinstance(weight, Tensor):
        given = (None, None) if bias is None else (bias._layout.shape, bias.dtype)
        operands = (input._layout.shape, input.dtype, weight._layout.shape, weight.dtype, *given)
        geometry = (_hashable(stride), _hashable(padding), _hashable(dilation), groups)
        key = (count, operands, geometry)
    found = _plans.get(key)
    if found is None:
        check_operands(name, count, input, weight, bias, stride, padding)
    batched = input.dim() == count + 2
    if not batched:
        input = input.unsqueeze(0)
    if found is None:
        found = _plan(name, count, input, weight, bias, stride, padding, dilation, groups)
        if len(_plans) >= _MOST_PLANS:
            _plans.clear()
        _plans[key] = found
    g, extra = found
    if extra:
        input = F.nn.pad(input, extra)
    out = convolve(input, weight, bias, g)
    return out if batched else out.squeeze(0)


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _conv_transpose(
    name: str,
    count: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    geometry: tuple[Any, Any, Any],
    output_padding: Any,
    groups: int,
) -> Tensor:
    stride, padding, dilation = geometry
    check_operands(name, count, input, weight, bias, stride, None)
    g = Geometry(
        expand(name, "stride", stride, count),
        expand(name, "padding", padding, count),
        expand(name, "dilation", dilation, count),
        groups,
    )
    extra = expand(name, "output_padding", output_padding, count)
    batched = input.dim() == count + 2
    if not batched:
        input = input.unsqueeze(0)
    check_sizes(input, weight, bias, g, True)
    check_output_padding(extra, g)
    shape = weight._layout.shape
    size = tuple(
        (s - 1) * t - 2 * p + d * (f - 1) + e + 1
        for s, t, p, d, f, e in zip(
            input._layout.shape[2:], g.stride, g.padding, g.dilation, shape[2:], extra, strict=True
        )
    )
    if min(size) < 1:
        raise RuntimeError(
            f"Given input size per channel: {tuple(input.shape[2:])}. Calculated output size per "
            f"channel: {size}. Output size is too small"
        )
    out = convolve_input(input, weight, bias, (input._layout.shape[0], shape[1] * groups, *size), g)
    return out if batched else out.squeeze(0)


def _public(count: int) -> None:
    forward, transposed = f"conv{count}d", f"conv_transpose{count}d"

    def conv(
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor:
        return _conv(forward, count, input, weight, bias, stride, padding, dilation, groups)

    def conv_transpose(
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        dilation: Any = 1,
    ) -> Tensor:
        geometry = (stride, padding, dilation)
        return _conv_transpose(
            transposed, count, input, weight, bias, geometry, output_padding, groups
        )

    sizes = {1: "(N, C, L)", 2: "(N, C, H, W)", 3: "(N, C, D, H, W)"}[count]
    conv.__doc__ = (
        f"{count}-d convolution of {sizes} (or without N); `padding` may be 'same' or 'valid'."
    )
    conv_transpose.__doc__ = (
        f"{count}-d transposed convolution of {sizes}: the gradient of `{forward}` for its input."
    )
    conv.__name__, conv_transpose.__name__ = forward, transposed
    composite(where="nn.functional torch")(conv)
    composite(where="nn.functional torch")(conv_transpose)


for _count in (1, 2, 3):
    _public(_count)


@composite(where="torch")
def convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
) -> Tensor:
    """Any convolution: the weight (K, C / groups, *F) tells the number of spatial dimensions."""
    count = weight.dim() - 2
    if transposed:
        geometry = (stride, padding, dilation)
        return _conv_transpose(
            "convolution", count, input, weight, bias, geometry, output_padding, groups
        )
    return _conv("convolution", count, input, weight, bias, stride, padding, dilation, groups)
