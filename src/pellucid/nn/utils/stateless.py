"""Calling a module with other parameters than its own."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

from pellucid.nn.module import Module
from pellucid.tensor.tensor import Tensor

_MISSING: Any = object()


def functional_call(
    module: Module,
    parameters_and_buffers: dict[str, Tensor],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Deprecated place of `torch.func.functional_call`."""
    warnings.warn(
        "`torch.nn.utils.stateless.functional_call` is deprecated as of PyTorch 2.0 and will be "
        "removed in a future version of PyTorch. Please use `torch.func.functional_call` instead "
        "which is a drop-in replacement.",
        FutureWarning,
        stacklevel=2,
    )
    return _functional_call(
        module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict
    )


def _functional_call(
    module: Module,
    parameters_and_buffers: dict[str, Tensor],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """`module(*args, **kwargs)` with the given tensors in place of its own.

    Args:
        parameters_and_buffers: by dotted name. A buffer that `forward` replaces is replaced here.
        args: a tuple of arguments, or the only one.
        tie_weights: a name stands for all names of the same parameter.
        strict: every parameter and buffer must be given, and nothing else.
    """
    arguments = () if args is None else args if isinstance(args, tuple) else (args,)
    given = parameters_and_buffers
    with _reparametrize_module(module, given, tie_weights=tie_weights, strict=strict):
        return module(*arguments, **(kwargs or {}))


@contextlib.contextmanager
def _reparametrize_module(
    module: Module,
    parameters_and_buffers: dict[str, Tensor],
    tie_weights: bool = False,
    strict: bool = False,
    stack_weights: bool = False,
) -> Iterator[None]:
    """Put the given tensors into `module` for the block; what stands there after it is kept."""
    given = dict(parameters_and_buffers)
    if tie_weights:
        given = _untie(module, given)
    if strict:
        _check_names(module, given)
    originals: dict[str, Any] = {}
    try:
        for name, tensor in given.items():
            originals[name] = _swap(module, name, tensor)
        yield
    finally:
        order = list(originals.items())
        for name, original in reversed(order) if stack_weights else order:
            left = _swap(module, name, original)
            if name in parameters_and_buffers and left is not _MISSING:
                parameters_and_buffers[name] = left


def _named_tensors(module: Module) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = dict(module.named_parameters(remove_duplicate=False))
    return tensors | dict(module.named_buffers(remove_duplicate=False))


def _untie(module: Module, given: dict[str, Tensor]) -> dict[str, Tensor]:
    """Enter a tensor given for one name of a shared parameter under its other names too."""
    names_of: dict[Tensor, list[str]] = {}
    for name, tensor in _named_tensors(module).items():
        names_of.setdefault(tensor, []).append(name)
    complete = dict(given)
    for names in names_of.values():
        chosen = [name for name in names if name in given]
        if len(names) < 2 or not chosen:
            continue
        if len({id(given[name]) for name in chosen}) > 1:
            raise ValueError(
                f"functional_call got multiple values for keys {sorted(names)}, which are tied. "
                "Consider using tie_weights=False"
            )
        complete |= dict.fromkeys(names, given[chosen[0]])
    return complete


def _check_names(module: Module, given: dict[str, Tensor]) -> None:
    known = _named_tensors(module).keys()
    complaints = []
    for kind, names in (("Unexpected", given.keys() - known), ("Missing", known - given.keys())):
        if names:
            complaints.append(f"{kind} key(s): {', '.join(map(repr, sorted(names)))}.")
    if complaints:
        raise RuntimeError(
            f"Error(s) in reparametrizing for {module._get_name()}:\n\t" + "\n\t".join(complaints)
        )


def _swap(module: Module, path: str, tensor: Any) -> Any:
    """Put `tensor` at `path`, around the rules of `__setattr__`, and return what was there."""
    if tensor is not _MISSING and tensor is not None and not isinstance(tensor, Tensor):
        raise TypeError(f"{tensor} is not an instance of torch.Tensor")
    parent_path, _, name = path.rpartition(".")
    parent = module.get_submodule(parent_path)
    for members in (parent._parameters, parent._buffers):
        if name in members:
            original = members[name]
            if tensor is _MISSING:
                del members[name]
            else:
                members[name] = tensor
            return original
    original = getattr(parent, name, _MISSING)
    if original is not _MISSING and not (original is None or isinstance(original, Tensor)):
        raise TypeError(f"attribute `{name}`: {original} is not an instance of torch.Tensor")
    if tensor is not _MISSING:
        setattr(parent, name, tensor)
    elif original is not _MISSING:
        delattr(parent, name)
    return original
