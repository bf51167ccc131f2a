"""Changing every tensor of a module in place: dtype, memory format, emptiness."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Self

from pellucid import ops
from pellucid.autograd.modes import no_grad
from pellucid.nn.parameter import Parameter
from pellucid.tensor.dtype import dtype as DType
from pellucid.tensor.tensor import Tensor


class ConversionMixin:
    """`to`, `float`, `double`, …: parameters stay the same objects and get new data."""

    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    children: Callable[[], Any]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Replace the data of every parameter, its gradient and every buffer by `fn` of it.

        A parameter remains the object an optimiser holds; a buffer is replaced as a whole.
        """
        if recurse:
            for module in self.children():
                module._apply(fn)
        for parameter in self._parameters.values():
            if parameter is None:
                continue
            with no_grad():
                new_data = fn(parameter)
                new_grad = None if parameter.grad is None else fn(parameter.grad)
            grad = parameter.grad
            parameter.grad = None  # a gradient must never stand beside data of another dtype
            parameter.data = new_data
            if grad is not None and new_grad is not None:
                grad.data = new_grad
                parameter.grad = grad
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def apply(self, fn: Callable[[Any], None]) -> Self:
        """Call `fn(module)` for every module below this one, children first, then for itself."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Convert parameters and buffers in place and return the module.

        Called as `to(dtype)`, `to(device, dtype)`, `to(tensor)` (its dtype and device), or with
        `memory_format=` (4-d and 5-d tensors only). Integer tensors keep their dtype.

        Raises:
            TypeError: the dtype is neither floating point nor complex.
        """
        device, dtype, non_blocking, memory_format = parse_to(*args, **kwargs)
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(
                "nn.Module.to only accepts floating point or complex dtypes, "
                f"but got desired dtype={dtype}"
            )
        if dtype is not None and dtype.is_complex:
            warnings.warn(
                "Complex modules are a new feature under active development whose design may "
                "change, and some modules might not work as expected when using complex tensors "
                "as parameters or buffers.",
                stacklevel=2,
            )

        def convert(tensor: Tensor) -> Tensor:
            numeric = tensor.is_floating_point() or tensor.is_complex()
            options: dict[str, Any] = {"non_blocking": non_blocking}
            if device is not None:
                options["device"] = device
            if dtype is not None and numeric:
                options["dtype"] = dtype
            if memory_format is not None and tensor.dim() in (4, 5):
                options["memory_format"] = memory_format
            return _kept(tensor.to, options)

        return self._apply(convert)

    def cpu(self) -> Self:
        """The module itself: its tensors are in the CPU's memory already."""
        return self._apply(lambda t: _kept(t.cpu, {}))

    def cuda(self, device: Any = None) -> Self:
        """Ask every tensor for `cuda(device)`, which says why there is none here."""
        return self._apply(lambda t: t.cuda(device))

    def type(self, dst_type: DType | str) -> Self:
        """Convert every parameter and buffer, integer ones too, to `dst_type`."""
        return self._apply(lambda t: t.type(dst_type))

    def float(self) -> Self:
        """Convert floating-point parameters and buffers to float32."""
        return self._apply(lambda t: t.float() if t.is_floating_point() else t)

    def double(self) -> Self:
        """Convert floating-point parameters and buffers to float64."""
        return self._apply(lambda t: t.double() if t.is_floating_point() else t)

    def half(self) -> Self:
        """Convert floating-point parameters and buffers to float16."""
        return self._apply(lambda t: t.half() if t.is_floating_point() else t)

    def bfloat16(self) -> Self:
        """Convert floating-point parameters and buffers to bfloat16."""
        return self._apply(lambda t: t.bfloat16() if t.is_floating_point() else t)

    def to_empty(self, *, device: Any, recurse: bool = True) -> Self:
        """Give every parameter and buffer fresh, uninitialised memory of the same shape."""
        return self._apply(lambda t: ops.empty_like(t, device=device), recurse=recurse)

    def share_memory(self) -> Self:
        """Ask every tensor for memory that other processes can see; see `Tensor.share_memory_`."""
        return self._apply(lambda t: t.share_memory_())


def _kept(convert: Callable[..., Tensor], options: dict[str, Any]) -> Tensor:
    """A tensor converted; the refusal of one without data says what a module does instead."""
    try:
        return convert(**options)
    except NotImplementedError as error:
        first, _, rest = str(error).partition("\n")
        raise NotImplementedError(
            f"{first} Please use torch.nn.Module.to_empty() instead of torch.nn.Module.to() when "
            f"moving module from meta to a different device.\n{rest}"
        ) from None


def parse_to(*args: Any, **kwargs: Any) -> tuple[Any, DType | None, bool, Any]:
    """Sort the arguments of `to` into `(device, dtype, non_blocking, memory_format)`."""
    memory_format = kwargs.pop("memory_format", None)
    kwargs.pop("copy", None)
    names = ["device", "dtype", "non_blocking"]
    if args and isinstance(args[0], DType):
        names = ["dtype", "non_blocking"]
    elif (args and isinstance(args[0], Tensor)) or "tensor" in kwargs:
        names = ["tensor", "non_blocking"]
    if len(args) > len(names):
        raise TypeError(f"to() received {len(args)} positional arguments, at most {len(names)} fit")
    given = dict(zip(names, args, strict=False))
    for name, value in kwargs.items():
        if name not in names or name in given:
            raise TypeError(f"to() received an invalid combination of arguments: {name}={value!r}")
        given[name] = value
    if "tensor" in given:
        like = given.pop("tensor")
        given |= {"device": like.device, "dtype": like.dtype}
    non_blocking = bool(given.get("non_blocking", False))
    return given.get("device"), given.get("dtype"), non_blocking, memory_format
