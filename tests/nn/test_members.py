"""Attributes of modules: what may be assigned, under which name, and what is found where."""

import copy
import pickle

import pytest

import pellucid
from tests.nn.both import agree, programs


def net(torch):
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Linear(2, 3)
            self.scale = torch.nn.Parameter(torch.ones(3))
            self.register_buffer("count", torch.zeros(()))
            self.register_buffer("scratch", torch.zeros(2), persistent=False)
            self.tied = self.first
            self.nothing = None

        def forward(self, x):
            return self.first(x) * self.scale

    return Net()


def names_of_everything(torch):
    m = net(torch)
    return {
        "parameters": [n for n, _ in m.named_parameters()],
        "with duplicates": [n for n, _ in m.named_parameters(remove_duplicate=False)],
        "prefixed": [n for n, _ in m.named_parameters(prefix="top", recurse=False)],
        "buffers": [n for n, _ in m.named_buffers()],
        "modules": [n for n, _ in m.named_modules()],
        "all modules": [n for n, _ in m.named_modules(remove_duplicate=False)],
        "children": [n for n, _ in m.named_children()],
        "state": list(m.state_dict()),
        "dir": [n for n in dir(m) if n in ("first", "scale", "count", "forward", "training")],
        "repr": repr(m),
    }


def parameter_replaces_plain_attribute(torch):
    m = net(torch)
    m.nothing = torch.nn.Parameter(torch.zeros(1))
    return [n for n, _ in m.named_parameters()], "nothing" in m.__dict__


def module_replaces_parameter(torch):
    m = net(torch)
    m.scale = None
    m.count = torch.ones(())
    return [n for n, _ in m.named_parameters()], m.scale, m.count


def buffer_object(torch):
    m = net(torch)
    m.kept = torch.nn.Buffer(torch.ones(2), persistent=False)
    also = isinstance(m.kept, torch.nn.Buffer), isinstance(m.kept, torch.nn.Parameter)
    return [n for n, _ in m.named_buffers()], list(m.state_dict()), also


def delete(torch):
    m = net(torch)
    del m.scale, m.count, m.tied
    return [n for n, _ in m.named_parameters()], list(m._buffers), list(m._modules)


def lookup(torch):
    m = torch.nn.Sequential(net(torch), torch.nn.ReLU())
    m.set_submodule("0.first", torch.nn.Linear(2, 5))
    return (
        repr(m.get_submodule("0.first")),
        m.get_parameter("0.first.bias").shape[0],
        m.get_buffer("0.count"),
    )


def moved_to_double(torch):
    m = net(torch)
    before = m.scale
    m.scale.grad = torch.ones(3)
    m.double()
    return m.scale is before, m.scale, m.scale.grad, m.count, m.first.weight


def to_variants(torch):
    m = net(torch).to(torch.float64)
    m.to("cpu").to(torch.zeros(1)).to(device="cpu", dtype=torch.float64)
    return [str(p.dtype) for p in m.parameters()]


def frozen(torch):
    m = net(torch).requires_grad_(False).eval()
    return [p.requires_grad for p in m.parameters()], [c.training for c in m.modules()]


def zeroed(torch):
    m = net(torch)
    m(torch.ones(1, 2)).sum().backward()
    m.zero_grad(set_to_none=False)
    left = [p.grad for p in m.parameters()]
    m.zero_grad()
    return left, [p.grad for p in m.parameters()]


def applied(torch):
    seen = []
    net(torch).apply(lambda module: seen.append(type(module).__name__))
    return seen


def parameter_of_parameter(torch):
    p = torch.nn.Parameter(torch.arange(3.0))
    q = torch.nn.Parameter(p, requires_grad=False)
    q.data[0] = 7
    return p, type(p + 1).__name__, p.is_leaf, repr(q)


def copied(torch):
    m = net(torch)
    c = copy.deepcopy(m)
    with torch.no_grad():
        c.scale.add_(1)
    shares = c.tied is c.first
    return m.scale, c.scale, shares, isinstance(c.scale, torch.nn.Parameter)


@programs(
    names_of_everything,
    parameter_replaces_plain_attribute,
    module_replaces_parameter,
    buffer_object,
    delete,
    lookup,
    moved_to_double,
    to_variants,
    frozen,
    zeroed,
    applied,
    parameter_of_parameter,
    copied,
)
def test_members(program):
    agree(program)


def bare(torch):
    class Bare(torch.nn.Module):
        def __init__(self, what):
            self.member = what

    return Bare


def wrong(name, expression):
    """A program that evaluates `expression` with `torch`, `m` (a net) and `bare` (no __init__)."""

    def program(torch):
        names = {"torch": torch, "nn": torch.nn, "m": net(torch), "bare": bare(torch)}
        return eval(expression, names)

    program.__name__ = name
    return program


@programs(
    wrong("no_attribute", "m.missing"),
    wrong("dotted_parameter", "m.register_parameter('a.b', None)"),
    wrong("empty_buffer_name", "m.register_buffer('', None)"),
    wrong("parameter_name_type", "m.register_parameter(3, None)"),
    wrong("taken_name", "m.register_buffer('scale', torch.zeros(1))"),
    wrong("buffer_type", "m.register_buffer('new', [1])"),
    wrong("parameter_type", "m.register_parameter('new', torch.zeros(1))"),
    wrong("parameter_not_leaf", "m.register_parameter('new', nn.Parameter(torch.zeros(1)) * 2)"),
    wrong("tensor_for_parameter", "setattr(m, 'scale', torch.zeros(3))"),
    wrong("number_for_parameter", "setattr(m, 'scale', 3)"),
    wrong("tensor_for_module", "setattr(m, 'first', torch.zeros(3))"),
    wrong("string_for_buffer", "setattr(m, 'count', 'x')"),
    wrong("add_module_type", "m.add_module('x', 3)"),
    wrong("add_module_name", "m.add_module('x.y', nn.ReLU())"),
    wrong("add_module_taken", "m.add_module('scale', nn.ReLU())"),
    wrong("no_submodule", "m.get_submodule('first.weights')"),
    wrong("not_a_module", "m.get_submodule('scale')"),
    wrong("not_a_parameter", "m.get_parameter('count')"),
    wrong("not_a_buffer", "m.get_buffer('scale')"),
    wrong("parameter_before_init", "bare(nn.Parameter(torch.zeros(1)))"),
    wrong("module_before_init", "bare(nn.ReLU())"),
    wrong("init_keyword", "nn.Module(size=3)"),
    wrong("init_positional", "nn.Module(3)"),
    wrong("no_forward", "nn.Module()(3)"),
    wrong("mode_type", "m.train('yes')"),
    wrong("integer_module", "m.to(torch.int64)"),
    wrong("integer_parameter", "nn.Parameter(torch.zeros(2, dtype=torch.int64))"),
)
def test_refusals(program):
    assert isinstance(agree(program), str)


def test_a_failing_layer_is_named():
    model = pellucid.nn.Sequential(pellucid.nn.Linear(4, 2))
    with pytest.raises(RuntimeError, match="mat1 and mat2") as caught:
        model(pellucid.zeros(3, 5))
    assert caught.value.__notes__ == [
        "in module Linear(in_features=4, out_features=2, bias=True), called with (float32[3, 5])"
    ]


def test_pickled_module_keeps_its_values():
    model = pellucid.nn.Sequential(pellucid.nn.Linear(2, 2), pellucid.nn.BatchNorm1d(2))
    again = pickle.loads(pickle.dumps(model))
    for (name, ours), (_, theirs) in zip(
        model.state_dict().items(), again.state_dict().items(), strict=True
    ):
        assert (ours == theirs).all(), name
    assert repr(again) == repr(model)
