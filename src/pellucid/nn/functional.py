"""`nn.functional`: every operator described for it in `pellucid.ops`, and attention.

The operators come from the registry; `pellucid.nn.functional.softmax` is described in `ops/`.
"""

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pellucid.nn._functional_attention import _canonical_mask as _canonical_mask
from pellucid.nn._functional_attention import _mha_shape_check as _mha_shape_check
from pellucid.nn._functional_attention import _none_or_dtype as _none_or_dtype
from pellucid.nn._functional_attention import (
    multi_head_attention_forward as multi_head_attention_forward,
)
from pellucid.nn._functional_linear_cross_entropy import (
    linear_cross_entropy as linear_cross_entropy,
)
from pellucid.ops.spec import registry, show

if TYPE_CHECKING:
    from pellucid.nn.operators import *  # noqa: F403

_late = show("nn.functional", globals())


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """The functions of families read late; the error names those that may have been meant."""
        found = _late(name)
        if found is not None:
            return found
        close = get_close_matches(name, __dir__(), n=3)
        meant = f"; did you mean {', '.join(close)}?" if close else ""
        raise AttributeError(f"module 'torch.nn.functional' has no attribute '{name}'{meant}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *registry.names("nn.functional")})
