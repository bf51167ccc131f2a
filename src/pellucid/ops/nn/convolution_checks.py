"""What convolution's arguments must be, in PyTorch's words."""

from __future__ import annotations

from typing import Any

from pellucid.ops.inplace import scalar_type
from pellucid.ops.nn.kernels_convolution import Geometry
from pellucid.ops.nn.support import Ints, not_implemented
from pellucid.tensor.dtype import BOOL, dtype, float32, float64
from pellucid.tensor.tensor import Tensor

_AXES = {1: ("height", "width"), 2: ("height", "width"), 3: ("depth", "height", "width")}


def expand(name: str, parameter: str, value: Any, count: int) -> Ints:
    """A number for all spatial dimensions, or one for each."""
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,) * count
    if isinstance(value, (str, float)) or not hasattr(value, "__len__"):
        raise TypeError(
            f"{name}(): argument '{parameter}' must be tuple of ints, not {type(value).__name__}"
        )
    values = tuple(int(v) for v in value)
    if len(values) == 1:
        return values * count
    if len(values) != count:
        raise RuntimeError(_wrong_count(parameter, values, count))
    return values


def _wrong_count(parameter: str, values: Ints, count: int) -> str:
    return (
        f"expected {parameter} to be a single integer value or a list of {count} values to match "
        f"the convolution dimensions, but got {parameter}={list(values)}"
    )


def _c(d: dtype) -> str:
    return {float32: "float", float64: "double"}.get(d, scalar_type(d).lower())


def check_operands(
    name: str,
    count: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
) -> None:
    """Types, dtypes and ranks."""
    if not isinstance(input, Tensor) or not isinstance(weight, Tensor):
        given = ", ".join(type(x).__name__ for x in (input, weight))
        raise TypeError(
            f"{name}() received an invalid combination of arguments - got ({given}), but expected "
            "(Tensor input, Tensor weight, Tensor bias, ...)"
        )
    if weight.dim() < 3:
        raise RuntimeError("weight should have at least three dimensions")
    if input.dim() not in (count + 1, count + 2):
        raise RuntimeError(
            f"Expected {count + 1}D (unbatched) or {count + 2}D (batched) input to {name}, but got "
            f"input of size: {list(input.shape)}"
        )
    if weight.dim() != count + 2:
        raise RuntimeError(_weight_rank(count, input, weight, stride, padding))
    if weight.dtype is not input.dtype:
        raise RuntimeError(_mixed(input.dtype, weight.dtype))
    if bias is not None and bias.dtype is not input.dtype:
        raise RuntimeError(
            f"Input type ({_c(input.dtype)}) and bias type ({_c(bias.dtype)}) should be the same"
        )
    if input.dtype.category == BOOL:
        kernel = "compute_columns3d" if count == 3 else "slow_conv2d_cpu"
        raise not_implemented(kernel, input.dtype)


def _weight_rank(count: int, input: Tensor, weight: Tensor, stride: Any, padding: Any) -> str:
    """PyTorch reads the number of dimensions off the weight, and finds the rest wrong."""
    dims = weight.dim()
    if isinstance(padding, str):
        size = list(input.shape) if input.dim() == count + 2 else [1, *input.shape]
        return (
            f"Expected {dims}-dimensional input for {dims}-dimensional weight "
            f"{list(weight.shape)}, but got {count + 2}-dimensional input of size {size} instead"
        )
    return _wrong_count("stride", expand("conv", "stride", stride, count), dims - 2) + (
        f"\n  The weight {tuple(weight.shape)} is that of a {dims - 2}-d convolution."
    )


def _mixed(input: dtype, weight: dtype) -> str:
    if input is float32:
        return (
            f"Input type (torch.{input.tensor_type}) and weight type (torch.{weight.tensor_type}) "
            "should be the same or input should be a MKLDNN tensor and weight is a dense tensor\n"
            f"  Convert the input with .to({weight!r})."
        )
    return (
        f"expected scalar type {scalar_type(input)} but found {scalar_type(weight)}\n"
        f"  Input and weight must have one dtype: convert the input with .to({weight!r})."
    )


def check_sizes(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    g: Geometry,
    transposed: bool,
    extra: Ints = (),
) -> None:
    """Geometry, groups and channels; `input` has its batch dimension and will be padded by `extra`
    (the last dimension's first) on top of the geometry's padding.
    """
    shape, groups = weight._layout.shape, g.groups
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    if min(g.padding) < 0:
        raise RuntimeError("negative padding is not supported")
    if min(g.stride) <= 0:
        raise RuntimeError("non-positive stride is not supported")
    if min(g.dilation) <= 0:
        raise RuntimeError("dilation should be greater than zero")
    if shape[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but "
            f"got weight of size {list(shape)} instead"
        )
    if shape[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, "
            f"but got weight of size [{list(shape)}] instead"
        )
    channels = input._layout.shape[1]
    expected = shape[0] if transposed else shape[1] * groups
    if channels != expected:
        kind = "transposed=1" if transposed else f"groups={groups}"
        raise RuntimeError(
            f"Given {kind}, weight of size {list(shape)}, expected input{list(input.shape)} to "
            f"have {expected} channels, but got {channels} channels instead"
        )
    outputs = shape[1] * groups if transposed else shape[0]
    if bias is not None and tuple(bias.shape) != (outputs,):
        raise RuntimeError(
            f"Given {'transposed=1, ' if transposed else ''}weight of size {list(shape)}, expected "
            f"bias to be 1-dimensional with {outputs} elements, but got bias of size "
            f"{list(bias.shape)} instead"
        )
    if not transposed:
        _check_kernel_fits(input, shape, g, extra)


def _check_kernel_fits(input: Tensor, shape: Ints, g: Geometry, extra: Ints) -> None:
    ends = extra[::-2] or (0,) * len(g.padding)
    size = tuple(
        s + 2 * p + e for s, p, e in zip(input._layout.shape[2:], g.padding, ends, strict=True)
    )
    kernel = tuple(d * (f - 1) + 1 for f, d in zip(shape[2:], g.dilation, strict=True))
    if min(kernel) < 1:
        raise RuntimeError(
            f"the kernel of weight {list(shape)} has no elements\n"
            "  A convolution needs at least one tap in each dimension."
        )
    if any(s < f for s, f in zip(size, kernel, strict=True)):
        raise RuntimeError(
            f"Calculated padded input size per channel: ({' x '.join(map(str, size))}). Kernel "
            f"size: ({' x '.join(map(str, kernel))}). Kernel size can't be greater than actual "
            "input size"
        )


def check_output_padding(extra: Ints, g: Geometry) -> None:
    """What is added at the end must be smaller than a step, of the stride or of the dilation."""
    if min(extra) < 0:
        raise RuntimeError("negative output_padding is not supported")
    if all(e < t or e < d for e, t, d in zip(extra, g.stride, g.dilation, strict=True)):
        return
    count = len(extra)
    values = {"output_padding": extra, "stride": g.stride, "dilation": g.dilation}
    if count == 1:  # shown as 2-d, as it is computed there
        values = {
            "output_padding": (0, *extra),
            "stride": (1, *g.stride),
            "dilation": (1, *g.dilation),
        }
    shown = " ".join(
        f"{label}_{axis}: {v}"
        for label, given in values.items()
        for axis, v in zip(_AXES[count], map(int, given), strict=True)
    )
    raise RuntimeError(
        f"output padding must be smaller than either stride or dilation, but got {shown}"
    )
