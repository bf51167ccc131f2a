"""In-place writes on the tape: which are refused, and how a tensor and its views move on after one
that is allowed.

A write through a view changes its base, so it is recorded as a write to the base: `CopySlices` runs
the operation's own gradient on the part of the base's gradient that the view covers. The other
views of the base find their new `grad_fn` when it is next asked for (`node.current_grad_fn`).
"""

from __future__ import annotations

from copy import copy

from pellucid.autograd.arithmetic import arithmetic, show
from pellucid.autograd.modes import state
from pellucid.autograd.node import Node, Recorded, edge_of, move_retained, wants_grad
from pellucid.autograd.refusals import INFERENCE_VIEW, MULTI_VIEW, NO_GRAD_VIEW, refuse_view
from pellucid.tensor.layout import Layout
from pellucid.tensor.tensor import Tensor

__all__ = ["INFERENCE_VIEW", "MULTI_VIEW", "NO_GRAD_VIEW", "CopySlices", "check_write", "rebase"]


def check_write(tensor: Tensor, others_want_grad: bool = False) -> None:
    """Refuse an in-place operation that the tape could not undo.

    Called before anything is written.
    """
    if tensor._inference and not state.inference:
        raise RuntimeError(
            "Inplace update to inference tensor outside InferenceMode is not allowed.You can make "
            "a clone to get a normal tensor before doing inplace update.See "
            "https://github.com/pytorch/rfcs/pull/17 for more details."
        )
    if not state.grad:
        return
    wanted = wants_grad(tensor)
    if tensor._view is not None and tensor._base is not None and (wanted or others_want_grad):
        refuse_view(tensor, indirect=False)
    if not wanted:
        return
    base = tensor._base
    if base is not None and base._requires_grad and base._grad_fn is None:
        raise RuntimeError(
            "a view of a leaf Variable that requires grad is being used in an in-place operation.\n"
            "  Write under torch.no_grad() to change the leaf's values, or compute a new tensor."
        )
    if base is None and tensor._grad_fn is None:
        raise RuntimeError(
            "a leaf Variable that requires grad is being used in an in-place operation.\n"
            "  A leaf's values are where its gradient is taken. Write under torch.no_grad(), as "
            "optimizers do, or use the out-of-place form."
        )


class CopySlices(Node):
    """A write through a view, seen from the base: `inner` is the node of the call on the view."""

    def __init__(self, base: Tensor, view: Tensor, inner: Node) -> None:
        super().__init__("torch::autograd::CopySlices", [edge_of(base), *inner.edges[1:]])
        self.shape, self.strides = base._layout.shape, base._layout.strides
        start = base._layout.offset * base.dtype.itemsize // view.dtype.itemsize
        seen = view._layout
        self.part = Layout(seen.shape, seen.strides, seen.offset - start)
        self.part_dtype = view.dtype
        self.conjugated, self.negated = _read_apart(base, view)
        self.inner = inner

    def apply(self, grads: list[Tensor | None]) -> list[Tensor | None]:
        """The base's gradient with the view's part replaced by what the operation passes on."""
        grad = grads[0]
        if grad is None:
            return [None] * len(self.edges)
        whole = arithmetic.new_empty_strided(grad, self.shape, self.strides)
        whole = arithmetic.copy_(whole, grad)
        part = show(whole, self.part, self.part_dtype)
        part = arithmetic.conj(part) if self.conjugated else part
        part = arithmetic._neg_view(part) if self.negated else part
        # A twin, because a saved output comes from the node that gives it: a walk over second
        # derivatives reaches that node by itself, and must not free what this one still needs.
        inner = copy(self.inner) if isinstance(self.inner, Recorded) else self.inner
        passed = list(inner.apply([arithmetic.clone(part)]))
        if self.edges[0] is not None:
            if passed[0] is None:
                arithmetic.zero_(part)
            else:
                arithmetic.copy_(part, passed[0])
        return [whole, *passed[1:]]

    def release(self) -> None:
        """Let go of what the operation saved."""
        self.inner.release()

    def __repr__(self) -> str:
        return f"<CopySlices object at {hex(id(self))}>"


def _read_apart(base: Tensor, view: Tensor) -> tuple[bool, bool]:
    """Whether a view shows conjugates of its base, and whether negatives."""
    whole, part = base._storage, view._storage
    if not (whole.lazy or part.lazy):
        return False, False
    negated = whole.negated != part.negated
    if whole.conjugated and not view.dtype.is_complex:
        # Of a conjugate, the imaginary parts in memory are the negative ones.
        negated ^= bool(view._layout.offset % 2)
    return view.dtype.is_complex and whole.conjugated != part.conjugated, negated


def rebase(tensor: Tensor, node: Node) -> None:
    """`tensor` was written by the operation that `node` recorded: it, or the base it is a view of,
    now comes from `node`.
    """
    base = tensor._base
    if base is None:
        _hang(tensor, node)
        return
    _hang(base, CopySlices(base, tensor, node))
    tensor._requires_grad = True
    tensor._view_version = -1  # `grad_fn` of the view is made anew when it is next asked for


def _hang(tensor: Tensor, node: Node) -> None:
    before, number = tensor._grad_fn, tensor._output_nr
    tensor._grad_fn = node
    tensor._output_nr = 0
    tensor._requires_grad = True
    if tensor._retains_grad:
        move_retained(tensor, before, number)
