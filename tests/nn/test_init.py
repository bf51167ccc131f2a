"""Initial values: PyTorch's numbers from the same seed, and its refusals."""

import pytest

from tests.nn.both import agree, programs


def filled(name, shape, *args, **kwargs):
    """Fill a tensor and draw once more, to see that the generator is where it should be."""

    def program(torch):
        tensor = torch.empty(shape)
        result = getattr(torch.nn.init, name)(tensor, *args, **kwargs)
        return tensor, result is tensor, torch.rand(2)

    program.__name__ = "_".join([name, *map(str, shape), *map(str, args), *map(str, kwargs)])
    return program


@programs(
    filled("uniform_", (3, 4), -2.0, 3.0),
    filled("normal_", (5, 4), 1.0, 0.5),
    filled("normal_", (3,), 1.0, 0.5),
    filled("trunc_normal_", (50,)),
    filled("trunc_normal_", (50,), std=0.02),
    filled("trunc_normal_", (50,), a=1.5, b=2.0),
    filled("trunc_normal_", (20,), mean=9.0),
    filled("constant_", (2, 2), 3.5),
    filled("ones_", (2,)),
    filled("zeros_", (2,)),
    filled("eye_", (3, 4)),
    filled("dirac_", (4, 2, 3), groups=2),
    filled("dirac_", (3, 3, 3, 3)),
    filled("dirac_", (2, 2, 3, 3, 3)),
    filled("xavier_uniform_", (4, 3, 2), gain=2.0),
    filled("xavier_normal_", (4, 3)),
    filled("kaiming_uniform_", (4, 3), a=0.1),
    filled("kaiming_normal_", (4, 3, 3), mode="fan_out", nonlinearity="relu"),
    filled("kaiming_uniform_", (0, 3)),
    filled("orthogonal_", (4, 3)),
    filled("orthogonal_", (3, 2, 4), gain=0.5),
    filled("sparse_", (6, 3), sparsity=0.4),
    filled("xavier_uniform", (2, 2)),
    filled("eye_", (3,)),
    filled("dirac_", (3, 3)),
    filled("dirac_", (3, 3, 3), groups=2),
    filled("xavier_normal_", (3,)),
    filled("kaiming_uniform_", (3, 3), mode="fan_both"),
    filled("kaiming_uniform_", (3, 3), nonlinearity="step"),
    filled("orthogonal_", (3,)),
    filled("sparse_", (3,), sparsity=0.1),
)
def test_fill(program):
    agree(program)


@pytest.mark.parametrize(
    "call",
    [
        ("linear",),
        ("conv_transpose3d",),
        ("sigmoid",),
        ("tanh",),
        ("relu",),
        ("leaky_relu",),
        ("leaky_relu", 0.3),
        ("leaky_relu", True),
        ("selu",),
        ("gelu",),
    ],
    ids=str,
)
def test_gain(call):
    agree(lambda torch: torch.nn.init.calculate_gain(*call))


def of_layers(torch):
    nn = torch.nn
    layers = [
        nn.Linear(3, 2),
        nn.Bilinear(2, 3, 2),
        nn.Conv2d(2, 4, 3, groups=2),
        nn.ConvTranspose1d(2, 3, 2),
        nn.Embedding(4, 2, padding_idx=1),
        nn.EmbeddingBag(3, 2),
        nn.MultiheadAttention(4, 2, add_bias_kv=True),
        nn.MultiheadAttention(4, 2, kdim=3, vdim=2),
        nn.LSTM(2, 3, 2, bidirectional=True, proj_size=2),
        nn.GRUCell(2, 3),
        nn.PReLU(3),
        nn.AdaptiveLogSoftmaxWithLoss(4, 9, [2, 5]),
        nn.Transformer(4, 2, 1, 1, 6),
    ]
    return [(repr(layer), layer.state_dict()) for layer in layers]


def test_layers_draw_in_pytorchs_order():
    agree(of_layers)
