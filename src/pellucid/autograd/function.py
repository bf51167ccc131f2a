"""`Function`: operators that users write, forward and backward.

    class Exp(Function):
        @staticmethod
        def forward(ctx, x):
            out = x.exp()
            ctx.save_for_backward(out)
            return out

        @staticmethod
        def backward(ctx, grad):
            (out,) = ctx.saved_tensors
            return grad * out

`Exp.apply(x)` records one node. `forward` runs without recording; `backward` is recorded when a
gradient of a gradient is asked for, unless it is marked `once_differentiable`.
"""

from __future__ import annotations

import functools
import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from pellucid.autograd.arithmetic import arithmetic
from pellucid.autograd.modes import no_grad, state
from pellucid.autograd.node import Edge, Node, edge_of, wants_grad
from pellucid.autograd.refusals import CUSTOM_VIEW
from pellucid.autograd.saved import RELEASED, SavedTensor, save
from pellucid.autograd.views import check_write, rebase
from pellucid.tensor.dtype import FLOATING, dtype
from pellucid.tensor.levels import UNTOUCHED, interpreter, levels
from pellucid.tensor.tensor import Tensor


class FunctionCtx:
    """What `forward` leaves for `backward`: saved tensors, marks, any attribute the user sets."""

    needs_input_grad: tuple[bool, ...]

    def __init__(self) -> None:
        self._to_save: tuple[Tensor | None, ...] = ()
        self._saved: Any = ()
        self._dirty: tuple[Tensor, ...] = ()
        self._non_differentiable: tuple[Tensor, ...] = ()
        self._materialize = True
        self._tensors: tuple[bool, ...] = ()
        self._node: weakref.ref[Node] | None = None

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs and outputs (and intermediate tensors) for backward; call it once, in
        `forward`.
        """
        for tensor in tensors:
            if tensor is not None and not isinstance(tensor, Tensor):
                raise TypeError(
                    "save_for_backward can only save variables, but argument "
                    f"{tensors.index(tensor)} is of type "
                    f"{type(tensor).__name__}"
                )
        self._to_save = tensors

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Accepted for forward-mode formulas, which Pellucid does not call."""

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """The tensors of `save_for_backward`, checked to be unmodified."""
        if self._saved is RELEASED:
            raise RuntimeError(
                "Trying to backward through the graph a second time (or directly access saved "
                "tensors after they have already been "
                "freed). Saved intermediate values of the graph are freed when you call "
                ".backward() or autograd.grad(). Specify "
                "retain_graph=True if you need to backward through the graph a second time or if "
                "you need to access saved tensors "
                "after calling backward."
            )
        if self._node is None:
            return self._to_save
        node = self._node()
        return tuple(None if s is None else s.unpack(node) for s in self._saved)

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Say which inputs `forward` wrote in place; each must be returned."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Say which outputs have no gradient."""
        self._non_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether undefined gradients reach `backward` as zeros (the default) or as None."""
        self._materialize = value


class FunctionNode(Node):
    """The recorded call of a user's `Function`. What the user put on `ctx` is found here too."""

    def __init__(self, cls: type[Function], ctx: FunctionCtx, edges: list[Edge | None]) -> None:
        super().__init__(cls.__name__ + "Backward", edges)
        self.cls = cls
        self.ctx = ctx
        self.kinds: list[tuple[tuple[int, ...], dtype] | None] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "ctx":
            raise AttributeError(name)
        return getattr(self.ctx, name)

    def apply(self, grads: list[Tensor | None]) -> list[Tensor | None]:
        """Call the user's `backward` and bring what it returns into the order of the edges."""
        ctx = self.ctx
        if ctx._materialize:
            grads = [
                arithmetic.zeros(kind[0], dtype=kind[1]) if grad is None and kind else grad
                for grad, kind in zip(grads, self.kinds, strict=True)
            ]
        found = self.cls._backward()(ctx, *grads)
        values = list(found) if isinstance(found, (tuple, list)) else [found]
        count = len(self.edges)
        if len(values) > count and all(v is None for v in values[count:]):
            values = values[:count]
        if len(values) != count:
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients "
                f"(expected {count}, got {len(values)})"
            )
        for index, (edge, value) in enumerate(zip(self.edges, values, strict=True)):
            if value is not None and not isinstance(value, Tensor):
                raise RuntimeError(f"expected Variable or None (got {type(value).__name__})")
            if edge is None and value is not None and not ctx._tensors[index]:
                raise RuntimeError(
                    f"function {self.name()} returned a gradient different than None at position "
                    f"{index + 1}, but the corresponding forward input was not a Variable"
                )
        return values

    def release(self) -> None:
        """Let go of the saved tensors."""
        if self.ctx._saved:
            self.ctx._saved = RELEASED


def _node_class(cls: type[Function]) -> type[FunctionNode]:
    """A class of nodes named after `cls`, so that `type(tensor.grad_fn).__name__` tells it."""
    found = cls.__dict__.get("_nodes")
    if found is None:
        found = cls._nodes = type(cls.__name__ + "Backward", (FunctionNode,), {})  # type: ignore[attr-defined]
    return found


class Function:
    """Base class of operators with a gradient written by hand.

    Subclass it and call `apply`, never the constructor.
    """

    generate_vmap_rule = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warnings.warn(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all "
            "static, "
            "so you should invoke them on the class itself. Instantiating an autograd function "
            "will "
            "raise an error in a future version of PyTorch.",
            DeprecationWarning,
            stacklevel=2,
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated. Please use "
            "new-style autograd function with static forward method.\n"
            "  Make forward and backward static methods and call `apply` on the class."
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the outputs.

        `forward(ctx, *inputs)`, or `forward(*inputs)` beside `setup_context`.
        """
        raise NotImplementedError(
            "You must implement the forward function for custom autograd.Function."
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Save what backward needs, if `forward` does not take `ctx`."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """One gradient (or None) for each input of `forward`."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom "
            "autograd.Function to use it with backward mode AD."
        )

    vjp = backward

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        """The forward-mode rule; never called."""
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with "
            "forward mode AD."
        )

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        """The rule for batches of calls."""
        raise NotImplementedError(
            "To use autograd.Function with vmap, you must either override the vmap staticmethod or "
            "set generate_vmap_rule=True."
        )

    @classmethod
    def _backward(cls) -> Callable[..., Any]:
        overridden = cls.backward is not Function.backward
        if overridden and cls.vjp is not Function.vjp:
            raise RuntimeError(
                "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You "
                "should only implement one of them."
            )
        return cls.backward if overridden else cls.vjp

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run `forward` and record the call."""
        ctx = FunctionCtx()
        ctx._tensors = tuple(isinstance(a, Tensor) for a in args)
        record = state.grad and any(isinstance(a, Tensor) and wants_grad(a) for a in args)
        ctx.needs_input_grad = tuple(
            record and isinstance(a, Tensor) and wants_grad(a) for a in args
        )
        edges = [edge_of(a) if record and isinstance(a, Tensor) else None for a in args]
        mapped = interpreter.function(cls, args) if levels.stack else UNTOUCHED
        with no_grad():
            if mapped is not UNTOUCHED:
                result = mapped
                cls.setup_context(ctx, args, result)
            elif cls.setup_context is not Function.setup_context:
                result = cls.forward(*args, **kwargs)
                cls.setup_context(ctx, args, result)
            else:
                result = cls.forward(ctx, *args, **kwargs)
        outputs = result if isinstance(result, tuple) else (result,)
        for dirty in ctx._dirty:
            if not any(dirty is o for o in outputs):
                raise RuntimeError(
                    "Some elements marked as dirty during the forward method were not returned as "
                    "output. The inputs that are modified inplace must all be outputs of the "
                    "Function."
                )
            if not dirty._inference:
                dirty._storage.version += 1
        node = _node_class(cls)(cls, ctx, edges) if record else None
        placed = tuple(_place(ctx, node, i, o, args) for i, o in enumerate(outputs))
        if node is not None:
            node.outputs = len(placed)
            node.kinds = [_kind(o) for o in placed]
            ctx._saved = [_save(tensor, placed, node) for tensor in ctx._to_save]
            ctx._node = weakref.ref(node)
            ctx._to_save = ()
        return placed if isinstance(result, tuple) else placed[0]


def _kind(output: Any) -> tuple[tuple[int, ...], dtype] | None:
    return (output._layout.shape, output.dtype) if isinstance(output, Tensor) else None


def _place(
    ctx: FunctionCtx, node: Node | None, number: int, output: Any, inputs: tuple[Any, ...]
) -> Any:
    """Hang one output on the node: written inputs move on, returned inputs become views, others are
    taken as they are.
    """
    if not isinstance(output, Tensor):
        return output
    if any(output is d for d in ctx._dirty):
        if node is not None:
            _rebase(output, node, number)
        return output
    if any(output is i for i in inputs):
        source, output = output, output._twin()
        output._base = source if source._base is None else source._base
        output._inference = source._inference
    if output._base is not None:
        output._view = CUSTOM_VIEW
        output._view_version = output._storage.version
    refused = any(output is n for n in ctx._non_differentiable)
    if node is not None and not refused and output.dtype.category >= FLOATING:
        output._grad_fn, output._output_nr, output._requires_grad = node, number, True
    return output


def _rebase(output: Tensor, node: Node, number: int) -> None:
    if output._grad_fn is None and output._base is None and output._requires_grad:
        raise RuntimeError(
            "a leaf Variable that requires grad has been used in an in-place operation.\n"
            "  A leaf's values are where its gradient is taken: pass a clone() to this Function."
        )
    check_write(output, True)
    rebase(output, node)
    if output._base is None:
        output._output_nr = number


def _save(tensor: Tensor | None, outputs: Sequence[Any], node: Node) -> Any:
    if tensor is None:
        return None
    for number, output in enumerate(outputs):
        if tensor is output and tensor._grad_fn is node:
            return save(tensor, node, number)
    return save(tensor, None, 0) if not isinstance(tensor, SavedTensor) else tensor


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a `backward` that is not written with differentiable operators: its results refuse a
    second backward.
    """

    @functools.wraps(backward)
    def wrapper(ctx: Any, *grads: Any) -> Any:
        recorded = state.grad and any(isinstance(g, Tensor) and wants_grad(g) for g in grads)
        with no_grad():
            found = backward(ctx, *grads)
        if not recorded:
            return found
        values = found if isinstance(found, tuple) else (found,)
        marked = tuple(
            v if v is None else _Refuse.apply(v.detach().requires_grad_()) for v in values
        )
        return marked if isinstance(found, tuple) else marked[0]

    return wrapper


class _Refuse(Function):
    """Passes a tensor on and refuses to be differentiated."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise RuntimeError(
            "trying to differentiate twice a function that was marked with @once_differentiable"
        )


class InplaceFunction(Function):
    """Kept for programs that still inherit from it."""


class NestedIOFunction(Function):
    """Kept for programs that still inherit from it."""
