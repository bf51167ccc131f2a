"""One name for each transform; the type of its input chooses what is done.

`@by_kind` marks a function of images. Tensors and Pillow images go to the function itself,
`tv_tensors.Image` and `Video` too, and come back as what they were. Boxes and masks go to the
kernels that are registered for them, and so do kinds that programs define (`register_kernel`).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from pellucid.tensor.tensor import Tensor
from pellucid.vision.tv_tensors import BoundingBoxes, Image, Mask, TVTensor, Video, plain, wrap

_KERNELS: dict[str, dict[type, Callable[..., Any]]] = {}
_SECOND_NAMES = {
    "horizontal_flip": "hflip",
    "vertical_flip": "vflip",
    "elastic_transform": "elastic",
    "to_grayscale": "rgb_to_grayscale",
    "get_image_num_channels": "get_num_channels",
}
_BUILT_IN = (BoundingBoxes, Image, Mask, Video, TVTensor)


class NoKernel(TypeError):
    """A transform that says nothing about this kind of input; samples hand it on unchanged."""


def by_kind(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let the type of the first argument choose between `function` and registered kernels."""
    name = function.__name__
    first = next(iter(inspect.signature(function).parameters))
    kernels = _KERNELS.setdefault(name, {})

    @functools.wraps(function)
    def chosen(*args: Any, **kwargs: Any) -> Any:
        if not args:  # the first edition calls it img, the second inpt
            for word in (first, "inpt", "img"):
                if word in kwargs:
                    args = (kwargs.pop(word),)
                    break
        if not args or not isinstance(args[0], TVTensor):
            return function(*args, **kwargs)
        value, rest = args[0], args[1:]
        for kind in type(value).__mro__:
            if kind in kernels:
                return kernels[kind](value, *rest, **kwargs)
            if kind in (Image, Video):
                return _as_it_was(function(plain(value), *rest, **kwargs), value)
            if kind is TVTensor:
                break
        known = ["Tensor", "PIL.Image", "Image", "Video", *(kind.__name__ for kind in kernels)]
        raise NoKernel(
            f"Functional F.{name} supports inputs of type {', '.join(known)}, but got "
            f"{type(value)} instead."
        )

    return chosen


def _as_it_was(found: Any, value: TVTensor) -> Any:
    if isinstance(found, (tuple, list)):
        return type(found)(_as_it_was(each, value) for each in found)
    return wrap(found, like=value) if isinstance(found, Tensor) else found


def kernel(name: str, kind: type) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register what the function `name` does with `kind`: it takes and returns that kind."""

    def enter(done: Callable[..., Any]) -> Callable[..., Any]:
        _KERNELS[name][kind] = done
        return done

    return enter


def register_kernel(
    functional: Callable[..., Any] | str, tv_tensor_cls: type
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register what a function of `v2.functional` does with a kind that a program has defined.

    Raises: ValueError for other functions, for what is no `TVTensor`, and for built-in kinds.
    """
    name = functional if isinstance(functional, str) else getattr(functional, "__name__", "")
    name = _SECOND_NAMES.get(name, name)
    if name not in _KERNELS:
        raise ValueError(
            f"Kernels can only be registered on functionals from the "
            f"torchvision.transforms.v2.functional namespace, but got {functional}."
        )
    if not (isinstance(tv_tensor_cls, type) and issubclass(tv_tensor_cls, TVTensor)):
        raise ValueError(
            "Kernels can only be registered for subclasses of torchvision.tv_tensors.TVTensor, "
            f"but got {tv_tensor_cls}."
        )
    if tv_tensor_cls in _BUILT_IN:
        raise ValueError(
            "Kernels cannot be registered for the builtin tv_tensor classes, but got "
            f"{tv_tensor_cls}"
        )
    return kernel(name, tv_tensor_cls)
