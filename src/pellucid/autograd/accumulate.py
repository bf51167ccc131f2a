"""Adding a gradient to the `grad` of a leaf, without a copy where nobody can tell."""

from __future__ import annotations

from sys import getrefcount

from pellucid.autograd.arithmetic import arithmetic
from pellucid.autograd.hooks import run_node_hooks
from pellucid.autograd.node import AccumulateGrad
from pellucid.tensor.events import Action, observers, tell_action
from pellucid.tensor.layout import Layout, contiguous
from pellucid.tensor.tensor import Tensor


def accumulate_grad(node: AccumulateGrad, grads: list[Tensor | None], create_graph: bool) -> None:
    """`variable.grad += grads[0]`, then the hooks that wait for it.

    The first gradient becomes `variable.grad` itself if it is laid out like the variable and nobody
    else holds it or its memory; otherwise it is copied, so that `grad` never shares memory with a
    tensor of the program. With `create_graph` sums are recorded, not written in place.
    """
    variable = node.variable
    grad = grads[0]
    if grad is not None:
        grads[0] = None
        before = variable._grad
        if before is not None:
            if create_graph:
                variable._grad = arithmetic.add(before, grad)
            else:
                arithmetic.add_(before, grad)
        elif (
            # The references: `grad` and `getrefcount`'s own; the tensor and `getrefcount`'s own.
            getrefcount(grad) == 2
            and getrefcount(grad._storage) == 2
            and not grad._storage.lazy
            and not create_graph
            and laid_out_like(grad._layout, variable._layout)
        ):
            grad._grad_fn, grad._requires_grad, grad._base = None, False, None
            variable._grad = grad
        else:
            variable._grad = _copy_like(variable, grad)
        if observers:
            tell_action(Action("accumulate", variable))
        if variable._post_accumulate_hooks:
            for hook in tuple(variable._post_accumulate_hooks.values()):
                if hook(variable) is not None:
                    raise RuntimeError("Tensor post accumulate grad hooks should return None.")
    if node.hooks:
        run_node_hooks(node.hooks.values(), (), ((grad,),))


def laid_out_like(grad: Layout, variable: Layout) -> bool:
    """Whether a gradient has the strides that PyTorch promises: a dense variable's own, row after
    row for others.
    """
    if grad.strides == variable.strides and variable.is_row_major:
        return True
    if not variable.is_non_overlapping_and_dense:
        return grad.is_row_major
    return all(
        n == 1 or s == t for n, s, t in zip(grad.shape, grad.strides, variable.strides, strict=True)
    )


def _copy_like(variable: Tensor, grad: Tensor) -> Tensor:
    like = variable._layout
    if not like.is_non_overlapping_and_dense:
        like = contiguous(like.shape)
    fresh = arithmetic.new_empty_strided(grad, like.shape, like.strides)
    return arithmetic.copy_(fresh, grad)
