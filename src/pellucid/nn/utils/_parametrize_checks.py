"""What a parametrisation must not do, in PyTorch's words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid.nn.module import Module
from pellucid.tensor.tensor import Tensor


def check_result(start: Any) -> None:
    """`right_inverse` gives a tensor or a sequence of tensors."""
    if isinstance(start, Tensor):
        return
    if not isinstance(start, Sequence):
        raise ValueError(
            "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
            f"Got {type(start).__name__}"
        )
    for i, tensor in enumerate(start):
        if not isinstance(tensor, Tensor):
            raise ValueError(
                "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                f"Got element {i} of the sequence with type {type(tensor).__name__}."
            )


def check_original(original: Tensor, start: Tensor) -> None:
    """A single tensor from `right_inverse` keeps the dtype, since it replaces the original."""
    if original.dtype != start.dtype:
        raise ValueError(
            "When `right_inverse` outputs one tensor, it may not change the dtype.\n"
            f"original.dtype: {original.dtype}\n"
            f"right_inverse(original).dtype: {start.dtype}"
        )


def check_one(result: Any, shape: Any, dtype: Any) -> None:
    """The parametrised tensor is like the original."""
    if not isinstance(result, Tensor):
        raise ValueError(f"A parametrization must return a tensor. Got {type(result).__name__}.")
    if result.dtype != dtype:
        raise ValueError(
            "Registering a parametrization may not change the dtype of the tensor, unless "
            f"`unsafe` flag is enabled.\nunparametrized dtype: {dtype}\n"
            f"parametrized dtype: {result.dtype}"
        )
    if result.shape != shape:
        raise ValueError(
            "Registering a parametrization may not change the shape of the tensor, unless "
            f"`unsafe` flag is enabled.\nunparametrized shape: {shape}\n"
            f"parametrized shape: {result.shape}"
        )


def check_second(module: Module, tensor_name: str, parametrization: Any) -> None:
    """A further parametrisation keeps dtype and shape, and so does its `right_inverse`."""
    before = getattr(module, tensor_name)
    after = parametrization(before)
    name = f"module.{tensor_name}"
    if not isinstance(after, Tensor):
        raise ValueError(f"A parametrization must return a tensor. Got {type(after).__name__}.")
    for what in ("dtype", "shape"):
        if getattr(after, what) != getattr(before, what):
            raise ValueError(
                f"Registering a parametrization may not change the {what} of the tensor, unless "
                f"the `unsafe` flag is enabled.\n{name}.{what}: {getattr(before, what)}\n"
                f"parametrization({name}).{what}: {getattr(after, what)}"
            )
    if not hasattr(parametrization, "right_inverse"):
        return
    try:
        back = parametrization.right_inverse(after)
    except NotImplementedError:
        return
    if not isinstance(back, Tensor):
        raise ValueError(
            f"parametrization.right_inverse must return a tensor. Got: {type(back).__name__}"
        )
    for what in ("dtype", "shape"):
        if getattr(back, what) != getattr(before, what):
            raise ValueError(
                "The tensor returned by parametrization.right_inverse must have the same "
                f"{what} as {name}, unless the `unsafe` flag is enabled.\n"
                f"{name}.{what}: {getattr(before, what)}\nreturned {what}: {getattr(back, what)}"
            )


def check_sequence(start: Any, originals: list[Tensor], single: bool) -> None:
    """What `right_inverse` gives on assignment fits the originals."""
    if not single and not isinstance(start, Sequence):
        raise ValueError(
            f"'right_inverse' must return a sequence of tensors. Got {type(start).__name__}."
        )
    if len(start) != len(originals):
        raise ValueError(
            "'right_inverse' must return a sequence of tensors of length "
            f"{len(originals)}. Got a sequence of length {len(start)}."
        )
    for i, (tensor, original) in enumerate(zip(start, originals, strict=True)):
        if not isinstance(tensor, Tensor):
            kind = type(tensor).__name__
            raise ValueError(
                f"`right_inverse` should return a tensor. Got {kind}"
                if single
                else "'right_inverse' must return a sequence of tensors. "
                f"Got element {i} of type {kind}"
            )
        if tensor.dtype != original.dtype:
            raise ValueError(
                f"The tensor returned by `right_inverse` has dtype {tensor.dtype} while "
                f"`original` has dtype {original.dtype}"
                if single
                else f"Tensor {i} returned by `right_inverse` has dtype {tensor.dtype} while "
                f"`original{i}` has dtype {original.dtype}"
            )
