"""Containers: indexing, arithmetic, printing, refusals."""

from collections import OrderedDict
from itertools import pairwise

from tests.nn.both import agree, programs


def layers(torch, *sizes):
    return [torch.nn.Linear(a, b) for a, b in pairwise(sizes)]


def sequential(torch):
    m = torch.nn.Sequential(*layers(torch, 1, 2, 3, 4))
    m[1] = torch.nn.ReLU()
    m.insert(0, torch.nn.Identity()).append(torch.nn.Tanh())
    taken = m.pop(1)
    del m[-1]
    return repr(m), repr(taken), repr(m[:2]), repr(m[-1]), len(m), list(m.state_dict())


def sequential_arithmetic(torch):
    a = torch.nn.Sequential(torch.nn.ReLU())
    b = torch.nn.Sequential(torch.nn.Tanh())
    c = (a + b) * 2
    a += b
    b *= 2
    return repr(c), repr(a), repr(b), repr(2 * a)


def named_sequential(torch):
    m = torch.nn.Sequential(OrderedDict(first=torch.nn.ReLU(), second=torch.nn.Tanh()))
    return repr(m), repr(m.first), m(torch.tensor([-1.0, 1.0]))


def module_list(torch):
    m = torch.nn.ModuleList(layers(torch, 2, 2, 2, 3))
    m.insert(1, torch.nn.ReLU())
    m.extend([torch.nn.Tanh()])
    m += [torch.nn.Tanh()]
    del m[0]
    both = m + [torch.nn.ReLU()]
    popped = repr(m.pop(-1))
    return repr(m), repr(both), popped, repr(m[1:]), len(m), [n for n, _ in m.named_parameters()]


def module_dict(torch):
    m = torch.nn.ModuleDict({"b": torch.nn.ReLU(), "a": torch.nn.Tanh()})
    m.update([("c", torch.nn.Linear(1, 1))])
    m["d"] = torch.nn.Identity()
    taken = m.pop("b")
    return repr(m), repr(taken), list(m), "a" in m, len(m), list(m.keys()), len(m.values())


def parameter_list(torch):
    m = torch.nn.ParameterList([torch.zeros(2), torch.nn.Parameter(torch.ones(1, 3))])
    m.append(3).extend([torch.zeros(())])
    m[0] = torch.ones(5)
    m += [torch.zeros(1)]
    names = [n for n, _ in m.named_parameters()]
    return repr(m), repr(m[1:3]), len(m), names, list(m.state_dict()), m[-1]


def parameter_dict(torch):
    m = torch.nn.ParameterDict({"b": torch.zeros(2), "a": torch.ones(1)})
    m["c"] = 5
    other = torch.nn.ParameterDict([("d", torch.zeros(1))])
    merged = m | other
    m |= {"e": torch.zeros(1)}
    found = m.setdefault("f", torch.ones(2)), m.get("x", 7), m.popitem()[0], m.pop("b")
    return repr(m), repr(merged), list(m), list(reversed(m)), found, list(m.copy().keys())


def tied_in_list(torch):
    layer = torch.nn.Linear(1, 1)
    return repr(torch.nn.ModuleList([layer, layer, torch.nn.ReLU()]))


def empty(torch):
    nn = torch.nn
    kinds = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)
    return [repr(kind()) for kind in kinds]


def wrong(name, expression):
    def program(torch):
        return eval(expression, {"torch": torch, "nn": torch.nn, "s": torch.nn.Sequential})

    program.__name__ = name
    return program


@programs(
    sequential,
    sequential_arithmetic,
    named_sequential,
    module_list,
    module_dict,
    parameter_list,
    parameter_dict,
    tied_in_list,
    empty,
    wrong("sequential_index", "s(nn.ReLU())[1]"),
    wrong("sequential_add", "s() + [nn.ReLU()]"),
    wrong("sequential_times", "s(nn.ReLU()) * 0"),
    wrong("sequential_times_type", "s(nn.ReLU()) * 1.5"),
    wrong("sequential_insert", "s().insert(2, nn.ReLU())"),
    wrong("list_extend", "nn.ModuleList().extend(3)"),
    wrong("list_index", "nn.ModuleList()[0]"),
    wrong("list_member", "nn.ModuleList([3])"),
    wrong("dict_update", "nn.ModuleDict().update(3)"),
    wrong("dict_pair", "nn.ModuleDict().update([(1, 2, 3)])"),
    wrong("parameter_list_tensor", "nn.ParameterList().extend(torch.zeros(3))"),
    wrong("parameter_dict_key", "nn.ParameterDict()[3]"),
    wrong("parameter_list_called", "nn.ParameterList()()"),
    wrong("container", "repr(nn.Container(a=nn.ReLU()))"),
)
def test_containers(program):
    agree(program)
