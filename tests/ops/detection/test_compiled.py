"""Large region operators run on kernels and answer what NumPy's routines answer."""

import numpy as np
import pytest

import pellucid as torch
from pellucid.ops.detection import compiled
from pellucid.vision import ops


def inputs(layout):
    torch.manual_seed(0)
    x = torch.randn(2, 64, 25, 34)
    if layout == "channels last":
        x = x.contiguous(memory_format=torch.channels_last)
    elif layout == "strided":
        x = torch.randn(2, 64, 25, 68)[..., ::2]
    corner, size = torch.rand(120, 2) * 350 - 30, torch.rand(120, 2) * 200
    image = torch.randint(0, 2, (120, 1)).float()
    return x, torch.cat([image, corner, corner + size], 1)


def answers(operator, x, boxes, **keywords):
    x = x.detach().requires_grad_()
    out = getattr(ops, operator)(x, boxes, (7, 7), 0.1, **keywords)
    torch.manual_seed(1)
    (grad,) = torch.autograd.grad(out, x, torch.randn(out.shape).to(out.dtype))
    return out.detach().numpy(), grad.numpy()


@pytest.mark.parametrize("layout", ["contiguous", "channels last", "strided"])
@pytest.mark.parametrize(
    ("operator", "keywords"),
    [
        ("roi_align", {"sampling_ratio": 2, "aligned": True}),
        ("roi_align", {"sampling_ratio": -1}),
        ("roi_pool", {}),
    ],
)
def test_kernels_answer_as_numpy_does(monkeypatch, operator, keywords, layout):
    x, boxes = inputs(layout)
    calls = []
    kernels = compiled.kernels

    def counted():
        calls.append(1)
        return kernels()

    monkeypatch.setattr(compiled, "kernels", counted)
    fast = answers(operator, x, boxes, **keywords)
    assert len(calls) >= 2
    calls.clear()
    monkeypatch.setattr(compiled, "enabled", lambda: False)
    slow = answers(operator, x, boxes, **keywords)
    assert not calls
    for found, expected in zip(fast, slow, strict=True):
        np.testing.assert_allclose(found, expected, atol=2e-6 * np.abs(expected).max(), rtol=0)


def test_an_infinite_feature_stays_where_it_is():
    x, boxes = inputs("contiguous")
    x[0, 3, 12, 20] = float("inf")
    out = ops.roi_align(x, boxes, (7, 7), 0.1, 2, True)
    others = torch.arange(64) != 3
    assert out[:, others].isfinite().all()


def test_a_region_of_astronomic_size_is_answered():
    x, boxes = inputs("contiguous")
    boxes[5, 1:] = torch.tensor([-1e12, -1e12, 1e12, 1e12])
    out = ops.roi_align(x, boxes, (7, 7), 0.1, 2, True)
    assert out.isfinite().all()


def test_small_calls_need_no_compiler(monkeypatch):
    monkeypatch.setattr(compiled, "kernels", lambda: pytest.fail("kernels were asked for"))
    x, boxes = inputs("contiguous")
    assert ops.roi_align(x, boxes[:2], (7, 7), 0.1).shape == (2, 64, 7, 7)
