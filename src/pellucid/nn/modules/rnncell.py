"""Single steps of recurrent layers: `RNNCell`, `LSTMCell`, `GRUCell`."""

from __future__ import annotations

import math
from typing import Any

from pellucid import ops
from pellucid.nn import init, recurrent
from pellucid.nn.module import Module
from pellucid.nn.parameter import Parameter
from pellucid.tensor.tensor import Tensor


class RNNCellBase(Module):
    """Weights of one step: `weight_ih` (gates·H, in), `weight_hh` (gates·H, H), two biases.

    All are drawn from U(±1/√H).
    """

    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        options = {"device": device, "dtype": dtype}
        gates = num_chunks * hidden_size
        self.weight_ih = Parameter(ops.empty((gates, input_size), **options))
        self.weight_hh = Parameter(ops.empty((gates, hidden_size), **options))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(ops.empty(gates, **options)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw every parameter from U(±1/√hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        if self.bias is not True:
            parts.append(f"bias={self.bias}")
        nonlinearity = self.__dict__.get("nonlinearity", "tanh")
        if nonlinearity != "tanh":
            parts.append(f"nonlinearity={nonlinearity}")
        return ", ".join(parts)

    def _zeros(self, input: Tensor) -> Tensor:
        return ops.zeros(input.size(0), self.hidden_size, dtype=input.dtype, device=input.device)

    def _step(self, mode: str, input: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """One step of a batch, after a check of the shapes."""
        _check_cell_shapes(input, state, self.input_size, self.hidden_size)
        weights = recurrent.CellWeights(self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        return recurrent.cell(mode, input, state, weights)


def _check_dims(kind: str, name: str, tensor: Tensor) -> None:
    if tensor.dim() not in (1, 2):
        raise ValueError(f"{kind}: Expected {name} to be 1D or 2D, got {tensor.dim()}D instead")


def _check_cell_shapes(
    input: Tensor, state: tuple[Tensor, ...], input_size: int, hidden_size: int
) -> None:
    if input.size(1) != input_size:
        raise RuntimeError(
            f"input has inconsistent input_size: got {input.size(1)} expected {input_size}"
        )
    for i, hidden in enumerate(state):
        if input.size(0) != hidden.size(0):
            raise RuntimeError(
                f"Input batch size {input.size(0)} doesn't match hidden{i} batch size "
                f"{hidden.size(0)}"
            )
        if hidden.size(1) != hidden_size:
            raise RuntimeError(
                f"hidden{i} has inconsistent hidden_size: got {hidden.size(1)}, "
                f"expected {hidden_size}"
            )


class _SingleStateCell(RNNCellBase):
    """A cell whose state is one tensor."""

    def _single(self, mode: str, input: Tensor, hx: Tensor | None) -> Tensor:
        name = self._get_name()
        _check_dims(name, "input", input)
        if hx is not None:
            _check_dims(name, "hidden", hx)
        is_batched = input.dim() == 2
        if not is_batched:
            input = input.unsqueeze(0)
            hx = None if hx is None else hx.unsqueeze(0)
        (hidden,) = self._step(mode, input, (self._zeros(input) if hx is None else hx,))
        return hidden if is_batched else hidden.squeeze(0)


class RNNCell(_SingleStateCell):
    """h′ = tanh(W_ih x + b_ih + W_hh h + b_hh), or max(0, ·) with `nonlinearity="relu"`.

    Shape: input (N, in) or (in,), state (N, H) or (H,), zeros if left out.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._single("RNN_" + self.nonlinearity.upper(), input, hx)


class GRUCell(_SingleStateCell):
    """One step of a `GRU`; shapes as for `RNNCell`."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._single("GRU", input, hx)


class LSTMCell(RNNCellBase):
    """One step of an `LSTM`: input (N, in) or (in,) and a pair of states (N, H) or (H,)."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        _check_dims("LSTMCell", "input", input)
        for i, state in enumerate(() if hx is None else hx):
            _check_dims("LSTMCell", f"hx[{i}]", state)
        is_batched = input.dim() == 2
        if not is_batched:
            input = input.unsqueeze(0)
            hx = None if hx is None else (hx[0].unsqueeze(0), hx[1].unsqueeze(0))
        if hx is None:
            zeros = self._zeros(input)
            hx = (zeros, zeros)
        hidden, cell = self._step("LSTM", input, (hx[0], hx[1]))
        return (hidden, cell) if is_batched else (hidden.squeeze(0), cell.squeeze(0))
