"""What the tape itself must be able to compute, handed down by the operators.

`ops/` stands above `autograd/`, so the engine cannot import operators. It needs these few; `pellucid.ops` fills them in once, when it is
imported. They are the public operators, so what the engine computes with `create_graph=True` is itself recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid.tensor.tensor import Tensor


class Arithmetic:
    """The operators that the engine uses. Shapes and semantics are those of the operators of the same name."""

    add: Callable[[Tensor, Tensor], Tensor]
    add_: Callable[[Tensor, Tensor], Tensor]
    as_strided: Callable[..., Tensor]
    cast: Callable[..., Tensor]
    clone: Callable[..., Tensor]
    copy_: Callable[[Tensor, Tensor], Tensor]
    detach: Callable[[Tensor], Tensor]
    empty_strided: Callable[..., Tensor]
    isnan_any: Callable[[Tensor], bool]
    ones_like: Callable[..., Tensor]
    stack: Callable[..., Tensor]
    real: Callable[[Tensor], Tensor]
    sum_to_size: Callable[..., Tensor]
    zero_: Callable[[Tensor], Tensor]
    zeros_like: Callable[..., Tensor]
    zeros: Callable[..., Tensor]

    def names(self) -> tuple[str, ...]:
        """The names that must be filled."""
        return tuple(Arithmetic.__annotations__)

    def fill(self, operators: dict[str, Any]) -> None:
        """Take the operators; every name above must be there."""
        for name in self.names():
            setattr(self, name, operators[name])


arithmetic = Arithmetic()
