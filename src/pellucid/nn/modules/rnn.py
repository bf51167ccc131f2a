"""Recurrent layers over whole sequences: `RNN`, `LSTM`, `GRU`. The recurrences are in
`pellucid.nn.recurrent`, single steps in `rnncell.py`."""

from __future__ import annotations

import math
import numbers
import warnings
from typing import Any

from pellucid import ops
from pellucid.nn import init, recurrent
from pellucid.nn.module import Module
from pellucid.nn.modules.rnncell import GRUCell as GRUCell
from pellucid.nn.modules.rnncell import LSTMCell as LSTMCell
from pellucid.nn.modules.rnncell import RNNCell as RNNCell
from pellucid.nn.modules.rnncell import RNNCellBase as RNNCellBase
from pellucid.nn.parameter import Parameter
from pellucid.nn.utils.rnn import PackedSequence
from pellucid.tensor.tensor import Tensor

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


def apply_permutation(tensor: Tensor, permutation: Tensor, dim: int = 1) -> Tensor:
    """Deprecated: `tensor.index_select(dim, permutation)`."""
    warnings.warn(
        "`apply_permutation` is deprecated, please use `tensor.index_select(dim, permutation)` "
        "instead",
        FutureWarning,
        stacklevel=2,
    )
    return tensor.index_select(dim, permutation)


class RNNBase(Module):
    """What the three layers share.

    Parameters of layer k: `weight_ih_l{k}` (gates·H, in), `weight_hh_l{k}` (gates·H, H or P),
    `bias_ih_l{k}`, `bias_hh_l{k}` (gates·H,), and with a projection `weight_hr_l{k}` (P, H); those
    of the backward direction end in `_reverse`. All are drawn from U(±1/√H).

    Args:
        mode: "RNN_TANH", "RNN_RELU", "LSTM" or "GRU".
        input_size: size of an input vector.
        hidden_size: H.
        num_layers: layers on top of each other.
        bias: whether there are biases.
        batch_first: (N, T, ·) instead of (T, N, ·).
        dropout: probability of zeros between layers, in training.
        bidirectional: also run from the end, and put both outputs side by side.
        proj_size: P, size of the projected hidden state; 0 for none. LSTM only.
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        _check_arguments(input_size, hidden_size, num_layers, bias, batch_first, dropout, proj_size)
        if mode not in _GATES:
            raise ValueError("Unrecognized RNN mode: " + mode)
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._all_weights: list[list[str]] = []
        for layer in range(num_layers):
            for suffix in ("", "_reverse") if bidirectional else ("",):
                self._add_weights(layer, suffix, {"device": device, "dtype": dtype})
        self.reset_parameters()

    def _add_weights(self, layer: int, suffix: str, options: dict[str, Any]) -> None:
        """Make the parameters of one layer in one direction."""
        gates = _GATES[self.mode] * self.hidden_size
        real_hidden = self.proj_size or self.hidden_size
        directions = 2 if self.bidirectional else 1
        input_size = self.input_size if layer == 0 else real_hidden * directions
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (gates, input_size),
            "weight_hh": (gates, real_hidden),
        }
        if self.bias:
            shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)}
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        names = []
        for kind, shape in shapes.items():
            names.append(f"{kind}_l{layer}{suffix}")
            setattr(self, names[-1], Parameter(ops.empty(shape, **options)))
        self._all_weights.append(names)

    @property
    def _flat_weights_names(self) -> list[str]:
        return [name for names in self._all_weights for name in names]

    @property
    def _flat_weights(self) -> list[Any]:
        return [getattr(self, name, None) for name in self._flat_weights_names]

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters, one list per layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def flatten_parameters(self) -> None:
        """Nothing: weights lie in one block for GPU kernels only."""

    def reset_parameters(self) -> None:
        """Draw every parameter from U(±1/√hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def __setstate__(self, state: dict[str, Any]) -> None:
        for derived in ("_flat_weights", "_flat_weights_names", "_flat_weight_refs"):
            state.pop(derived, None)  # PyTorch stores what is computed here
        super().__setstate__(state)
        self.__dict__.setdefault("proj_size", 0)

    # --- checks ------------------------------------------------------------------------------

    def check_input(self, input: Tensor, batch_sizes: Tensor | None) -> None:
        """Refuse inputs of the wrong dtype, dimension or size."""
        own = self._flat_weights[0].dtype
        if input.dtype != own:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({own}). "
                f"Convert input: input.to({own}), or convert model: model.to({input.dtype})"
            )
        expected = 2 if batch_sizes is not None else 3
        if input.dim() != expected:
            raise RuntimeError(f"input must have {expected} dimensions, got {input.dim()}")
        if self.input_size != input.size(-1):
            raise RuntimeError(
                "input.size(-1) must be equal to input_size. "
                f"Expected {self.input_size}, got {input.size(-1)}"
            )

    def _state_size(self, input: Tensor, batch_sizes: Tensor | None, size: int) -> Any:
        if batch_sizes is not None:
            batch = int(batch_sizes[0])
        else:
            batch = input.size(0) if self.batch_first else input.size(1)
        return self.num_layers * (2 if self.bidirectional else 1), batch, size

    def get_expected_hidden_size(
        self, input: Tensor, batch_sizes: Tensor | None
    ) -> tuple[int, int, int]:
        """(layers · directions, N, H or P)."""
        return self._state_size(input, batch_sizes, self.proj_size or self.hidden_size)

    def check_hidden_size(
        self,
        hx: Tensor,
        expected_hidden_size: tuple[int, int, int],
        msg: str = "Expected hidden size {}, got {}",
    ) -> None:
        """Refuse a state of the wrong shape, with `msg`."""
        if tuple(hx.size()) != tuple(expected_hidden_size):
            raise RuntimeError(msg.format(expected_hidden_size, list(hx.size())))

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        """Refuse inputs and states that do not fit this layer."""
        self.check_input(input, batch_sizes)
        self.check_hidden_size(hidden, self.get_expected_hidden_size(input, batch_sizes))

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        """The state with its batch reordered."""
        return hx if permutation is None else hx.index_select(1, permutation)

    # --- running -----------------------------------------------------------------------------

    def _zero_state(self, input: Tensor, batch_sizes: Tensor | None) -> Any:
        size = self.get_expected_hidden_size(input, batch_sizes)
        return ops.zeros(*size, dtype=input.dtype, device=input.device)

    def _check_state_dim(self, hx: Any, is_batched: bool) -> None:
        expected, kind = (3, "batched 3-D") if is_batched else (2, "unbatched 2-D")
        if hx.dim() != expected:
            raise RuntimeError(
                f"For {kind} input, hx should also be {expected}-D but got {hx.dim()}-D tensor"
            )

    def _map_state(self, fn: Any, hx: Any) -> Any:
        """`fn` of the state; of both parts of an LSTM's."""
        return fn(hx)

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """Run over the sequence.

        Args:
            input: (T, N, in), (N, T, in) with `batch_first`, (T, in), or a `PackedSequence`.
            hx: initial state (layers · directions, N, H), an LSTM's is a pair; zeros if left out.

        Returns:
            outputs of the last layer, and the last state of every layer.
        """
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        if input.dim() not in (2, 3):
            kind = self._get_name() if self.mode in ("LSTM", "GRU") else "RNN"
            noun = " tensor" if kind == "RNN" else ""
            raise ValueError(
                f"{kind}: Expected input to be 2D or 3D, got {input.dim()}D{noun} instead"
            )
        is_batched = input.dim() == 3
        batch_dim = 0 if self.batch_first else 1
        if hx is not None:
            self._check_state_dim(hx, is_batched)
        if not is_batched:
            input = input.unsqueeze(batch_dim)
            if hx is not None:
                hx = self._map_state(lambda s: s.unsqueeze(1), hx)
        if hx is None:
            hx = self._zero_state(input, None)
        self.check_forward_args(input, hx, None)
        output, state = self._run(input.transpose(0, 1) if self.batch_first else input, hx, None)
        if self.batch_first:
            output = output.transpose(0, 1)
        if not is_batched:
            output = output.squeeze(batch_dim)
            state = self._map_state(lambda s: s.squeeze(1), state)
        return output, state

    def _forward_packed(self, packed: PackedSequence, hx: Any) -> tuple[PackedSequence, Any]:
        data, batch_sizes, sorted_indices, unsorted_indices = packed
        if hx is None:
            hx = self._zero_state(data, batch_sizes)
        else:
            hx = self.permute_hidden(hx, sorted_indices)
        self.check_forward_args(data, hx, batch_sizes)
        output, state = self._run(data, hx, batch_sizes.tolist())
        packed = PackedSequence(output, batch_sizes, sorted_indices, unsorted_indices)
        return packed, self.permute_hidden(state, unsorted_indices)

    def _run(self, input: Tensor, hx: Any, batch_sizes: list[int] | None) -> tuple[Tensor, Any]:
        weights = []
        for names in self._all_weights:
            values = {name.partition("_l")[0]: getattr(self, name) for name in names}
            kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
            parts: list[Any] = [values.get(kind) for kind in kinds]
            weights.append(recurrent.CellWeights(*parts))
        output, state = recurrent.run(
            self.mode,
            input,
            tuple(hx) if self.mode == "LSTM" else (hx,),
            weights,
            bidirectional=self.bidirectional,
            dropout=self.dropout if self.training else 0.0,
            batch_sizes=batch_sizes,
        )
        return output, state if self.mode == "LSTM" else state[0]

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        usual = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0,
            "bidirectional": False,
        }
        for name, value in usual.items():
            if getattr(self, name) != value:
                parts.append(f"{name}={getattr(self, name)}")
        return ", ".join(parts)


def _check_arguments(
    input_size: Any,
    hidden_size: Any,
    num_layers: int,
    bias: Any,
    batch_first: Any,
    dropout: Any,
    proj_size: int,
) -> None:
    """Refuse arguments in the order, and with the words, of PyTorch."""
    is_number = isinstance(dropout, numbers.Number) and not isinstance(dropout, bool)
    if not is_number or not 0 <= dropout <= 1:
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an "
            "element being zeroed"
        )
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout "
            f"expects num_layers greater than 1, but got dropout={dropout} and "
            f"num_layers={num_layers}",
            stacklevel=3,
        )
    for name, value, kind in (
        ("bias", bias, bool),
        ("batch_first", batch_first, bool),
        ("input_size", input_size, int),
        ("hidden_size", hidden_size, int),
    ):
        if not isinstance(value, kind):
            raise TypeError(
                f"{name} should be of type {kind.__name__}, got: {type(value).__name__}"
            )
        if kind is int and value <= 0:
            raise ValueError(f"{name} must be greater than zero")
    if num_layers <= 0:
        raise ValueError("num_layers must be greater than zero")
    if proj_size < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if proj_size >= hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size")


def _refuse_projection(kwargs: dict[str, Any]) -> None:
    if "proj_size" in kwargs:
        raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")


class RNN(RNNBase):
    """h′ = tanh(W_ih x + b_ih + W_hh h + b_hh), or max(0, ·) with `nonlinearity="relu"`.

    Called as `RNN(input_size, hidden_size, num_layers, nonlinearity, bias, …)`; see `RNNBase`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse_projection(kwargs)
        if len(args) > 3:
            nonlinearity = args[3]
            args = args[:3] + args[4:]
        else:
            nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        super().__init__("RNN_" + nonlinearity.upper(), *args, **kwargs)
        self.nonlinearity = nonlinearity


class GRU(RNNBase):
    """Gated recurrent units; see `recurrent.gru_step` for the formula, `RNNBase` for arguments."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse_projection(kwargs)
        super().__init__("GRU", *args, **kwargs)


class LSTM(RNNBase):
    """Long short-term memory; see `recurrent.lstm_step` for the formula, `RNNBase` for arguments.

    Its state is a pair: h (layers · directions, N, H or P) and c (layers · directions, N, H).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def get_expected_cell_size(
        self, input: Tensor, batch_sizes: Tensor | None
    ) -> tuple[int, int, int]:
        """(layers · directions, N, H)."""
        return self._state_size(input, batch_sizes, self.hidden_size)

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        self.check_input(input, batch_sizes)
        sizes = (
            self.get_expected_hidden_size(input, batch_sizes),
            self.get_expected_cell_size(input, batch_sizes),
        )
        for i, size in enumerate(sizes):
            self.check_hidden_size(hidden[i], size, f"Expected hidden[{i}] size {{}}, got {{}}")

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        if permutation is None:
            return hx
        return hx[0].index_select(1, permutation), hx[1].index_select(1, permutation)

    def _zero_state(self, input: Tensor, batch_sizes: Tensor | None) -> Any:
        options = {"dtype": input.dtype, "device": input.device}
        return (
            ops.zeros(*self.get_expected_hidden_size(input, batch_sizes), **options),
            ops.zeros(*self.get_expected_cell_size(input, batch_sizes), **options),
        )

    def _check_state_dim(self, hx: Any, is_batched: bool) -> None:
        expected, kind = (3, "batched 3-D") if is_batched else (2, "unbatched 2-D")
        if hx[0].dim() != expected or hx[1].dim() != expected:
            raise RuntimeError(
                f"For {kind} input, hx and cx should also be {expected}-D but got "
                f"({hx[0].dim()}-D, {hx[1].dim()}-D) tensors"
            )

    def _map_state(self, fn: Any, hx: Any) -> Any:
        return fn(hx[0]), fn(hx[1])
