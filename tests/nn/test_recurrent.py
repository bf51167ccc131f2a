"""Recurrent layers and packed sequences."""

import itertools

import pytest

from tests.nn.both import agree, programs

KINDS = ("RNN", "LSTM", "GRU")


def run(kind, packed=False, given_state=False, **options):
    """A program that runs a layer over two sequences and differentiates the result."""

    def program(torch):
        layer = getattr(torch.nn, kind)(3, 4, 2, **options)
        x = torch.rand(5, 2, 3, requires_grad=True)
        directions = 2 if options.get("bidirectional") else 1
        state = None
        if given_state:
            size = options.get("proj_size", 4)
            state = torch.rand(2 * directions, 2, size)
            state = (state, torch.rand(2 * directions, 2, 4)) if kind == "LSTM" else state
        rnn = torch.nn.utils.rnn
        inputs = x
        if packed:
            first = options.get("batch_first", False)
            inputs = x.transpose(0, 1) if first else x
            inputs = rnn.pack_padded_sequence(inputs, [3, 5], first, enforce_sorted=False)
        elif options.get("batch_first"):
            inputs = x.transpose(0, 1)
        output, last = layer(inputs, state)
        if packed:
            output, _ = rnn.pad_packed_sequence(output, options.get("batch_first", False))
        (output * torch.arange(output.numel()).view(output.shape)).sum().backward()
        return output, last, x.grad, [p.grad for p in layer.parameters()]

    return program


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bidirectional": True},
        {"batch_first": True, "bias": False},
        {"bidirectional": True, "given_state": True},
    ],
    ids=str,
)
def test_layer(kind, packed, options):
    agree(run(kind, packed, **options), rtol=2e-4)


def test_projection():
    agree(run("LSTM", proj_size=2, bidirectional=True, given_state=True), rtol=2e-4)
    agree(run("LSTM", packed=True, proj_size=2), rtol=2e-4)


def test_relu():
    agree(run("RNN", nonlinearity="relu"), rtol=2e-4)


def unbatched(kind):
    def program(torch):
        layer = getattr(torch.nn, kind)(3, 4)
        return layer(torch.rand(5, 3))

    return program


def single_steps(kind):
    def program(torch):
        cell = getattr(torch.nn, kind + "Cell")(3, 4)
        state = cell(torch.rand(2, 3))
        state = cell(torch.rand(2, 3), state)
        return state, cell(torch.rand(3))

    return program


@pytest.mark.parametrize("kind", KINDS)
def test_unbatched_and_cells(kind):
    agree(unbatched(kind), rtol=2e-5)
    agree(single_steps(kind), rtol=2e-5)


def test_names_and_printing():
    def program(torch):
        made = []
        for kind, two in itertools.product(KINDS, (False, True)):
            layer = getattr(torch.nn, kind)(
                3, 4, 2, bidirectional=two, bias=two, dropout=0.25, batch_first=two
            )
            made.append((repr(layer), list(layer.state_dict())))
            made.append([len(group) for group in layer.all_weights])
        made.append(repr(torch.nn.RNNCell(1, 2, bias=False, nonlinearity="relu")))
        return made

    agree(program)


def wrong(name, expression):
    def program(torch):
        names = {"torch": torch, "nn": torch.nn, "rnn": torch.nn.utils.rnn}
        return eval(expression, names)

    program.__name__ = name
    return program


@programs(
    wrong("dropout_range", "nn.LSTM(1, 2, dropout=1.5)"),
    wrong("dropout_one_layer", "repr(nn.LSTM(1, 2, dropout=0.5))"),
    wrong("bias_type", "nn.LSTM(1, 2, bias=1)"),
    wrong("size_type", "nn.GRU(1.0, 2)"),
    wrong("size_zero", "nn.GRU(1, 0)"),
    wrong("layers_zero", "nn.GRU(1, 2, 0)"),
    wrong("projection_size", "nn.LSTM(1, 2, proj_size=2)"),
    wrong("projection_of_gru", "nn.GRU(1, 2, proj_size=1)"),
    wrong("nonlinearity", "nn.RNN(1, 2, nonlinearity='sin')"),
    wrong("input_dims_rnn", "nn.RNN(1, 2)(torch.zeros(1))"),
    wrong("input_dims_lstm", "nn.LSTM(1, 2)(torch.zeros(1))"),
    wrong("input_size", "nn.LSTM(1, 2)(torch.zeros(3, 1, 2))"),
    wrong("input_dtype", "nn.LSTM(1, 2)(torch.zeros(3, 1, 1, dtype=torch.float64))"),
    wrong("state_size", "nn.GRU(1, 2)(torch.zeros(3, 1, 1), torch.zeros(1, 1, 3))"),
    wrong("state_dims", "nn.GRU(1, 2)(torch.zeros(3, 1, 1), torch.zeros(1, 2))"),
    wrong("lstm_state_dims", "nn.LSTM(1, 2)(torch.zeros(3, 1), (torch.zeros(1, 1, 2),) * 2)"),
    wrong("no_steps", "nn.LSTM(1, 2)(torch.zeros(0, 1, 1))"),
    wrong("cell_dims", "nn.GRUCell(1, 2)(torch.zeros(1, 1, 1))"),
    wrong("cell_size", "nn.GRUCell(1, 2)(torch.zeros(3, 2))"),
    wrong("unsorted", "rnn.pack_padded_sequence(torch.zeros(3, 2, 1), [1, 3])"),
    wrong("length_zero", "rnn.pack_padded_sequence(torch.zeros(3, 2, 1), [3, 0])"),
    wrong("lengths_count", "rnn.pack_padded_sequence(torch.zeros(3, 2, 1), [3])"),
    wrong("empty_batch", "rnn.pack_padded_sequence(torch.zeros(0, 2, 1), [0, 0])"),
    wrong("pad_nothing", "rnn.pad_sequence([])"),
    wrong("pad_side", "rnn.pad_sequence([torch.zeros(1)], padding_side='top')"),
    wrong("pad_number", "rnn.pad_sequence(3)"),
)
def test_refusals(program):
    assert isinstance(agree(program), str)


def packing(torch):
    rnn = torch.nn.utils.rnn
    sequences = [torch.rand(n, 2) for n in (2, 4, 1)]
    packed = rnn.pack_sequence(sequences, enforce_sorted=False)
    return (
        tuple(packed),
        rnn.pad_packed_sequence(packed, total_length=6, padding_value=-1.0),
        rnn.unpack_sequence(packed),
        rnn.pad_sequence(sequences, batch_first=True, padding_value=9.0, padding_side="left"),
        packed.double().data,
        rnn.invert_permutation(torch.tensor([2, 0, 1])),
    )


def total_length_too_small(torch):
    rnn = torch.nn.utils.rnn
    rnn.pad_packed_sequence(rnn.pack_sequence([torch.rand(3, 1)]), total_length=2)


@programs(packing, total_length_too_small)
def test_packing(program):
    agree(program)
