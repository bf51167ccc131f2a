"""What scores, class indices and weights of classes must be, in PyTorch's words."""

from __future__ import annotations

from pellucid.ops.inplace import scalar_type
from pellucid.ops.nn.support import not_implemented, refuse_gradient
from pellucid.tensor.dtype import int64, uint8
from pellucid.tensor.tensor import Tensor


def check_classes(input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    """PyTorch's checks of `nll_loss`, in its order."""
    shape, given = input._layout.shape, target._layout.shape
    if not shape:
        raise ValueError("Expected 1 or more dimensions (got 0)")
    if len(shape) != 1 and (not given or shape[0] != given[0]):
        raise ValueError(
            f"Expected input batch_size ({shape[0]}) to match target batch_size "
            f"({given[0] if given else 1}).\n"
            f"  Scores are (N, C, ...), targets (N, ...): got {shape} and {given}."
        )
    if len(shape) <= 2:
        if len(given) > 1:
            raise RuntimeError(
                "0D or 1D target tensor expected, multi-target not supported\n"
                "  A target is one class index per sample: use .squeeze(1), or .argmax(1) if it is "
                "one-hot."
            )
        if len(shape) == 1 and given and given != (1,):
            raise RuntimeError(f"size mismatch (got input: {list(shape)}, target: {list(given)})")
    elif len(shape) == 4:
        if len(given) != 3:
            raise RuntimeError(
                "only batches of spatial targets supported (3D tensors) but got targets of "
                f"dimension: {len(given)}"
            )
        if given[1:] != shape[2:]:
            raise RuntimeError(f"size mismatch (got input: {list(shape)} , target: {list(given)}")
    elif given[1:] != shape[2:]:
        raise RuntimeError(f"Expected target size {[shape[0], *shape[2:]]}, got {list(given)}")
    _check_weights(input, target, weight, shape[0] if len(shape) == 1 else shape[1])


def _check_weights(input: Tensor, target: Tensor, weight: Tensor | None, classes: int) -> None:
    if target.dtype is not int64 and target.dtype is not uint8:
        raise RuntimeError(
            "expected target dtype to be Long or Byte, but got "
            f"{scalar_type(target.dtype)}\n  Class indices are int64: use .long()."
        )
    refuse_gradient("nll_loss_forward", weight=weight)
    if weight is None:
        return
    if weight._layout.shape != (classes,):
        raise RuntimeError(
            f"weight tensor should be defined either for all {classes} classes or no classes but "
            f"got weight tensor of shape: {list(weight.shape)}"
        )
    if weight.dtype is not input.dtype:
        raise RuntimeError(
            f"expected scalar type {scalar_type(input.dtype)} but found {scalar_type(weight.dtype)}"
        )


def check_log_softmax(input: Tensor, dim: int) -> None:
    if not input.dtype.is_floating_point:
        last = dim == max(input.dim() - 1, 0)
        raise not_implemented(
            "log_softmax_lastdim_kernel_impl" if last else "softmax_kernel_impl", input.dtype
        )
