"""Hooks: when they run, what they are given, what their results replace."""

from tests.nn.both import agree, programs


def forward_hooks(torch):
    seen = []
    m = torch.nn.ReLU()
    m.register_forward_pre_hook(lambda mod, args: (args[0] - 1,))
    m.register_forward_pre_hook(lambda mod, args: seen.append(args[0].tolist()))
    m.register_forward_hook(lambda mod, args, out: out * 10)
    handle = m.register_forward_hook(lambda mod, args, out: seen.append(out.tolist()), prepend=True)
    first = m(torch.tensor([0.0, 3.0]))
    handle.remove()
    return first, m(torch.tensor([5.0])), seen


def hooks_with_kwargs(torch):
    class Scale(torch.nn.Module):
        def forward(self, x, by=1):
            return x * by

    m = Scale()
    m.register_forward_pre_hook(lambda mod, a, k: (a, {"by": k["by"] + 1}), with_kwargs=True)
    m.register_forward_hook(lambda mod, a, k, out: out + k["by"], with_kwargs=True)
    return m(torch.tensor([2.0]), by=2)


def bad_pre_hook(torch):
    m = torch.nn.ReLU()
    m.register_forward_pre_hook(lambda mod, a, k: 3, with_kwargs=True)
    m(torch.zeros(1))


def always_called(torch):
    seen = []

    class Fails(torch.nn.Module):
        def forward(self, x):
            raise ValueError("broken.")

    m = Fails()
    m.register_forward_hook(lambda mod, a, out: seen.append(out), always_call=True)
    m.register_forward_hook(lambda mod, a, out: seen.append("never"))
    m.register_forward_hook(lambda mod, a, out: 1 / 0, always_call=True)
    try:
        m(torch.zeros(1))
    except ValueError as error:
        return seen, str(error)


def full_backward(torch):
    seen = []
    m = torch.nn.Linear(2, 2)
    m.register_full_backward_pre_hook(lambda mod, gout: (gout[0] * 2,))
    m.register_full_backward_hook(lambda mod, gin, gout: seen.append((gin, gout)))
    m.register_full_backward_hook(lambda mod, gin, gout: (gin[0] * 10,))
    x = torch.ones(1, 2, requires_grad=True)
    m(x).sum().backward()
    return seen, x.grad, m.weight.grad


def backward_with_other_arguments(torch):
    seen = []

    class Mix(torch.nn.Module):
        def forward(self, x, factor, y):
            return x * factor + y, factor

    m = Mix()
    m.register_full_backward_hook(lambda mod, gin, gout: seen.append((gin, gout)))
    x = torch.ones(2, requires_grad=True)
    out, _ = m(x, 3, torch.ones(2))
    out.sum().backward()
    return seen, x.grad


def backward_without_input_gradient(torch):
    seen = []
    m = torch.nn.Linear(2, 1)
    m.register_full_backward_hook(lambda mod, gin, gout: seen.append((gin, gout)))
    m(torch.ones(1, 2)).sum().backward()
    return seen, m.weight.grad


def wrong_number_of_gradients(torch):
    m = torch.nn.Linear(2, 1)
    m.register_full_backward_hook(lambda mod, gin, gout: (gin[0], None))
    m(torch.ones(1, 2, requires_grad=True)).sum().backward()


def mixed_backward_hooks(torch):
    m = torch.nn.ReLU()
    m.register_full_backward_hook(lambda *args: None)
    m.register_backward_hook(lambda *args: None)


def old_backward_hook(torch):
    seen = []
    m = torch.nn.ReLU()
    m.register_backward_hook(lambda mod, gin, gout: seen.append((gin, gout)))
    x = torch.tensor([1.0, -1.0], requires_grad=True)
    (m(x * 1) * 3).sum().backward()
    return seen, x.grad


def global_hooks(torch):
    seen = []
    where = torch.nn.modules.module
    handles = [
        where.register_module_forward_pre_hook(lambda mod, args: seen.append("pre")),
        where.register_module_forward_hook(lambda mod, args, out: out + 1),
        where.register_module_full_backward_hook(lambda mod, gin, gout: seen.append(gin)),
        where.register_module_parameter_registration_hook(lambda mod, name, p: seen.append(name)),
        where.register_module_module_registration_hook(lambda mod, name, m: seen.append(name)),
        where.register_module_buffer_registration_hook(lambda mod, name, b: seen.append(name)),
    ]
    try:
        m = torch.nn.Sequential(torch.nn.ReLU())
        torch.nn.BatchNorm1d(1)
        x = torch.ones(1, requires_grad=True)
        out = m(x)
        out.sum().backward()
    finally:
        for handle in handles:
            handle.remove()
    return out, m(x), seen


def handle_as_context(torch):
    m = torch.nn.ReLU()
    with m.register_forward_hook(lambda mod, args, out: out + 1):
        inside = m(torch.zeros(1))
    return inside, m(torch.zeros(1))


@programs(
    forward_hooks,
    hooks_with_kwargs,
    bad_pre_hook,
    always_called,
    full_backward,
    backward_with_other_arguments,
    backward_without_input_gradient,
    wrong_number_of_gradients,
    mixed_backward_hooks,
    old_backward_hook,
    global_hooks,
    handle_as_context,
)
def test_hooks(program):
    agree(program)
