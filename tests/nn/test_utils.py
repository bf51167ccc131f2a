"""Helpers: clipping, vectors of parameters, norms of weights, parametrisations, fusion."""

from tests.nn.both import agree, programs


def with_gradients(torch):
    m = torch.nn.Linear(3, 2)
    m(torch.rand(4, 3)).pow(2).sum().backward()
    return m


def clip_norm(torch):
    m = with_gradients(torch)
    utils = torch.nn.utils
    norms = [utils.clip_grad_norm_(m.parameters(), 0.5), utils.clip_grad_norm_(m.weight, 9.0)]
    norms.append(utils.clip_grad_norm_(m.parameters(), 0.1, norm_type=float("inf")))
    norms.append(utils.get_total_norm([]))
    return norms, m.weight.grad, m.bias.grad


def clip_value(torch):
    m = with_gradients(torch)
    torch.nn.utils.clip_grad_value_(m.parameters(), 0.2)
    return m.weight.grad, m.bias.grad


def clip_nonfinite(torch):
    m = with_gradients(torch)
    m.weight.grad[0, 0] = float("nan")
    torch.nn.utils.clip_grad_norm_(m.parameters(), 1.0, error_if_nonfinite=True)


def clip_empty_generator(torch):
    return torch.nn.utils.clip_grad_norm_((p for p in []), 1.0)


def vectors(torch):
    m = torch.nn.Linear(3, 2)
    vector = torch.nn.utils.parameters_to_vector(m.parameters())
    torch.nn.utils.vector_to_parameters(vector.detach() * 2, m.parameters())
    return vector, m.weight, m.bias


def vector_type(torch):
    torch.nn.utils.vector_to_parameters([1], [])


def old_weight_norm(torch):
    m = torch.nn.utils.weight_norm(torch.nn.Linear(3, 2))
    out = m(torch.ones(1, 3))
    out.sum().backward()
    names, grads = list(m.state_dict()), [p.grad for p in m.parameters()]
    torch.nn.utils.remove_weight_norm(m)
    return out, names, grads, m.weight, [n for n, _ in m.named_parameters()]


def new_weight_norm(torch):
    m = torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv1d(2, 3, 2), dim=None)
    old = {"weight_g": torch.tensor(2.0), "weight_v": torch.ones(3, 2, 2), "bias": torch.ones(3)}
    m.load_state_dict(old)
    return m.weight, list(m.state_dict()), repr(m)


def old_spectral_norm(torch):
    m = torch.nn.utils.spectral_norm(torch.nn.Linear(3, 2))
    outs = [m(torch.ones(1, 3)) for _ in range(2)]
    m.eval()
    outs.append(m(torch.ones(1, 3)))
    state = m.state_dict()
    meta = {key: str(value) for key, value in state._metadata.items()}
    torch.nn.utils.remove_spectral_norm(m)
    return outs, dict(state), meta, m.weight


def new_spectral_norm(torch):
    m = torch.nn.utils.parametrizations.spectral_norm(torch.nn.ConvTranspose1d(2, 3, 2))
    out = m(torch.ones(1, 2, 4))
    out.sum().backward()
    return out, m.weight, [p.grad for p in m.parameters()], list(m.state_dict())


def symmetric(torch):
    class Symmetric(torch.nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).transpose(-1, -2)

        def right_inverse(self, a):
            return a.triu()

    return Symmetric()


def parametrized(torch):
    parametrize = torch.nn.utils.parametrize
    m = torch.nn.Linear(3, 3)
    parametrize.register_parametrization(m, "weight", symmetric(torch))
    names = [n for n, _ in m.named_parameters()]
    m.weight = torch.ones(3, 3) * 2
    with parametrize.cached():
        same = m.weight is m.weight
    fresh = m.weight is m.weight
    parts = repr(m), type(m).__name__, parametrize.type_before_parametrizations(m).__name__
    value = m.weight
    parametrize.remove_parametrizations(m, "weight")
    left = [n for n, _ in m.named_parameters()], type(m).__name__, m.weight
    return names, same, fresh, parts, value, left


def parametrization_of_nothing(torch):
    parametrize = torch.nn.utils.parametrize
    parametrize.register_parametrization(torch.nn.ReLU(), "weight", symmetric(torch))


def parametrization_that_changes_shape(torch):
    parametrize = torch.nn.utils.parametrize
    parametrize.register_parametrization(torch.nn.Linear(2, 3), "weight", torch.nn.Flatten(0))


def orthogonal_weight(torch):
    m = torch.nn.utils.parametrizations.orthogonal(torch.nn.Linear(3, 3))
    weight = m.weight
    return weight @ weight.t(), list(m.state_dict())


def fused(torch):
    conv, bn = torch.nn.Conv1d(2, 3, 2), torch.nn.BatchNorm1d(3)
    bn(conv(torch.rand(4, 2, 5)))
    conv.eval(), bn.eval()
    joined = torch.nn.utils.fuse_conv_bn_eval(conv, bn)
    return joined.weight, joined.bias


def fused_in_training(torch):
    torch.nn.utils.fuse_conv_bn_eval(torch.nn.Conv1d(2, 3, 2), torch.nn.BatchNorm1d(3))


def other_parameters(torch):
    call = torch.nn.utils.stateless._functional_call
    m = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    given = {"0.weight": torch.eye(2), "1.running_mean": torch.ones(2)}
    out = call(m, given, torch.tensor([[1.0, 2.0], [3.0, 5.0]]))
    return out, given, m[0].weight, m[1].running_mean


def strict_names(torch):
    call = torch.nn.utils.stateless._functional_call
    call(torch.nn.Linear(1, 1), {"weights": torch.zeros(1)}, torch.zeros(1), strict=True)


def without_draws(torch):
    m = torch.nn.utils.skip_init(torch.nn.Linear, 2, 3)
    return repr(m), torch.rand(2)


@programs(
    clip_norm,
    clip_value,
    clip_nonfinite,
    clip_empty_generator,
    vectors,
    vector_type,
    old_weight_norm,
    new_weight_norm,
    old_spectral_norm,
    new_spectral_norm,
    parametrized,
    parametrization_of_nothing,
    parametrization_that_changes_shape,
    orthogonal_weight,
    fused,
    fused_in_training,
    other_parameters,
    strict_names,
    without_draws,
)
def test_utils(program):
    agree(program, rtol=2e-5)
