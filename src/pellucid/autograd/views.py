"""In-place writes on the tape: which are refused, and how a tensor and its views move on after one that is allowed.

A write through a view changes its base, so it is recorded as a write to the base: `CopySlices` runs the operation's own gradient on the part
of the base's gradient that the view covers. The other views of the base find their new `grad_fn` when it is next asked for
(`node.current_grad_fn`).
"""

from __future__ import annotations

from collections.abc import Sequence

from pellucid.autograd.arithmetic import arithmetic
from pellucid.autograd.modes import state
from pellucid.autograd.node import Node, edge_of, wants_grad
from pellucid.tensor.layout import Layout
from pellucid.tensor.tensor import Tensor

NO_GRAD_VIEW = "no_grad"
MULTI_VIEW = "multi"
INFERENCE_VIEW = "inference"


def check_write(tensor: Tensor, others_want_grad: bool = False) -> None:
    """Refuse an in-place operation that the tape could not undo. Called before anything is written."""
    if tensor._inference and not state.inference:
        raise RuntimeError(
            "Inplace update to inference tensor outside InferenceMode is not allowed.You can make a clone to get a normal "
            "tensor before doing inplace update.See https://github.com/pytorch/rfcs/pull/17 for more details."
        )
    if not state.grad:
        return
    wanted = wants_grad(tensor)
    if tensor._base is not None and tensor._view is not None and (wanted or others_want_grad):
        _refuse_view(tensor)
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
            "  A leaf's values are where its gradient is taken. Write under torch.no_grad(), as optimizers do, or use the "
            "out-of-place form."
        )


def _refuse_view(tensor: Tensor) -> None:
    if tensor._view == MULTI_VIEW:
        maker = tensor._grad_fn.name() if tensor._grad_fn is not None else "a function"
        raise RuntimeError(
            f"Output {tensor._output_nr} of {maker} is a view and is being modified inplace. This view is the output of a "
            "function that returns multiple views. Such functions do not allow the output views to be modified inplace. You "
            "should replace the inplace operation by an out-of-place one."
        )
    mode = "inference_mode" if tensor._view == INFERENCE_VIEW else "no_grad"
    raise RuntimeError(
        f"A view was created in {mode} mode and is being modified inplace with grad mode enabled. Given that this use case is "
        "ambiguous and error-prone, it is forbidden. You can clarify your code by moving both the view and the inplace either "
        f"both inside the {mode} block (if you don't want the inplace to be tracked) or both outside (if you want the inplace "
        "to be tracked)."
    )


class CopySlices(Node):
    """A write through a view, seen from the base: `inner` is the node of the operation on the view."""

    __slots__ = ("base_layout", "inner", "view_layout")

    def __init__(self, base: Tensor, view: Layout, inner: Node) -> None:
        super().__init__("CopySlices", [edge_of(base), *inner.edges[1:]])
        self.base_layout = base._layout
        self.view_layout = view
        self.inner = inner

    def apply(self, grads: list[Tensor | None]) -> Sequence[Tensor | None]:
        """The base's gradient with the view's part replaced by what the operation passes on."""
        grad = grads[0]
        if grad is None:
            return [None] * len(self.edges)
        base, view = self.base_layout, self.view_layout
        whole = arithmetic.empty_strided(base.shape, base.strides, dtype=grad.dtype)
        whole = arithmetic.copy_(whole, grad)
        part = arithmetic.as_strided(whole, view.shape, view.strides, view.offset - base.offset)
        passed = list(self.inner.apply([arithmetic.clone(part)]))
        if self.edges[0] is not None:
            if passed[0] is None:
                arithmetic.zero_(part)
            else:
                arithmetic.copy_(part, passed[0])
        return [whole, *passed[1:]]

    def release(self) -> None:
        """Let go of what the operation saved."""
        self.inner.release()


def rebase(tensor: Tensor, node: Node) -> None:
    """`tensor` was written by the operation that `node` recorded: it, or the base it is a view of, now comes from `node`."""
    base = tensor._base
    if base is None:
        tensor._grad_fn = node
        tensor._output_nr = 0
        tensor._requires_grad = True
        return
    slices = CopySlices(base, tensor._layout, node)
    base._grad_fn = slices
    base._output_nr = 0
    base._requires_grad = True
    tensor._requires_grad = True
    tensor._view_version = -1
