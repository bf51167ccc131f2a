"""In-place operations and views: values, gradients, versions, nodes, refusals, beside PyTorch."""

from tests.nn.both import agree, programs


def nodes(*tensors):
    return [None if t.grad_fn is None else t.grad_fn.name() for t in tensors]


def through_a_view(torch):
    x = torch.ones(4, requires_grad=True)
    b = x * 1
    b[:2].mul_(3)
    b.sum().backward()
    return b, x.grad, nodes(b), b._version


def through_chains(torch):
    x = torch.arange(6.0, requires_grad=True)
    b = x * 1
    c = b.view(2, 3)
    d = c.t()
    e = d[1:]
    e.mul_(5)
    c[0].add_(1)
    d.sub_(2)
    (b * torch.arange(6.0)).sum().backward()
    return b, c, d, e, x.grad, nodes(b, c, d, e), [t._version for t in (b, c, d, e)]


def views_before_and_after(torch):
    x = torch.ones(4, requires_grad=True)
    b = x * 2
    early = b[:2]
    b.mul_(3)
    late = b[2:]
    (early.sum() + 10 * late.sum()).backward()
    return early, late, x.grad, nodes(b, early, late), early.is_leaf


def base_without_gradient(torch):
    w = torch.ones(4, requires_grad=True)
    b = torch.zeros(4)
    u, v = b[:2], b[2:]
    flags = [u.requires_grad, b.requires_grad]
    v.add_(w[:2])
    flags += [t.requires_grad for t in (u, v, b)]
    (b * torch.arange(4.0)).sum().backward()
    return flags, w.grad, nodes(b, u, v), u


def base_written_with_gradient(torch):
    w = torch.ones(4, requires_grad=True)
    b = torch.zeros(4)
    v = b.view(2, 2)
    b.copy_(w)
    (v * v).sum().backward()
    return w.grad, nodes(b, v), v.requires_grad


def setitem(torch):
    x = torch.ones(3, 4, requires_grad=True)
    v = torch.full((4,), 2.0, requires_grad=True)
    b = x * 3
    b[1] = v
    b[0, 1:3] = 7
    b[:, 0] = b[:, 3] * 2
    b.sum().backward()
    return b, x.grad, v.grad, nodes(b), b._version


def in_place_on_result(torch):
    x = torch.ones(3, requires_grad=True)
    y = x * 2
    y.add_(1).mul_(x).sub_(0.5)
    y.sum().backward()
    return y, x.grad, nodes(y), y._version


def in_place_makes_require(torch):
    x = torch.ones(3, requires_grad=True)
    y = torch.zeros(3)
    y.add_(x)
    y.sum().backward()
    return y.requires_grad, y.is_leaf, x.grad


def relu_in_place(torch):
    x = torch.tensor([-1.0, 2.0, 3.0], requires_grad=True)
    y = x * 1
    torch.relu_(y)
    y.sum().backward()
    return y, x.grad


def exp_in_place(torch):
    x = torch.tensor([0.1, 0.2], requires_grad=True)
    y = x * 2
    y.exp_()
    (y * y).sum().backward()
    return y, x.grad


def copy_between_dtypes(torch):
    x = torch.ones(3, requires_grad=True)
    y = torch.zeros(3, dtype=torch.float64)
    y.copy_(x)
    y[0] = x[1]
    (y * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    return y, x.grad, nodes(y)


def expanded_source(torch):
    x = torch.ones(1, requires_grad=True)
    y = torch.zeros(2, 3)
    y.copy_(x)
    y[:, 1] = x
    y.sum().backward()
    return x.grad


def detach_shares(torch):
    x = torch.ones(3, requires_grad=True)
    y = x * 2
    d = y.detach()
    d.add_(1)
    e = y.data
    e.mul_(10)
    return y, y._version, d._version, e._version, d.requires_grad, d.is_leaf, d._is_view()


def versions(torch):
    x = torch.zeros(4)
    seen = [x._version]
    for change in (
        lambda: x.add_(1),
        lambda: x.zero_(),
        lambda: x.fill_(2),
        lambda: x.copy_(torch.ones(4)),
        lambda: x.mul_(2),
        lambda: x.__setitem__(0, 5.0),
        lambda: x[1:].sub_(1),
        lambda: x.detach().neg_(),
        lambda: x.data.neg_(),
        lambda: x.view(2, 2).t().exp_(),
        lambda: x.clamp_(0, 1),
        lambda: x.uniform_(),
        lambda: torch.add(x, 1, out=x),
        lambda: x.index_fill_(0, torch.tensor([1]), 3.0),
        lambda: x.masked_fill_(x > 2, 0.0),
    ):
        change()
        seen.append(x._version)
    return seen


def set_data(torch):
    x = torch.ones(3, requires_grad=True)
    y = x * x
    x.data = torch.full((3,), 5.0)
    y.sum().backward()
    return x, x.grad, x._version, x.is_leaf


def retain_then_write(torch):
    x = torch.ones(3, requires_grad=True)
    y = x * 2
    y.retain_grad()
    y.mul_(3)
    y.sum().backward()
    return y.grad, x.grad, y.retains_grad


def retain_view_then_write(torch):
    x = torch.ones(4, requires_grad=True)
    b = x * 2
    v = b[:2]
    v.retain_grad()
    v.mul_(3)
    (b * 5).sum().backward()
    return v.grad, x.grad


def retain_base_then_write_view(torch):
    x = torch.ones(4, requires_grad=True)
    b = x * 2
    b.retain_grad()
    b[:2].mul_(3)
    (b * 5).sum().backward()
    return b.grad, x.grad


def hooks_stay(torch):
    seen = []
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    y.register_hook(lambda g: seen.append(("before", g.tolist())))
    y.mul_(3)
    y.register_hook(lambda g: seen.append(("after", g.tolist())))
    y.sum().backward()
    return seen


def no_grad_view_no_grad_write(torch):
    x = torch.ones(4, requires_grad=True)
    with torch.no_grad():
        x[:2].add_(1)
        x.view(2, 2)[0].mul_(2)
    (x * x).sum().backward()
    return x, x.grad, x._version


def unused_view_of_leaf(torch):
    x = torch.ones(4, requires_grad=True)
    v = x.view(2, 2)
    with torch.no_grad():
        x.mul_(3)
    (v * v).sum().backward()
    return v, x.grad, nodes(v)


def complex_as_real(torch):
    x = torch.tensor([1 + 2j, 3 - 1j], requires_grad=True)
    z = x * 1
    torch.view_as_real(z)[:, 0].mul_(5)
    z.real.add_(1)
    torch.view_as_real(z * (1 + 1j)).sum().backward()
    return z, x.grad, nodes(z)


def real_as_complex(torch):
    x = torch.ones(3, 2, requires_grad=True)
    b = x * 1
    torch.view_as_complex(b)[1:].mul_(2j)
    (b * torch.arange(6.0).view(3, 2)).sum().backward()
    return b, x.grad, nodes(b)


def double_backward_through_slices(torch):
    x = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64, requires_grad=True)

    def f(x):
        b = x * x
        b[1:].mul_(x[:2])
        b[0] = x[2] ** 3
        return b

    return torch.autograd.gradcheck(f, x), torch.autograd.gradgradcheck(f, x)


def split_read_only(torch):
    x = torch.ones(4, requires_grad=True)
    a, b = (x * 2).split(2)
    (a * 3 + b).sum().backward()
    return x.grad, a._is_view(), nodes(a, b), a.output_nr, b.output_nr


def write_through_detached(torch):
    x = torch.ones(3, requires_grad=True)
    y = x.exp()
    y.detach().zero_()
    y.sum().backward()


def leaf(torch):
    torch.ones(3, requires_grad=True).add_(1)


def leaf_item(torch):
    torch.ones(3, requires_grad=True)[0] = 1


def leaf_view(torch):
    torch.ones(3, requires_grad=True)[:2].add_(1)


def leaf_out(torch):
    torch.add(torch.ones(3), 1, out=torch.ones(3, requires_grad=True))


def out_of_required(torch):
    torch.add(torch.ones(3, requires_grad=True), 1, out=torch.ones(3))


def no_grad_view_written(torch):
    x = torch.ones(3, requires_grad=True) * 1
    with torch.no_grad():
        v = x[:2]
    v.add_(1)


def no_grad_view_base_written(torch):
    x = torch.ones(3, requires_grad=True) * 1
    with torch.no_grad():
        v = x[:2]
    x.add_(1)
    return v.grad_fn


def one_of_several_written(torch):
    (torch.ones(4, requires_grad=True) * 1).split(2)[0].add_(1)


def one_of_several_indirect(torch):
    x = torch.ones(4, requires_grad=True) * 1
    parts = x.unbind()
    x.add_(1)
    return parts[1] * 2


def view_of_one_of_several_written(torch):
    with torch.no_grad():
        outer = torch.ones(4, requires_grad=True) * 1
    part = (torch.ones(4, requires_grad=True) * 1).split(2)[0]
    with torch.no_grad():
        inner = part[:1]
    outer.add_(1)
    inner.add_(1)


def saved_output_written(torch):
    y = torch.ones(3, requires_grad=True).exp()
    y.add_(1)
    y.sum().backward()


def saved_input_written(torch):
    w = torch.ones(3)
    y = torch.ones(3, requires_grad=True) * w
    w.add_(1)
    y.sum().backward()


def saved_written_through_view(torch):
    x = torch.ones(3, requires_grad=True) * 1
    y = x * x
    x[:1].zero_()
    y.sum().backward()


def expanded_written(torch):
    torch.zeros(1).expand(3).add_(1)


def detach_in_place_of_view(torch):
    (torch.ones(3, requires_grad=True) * 1)[:2].detach_()


@programs(
    through_a_view,
    through_chains,
    views_before_and_after,
    base_without_gradient,
    base_written_with_gradient,
    setitem,
    in_place_on_result,
    in_place_makes_require,
    relu_in_place,
    exp_in_place,
    copy_between_dtypes,
    expanded_source,
    detach_shares,
    versions,
    set_data,
    retain_then_write,
    retain_view_then_write,
    retain_base_then_write_view,
    hooks_stay,
    no_grad_view_no_grad_write,
    unused_view_of_leaf,
    complex_as_real,
    real_as_complex,
    double_backward_through_slices,
    split_read_only,
)
def test_writes(program):
    agree(program)


@programs(
    write_through_detached,
    leaf,
    leaf_item,
    leaf_view,
    leaf_out,
    out_of_required,
    no_grad_view_written,
    no_grad_view_base_written,
    one_of_several_written,
    one_of_several_indirect,
    view_of_one_of_several_written,
    saved_output_written,
    saved_input_written,
    saved_written_through_view,
    expanded_written,
    detach_in_place_of_view,
)
def test_refusals(program):
    found = agree(program)
    assert isinstance(found, str) and "Error" in found
