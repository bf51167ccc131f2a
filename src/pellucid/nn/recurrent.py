"""The recurrences of `RNN`, `LSTM` and `GRU`, written with tensor operations.

A *state* is a tuple: `(h,)`, for an LSTM `(h, c)`. The input's part of all gates is computed for
the whole sequence at once; only the hidden state's part has to wait for the step before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pellucid import ops
from pellucid.nn import functional as F
from pellucid.tensor.tensor import Tensor

State = tuple[Tensor, ...]


class CellWeights(NamedTuple):
    """Weights of one layer in one direction; gates are stacked along dimension 0."""

    w_ih: Tensor
    w_hh: Tensor
    b_ih: Tensor | None = None
    b_hh: Tensor | None = None
    w_hr: Tensor | None = None


Step = Callable[[Tensor, State, CellWeights], State]


def rnn_tanh_step(gates_in: Tensor, state: State, weights: CellWeights) -> State:
    """h′ = tanh(W_ih x + b_ih + W_hh h + b_hh); `gates_in` is the part with x."""
    return (ops.tanh(F.linear(state[0], weights.w_hh, weights.b_hh) + gates_in),)


def rnn_relu_step(gates_in: Tensor, state: State, weights: CellWeights) -> State:
    """Like `rnn_tanh_step`, with max(0, ·)."""
    return (ops.relu(F.linear(state[0], weights.w_hh, weights.b_hh) + gates_in),)


def lstm_step(gates_in: Tensor, state: State, weights: CellWeights) -> State:
    """c′ = σ(f)·c + σ(i)·tanh(g), h′ = σ(o)·tanh(c′), projected by W_hr if there is one.

    The gates i, f, g, o are the four parts of W_ih x + b_ih + W_hh h + b_hh (Hochreiter &
    Schmidhuber 1997, with forget gates).
    """
    hidden, cell = state
    gates = F.linear(hidden, weights.w_hh, weights.b_hh) + gates_in
    i, f, g, o = gates.chunk(4, 1)
    cell = ops.sigmoid(f) * cell + ops.sigmoid(i) * ops.tanh(g)
    hidden = ops.sigmoid(o) * ops.tanh(cell)
    if weights.w_hr is not None:
        hidden = F.linear(hidden, weights.w_hr)
    return hidden, cell


def gru_step(gates_in: Tensor, state: State, weights: CellWeights) -> State:
    """h′ = (1 − z)·n + z·h with n = tanh(n_x + r·n_h), r and z sigmoids (Cho et al. 2014)."""
    (hidden,) = state
    r_x, z_x, n_x = gates_in.chunk(3, 1)
    r_h, z_h, n_h = F.linear(hidden, weights.w_hh, weights.b_hh).chunk(3, 1)
    reset = ops.sigmoid(r_h + r_x)
    update = ops.sigmoid(z_h + z_x)
    new = ops.tanh(n_x + n_h * reset)
    return ((hidden - new) * update + new,)


STEPS: dict[str, Step] = {
    "RNN_TANH": rnn_tanh_step,
    "RNN_RELU": rnn_relu_step,
    "LSTM": lstm_step,
    "GRU": gru_step,
}


def cell(mode: str, input: Tensor, state: State, weights: CellWeights) -> State:
    """One step on a batch: input (N, in), state (N, H), to the next state."""
    return STEPS[mode](F.linear(input, weights.w_ih, weights.b_ih), state, weights)


def run_layer(
    step: Step, input: Tensor, state: State, weights: CellWeights, reverse: bool
) -> tuple[Tensor, State]:
    """All steps of one direction over (T, N, in): outputs (T, N, H) and the last state."""
    if input.size(0) == 0:
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
    gates_in = F.linear(input, weights.w_ih, weights.b_ih).unbind(0)
    outputs = []
    for gates in reversed(gates_in) if reverse else gates_in:
        state = step(gates, state, weights)
        outputs.append(state[0])
    if reverse:
        outputs.reverse()
    return ops.stack(outputs), state


def run_packed_layer(
    step: Step,
    input: Tensor,
    state: State,
    weights: CellWeights,
    reverse: bool,
    batch_sizes: Sequence[int],
) -> tuple[Tensor, State]:
    """Like `run_layer` over packed rows, of which `batch_sizes[t]` belong to step t.

    Sequences are sorted by falling length. Forward, the shorter ones end first; backward, they
    join with their initial state when their last element is reached.
    """
    gates_in = F.linear(input, weights.w_ih, weights.b_ih).split(list(batch_sizes))
    outputs: list[Tensor] = []
    if reverse:
        initial, state = state, tuple(s[: batch_sizes[-1]] for s in state)
        for gates in reversed(gates_in):
            running, size = state[0].size(0), gates.size(0)
            if size > running:
                pairs = zip(state, initial, strict=True)
                state = tuple(ops.cat([s, first[running:size]]) for s, first in pairs)
            state = step(gates, state, weights)
            outputs.insert(0, state[0])
        return ops.cat(outputs), state
    ended: list[State] = []
    for gates in gates_in:
        size = gates.size(0)
        if size < state[0].size(0):
            ended.append(tuple(s[size:] for s in state))
            state = tuple(s[:size] for s in state)
        state = step(gates, state, weights)
        outputs.append(state[0])
    ended.append(state)
    last = tuple(ops.cat(parts) for parts in zip(*reversed(ended), strict=True))
    return ops.cat(outputs), last


def run(
    mode: str,
    input: Tensor,
    state: State,
    weights: Sequence[CellWeights],
    *,
    bidirectional: bool,
    dropout: float,
    batch_sizes: Sequence[int] | None = None,
) -> tuple[Tensor, State]:
    """All layers.

    Args:
        mode: a key of `STEPS`.
        input: (T, N, in), or packed rows (ΣT, in) with `batch_sizes`.
        state: initial states, each (layers · directions, N, H).
        weights: of layer 0 forward, layer 0 backward, layer 1 forward, …
        dropout: probability of a zero between layers.

    Returns:
        the last layer's outputs, directions side by side, and the last states, shaped like `state`.
    """
    directions = 2 if bidirectional else 1
    layers = len(weights) // directions
    last: list[State] = []
    for layer in range(layers):
        outputs = []
        for direction in range(directions):
            position = layer * directions + direction
            arguments = (
                STEPS[mode],
                input,
                tuple(s[position] for s in state),
                weights[position],
                direction == 1,
            )
            if batch_sizes is None:
                output, final = run_layer(*arguments)
            else:
                output, final = run_packed_layer(*arguments, batch_sizes)
            outputs.append(output)
            last.append(final)
        input = outputs[0] if directions == 1 else ops.cat(outputs, outputs[0].dim() - 1)
        if dropout > 0 and layer < layers - 1:
            input = F.dropout(input, dropout, True)
    return input, tuple(ops.stack(parts) for parts in zip(*last, strict=True))
