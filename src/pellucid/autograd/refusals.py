"""Why the tape refuses to write a tensor in place, or to write what it looks at."""

from __future__ import annotations

import re
from typing import NoReturn

from pellucid.tensor.tensor import Tensor

NO_GRAD_VIEW = "no_grad"
MULTI_VIEW = "multi"
INFERENCE_VIEW = "inference"
CUSTOM_VIEW = "custom"
"""Why a view must not be written while gradients are recorded (`Tensor._view`)."""


def refuse_view(tensor: Tensor, indirect: bool) -> NoReturn:
    """Refuse a write to the view `tensor`, or, if `indirect`, to its base or another view of its
    base.
    """
    what = "its base or another view of its base has been" if indirect else "is being"
    if tensor._view in (MULTI_VIEW, CUSTOM_VIEW):
        node = tensor._grad_fn
        maker = "a function" if node is None else re.sub(r"Backward\d*$", "", node.name())
        raise RuntimeError(
            f"Output {tensor._output_nr} of {maker} is a view and {what} modified inplace. "
            + _REASONS[tensor._view]
        )
    if tensor._view == INFERENCE_VIEW:
        made, now, block = "inference mode", "in normal mode", "inference_mode"
    else:
        made, now, block = "no_grad mode", "with grad mode enabled", "no_grad"
    raise RuntimeError(
        f"A view was created in {made} and {what} modified inplace {now}. Given that this use case "
        "is ambiguous and error-prone, it is forbidden. You can clarify your code by moving both "
        f"the view and the inplace either both inside the {block} block (if you don't want the "
        "inplace to be tracked) or both outside (if you want the inplace to be tracked)."
    )


_REASONS = {
    MULTI_VIEW: (
        "This view is the output of a function that returns multiple views. Such functions do not "
        "allow the output views to be modified inplace. You should replace the inplace operation "
        "by "
        "an out-of-place one."
    ),
    CUSTOM_VIEW: (
        "This view was created inside a custom Function (or because an input was returned as-is) "
        "and "
        "the autograd logic to handle view+inplace would override the custom backward associated "
        "with the custom Function, leading to incorrect gradients. This behavior is forbidden. You "
        "can fix this by cloning the output of the custom Function."
    ),
}
