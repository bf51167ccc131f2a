"""`torch.autograd.graph`, anomaly mode, `Variable` and the profiler, beside PyTorch where it has
the same words.
"""

import warnings

import pytest

import pellucid
from tests.nn.both import agree, programs


def packed(torch):
    seen = []
    x = torch.tensor([1.0, 2.0], requires_grad=True)

    def pack(t):
        seen.append(("pack", t.tolist()))
        return t.tolist()

    def unpack(values):
        seen.append(("unpack", values))
        return torch.tensor(values)

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        y = x * x
        z = y.exp()
    w = z * z
    w.sum().backward()
    return x.grad, seen


def nested_hooks(torch):
    seen = []
    x = torch.tensor([0.1, 0.2], requires_grad=True)

    def hooks(name):
        return torch.autograd.graph.saved_tensors_hooks(
            lambda t: (seen.append(name), t)[1], lambda t: t
        )

    with hooks("outer"):
        y = x.exp()
        with hooks("inner"):
            y = y.exp()
        y = y.exp()
    y.sum().backward()
    return seen, x.grad


def on_cpu(torch):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    w = torch.tensor([3.0, 4.0])
    with torch.autograd.graph.save_on_cpu():
        y = x * w
    w.zero_()
    y.sum().backward()
    return x.grad


def mutation_allowed(torch):
    x = torch.ones(3, requires_grad=True)
    with torch.autograd.graph.allow_mutation_on_saved_tensors():
        y = x * 2
        z = (y * y).sum()
        y.sin_()
        z.backward()
    return x.grad


def packs_second_order(torch):
    x = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        y = (x.exp() * x).sum()
        (g,) = torch.autograd.grad(y, x, create_graph=True)
        (h,) = torch.autograd.grad(g.sum(), x)
    return g, h


def hooks_forbidden(torch):
    with (
        torch.autograd.graph.disable_saved_tensors_hooks("not here"),
        torch.autograd.graph.save_on_cpu(),
    ):
        pass


def unpack_gives_number(torch):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: 1, lambda n: n):
        y = x.exp()
    y.sum().backward()


def pack_writes(torch):
    x = torch.tensor([1.0, 2.0], requires_grad=True) * 1
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.detach().add_(1), lambda t: t):
        x * x


def all_gradients(torch):
    seen = []
    a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    c, d = a * b, a * b * 2
    handle = torch.autograd.graph.register_multi_grad_hook(
        (a, b, c, d), lambda grads: seen.append([None if g is None else g.tolist() for g in grads])
    )
    c.sum().backward(retain_graph=True)
    c.sum().backward(inputs=(a,), retain_graph=True)
    (c + d).sum().backward(retain_graph=True)
    handle.remove()
    c.sum().backward()
    return seen


def any_gradient(torch):
    seen = []
    a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    c = a * b
    torch.autograd.graph.register_multi_grad_hook(
        (a, b, c), lambda grad: seen.append(grad.tolist()), mode="any"
    )
    (c * 3).sum().backward(retain_graph=True)
    (c * 5).sum().backward()
    return seen


def unknown_mode(torch):
    torch.autograd.graph.register_multi_grad_hook((), print, mode="some")


def edges(torch):
    x = torch.ones(2, requires_grad=True)
    y = x * 3
    out = (y * y).sum()
    edge = torch.autograd.graph.get_gradient_edge(y)
    leaf = torch.autograd.graph.get_gradient_edge(x)
    found = torch.autograd.grad(out, [edge, leaf], retain_graph=True)
    again = torch.autograd.grad(edge, x, torch.ones(2))
    return found, again, edge.output_nr, isinstance(edge.node, torch.autograd.graph.Node)


def edge_of_nothing(torch):
    torch.autograd.graph.get_gradient_edge(torch.ones(2))


def version_counted(torch):
    x = torch.ones(2)
    torch.autograd.graph.increment_version(x)
    torch.autograd.graph.increment_version([x, x])
    return x._version


def nan_found(torch):
    with torch.autograd.set_detect_anomaly(True):
        x = torch.zeros(2, requires_grad=True)
        (x / x).sum().backward()


def nan_not_looked_for(torch):
    with torch.autograd.set_detect_anomaly(True, check_nan=False):
        x = torch.zeros(2, requires_grad=True)
        (x / x).sum().backward()
    return x.grad, torch.is_anomaly_enabled()


def told_of(torch):
    with torch.autograd.detect_anomaly():
        pass
    return torch.is_anomaly_enabled()


def old_variable(torch):
    V = torch.autograd.Variable
    x = V(torch.ones(2), requires_grad=True)
    y = V(x * 2)
    return x.requires_grad, y.requires_grad, isinstance(x, V), isinstance(3, V), type(x).__name__


@programs(
    packed,
    nested_hooks,
    on_cpu,
    mutation_allowed,
    packs_second_order,
    all_gradients,
    any_gradient,
    edges,
    version_counted,
    nan_not_looked_for,
    told_of,
    old_variable,
)
def test_tools(program):
    agree(program)


@programs(hooks_forbidden, unpack_gives_number, pack_writes, unknown_mode, edge_of_nothing)
def test_refusals(program):
    found = agree(program)
    assert isinstance(found, str) and "Error" in found


def test_nan_tells_where_the_gradient_came_from():
    with (
        pytest.warns(UserWarning, match=r"(?s)Error detected in DivBackward0.*nan_found"),
        pytest.raises(
            RuntimeError, match="Function 'DivBackward0' returned nan values in its 1th output"
        ),
    ):
        nan_found(pellucid)


def test_an_error_tells_both_writer_and_reader():
    x = pellucid.ones(3, requires_grad=True)
    y = x.exp()
    y.add_(1)
    with pytest.raises(
        RuntimeError, match=r"(?s)output 0 of Exp, is at version 1.*add_ was the last"
    ):
        y.sum().backward()


def test_second_order_anomalies_name_the_first_order():
    with pellucid.autograd.set_detect_anomaly(True):
        x = pellucid.ones(2, requires_grad=True)
        y = x.exp()
        (g,) = pellucid.autograd.grad((y * y).sum(), x, create_graph=True)
        with pellucid.no_grad():
            y.add_(1)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                g.sum().backward()
    first, second = (str(warning.message) for warning in told)
    assert "Error detected in MulBackward0" in first
    assert "Previous calculation was induced by ExpBackward0" in second


class TestProfiler:
    def test_counts_operators(self):
        x = pellucid.ones(10, requires_grad=True)
        with pellucid.autograd.profiler.profile(record_shapes=True) as found:
            with pellucid.autograd.profiler.record_function("forward"):
                y = (x * 2).exp()
            y.sum().backward()
        counts = {row.key: row.count for row in found.key_averages()}
        assert counts["aten::exp"] == counts["forward"] == counts["aten::sum"] == 1
        assert counts["ExpBackward0"] == counts["MulBackward0"] == 1
        assert counts["aten::mul"] >= 2
        (exp,) = [event for event in found if event.name == "aten::exp"]
        assert exp.input_shapes == [[10]]

    def test_own_time_leaves_out_what_is_inside(self):
        profile = pellucid.autograd.profiler.profile()
        with profile, pellucid.autograd.profiler.record_function("outer"):
            pellucid.ones(10) + 1
        outer = next(event for event in profile if event.name == "outer")
        inner = [event for event in profile if event.name != "outer"]
        assert outer.self_cpu_time_total == pytest.approx(
            outer.cpu_time_total - sum(event.cpu_time_total for event in inner)
        )

    def test_table(self):
        with pellucid.autograd.profiler.profile() as found:
            for _ in range(3):
                pellucid.ones(4) + 1
        text = found.key_averages().table(sort_by="cpu_time_total", row_limit=5)
        assert "Self CPU time total: " in text
        (line,) = [line for line in text.splitlines() if "aten::add" in line]
        assert line.split()[-1] == "3"

    def test_decorator(self):
        @pellucid.autograd.profiler.record_function("step")
        def step():
            return 5

        with pellucid.autograd.profiler.profile() as found:
            assert step() + step() == 10
        assert [row.count for row in found.key_averages()] == [2]

    def test_an_error_stops_listening(self):
        with pytest.raises(ValueError, match="stop"), pellucid.autograd.profiler.profile() as found:
            raise ValueError("stop")
        pellucid.ones(2) + 1
        assert len(found.function_events) == 0
