"""`state_dict` and `load_state_dict`: what is saved, what is refused, what is advised."""

import pytest

import pellucid
from tests.nn.both import agree, programs


def two(torch):
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))


def saved(torch):
    state = two(torch).state_dict(prefix="net.")
    return dict(state), dict(state._metadata)


def loaded(torch):
    source, target = two(torch), two(torch)
    result = target.load_state_dict(source.state_dict())
    return str(result), target.state_dict(), target[0].weight is source[0].weight


def shares_memory(torch):
    m = two(torch)
    m.state_dict()["0.bias"].fill_(5)
    return m[0].bias


def kept_variables(torch):
    m = two(torch)
    return m.state_dict(keep_vars=True)["0.weight"] is m[0].weight


def positional(torch):
    return list(two(torch).state_dict({}, "a."))


def not_strict(torch):
    m = two(torch)
    state = m.state_dict()
    del state["0.bias"]
    state["more"] = torch.zeros(1)
    return str(m.load_state_dict(state, strict=False))


def assigned(torch):
    m = two(torch)
    state = {k: v.double() for k, v in two(torch).state_dict().items()}
    m.load_state_dict(state, assign=True)
    return m[0].weight, m[1].running_mean, isinstance(m[0].weight, torch.nn.Parameter)


def one_element_for_scalar(torch):
    m = two(torch)
    state = m.state_dict()
    state["1.num_batches_tracked"] = torch.tensor([4])
    m.load_state_dict(state)
    return m[1].num_batches_tracked


def old_batch_norm(torch):
    m = two(torch)
    state = dict(m.state_dict())
    del state["1.num_batches_tracked"]
    return str(m.load_state_dict(state)), m[1].num_batches_tracked


class Extra:
    @staticmethod
    def make(torch):
        class WithExtra(torch.nn.Linear):
            def get_extra_state(self):
                return {"steps": 3}

            def set_extra_state(self, state):
                self.steps = state["steps"]

        return WithExtra(1, 1)


def extra_state(torch):
    m = Extra.make(torch)
    state = m.state_dict()
    m.load_state_dict(state)
    return list(state), m.steps


def extra_state_missing(torch):
    m = Extra.make(torch)
    state = m.state_dict()
    del state["_extra_state"]
    m.load_state_dict(state)


def state_hooks(torch):
    seen = []
    m = two(torch)
    m.register_state_dict_pre_hook(lambda mod, prefix, keep: seen.append(("pre", prefix, keep)))
    m.register_state_dict_post_hook(lambda mod, s, prefix, meta: seen.append(("post", len(s))))
    m.register_load_state_dict_pre_hook(lambda mod, s, *rest: s.pop("junk", None))
    m.register_load_state_dict_post_hook(lambda mod, keys: keys.missing_keys.clear())
    state = m.state_dict()
    state["junk"] = 1
    del state["0.bias"]
    return str(m.load_state_dict(state)), seen


def hook_result_refused(torch):
    m = two(torch)
    m.register_state_dict_post_hook(lambda *args: {})
    m.state_dict()


def wrong_type(torch):
    two(torch).load_state_dict([1])


def missing_key(torch):
    state = two(torch).state_dict()
    del state["0.bias"]
    two(torch).load_state_dict(state)


def unexpected_key(torch):
    state = two(torch).state_dict()
    state["2.bias"] = torch.zeros(1)
    two(torch).load_state_dict(state)


def wrong_size(torch):
    state = two(torch).state_dict()
    state["0.bias"] = torch.zeros(7)
    two(torch).load_state_dict(state)


def not_a_tensor(torch):
    state = two(torch).state_dict()
    state["0.bias"] = "seven"
    two(torch).load_state_dict(state)


@programs(
    saved,
    loaded,
    shares_memory,
    kept_variables,
    positional,
    not_strict,
    assigned,
    one_element_for_scalar,
    old_batch_norm,
    extra_state,
    extra_state_missing,
    state_hooks,
    hook_result_refused,
    wrong_type,
    missing_key,
    unexpected_key,
    wrong_size,
    not_a_tensor,
)
def test_state(program):
    agree(program)


def state_of(model, change):
    return {change(key): value for key, value in model.state_dict().items()}


def advised(change, match):
    model = two(pellucid)
    with pytest.raises(RuntimeError, match=match):
        model.load_state_dict(state_of(model, change))


def test_advice_for_a_wrapped_model():
    advised(lambda key: "module." + key, r"hint: every missing key is there with 'module\.'")


def test_advice_for_a_renamed_key():
    advised(
        lambda key: key.replace("running_mean", "running_means"),
        r"hint: 1\.running_mean is missing; is it the one called 1\.running_means in this state\?",
    )


def test_advice_for_a_checkpoint_around_the_state():
    model = two(pellucid)
    with pytest.raises(RuntimeError, match=r"hint: .*load checkpoint\['model'\]"):
        model.load_state_dict({"model": model.state_dict(), "epoch": 3})


def test_advice_for_a_buffer_that_is_not_saved():
    model = two(pellucid)
    model.register_buffer("mask", pellucid.zeros(2), persistent=False)
    with pytest.raises(RuntimeError, match="hint: mask is a buffer registered with persistent="):
        model.load_state_dict(model.state_dict() | {"mask": pellucid.zeros(2)})


def test_no_advice_without_a_reason():
    model = two(pellucid)
    state = model.state_dict()
    del state["0.bias"]
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "0\.bias"\. $'):
        model.load_state_dict(state)
