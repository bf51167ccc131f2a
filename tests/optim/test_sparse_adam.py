"""SparseAdam takes and refuses what PyTorch's does where there are no sparse gradients."""

import pytest
import torch

import pellucid


def told(library, options, dtype="float32", grad=False):
    w = library.ones(2, dtype=getattr(library, dtype), requires_grad=True)
    try:
        optimizer = library.optim.SparseAdam([w], **options)
        if grad:
            w.sum().backward()
        return optimizer.step(lambda: 3.0), sorted(optimizer.param_groups[0])
    except Exception as error:
        return type(error).__name__, str(error).splitlines()[0]


CASES = [
    {},
    {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-4, "maximize": True},
    {"lr": 0.0},
    {"eps": -1.0},
    {"betas": (1.0, 0.9)},
    {"betas": (0.9, -0.1)},
]


@pytest.mark.parametrize("options", CASES)
def test_options_are_those_of_pytorch(options):
    assert told(pellucid, options) == told(torch, options)


def test_dense_gradients_and_complex_parameters_are_refused():
    for arguments in ({"grad": True}, {"dtype": "complex64"}):
        have = told(pellucid, {}, **arguments)
        assert have == told(torch, {}, **arguments) and have[0] in ("RuntimeError", "ValueError")


def test_the_refusal_names_the_way_out():
    w = pellucid.ones(2, requires_grad=True)
    w.sum().backward()
    with pytest.raises(RuntimeError, match="Adam takes the same lr, betas and eps"):
        pellucid.optim.SparseAdam([w]).step()
