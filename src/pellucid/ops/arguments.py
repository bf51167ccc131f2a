"""Reading arguments as PyTorch's parser does: sizes in any spelling, dims, lists of tensors.

What does not fit is a TypeError in its words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import index as to_index
from typing import Any

from pellucid.tensor.layout import normalize_dim, normalize_dims
from pellucid.tensor.tensor import Tensor

_INT = {int}
_HEAP_TYPE = 1 << 9
"""The flag of types that are written in Python: their C name has no module in front."""
_OWN = {"dtype", "device", "memory_format", "Generator", "Size", "layout"}
"""The classes that PyTorch writes in C, as it names them: `torch.dtype`."""
_NEED_SIZES = {"flip", "reshape", "permute"}


def type_name(value: Any) -> str:
    """The type of an argument as PyTorch names it: "int", "Tensor", "numpy.ndarray"."""
    kind = type(value)
    if kind.__name__ in _OWN and kind.__module__.startswith("pellucid"):
        return f"torch.{kind.__name__}"
    in_c = not kind.__flags__ & _HEAP_TYPE
    named = in_c and kind.__module__ != "builtins"
    return f"{kind.__module__}.{kind.__qualname__}" if named else kind.__name__


def wrong_type(name: str, parameter: str, position: int, wanted: str, value: Any) -> TypeError:
    """The TypeError for an argument of another type than `wanted`."""
    return TypeError(
        f"{name}(): argument '{parameter}' (position {position}) must be {wanted}, "
        f"not {type_name(value)}"
    )


def integer(name: str, parameter: str, position: int, value: Any) -> int:
    """`value` as a Python int: ints, NumPy integers and integer tensors of one element count.

    Raises: TypeError for anything else, bool included.
    """
    if type(value) is int:
        return value
    if not isinstance(value, bool):
        try:
            return to_index(value)
        except TypeError:
            pass
    raise wrong_type(name, parameter, position, "int", value)


def integers(name: str, parameter: str, position: int, values: Any) -> tuple[int, ...]:
    """A sequence of ints (or one int) as a tuple. Raises TypeError for anything else."""
    if isinstance(values, (tuple, list)):
        if set(map(type, values)) <= _INT:
            return tuple(values)
        found = []
        for place, value in enumerate(values):
            if place and isinstance(value, bool):  # PyTorch looks at the first one's type only
                found.append(int(value))
                continue
            try:
                found.append(integer(name, parameter, position, value))
            except TypeError:
                raise TypeError(
                    f"{name}(): argument '{parameter}' failed to unpack the object at pos "
                    f'{place + 1} with error "type must be tuple of ints,but got '
                    f'{type_name(value)}"'
                ) from None
        return tuple(found)
    try:
        return (integer(name, parameter, position, values),)
    except TypeError:
        raise wrong_type(name, parameter, position, "tuple of ints", values) from None


def sizes(
    name: str,
    given: Sequence[Any],
    parameter: str = "size",
    by_name: Mapping[str, Any] | None = None,
) -> tuple[int, ...]:
    """The sizes in `f(2, 3)`, `f((2, 3))`, `f([2, 3])` and `f(size=(2, 3))` alike.

    `given` is the call's `*args`, `by_name` its `**kwargs`, of which only `parameter` is taken.
    """
    if by_name:
        if given or list(by_name) != [parameter]:
            wrong = next((key for key in by_name if key != parameter), parameter)
            raise TypeError(f"{name}() got an unexpected keyword argument '{wrong}'")
        given = (by_name[parameter],)
    elif not given and name in _NEED_SIZES:
        raise TypeError(f'{name}() missing 1 required positional arguments: "{parameter}"')
    if len(given) == 1:
        return integers(name, parameter, 1, given[0])
    return integers(name, parameter, 1, tuple(given))


def tensor(name: str, parameter: str, position: int, value: Any) -> Tensor:
    """`value`, which must be a tensor. Raises TypeError otherwise."""
    if not isinstance(value, Tensor):
        raise wrong_type(name, parameter, position, "Tensor", value)
    return value


def tensors(name: str, value: Any, parameter: str = "tensors", position: int = 1) -> list[Tensor]:
    """A list or tuple of tensors as a list. Raises TypeError for anything else in or around it."""
    if not isinstance(value, (list, tuple)):
        raise wrong_type(name, parameter, position, "tuple of Tensors", value)
    for place, each in enumerate(value):
        if not isinstance(each, Tensor):
            raise TypeError(
                f"expected Tensor as element {place} in argument {position - 1}, "
                f"but got {type_name(each)}"
            )
    return list(value)


def dims_of(dim: Any, ndim: int) -> tuple[int, ...]:
    """The dimensions a reduction runs over: all for None and (), else normalised, each once."""
    if dim is None:
        return tuple(range(ndim))
    if isinstance(dim, (tuple, list)):
        axes = normalize_dims(tuple(dim), ndim)
        return axes if axes and ndim else tuple(range(ndim))
    axis = normalize_dim(dim, ndim)
    return (axis,) if ndim else ()
