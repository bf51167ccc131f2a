"""Batch normalisation on compiled kernels, against NumPy's float64."""

import math

import numpy as np
import pytest

import pellucid
from pellucid.nn import functional as F
from pellucid.ops import native


@pytest.fixture(params=[1, 3])
def threads(request):
    before = pellucid.get_num_threads()
    pellucid.set_num_threads(request.param)
    yield
    pellucid.set_num_threads(before)


def outcome(tensors, training, affine):
    x, grad, weight, bias = (t.detach().clone().requires_grad_() for t in tensors)
    mean = pellucid.full(weight.shape, 100.0, dtype=x.dtype)
    variance = pellucid.ones(weight.shape, dtype=x.dtype)
    if affine:
        out = F.batch_norm(x, mean, variance, weight, bias, training)
    else:
        out = F.batch_norm(x, mean, variance, training=training)
    out.backward(grad.detach())
    return [out, x.grad, mean, variance, *([weight.grad, bias.grad] if affine else [])]


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("shape", [(2, 5, 7, 9), (3, 4, 16, 16), (1, 2, 33), (4, 70, 1, 2)])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm_and_its_gradients(monkeypatch, shape, training, affine):
    used = []
    planes = native.planes()
    monkeypatch.setattr(native, "ELEMENTS", 0)
    monkeypatch.setattr(native, "planes", lambda: (used.append(1), planes)[1])
    rng = np.random.default_rng(math.prod(shape))
    numbers = [2 * rng.standard_normal(shape) + 100, rng.standard_normal(shape)]
    numbers += [rng.standard_normal(shape[1]), rng.standard_normal(shape[1])]
    tensors = [pellucid.from_numpy(each.astype(np.float32)) for each in numbers]
    got = outcome(tensors, training, affine)
    want = outcome([each.double() for each in tensors], training, affine)
    # The mean, about 100, is subtracted in float32: half a unit in its last place is 4e-6.
    for one, other in zip(got, want, strict=True):
        scale = float(other.detach().abs().max())
        assert float((one.double() - other).detach().abs().max()) <= 8e-6 * scale
    assert len(used) == (4 if training else 2)


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((8, 64, 56 * 56), np.float32, True),
        ((8, 64, 56 * 56), np.float64, False),
        ((8, 64, 16), np.float32, False),
        ((8 * 56 * 56, 64, 1), np.float32, False),
    ],
)
def test_the_rule(shape, dtype, expected):
    x = np.empty(shape, dtype)
    assert native.normalises(x, None) is expected
    assert not native.normalises(x.swapaxes(0, 1))
