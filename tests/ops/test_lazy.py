"""Conjugate and negative views share memory with their tensor, in all that a program can see."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import pellucid

LIBRARIES = (torch, pellucid)
VALUES = np.array([[1 + 2j, -3 + 0.5j], [0.25 - 1j, 2 - 2j]])


def made(library: ModuleType, **options: Any) -> Any:
    return library.tensor(VALUES.tolist(), dtype=library.complex128, **options)


def shown(x: Any) -> Any:
    """Everything about a result that both libraries must agree on."""
    if not hasattr(x, "is_conj"):
        return x
    return x.is_conj(), x.is_neg(), tuple(x.shape), x.stride(), x.tolist()


def answers(call: Callable[[ModuleType, Any, Any], Any]) -> list[Any]:
    """What `call(library, x, x.conj())` answers, and `x` afterwards, of both libraries."""
    found = []
    for library in LIBRARIES:
        x = made(library)
        result = call(library, x, x.conj())
        found.append((shown(result), x.tolist()))
    return found


READS: dict[str, Callable[[ModuleType, Any, Any], Any]] = {
    "conj": lambda t, x, y: y,
    "twice": lambda t, x, y: y.conj(),
    "clone": lambda t, x, y: y.clone(),
    "contiguous": lambda t, x, y: y.contiguous(),
    "detach": lambda t, x, y: y.detach(),
    "data": lambda t, x, y: y.data,
    "view": lambda t, x, y: y.view(4),
    "transpose": lambda t, x, y: y.mT,
    "H": lambda t, x, y: y.H,
    "select": lambda t, x, y: y[1],
    "element": lambda t, x, y: y[1, 1],
    "item": lambda t, x, y: y[1, 1].item(),
    "gather": lambda t, x, y: y[[1]],
    "expand": lambda t, x, y: y.expand(2, 2, 2),
    "as_strided": lambda t, x, y: y.as_strided((2,), (2,), 1),
    "unbind": lambda t, x, y: y.unbind()[1],
    "sum": lambda t, x, y: y + x,
    "product": lambda t, x, y: y @ x,
    "negative": lambda t, x, y: -y,
    "cat": lambda t, x, y: t.cat([x, y]),
    "real": lambda t, x, y: y.real,
    "imag": lambda t, x, y: y.imag,
    "imag of part": lambda t, x, y: y[0].imag.sum(),
    "neg view": lambda t, x, y: t._neg_view(x),
    "both": lambda t, x, y: t._neg_view(y),
    "resolve_conj": lambda t, x, y: y.resolve_conj(),
    "resolve_neg": lambda t, x, y: y.imag.resolve_neg(),
    "resolve the other": lambda t, x, y: y.resolve_neg(),
    "conj_physical": lambda t, x, y: y.conj_physical(),
    "zeros_like": lambda t, x, y: t.zeros_like(y),
    "deepcopy": lambda t, x, y: copy.deepcopy(y),
    "pickle": lambda t, x, y: pickle.loads(pickle.dumps(y)),
    "parameter": lambda t, x, y: t.nn.Parameter(y).detach(),
    "printed": lambda t, x, y: repr(y) + repr(y.imag),
    "numpy by force": lambda t, x, y: y.numpy(force=True).tolist(),
    "memory": lambda t, x, y: y.data_ptr() == x.data_ptr(),
    "real is itself": lambda t, x, y: y.real.conj()._base is x,
}


@pytest.mark.parametrize("name", READS)
def test_reads_what_pytorch_reads(name: str) -> None:
    expected, got = answers(READS[name])
    assert got == expected


WRITES: dict[str, Callable[[ModuleType, Any, Any], Any]] = {
    "add_": lambda t, x, y: y.add_(1j),
    "mul_ by its tensor": lambda t, x, y: y.mul_(x),
    "mul_ by itself": lambda t, x, y: y.mul_(y),
    "exp_": lambda t, x, y: y.exp_(),
    "zero_": lambda t, x, y: y.zero_(),
    "fill_": lambda t, x, y: y.fill_(2 - 1j),
    "copy_": lambda t, x, y: y.copy_(t.eye(2)),
    "copy_ of itself": lambda t, x, y: x.copy_(y),
    "conj_physical_": lambda t, x, y: y.conj_physical_(),
    "setitem": lambda t, x, y: y.__setitem__(0, 5 + 5j),
    "setitem of a tensor": lambda t, x, y: y.__setitem__((slice(None), 1), t.tensor([1j, 2j])),
    "setitem by mask": lambda t, x, y: y.__setitem__(y.real > 0, 7j),
    "index_fill_": lambda t, x, y: y.index_fill_(0, t.tensor([1]), 3j),
    "masked_fill_": lambda t, x, y: y.masked_fill_(y.imag > 0, 1j),
    "imag.mul_": lambda t, x, y: y.imag.mul_(3),
    "imag": lambda t, x, y: setattr(y, "imag", 4),
    "real": lambda t, x, y: setattr(y, "real", 4),
    "neg view": lambda t, x, y: t._neg_view(x).add_(1),
    "out of a row": lambda t, x, y: t.add(x, 1, out=y),
    "out of an operator": lambda t, x, y: t.mm(x.clone(), x.clone(), out=y),
    "transpose_": lambda t, x, y: y.transpose_(0, 1).add_(1j),
    "set_": lambda t, x, y: y.set_(x.clone()),
    "the base": lambda t, x, y: (x.add_(1j), y)[1],
}


@pytest.mark.parametrize("name", WRITES)
def test_writes_what_pytorch_writes(name: str) -> None:
    expected, got = answers(WRITES[name])
    assert got == expected


GRADIENTS: dict[str, Callable[[ModuleType, Any], Any]] = {
    "conj": lambda t, v: v.conj() * (1 + 2j),
    "imag": lambda t, v: v.conj().imag * 3,
    "neg view": lambda t, v: t._neg_view(v) * 1j,
    "written": lambda t, v: (v.conj().mul_(2j), v)[1],
    "written part": lambda t, v: (v.conj()[0].mul_(v.detach()[1].clone()), v)[1],
    "written imag": lambda t, v: (v.conj().imag.mul_(3), v)[1],
    "view made before the base was written": lambda t, v: (v.conj().view(4), v.mul_(1j))[0],
    "imag made before the base was written": lambda t, v: (v.conj().imag, v.mul_(1j))[0],
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_are_pytorchs(name: str) -> None:
    found = []
    for library in LIBRARIES:
        w = made(library, requires_grad=True)
        out = GRADIENTS[name](library, w * 1)
        weights = library.arange(1.0, out.numel() + 1).reshape(out.shape)
        (out * weights * (out.detach() + 1)).sum().abs().backward()
        found.append(w.grad.numpy(force=True))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12)


REFUSALS: dict[str, tuple[Callable[[ModuleType, Any], Any], str]] = {
    "numpy": (lambda t, y: y.numpy(), "that has conjugate bit set. Use tensor.resolve_conj"),
    "numpy of negative": (lambda t, y: y.imag.numpy(), "has negative bit set. Use tensor.resolve"),
    "asarray": (lambda t, y: np.asarray(y), "that has conjugate bit set"),
    "view_as_real": (lambda t, y: t.view_as_real(y), "doesn't work on unresolved conjugated"),
    "view of another dtype": (lambda t, y: y.view(t.float64), "not supported for conjugate view"),
    "negative of another dtype": (lambda t, y: y.imag.view(t.int64), "with negative bit set"),
    "dlpack": (lambda t, y: t.from_dlpack(y), "export tensors with the conjugate bit set"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_are_pytorchs(name: str) -> None:
    call, words = REFUSALS[name]
    with pytest.raises((RuntimeError, BufferError), match=words) as theirs:
        call(torch, made(torch).conj())
    with pytest.raises(theirs.type, match=words):
        call(pellucid, made(pellucid).conj())


@pytest.mark.parametrize("source", LIBRARIES)
@pytest.mark.parametrize("target", LIBRARIES)
def test_files_keep_that_it_is_a_view(source: ModuleType, target: ModuleType) -> None:
    x = made(source)

    def sent(value: Any) -> Any:
        file = io.BytesIO()
        source.save(value, file)
        file.seek(0)
        return target.load(file)

    plain, conjugate = sent([x, x.conj()])
    assert conjugate.is_conj()
    plain[0, 0] = 9 - 7j
    assert conjugate[0, 0].item() == 9 + 7j
    negative = sent(x.conj().imag)
    assert negative.is_neg()
    assert negative.tolist() == x.conj().imag.tolist()


def test_booleans_have_no_negative_view() -> None:
    with pytest.raises(RuntimeError, match="on a bool tensor is not supported"):
        pellucid._neg_view(pellucid.ones(2).bool())
