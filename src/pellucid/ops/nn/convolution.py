"""Convolution and transposed convolution in one, two and three dimensions.

Three operators are linear in each other's arguments and are each other's gradients, so gradients of any order exist: `convolve` (forward),
`convolve_input` (the transposed convolution, gradient for the input) and `convolve_weight` (gradient for the weight). The public names check
arguments and call them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import copy_array, scalar_type
from pellucid.ops.nn import kernels_convolution as kernels
from pellucid.ops.nn.kernels_convolution import Geometry
from pellucid.tensor.dtype import REDUCED, dtype, float32
from pellucid.tensor.layout import Layout, channels_last, channels_last_3d, contiguous
from pellucid.tensor.tensor import Tensor, empty


def _fresh(shape: tuple[int, ...], d: dtype, like: Tensor, also: Tensor | None = None) -> Tensor:
    """An output of this shape in the memory format of the operands: channels-last if one of them is."""
    layout: Layout = contiguous(shape)
    maker = {4: channels_last, 5: channels_last_3d}.get(len(shape))
    wanted = {4: "channels_last", 5: "channels_last_3d"}.get(len(shape))
    for operand in (like, also):
        if maker is not None and operand is not None and operand._layout.suggested_memory_format == wanted:
            layout = maker(shape)
    return empty(layout, d)


def _run(kernel: Any, first: Tensor, second: Tensor, out: Tensor, g: Geometry) -> Tensor:
    """Call an array kernel; half precision is computed in float32."""
    if not out._layout.numel:
        return out
    if out.dtype in REDUCED:
        scratch = np.empty(out._layout.shape, np.float32)
        kernel(first._array.astype(np.float32), second._array.astype(np.float32), scratch, g)
        copy_array(out._array, scratch)
    elif first._layout.numel and second._layout.numel:
        with np.errstate(all="ignore"):
            kernel(first._array, second._array, out._array, g)
    else:
        out._array.fill(0)
    return out


def _conj(x: Tensor) -> Tensor:
    return x.conj() if x.dtype.is_complex else x


def _spatial(grad: Tensor) -> tuple[int, ...]:
    return (0, *range(2, grad.dim()))


@operator(
    where="internal",
    backward_name="ConvolutionBackward0",
    gradient={
        "input": lambda grad, weight, g, input: convolve_input(grad, _conj(weight), tuple(input.shape), g),
        "weight": lambda grad, input, g, weight: convolve_weight(grad, _conj(input), tuple(weight.shape), g),
        "bias": lambda grad: grad.sum(_spatial(grad)),
    },
)
def convolve(input: Tensor, weight: Tensor, bias: Tensor | None, g: Geometry) -> Tensor:
    """Cross-correlation: (N, C, *S) with (K, C / groups, *F) gives (N, K, *O), plus a bias per output channel."""
    size = kernels.output_size(input._layout.shape[2:], weight._layout.shape[2:], g)
    out = _fresh((input._layout.shape[0], weight._layout.shape[0], *size), input.dtype, input, weight)
    _run(kernels.forward, input, weight, out, g)
    return _add_bias(out, bias)


def _add_bias(out: Tensor, bias: Tensor | None) -> Tensor:
    if bias is not None:
        array = out._array
        array += bias._array.reshape(-1, *[1] * (array.ndim - 2))
    return out


@operator(
    where="internal",
    backward_name="ConvolutionBackward0",
    gradient={
        "input": lambda grad, weight, g: convolve(grad, _conj(weight), None, g),
        "weight": lambda grad, input, g, weight: convolve_weight(_conj(input), grad, tuple(weight.shape), g),
    },
)
def convolve_input(input: Tensor, weight: Tensor, shape: tuple[int, ...], g: Geometry) -> Tensor:
    """The transposed convolution: (N, K, *O) with (K, C / groups, *F) gives `shape`, (N, C, *S)."""
    out = _fresh(shape, input.dtype, input, weight)
    return _run(kernels.input_gradient, input, weight, out, g)


@operator(
    where="internal",
    backward_name="ConvolutionBackward0",
    gradient={
        "grad_out": lambda grad, input, g: convolve(input, _conj(grad), None, g),
        "input": lambda grad, grad_out, g, input: convolve_input(grad_out, _conj(grad), tuple(input.shape), g),
    },
)
def convolve_weight(grad_out: Tensor, input: Tensor, shape: tuple[int, ...], g: Geometry) -> Tensor:
    """The weight's gradient: (N, K, *O) and (N, C, *S) give `shape`, (K, C / groups, *F)."""
    out = _fresh(shape, input.dtype, input, grad_out)
    return _run(kernels.weight_gradient, grad_out, input, out, g)


# -- the public names


def expand(name: str, parameter: str, value: Any, count: int) -> tuple[int, ...]:
    """A number for all spatial dimensions, or one for each."""
    if isinstance(value, int):
        return (value,) * count
    values = tuple(int(v) for v in value)
    if len(values) == 1:
        return values * count
    if len(values) != count:
        raise RuntimeError(
            f"expected {parameter} to be a single integer value or a list of {count} values to match the convolution dimensions, but "
            f"got {parameter}={list(values)}"
        )
    return values


def _check(name: str, input: Tensor, weight: Tensor, bias: Tensor | None, count: int, transposed: bool) -> None:
    for label, operand in (("input", input), ("weight", weight)):
        if not isinstance(operand, Tensor):
            raise TypeError(
                f"{name}() received an invalid combination of arguments: '{label}' must be Tensor, not {type(operand).__name__}"
            )
    if weight.dtype is not input.dtype:
        raise RuntimeError(
            f"Input type (torch.{input.dtype.tensor_type}) and weight type (torch.{weight.dtype.tensor_type}) should be the same"
            f"\n  Convert the input with .to({weight.dtype!r})."
        )
    if bias is not None and bias.dtype is not input.dtype:
        raise RuntimeError(
            f"Input type ({_c(input.dtype)}) and bias type ({_c(bias.dtype)}) should be the same"
        )
    if input.dim() not in (count + 1, count + 2):
        raise RuntimeError(
            f"Expected {count + 1}D (unbatched) or {count + 2}D (batched) input to {name}, but got input of size: "
            f"{list(input.shape)}"
        )
    if weight.dim() != count + 2:
        raise RuntimeError(
            f"Expected {count + 2}-dimensional weight for {name}, but got weight of size {list(weight.shape)}"
        )


def _c(d: dtype) -> str:
    return {float32: "float"}.get(d, scalar_type(d).lower())


def _check_sizes(input: Tensor, weight: Tensor, bias: Tensor | None, g: Geometry, transposed: bool) -> None:
    shape, groups = weight._layout.shape, g.groups
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    if min(g.stride) <= 0:
        raise RuntimeError("non-positive stride is not supported")
    if min(g.dilation) <= 0:
        raise RuntimeError("dilation should be greater than zero")
    if min(g.padding) < 0:
        raise RuntimeError("negative padding is not supported")
    channels = input._layout.shape[1]
    expected = shape[0] if transposed else shape[1] * groups
    if shape[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but got weight of size {list(shape)} "
            "instead"
        )
    if shape[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, but got weight of size "
            f"{list(shape)} instead"
        )
    if channels != expected:
        kind = "transposed=1, " if transposed else f"groups={groups}, "
        raise RuntimeError(
            f"Given {kind}weight of size {list(shape)}, expected input{list(input.shape)} to have {expected} channels, but got "
            f"{channels} channels instead"
        )
    outputs = shape[1] * groups if transposed else shape[0]
    if bias is not None and tuple(bias.shape) != (outputs,):
        raise RuntimeError(
            f"Given {'transposed=1, ' if transposed else ''}weight of size {list(shape)}, expected bias to be 1-dimensional with "
            f"{outputs} elements, but got bias of size {list(bias.shape)} instead"
        )
    if not transposed:
        _check_kernel_fits(input, shape, g)


def _check_kernel_fits(input: Tensor, shape: tuple[int, ...], g: Geometry) -> None:
    size = tuple(s + 2 * p for s, p in zip(input._layout.shape[2:], g.padding, strict=True))
    kernel = tuple(d * (f - 1) + 1 for f, d in zip(shape[2:], g.dilation, strict=True))
    if any(s < f for s, f in zip(size, kernel, strict=True)):
        raise RuntimeError(
            f"Calculated padded input size per channel: ({' x '.join(map(str, size))}). Kernel size: "
            f"({' x '.join(map(str, kernel))}). Kernel size can't be greater than actual input size"
        )


def _same_padding(input: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[Tensor, tuple[int, ...]]:
    """Padding with which the output has the input's size; an odd one is added at the end, as a copy."""
    if max(stride) > 1:
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    totals = [d * (f - 1) for f, d in zip(kernel, dilation, strict=True)]
    if any(t % 2 for t in totals):
        extra = [amount for t in reversed(totals) for amount in (0, t % 2)]
        input = F.nn.pad(input, extra)
    return input, tuple(t // 2 for t in totals)


def _conv(
    name: str, count: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any, groups: int
) -> Tensor:
    _check(name, input, weight, bias, count, False)
    strides, dilations = expand(name, "stride", stride, count), expand(name, "dilation", dilation, count)
    batched = input.dim() == count + 2
    if not batched:
        input = input.unsqueeze(0)
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise RuntimeError(f"Invalid padding string: '{padding}'")
        if padding == "same":
            input, paddings = _same_padding(input, weight._layout.shape[2:], strides, dilations)
        else:
            paddings = (0,) * count
    else:
        paddings = expand(name, "padding", padding, count)
    g = Geometry(strides, paddings, dilations, groups)
    _check_sizes(input, weight, bias, g, False)
    out = convolve(input, weight, bias, g)
    return out if batched else out.squeeze(0)


def _conv_transpose(
    name: str,
    count: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> Tensor:
    _check(name, input, weight, bias, count, True)
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
    _check_sizes(input, weight, bias, g, True)
    for e, t, d in zip(extra, g.stride, g.dilation, strict=True):
        if e >= t and e >= d:
            raise RuntimeError(
                f"output padding must be smaller than either stride or dilation, but got output_padding: {list(extra)} stride: "
                f"{list(g.stride)} dilation: {list(g.dilation)}"
            )
    shape = weight._layout.shape
    size = tuple(
        (s - 1) * t - 2 * p + d * (f - 1) + e + 1
        for s, t, p, d, f, e in zip(input._layout.shape[2:], g.stride, g.padding, g.dilation, shape[2:], extra, strict=True)
    )
    if min(size) < 0:
        raise RuntimeError(
            f"Given input size per channel: {tuple(input.shape[2:])}. Calculated output size per channel: {size}. Output size is too "
            "small"
        )
    out = convolve_input(input, weight, (input._layout.shape[0], shape[1] * groups, *size), g)
    if bias is not None:
        out = out + bias.view(-1, *[1] * count)
    return out if batched else out.squeeze(0)


def _public(count: int) -> None:
    def conv(
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor:
        return _conv(f"conv{count}d", count, input, weight, bias, stride, padding, dilation, groups)

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
        return _conv_transpose(
            f"conv_transpose{count}d", count, input, weight, bias, stride, padding, output_padding, groups, dilation
        )

    sizes = {1: "(N, C, L)", 2: "(N, C, H, W)", 3: "(N, C, D, H, W)"}[count]
    conv.__doc__ = f"{count}-d convolution of {sizes} (or without N); `padding` may be 'same' or 'valid'."
    conv_transpose.__doc__ = f"{count}-d transposed convolution of {sizes}: the gradient of `conv{count}d` for its input."
    conv.__name__, conv_transpose.__name__ = f"conv{count}d", f"conv_transpose{count}d"
    composite(where="nn.functional torch")(conv)
    composite(where="nn.functional torch")(conv_transpose)


for _count in (1, 2, 3):
    _public(_count)
