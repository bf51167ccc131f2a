"""`autograd.Function` inside `vmap`: by the rule that its author wrote, or by running its `forward`
and `backward` on batched tensors.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pellucid.autograd.function import Function, FunctionCtx
from pellucid.autograd.modes import no_grad
from pellucid.ops.batching.interpreter import level_of, lowered
from pellucid.tensor.levels import (
    UNTOUCHED,
    Batched,
    Level,
    interpreter,
    reentered,
    wrap,
)
from pellucid.tensor.tensor import Tensor

_DOCUMENTED = "https://pytorch.org/docs/main/notes/extending.func.html"


class VmapInfo(NamedTuple):
    """What a `vmap` static method is told."""

    batch_size: int
    randomness: str


def call(cls: type[Function], args: tuple[Any, ...]) -> Any:
    """The outputs of `cls.forward` on batched arguments; UNTOUCHED if none is batched."""
    level = level_of(args, {})
    if level is None:
        return UNTOUCHED
    own = cls.vmap is not Function.vmap
    if own and cls.generate_vmap_rule:
        raise RuntimeError(
            f"You tried to vmap over {cls.__name__}, but it has both generate_vmap_rule=True and "
            "an "
            "overriden vmap staticmethod. Please set generate_vmap_rule=False or delete the "
            "overriden vmap staticmethod to avoid ambiguity. For more details, please see "
            f"{_DOCUMENTED}"
        )
    if not own and not cls.generate_vmap_rule:
        raise RuntimeError(
            f"You tried to vmap over {cls.__name__}, but it does not have vmap support. Please "
            "override and implement the vmap staticmethod or set generate_vmap_rule=True. For more "
            f"details, please see {_DOCUMENTED}"
        )
    if cls.setup_context is Function.setup_context:
        raise RuntimeError(
            "In order to use an autograd.Function with functorch transforms (vmap, grad, jvp, "
            "jacrev, ...), it must override the setup_context staticmethod. For more details, "
            f"please see {_DOCUMENTED}"
        )
    values = tuple(_value(arg, level) for arg in args)
    batched = tuple(_is_batched(arg, level) for arg in args)
    with lowered(level):
        if own:
            dims = tuple(0 if each else None for each in batched)
            found, out_dims = cls.vmap(VmapInfo(level.size, level.randomness), dims, *values)
            return _from_rule(found, out_dims, level)
        found = _generated(cls, level, batched).apply(*values)
    if isinstance(found, tuple):
        return tuple(wrap(each, level) if isinstance(each, Tensor) else each for each in found)
    return wrap(found, level)


def _value(arg: Any, level: Level) -> Any:
    return arg._value if isinstance(arg, Batched) and arg._level is level else arg


def _is_batched(arg: Any, level: Level) -> bool:
    return isinstance(arg, Batched) and arg._level is level and arg._batched


def _from_rule(found: Any, out_dims: Any, level: Level) -> Any:
    """What a `vmap` static method returned, the batch moved to the front."""
    if isinstance(found, tuple):
        dims = out_dims if isinstance(out_dims, tuple) else (out_dims,) * len(found)
        return tuple(_from_rule(each, dim, level) for each, dim in zip(found, dims, strict=True))
    if not isinstance(found, Tensor):
        return found
    if out_dims is None:
        return wrap(found, level, False)
    return wrap(found.movedim(out_dims, 0) if out_dims else found, level)


def _generated(cls: type[Function], level: Level, batched: tuple[bool, ...]) -> type[Function]:
    """The function on all elements: `forward` and `backward` see one, as `cls` wrote them."""

    def element(values: tuple[Any, ...], flags: tuple[bool, ...]) -> tuple[Any, ...]:
        return tuple(
            wrap(value, level) if flag and isinstance(value, Tensor) else value
            for value, flag in zip(values, flags, strict=True)
        )

    def whole(value: Any) -> Any:
        if _is_batched(value, level):
            return value._value
        if not isinstance(value, Tensor):
            return value
        plain = _value(value, level)
        return plain.expand(level.size, *plain.shape)

    class Generated(Function):
        """`cls` on all elements at once."""

        @staticmethod
        def forward(*values: Any) -> Any:
            with reentered(level):
                found = cls.forward(*element(values, batched))
                several = isinstance(found, tuple)
                Generated.inside = found
                outputs = tuple(map(whole, found if several else (found,)))
            return outputs if several else outputs[0]

        inside: Any = None

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            own = FunctionCtx()
            own.needs_input_grad = ctx.needs_input_grad
            with reentered(level), no_grad():
                cls.setup_context(own, element(inputs, batched), Generated.inside)
            ctx.own = own
            # Outputs are saved as the outputs that they are, so that they keep their place.
            outputs = output if isinstance(output, tuple) else (output,)
            inside = Generated.inside if isinstance(output, tuple) else (Generated.inside,)
            known = {id(a): b for a, b in zip(inside, outputs, strict=True)}
            saved = [
                known.get(id(t), None if t is None else _value(t, level)) for t in own._to_save
            ]
            ctx.flags = tuple(id(t) in known or _is_batched(t, level) for t in own._to_save)
            ctx.save_for_backward(*saved)
            Generated.inside = None

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            saved = ctx.saved_tensors
            with reentered(level):
                ctx.own._to_save = element(saved, ctx.flags)
                flags = tuple(isinstance(grad, Tensor) for grad in grads)
                found = cls._backward()(ctx.own, *element(grads, flags))
                several = found if isinstance(found, tuple) else (found,)
                results = [None if each is None else whole(each) for each in several]
            return tuple(
                each if each is None or flag else each.sum(0)
                for each, flag in zip(results, batched, strict=True)
            )

    Generated.__name__ = Generated.__qualname__ = cls.__name__
    return Generated


interpreter.function = call
