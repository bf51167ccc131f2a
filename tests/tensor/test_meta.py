"""Tensors without data: made, moved, written, differentiated, refused as PyTorch's are."""

import copy
import gc
import pickle
import re

import numpy as np
import pytest
import torch

import pellucid
from pellucid.tensor.events import listeners


def told(library, code):
    """What a line of code gives: a text, or the type and first line of its error."""
    f, m, r = library, library.empty(2, 3, device="meta"), library.ones(2, 3)
    scope = {"f": f, "m": m, "r": r, "np": np, "copy": copy, "pickle": pickle}
    try:
        return repr(eval(code, scope))
    except Exception as error:
        return type(error).__name__, str(error).splitlines()[0]


SAME = """
m
m.sum()
(m.device, m.is_meta, m.is_cpu, r.device, r.is_meta)
m.data_ptr()
m.untyped_storage().nbytes()
m.sum().item()
m.tolist()
bool(m.sum())
float(m.sum())
[0, 1][m.sum().long()]
m.numpy()
np.asarray(m)
m.cpu()
m.to("cpu")
r.to("meta")
r.to("meta", f.float64)
m.to(m.device)
m + r
r + m
m + f.tensor(1.0)
f.cat([m, r])
r.copy_(m)
m.copy_(r)
m.fill_(1)
m.zero_()
m.normal_()
m.uniform_(-1, 1)
m.mul_(2)
m.add_(m)
m[0]
m[:, 1:]
m[[0, 1]]
m.__setitem__(0, 1)
m.t()
m.view(3, 2)
m.view(7)
m.reshape(-1)
m @ m.t()
m.expand(4, 2, 3).stride()
list(m)
f"{m.sum()}"
copy.deepcopy(m)
pickle.loads(pickle.dumps(m))
f.zeros_like(m)
f.zeros_like(m, device="cpu")
f.ones_like(r, device="meta")
m.new_zeros(2)
m.new_tensor([1, 2])
f.tensor([1, 2], device="meta")
f.zeros(2, device=f.device("meta"))
f.full((2,), 3, device="meta")
f.eye(2, device="meta")
f.arange(5, device="meta")
f.linspace(0, 1, 5, device="meta")
f.randn(2, device="meta")
f.rand_like(m)
f.randperm(4, device="meta")
f.empty(3, 3, device="meta").inverse()
f.nn.Parameter(m)
f.where(m > 0, m, m)
m.topk(2)
f.nn.functional.dropout(m)
f.nn.functional.softmax(m, 1)
f.nn.functional.one_hot(m.long(), 4)
f.nn.functional.one_hot(m.long())
f.nn.Linear(3, 4, device="meta")(m)
f.nn.Conv2d(3, 4, 3, device="meta")(f.empty(1, 3, 8, 8, device="meta")).shape
f.nn.Linear(3, 4, device="meta").to("cpu")
""".strip().splitlines()


@pytest.mark.parametrize("code", SAME)
def test_as_in_pytorch(code):
    assert told(pellucid, code) == told(torch, code)


REFUSED = ["m.nonzero()", "m[m > 0]", "m.unique()", "f.masked_select(m, m > 0)", "f.argwhere(m)"]


@pytest.mark.parametrize("code", [*REFUSED, "m.long().flatten().bincount()"])
def test_what_depends_on_numbers_is_refused(code):
    assert told(torch, code)[0] == told(pellucid, code)[0] == "NotImplementedError"


def test_a_refusal_says_what_can_be_done():
    m = pellucid.empty(2, device="meta")
    with pytest.raises(RuntimeError, match="what depends on their numbers cannot be run"):
        pellucid.equal(m, m)
    with pytest.raises(NotImplementedError, match=re.escape("to_empty(device='cpu')")):
        m.tolist()
    with pytest.raises(NotImplementedError, match="How large its result is depends on numbers"):
        m.nonzero()


def test_a_module_is_made_without_data_and_filled_afterwards():
    real = pellucid.nn.Sequential(pellucid.nn.Linear(3, 4), pellucid.nn.BatchNorm1d(4))
    x = pellucid.ones(2, 3)
    for assign in (True, False):
        with pellucid.device("meta"):
            empty = pellucid.nn.Sequential(pellucid.nn.Linear(3, 4), pellucid.nn.BatchNorm1d(4))
        assert all(t.is_meta for t in (*empty.parameters(), *empty.buffers()))
        if not assign:
            empty.to_empty(device="cpu")
        empty.load_state_dict(real.state_dict(), assign=assign)
        assert not any(t.is_meta for t in (*empty.parameters(), *empty.buffers()))
        assert pellucid.equal(empty.eval()(x), real.eval()(x))
        real.train()


def test_a_huge_module_costs_nothing():
    with pellucid.device("meta"):
        layer = pellucid.nn.Linear(1 << 20, 1 << 20)
    assert layer.weight.numel() == 1 << 40
    assert copy.deepcopy(layer).weight.shape == layer.weight.shape
    assert layer.weight.t()[:5].add(1).shape == (5, 1 << 20)


def test_the_device_in_a_block_is_where_factories_make_tensors():
    with pellucid.device("meta"):
        assert pellucid.zeros(2).is_meta and pellucid.tensor([1.0]).is_meta
        assert pellucid.get_default_device().type == "meta"
        with pellucid.device("cpu"):
            assert pellucid.zeros(2).tolist() == [0, 0]
        assert not pellucid.from_numpy(np.ones(2)).is_meta
        assert not pellucid.zeros(2, device="cpu").is_meta
    assert not pellucid.zeros(2).is_meta
    pellucid.set_default_device("meta")
    try:
        assert pellucid.rand(2).is_meta
    finally:
        pellucid.set_default_device(None)
    assert not pellucid.rand(2).is_meta


def test_gradients_without_data():
    with pellucid.device("meta"):
        model = pellucid.nn.Sequential(
            pellucid.nn.Conv2d(3, 4, 3), pellucid.nn.BatchNorm2d(4), pellucid.nn.ReLU(inplace=True)
        )
        x = pellucid.randn(2, 3, 8, 8, requires_grad=True)
    model(x).square().mean().backward()
    for tensor in (x, *model.parameters()):
        assert tensor.grad.is_meta and tensor.grad.shape == tensor.shape
    w = pellucid.ones(3, device="meta", requires_grad=True)
    (slope,) = pellucid.autograd.grad((w**3).sum(), w, create_graph=True)
    (curve,) = pellucid.autograd.grad(slope.sum(), w)
    assert curve.is_meta and curve.shape == (3,)


def test_nothing_is_drawn_from_the_generator():
    m = pellucid.empty(4, device="meta")
    pellucid.manual_seed(0)
    before = pellucid.get_rng_state()
    m.normal_()
    pellucid.randn(3, device="meta")
    pellucid.bernoulli(m)
    pellucid.nn.functional.dropout(m, 0.5)
    assert pellucid.equal(before, pellucid.get_rng_state())


def test_the_generators_do_not_move_while_stand_ins_draw(monkeypatch):
    """Another thread that draws meanwhile gets numbers of its own: nothing is put back."""
    given = pellucid.Generator()
    before = given.get_state()

    def touched(self, *state):
        raise AssertionError("a generator that others draw from was read or set")

    m = pellucid.empty(4, device="meta")
    for name in ("words", "set_state", "get_state", "random"):
        whole = getattr(type(given), name)

        def watched(self, *args, whole=whole):
            if self is given or self is pellucid.default_generator:
                touched(self)
            return whole(self, *args)

        monkeypatch.setattr(type(given), name, watched)
    m.normal_()
    m.normal_(generator=given)
    pellucid.bernoulli(m, generator=given)
    pellucid.multinomial(m, 2)
    pellucid.nn.functional.dropout(m, 0.5)
    monkeypatch.undo()
    assert pellucid.equal(before, given.get_state())


BESIDE = {
    "cov": lambda lib, x: lib.cov(x),
    "corrcoef": lambda lib, x: lib.corrcoef(x),
    "dropout": lambda lib, x: lib.nn.functional.dropout(x, 1.0),
    "dropout1d": lambda lib, x: lib.nn.functional.dropout1d(x, 1.0),
    "quantile": lambda lib, x: x.quantile(0.3),
    "nanquantile": lambda lib, x: x.nanquantile(0.3),
    "pinv": lambda lib, x: lib.linalg.pinv(x),
    "matrix_power": lambda lib, x: lib.matrix_power(x, 0),
    "matrix_rank": lambda lib, x: lib.linalg.matrix_rank(x),
    "vander": lambda lib, x: lib.vander(x[0]),
    "mvlgamma": lambda lib, x: lib.mvlgamma(x + 3, 2),
    "householder_product": lambda lib, x: lib.linalg.householder_product(x, x[0]),
    "new_zeros": lambda lib, x: x.new_zeros(2),
    "zeros_like": lambda lib, x: lib.zeros_like(x),
    "full": lambda lib, x: lib.full((2,), x[0, 0]),
}


@pytest.mark.parametrize("program", BESIDE.values(), ids=BESIDE)
def test_operators_on_data_compute_whatever_device_is_chosen(program):
    found = []
    for lib in (pellucid, torch):
        x = lib.tensor([[1.0, 2, 3], [3, 4, 5], [2, 2, 9]])
        with lib.device("meta"):
            found.append(program(lib, x))
    ours, theirs = found
    assert str(ours.device) == str(theirs.device)
    if not ours.is_meta:
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-4, atol=1e-5)


def test_gradients_are_where_their_tensors_are_whatever_device_is_chosen():
    x = pellucid.ones(3, requires_grad=True)
    y = x.clone().index_put((pellucid.tensor([0, 1]),), pellucid.zeros(2))
    with pellucid.device("meta"):
        y.sum().backward()
    assert x.grad.tolist() == [0, 0, 1]


def test_large_factories_write_nothing():
    """A stride of 0 makes it possible to write these numbers, but it would take years."""
    for make in (pellucid.zeros, pellucid.ones):
        assert make(2**17, 2**17, 2**17, device="meta").numel() == 2**51
    m = pellucid.full((2**25, 2**25), 3, device="meta")
    assert pellucid.zeros_like(m).is_meta and pellucid.full_like(m, 2.0).is_meta


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_optimizers_step(name):
    versions = []
    for lib in (pellucid, torch):
        layer = lib.nn.Linear(3, 2, device="meta")
        optimizer = getattr(lib.optim, name)(layer.parameters(), lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            layer(lib.empty(5, 3, device="meta")).sum().backward()
            optimizer.step()
        versions.append(layer.weight._version)
        assert layer.weight.is_meta
    assert versions[0] == versions[1] > 2


def test_files_do_not_pretend_to_hold_data(tmp_path):
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor; no data!"):
        pellucid.save({"w": pellucid.empty(2, device="meta")}, tmp_path / "w.pt")
    assert list(tmp_path.iterdir()) == []


def test_calls_are_as_fast_as_before_when_the_last_one_is_gone():
    before = len(listeners)
    m = pellucid.empty(2, device="meta")
    kept = m.view(1, 2)
    assert len(listeners) == before + 1
    del m
    assert len(listeners) == before + 1
    del kept
    gc.collect()
    assert len(listeners) == before
