"""`backward` and `grad`: what arrives where, in which order, in whose memory; beside PyTorch."""

import copy
import warnings

from tests.nn.both import agree, programs


def diamond(torch):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    a = x * 2
    b = a * a + a
    (b * a).sum().backward()
    return x.grad


def accumulates(torch):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    (x * 2).sum().backward()
    first = x.grad
    (x * 3).sum().backward()
    return x.grad is first, x.grad, first._version


def with_create_graph_a_new_grad(torch):
    warnings.simplefilter("ignore")  # of the reference cycle, which is said once in a process
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward(create_graph=True)
    first = x.grad
    (x * x).sum().backward(create_graph=True)
    return x.grad is first, first, x.grad, x.grad.requires_grad


def never_the_users_tensor(torch):
    x, y = torch.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)
    g = torch.full((3,), 2.0)
    (x + y).backward(g)
    g.zero_()
    return x.grad, y.grad, x.grad.data_ptr() == y.grad.data_ptr()


def never_what_a_hook_kept(torch):
    kept = []
    x = torch.ones(3, requires_grad=True)
    x.register_hook(kept.append)
    (x * 2).sum().backward()
    (x * 2).sum().backward()
    return kept, x.grad, kept[0] is x.grad


def never_a_view_of_anothers(torch):
    x, y = torch.ones(2, 3, requires_grad=True), torch.ones(6, requires_grad=True)
    (x.view(6) + y).backward(torch.arange(6.0))
    x.grad.zero_()
    return y.grad


def never_the_retained(torch):
    x = torch.ones(3, requires_grad=True)
    y = x + 0
    y.retain_grad()
    y.backward(torch.ones(3))
    y.grad.zero_()
    return x.grad


def strides_of_grad(torch):
    dense = torch.ones(2, 3).t().requires_grad_()
    (dense * torch.ones(3, 2)).sum().backward()
    expanded = torch.ones(3).expand(2, 3).requires_grad_()
    (expanded * 2).sum().backward()
    channels = torch.ones(2, 3, 4, 5).contiguous(memory_format=torch.channels_last).requires_grad_()
    (channels * torch.ones(2, 3, 4, 5)).sum().backward()
    strided = torch.ones(4, 4)[:, ::2].requires_grad_()
    strided.sum().backward()
    transposed = torch.ones(2, 3, requires_grad=True)
    (transposed.t() @ torch.ones(2, 2)).sum().backward()
    tensors = (dense, expanded, channels, strided, transposed)
    return [list(t.grad.stride()) for t in tensors]


def of_several(torch):
    x, y = torch.ones(2, requires_grad=True), torch.full((2,), 3.0, requires_grad=True)
    torch.autograd.backward([(x * y).sum(), x * 2], [None, torch.tensor([1.0, 10.0])])
    return x.grad, y.grad


def inputs_only(torch):
    x, y = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    m = x * y
    (m * m).sum().backward(inputs=[x, m])
    return x.grad, y.grad, m.grad


def grad_of_intermediate(torch):
    x = torch.ones(2, requires_grad=True)
    m = x * 3
    out = (m * m).sum()
    return torch.autograd.grad(out, [m, x], retain_graph=True), torch.autograd.grad(out, m), x.grad


def grad_of_itself(torch):
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    return torch.autograd.grad(y, y, torch.ones(2)), torch.autograd.grad(x, x, torch.ones(2))


def unused(torch):
    x, y = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    out = (x * 2).sum()
    return (
        torch.autograd.grad(out, [x, y], allow_unused=True, retain_graph=True),
        torch.autograd.grad(out, [x, y], materialize_grads=True),
    )


def batched(torch):
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x * x
    return torch.autograd.grad(y, x, torch.eye(3), is_grads_batched=True)


def third_order(torch):
    x = torch.tensor([0.5, 1.5], dtype=torch.float64, requires_grad=True)
    g = (x.sin() * x.exp()).sum()
    found = []
    for _ in range(4):
        (g,) = torch.autograd.grad(g.sum(), x, create_graph=True)
        found.append(g)
    return found


def gradient_penalty(torch):
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    w = torch.tensor([[0.5, -1.0], [1.0, 0.3]], requires_grad=True)
    out = (x @ w).tanh().sum()
    (g,) = torch.autograd.grad(out, x, create_graph=True)
    ((g.norm() - 1) ** 2 + out).backward()
    return w.grad, x.grad


def dtypes_come_back(torch):
    x = torch.ones(2, dtype=torch.float64, requires_grad=True)
    y = torch.ones(2, requires_grad=True)
    (x * y).sum().backward()
    half = torch.ones(2, dtype=torch.bfloat16, requires_grad=True)
    (half.float() * 3).sum().backward()
    return x.grad, y.grad, str(half.grad.dtype)


def complex_to_real(torch):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    z = torch.tensor([1 + 1j, 2 - 1j], requires_grad=True)
    (x * z).abs().sum().backward()
    return x.grad, z.grad


def number_gradient(torch):
    x = torch.ones(3, requires_grad=True)
    x.sum().backward(torch.tensor(2.5))
    y = torch.ones(1, 1, requires_grad=True)
    (y * 2).backward()
    return x.grad, y.grad


def gradient_of_other_dtype(torch):
    x = torch.ones(2, requires_grad=True)
    (x * 2).backward(torch.ones(2, dtype=torch.float64))
    return x.grad


def order_of_hooks(torch):
    seen = []

    def told(name):
        def hook(*args):
            flat = [a if isinstance(a, tuple) else (a,) for a in args]
            seen.append((name, [[None if g is None else g.tolist() for g in f] for f in flat]))

        return hook

    x = torch.ones(2, requires_grad=True)
    x.register_hook(told("x"))
    x.register_post_accumulate_grad_hook(lambda p: seen.append(("post", p.grad.tolist())))
    y = x * 3
    y.register_hook(told("y"))
    y.retain_grad()
    node = y.grad_fn
    node.register_prehook(told("before"))
    node.register_hook(told("after"))
    end = node.next_functions[0][0]
    end.register_prehook(told("before end"))
    end.register_hook(told("after end"))
    out = (y * 2).sum()
    torch.autograd.grad(out, [x, y], retain_graph=True)
    seen.append("backward of x")
    out.backward(inputs=[x], retain_graph=True)
    seen.append("backward")
    out.backward()
    return seen, y.grad


def order_of_nodes(torch):
    seen = []
    x = torch.ones(2, requires_grad=True)
    a = x * 2
    b = x * 3
    c = a + b
    d = b * c
    for name, tensor in zip("abcd", (a, b, c, d), strict=True):
        tensor.register_hook(lambda g, name=name: seen.append(name))
    d.sum().backward()
    return seen


def replacing_hooks(torch):
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    y.register_hook(lambda g: g * 10)
    handle = y.register_hook(lambda g: g + 1)
    y.grad_fn.register_hook(lambda gi, go: (gi[0] * 100, None))
    out = y.sum()
    out.backward(retain_graph=True)
    first = x.grad.clone()
    handle.remove()
    handle.remove()
    x.grad = None
    out.backward()
    return first, x.grad


def hook_for_a_block(torch):
    x = torch.ones(2, requires_grad=True)
    with x.register_hook(lambda g: g * 5):
        x.sum().backward()
    x.sum().backward()
    return x.grad


def hook_removed_by_itself(torch):
    x = torch.ones(2, requires_grad=True)
    seen = []
    handle = x.register_hook(lambda g: (seen.append(1), handle.remove())[0])
    x.register_hook(lambda g: seen.append(2))
    x.sum().backward()
    x.sum().backward()
    return seen


def post_accumulate_frees(torch):
    x = torch.ones(2, requires_grad=True)

    def step(p):
        with torch.no_grad():
            p.sub_(p.grad * 0.1)
        p.grad = None

    x.register_post_accumulate_grad_hook(step)
    (x * 2).sum().backward()
    return x, x.grad


def retained(torch):
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    y.retain_grad()
    y.retain_grad()
    y.register_hook(lambda g: g * 7)
    (y * 3).sum().backward()
    return y.grad, x.grad, y.retains_grad, x.retains_grad


def graph_by_hand(torch):
    x = torch.ones(2, requires_grad=True)
    y = torch.cat([x, x.detach() * 2, x * 3]).exp()
    names, node = [], y.grad_fn
    names.append(node.name())
    for follower, number in node.next_functions[0][0].next_functions:
        names.append((None if follower is None else follower.name(), number))
    return names, type(node).__name__, y.grad_fn._saved_result.detach(), node(torch.ones(6))


def leaves(torch):
    x = torch.ones(2, requires_grad=True)
    made = [x, x * 1, x.detach(), torch.ones(2), torch.ones(2) * 2, x.view(2), x.data]
    return [(t.is_leaf, t.requires_grad, t.grad_fn is None, t.output_nr) for t in made]


def deep_copy_of_leaf(torch):
    x = torch.ones(2, requires_grad=True)
    x.sum().backward()
    y = copy.deepcopy(x)
    y.grad.mul_(5)
    return x.grad, y.grad, y.requires_grad, y.is_leaf


def no_gradient_through_integers(torch):
    x = torch.tensor([1.5, 2.5], requires_grad=True)
    return x.long().requires_grad, (x > 2).requires_grad, x.argmax().requires_grad


def saved_by_formula_only_if_needed(torch):
    x, w = torch.ones(3, requires_grad=True), torch.ones(3)
    y = x + w
    w.add_(1)
    y.sum().backward()
    z = x * w
    x.data.add_(1)
    z.sum().backward()
    return x.grad


def second_time_without_saved(torch):
    x = torch.ones(3, requires_grad=True)
    y = x + 1
    y.sum().backward()
    y.sum().backward()
    return x.grad


def second_time(torch):
    y = torch.ones(3, requires_grad=True).exp()
    y.sum().backward()
    y.sum().backward()


def not_a_scalar(torch):
    torch.ones(3, requires_grad=True).mul(2).backward()


def complex_scalar(torch):
    (torch.ones(1, requires_grad=True) * 1j).backward()


def no_graph(torch):
    torch.ones(3).sum().backward()


def wrong_shape(torch):
    torch.ones(3, requires_grad=True).mul(2).backward(torch.ones(2))


def real_for_complex(torch):
    (torch.ones(2, requires_grad=True) * 1j).backward(torch.ones(2))


def wrong_count(torch):
    x = torch.ones(3, requires_grad=True)
    torch.autograd.grad([x.sum(), x.sum()], x, [None])


def unused_input(torch):
    x, y = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    torch.autograd.grad(x.sum(), [x, y])


def no_inputs(torch):
    torch.autograd.grad(torch.ones(2, requires_grad=True).sum(), [])


def no_backward_inputs(torch):
    torch.ones(2, requires_grad=True).sum().backward(inputs=[])


def input_without_grad(torch):
    torch.autograd.grad(torch.ones(2, requires_grad=True).sum(), torch.ones(2))


def materialise_and_refuse(torch):
    x = torch.ones(2, requires_grad=True)
    torch.autograd.grad(x.sum(), x, allow_unused=False, materialize_grads=True)


def hook_of_other_shape(torch):
    x = torch.ones(3, requires_grad=True)
    x.register_hook(lambda g: g[:1])
    x.sum().backward()


def hook_of_other_dtype(torch):
    x = torch.ones(3, requires_grad=True)
    x.register_hook(lambda g: g.double())
    x.sum().backward()


def hook_returns_number(torch):
    x = torch.ones(3, requires_grad=True)
    x.register_hook(lambda g: 3)
    x.sum().backward()


def node_hook_of_wrong_length(torch):
    y = torch.ones(3, requires_grad=True) * 2
    y.grad_fn.register_hook(lambda i, o: (i[0],))
    y.sum().backward()


def hook_without_grad(torch):
    torch.ones(3).register_hook(print)


def retain_without_grad(torch):
    torch.ones(3).retain_grad()


def post_hook_on_result(torch):
    (torch.ones(3, requires_grad=True) * 2).register_post_accumulate_grad_hook(print)


def integer_leaf(torch):
    torch.ones(3, dtype=torch.int64).requires_grad_()


def integer_factory(torch):
    torch.ones(3, dtype=torch.int64, requires_grad=True)


def flag_of_result(torch):
    y = torch.ones(3, requires_grad=True) * 2
    y.requires_grad = False


def flag_is_number(torch):
    torch.ones(3).requires_grad_(1)


def flag_set_to_text(torch):
    torch.ones(3).requires_grad = "yes"


def grad_of_other_shape(torch):
    torch.ones(3, requires_grad=True).grad = torch.ones(2)


def grad_of_other_dtype(torch):
    torch.ones(3, requires_grad=True).grad = torch.ones(3, dtype=torch.float64)


def grad_is_number(torch):
    torch.ones(3, requires_grad=True).grad = 3


def grad_is_itself(torch):
    x = torch.ones(3, requires_grad=True)
    x.grad = x


def numpy_of_required(torch):
    torch.ones(3, requires_grad=True).numpy()


def freed_saved(torch):
    y = torch.ones(3, requires_grad=True).exp()
    y.sum().backward()
    return y.grad_fn._saved_result


def grad_of_result_warns(torch):
    return (torch.ones(3, requires_grad=True) * 2).grad


@programs(
    diamond,
    accumulates,
    with_create_graph_a_new_grad,
    never_the_users_tensor,
    never_what_a_hook_kept,
    never_a_view_of_anothers,
    never_the_retained,
    strides_of_grad,
    of_several,
    inputs_only,
    grad_of_intermediate,
    grad_of_itself,
    unused,
    batched,
    third_order,
    gradient_penalty,
    dtypes_come_back,
    complex_to_real,
    number_gradient,
    gradient_of_other_dtype,
    order_of_hooks,
    order_of_nodes,
    replacing_hooks,
    hook_for_a_block,
    hook_removed_by_itself,
    post_accumulate_frees,
    retained,
    graph_by_hand,
    leaves,
    deep_copy_of_leaf,
    no_gradient_through_integers,
    saved_by_formula_only_if_needed,
    second_time_without_saved,
    grad_of_result_warns,
)
def test_backward(program):
    agree(program)


@programs(
    second_time,
    not_a_scalar,
    complex_scalar,
    no_graph,
    wrong_shape,
    real_for_complex,
    wrong_count,
    unused_input,
    no_inputs,
    no_backward_inputs,
    input_without_grad,
    materialise_and_refuse,
    hook_of_other_shape,
    hook_of_other_dtype,
    hook_returns_number,
    node_hook_of_wrong_length,
    hook_without_grad,
    retain_without_grad,
    post_hook_on_result,
    integer_leaf,
    integer_factory,
    flag_of_result,
    flag_is_number,
    flag_set_to_text,
    grad_of_other_shape,
    grad_of_other_dtype,
    grad_is_number,
    grad_is_itself,
    numpy_of_required,
    freed_saved,
)
def test_refusals(program):
    found = agree(program)
    assert isinstance(found, str) and "Error" in found
