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
from collections.abc import Callable, Sequence
from typing import Any

from pellucid.autograd.arithmetic import arithmetic
from pellucid.autograd.modes import no_grad, state
from pellucid.autograd.node import Edge, Node, edge_of, wants_grad
from pellucid.autograd.saved import RELEASED, SavedTensor, save
from pellucid.autograd.views import check_write, rebase
from pellucid.tensor.tensor import Tensor, make


class FunctionCtx:
    """What `forward` leaves for `backward`: saved tensors, marks, any attribute the user sets."""

    needs_input_grad: tuple[bool, ...]

    def __init__(self) -> None:
        self._to_save: tuple[Tensor | None, ...] = ()
        self._saved: Any = ()
        self._dirty: tuple[Tensor, ...] = ()
        self._non_differentiable: tuple[Tensor, ...] = ()
        self._materialize = True
        self._node: Node | None = None

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
        return tuple(None if s is None else s.unpack(self._node) for s in self._saved)

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
    """The recorded call of a user's `Function`."""

    def __init__(self, cls: type[Function], ctx: FunctionCtx, edges: list[Edge | None]) -> None:
        super().__init__(cls.__name__ + "Backward", edges)
        self.cls = cls
        self.ctx = ctx
        self.metas: list[Tensor | None] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.ctx, name)

    def apply(self, grads: list[Tensor | None]) -> Sequence[Tensor | None]:
        """Call the user's `backward` and bring what it returns into the order of the edges."""
        ctx = self.ctx
        if ctx._materialize:
            grads = [
                arithmetic.zeros_like(meta) if grad is None and meta is not None else grad
                for grad, meta in zip(grads, self.metas, strict=True)
            ]
        found = self.cls._backward()(ctx, *grads)
        values = list(found) if isinstance(found, (tuple, list)) else [found]
        count = len(self.edges)
        if len(values) > count and all(v is None for v in values[count:]):
            values = values[:count]
        if len(values) != count:
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients (expected "
                f"{count}, got {len(values)})"
            )
        for index, (edge, value) in enumerate(zip(self.edges, values, strict=True)):
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(f"expected Variable or None (got {type(value).__name__})")
            if edge is None and value is not None and not ctx._tensors[index]:
                raise RuntimeError(
                    f"function {self.name()} returned a gradient different than None at position "
                    f"{index + 1}, but the corresponding "
                    "forward input was not a Variable"
                )
        return values

    def release(self) -> None:
        """Let go of the saved tensors."""
        if self.ctx._saved:
            self.ctx._saved = RELEASED


class Function:
    """Base class of operators with a gradient written by hand.

    Subclass it and call `apply`, never the constructor.
    """

    generate_vmap_rule = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all "
            "static, so you should invoke them on the "
            "class itself. Instantiating an autograd function will raise an error in a future "
            "version of PyTorch."
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
        ctx._tensors = tuple(isinstance(a, Tensor) for a in args)  # type: ignore[attr-defined]
        record = state.grad and any(isinstance(a, Tensor) and wants_grad(a) for a in args)
        ctx.needs_input_grad = tuple(
            record and isinstance(a, Tensor) and wants_grad(a) for a in args
        )
        edges = [edge_of(a) if record and isinstance(a, Tensor) else None for a in args]
        versions = {id(a): a._storage.version for a in args if isinstance(a, Tensor)}
        with no_grad():
            if cls.setup_context is not Function.setup_context:
                result = cls.forward(*args, **kwargs)
                cls.setup_context(ctx, args, result)
            else:
                result = cls.forward(ctx, *args, **kwargs)
        outputs = list(result) if isinstance(result, (tuple, list)) else [result]
        for dirty in ctx._dirty:
            if not any(dirty is o for o in outputs):
                raise RuntimeError(
                    "Some elements marked as dirty during the forward method were not returned as "
                    "output. The inputs that are modified "
                    "inplace must all be outputs of the Function."
                )
            if versions.get(id(dirty)) == dirty._storage.version:
                dirty._storage.version += 1
        node = FunctionNode(cls, ctx, edges) if record else None
        placed = [cls._place(ctx, node, i, o, args) for i, o in enumerate(outputs)]
        if node is not None:
            node.outputs = len(placed)
            node.metas = [
                make(o._storage, o._layout, o.dtype) if isinstance(o, Tensor) else None
                for o in placed
            ]
            ctx._saved = [_save(tensor, outputs, node) for tensor in ctx._to_save]
            ctx._node = node
            ctx._to_save = ()
        if isinstance(result, (tuple, list)):
            return tuple(placed)
        return placed[0]

    @staticmethod
    def _place(
        ctx: FunctionCtx, node: Node | None, number: int, output: Any, inputs: tuple[Any, ...]
    ) -> Any:
        """Hang one output on the node: written inputs move on, returned inputs become views, fresh
        tensors are taken.
        """
        if not isinstance(output, Tensor):
            return output
        is_dirty = any(output is d for d in ctx._dirty)
        if is_dirty:
            if node is not None:
                check_write(output, True)
                rebase(output, node)
                output._output_nr = number
            return output
        if any(output is i for i in inputs):
            output = make(output._storage, output._layout, output.dtype)
        non_differentiable = any(output is n for n in ctx._non_differentiable)
        if node is None or non_differentiable or output.dtype.category < 2:
            return output
        output._base = None
        output._grad_fn = node
        output._output_nr = number
        output._requires_grad = True
        return output


def _save(tensor: Tensor | None, outputs: list[Any], node: Node) -> Any:
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
