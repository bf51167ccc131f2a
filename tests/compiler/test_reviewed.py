"""What a plan may not take for granted: who keeps what, who is the same, who else is at work."""

import functools
import gc
import threading
import time

import pytest

import pellucid as torch
import pellucid.nn.functional as F
from pellucid import nn
from pellucid.compiler.compiled import compile
from pellucid.tensor.events import listeners
from pellucid.tensor.meta import counted


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def test_tables_that_a_module_keeps_have_their_numbers():
    class Rotary(nn.Module):
        def __init__(self):
            super().__init__()
            self.size = 0

        def forward(self, x):
            if x.shape[0] > self.size:
                self.size = x.shape[0]
                self.cos = (torch.ones(4, 1) @ torch.arange(self.size).float()[None]).t().cos()
            return x * self.cos[: x.shape[0]]

    compiled, twin = compile(Rotary().eval()), Rotary().eval()
    for rows in (6, 3, 8):
        x = torch.randn(rows, 4)
        torch.testing.assert_close(compiled(x), twin(x))


def test_a_cached_product_is_a_product():
    @functools.lru_cache
    def table(n):
        return torch.arange(4.0 * n).view(n, 4) @ torch.ones(4, 4)

    class Uses(nn.Module):
        def forward(self, x):
            return x + table(len(x))

    x = torch.randn(3, 4)
    torch.testing.assert_close(compile(Uses().eval())(x), x + table(3))
    assert float(table(3).sum()) == 264


def test_what_hooks_and_attributes_keep_has_its_numbers():
    kept = []

    class Seen(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
            self.inner[0].register_forward_hook(lambda module, args, out: kept.append(out))

        def forward(self, x):
            self.last = self.inner(x)
            return self.last * 2

    torch.manual_seed(0)
    model = Seen().eval()
    x = torch.randn(2, 4)
    found = compile(model)(x)
    assert len(kept) == 1
    torch.testing.assert_close(kept[0], model.inner[0](x))
    torch.testing.assert_close(model.last * 2, found)


def test_a_hook_that_comes_later_runs():
    model = nn.Sequential(nn.Linear(3, 3)).eval()
    compiled, x = compile(model), torch.randn(2, 3)
    compiled(x)
    model[0].register_forward_hook(lambda module, args, out: out * 0 + 42)
    assert (compiled(x) == 42).all()


def test_plain_tensors_of_modules_are_watched():
    class Shifted(nn.Module):
        def __init__(self):
            super().__init__()
            self.shift = torch.ones(3)

        def forward(self, x):
            return x + self.shift

    model = Shifted().eval()
    compiled, x = compile(model), torch.zeros(3)
    for shift in (1.0, 1.0, 7.0):
        model.shift = torch.full((3,), shift)
        assert compiled(x).tolist() == [shift] * 3


def test_writes_through_data_are_noticed():
    model = nn.Linear(3, 2).eval()
    compiled, x = compile(model), torch.randn(4, 3)
    for change in (lambda: None, lambda: model.weight.data.copy_(torch.zeros(2, 3)),
                   lambda: model.bias.data.mul_(3), lambda: model.weight.data.add_(1)):  # fmt: skip
        change()
        torch.testing.assert_close(compiled(x), model(x))
        torch.testing.assert_close(compiled(x), model(x))


def test_inputs_that_are_one_tensor_are_another_kind_of_call():
    compiled = compile(lambda a, b: a * 2 + b)
    x, y = torch.ones(3), torch.full((3,), 10.0)
    assert compiled(x, x).tolist() == [3.0] * 3 and compiled(x, y).tolist() == [12.0] * 3

    def written(a, b):
        a.add_(1)
        return b * 1

    compiled = compile(written)
    compiled(torch.zeros(3), torch.zeros(3))
    z = torch.zeros(3)
    assert compiled(z, z).tolist() == [1.0] * 3


def test_an_input_that_was_captured_too():
    w = torch.full((3,), 5.0)
    compiled = compile(lambda a: a + w)
    assert compiled(w).tolist() == [10.0] * 3
    assert compiled(torch.zeros(3)).tolist() == [5.0] * 3
    assert compiled(w).tolist() == [10.0] * 3


def test_constants_are_given_out_anew():
    compiled = compile(lambda x: (x + 1, torch.zeros(3)))
    compiled(torch.ones(3))
    compiled(torch.ones(3))[1].add_(1)
    assert compiled(torch.ones(3))[1].tolist() == [0.0] * 3


def test_generators_of_their_own_draw_again():
    one, two = (torch.Generator().manual_seed(0) for _ in range(2))
    compiled = compile(lambda x: x + torch.rand(3, generator=one))
    for _ in range(3):
        assert torch.equal(compiled(torch.zeros(3)), torch.rand(3, generator=two))


def test_gradients_flow_to_what_nested_code_names():
    found = [torch.ones(3, requires_grad=True) for _ in range(70)]

    def total(x):
        return sum(w.mul(x).sum() for w in _weights())

    def _weights():
        return found

    with torch.enable_grad():
        assert compile(total)(torch.ones(3)).requires_grad


def test_settings_count_in_training_too():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.w, self.factor = nn.Parameter(torch.ones(3)), 2.0

        def forward(self, x):
            return (self.w * x * self.factor).sum()

    model = Scaled()
    compiled, x = compile(model), torch.ones(3)
    with torch.enable_grad():
        for factor in (2.0, 2.0, 10.0):
            model.factor = factor
            assert float(compiled(x).detach()) == 3 * factor


def test_two_functions_compiled_by_two_threads():
    failures = []

    def work(number):
        def function(x):
            y = x * number
            time.sleep(0.05)
            return y + 1

        try:
            with torch.no_grad():
                compiled = compile(function)
                for _ in range(3):
                    assert compiled(torch.ones(2)).tolist() == [number + 1.0] * 2
        except Exception as error:
            failures.append(error)

    before = list(listeners)
    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and listeners == before


def test_other_threads_do_not_enter_a_trace():
    buffer, stop, errors = torch.zeros(2), threading.Event(), []

    def add():
        try:
            with torch.no_grad():
                while not stop.is_set():
                    buffer.add_(1)
                    time.sleep(0.001)
        except BaseException as error:
            errors.append(error)

    class Slow(nn.Module):
        def forward(self, x):
            y = x * 2
            time.sleep(0.05)
            return y + 1

    other = threading.Thread(target=add)
    other.start()
    try:
        for model in (Slow().eval(), Slow()):
            compiled = compile(model)
            for _ in range(2):
                assert compiled(torch.ones(2)).tolist() == [3.0, 3.0]
    finally:
        stop.set()
        other.join()
    assert not errors


def test_a_meta_tensor_that_dies_in_a_trace():
    held = [torch.empty(3, device="meta")]

    def function(x):
        held.clear()
        return x * 2 + 1

    compile(function)(torch.ones(4))
    gc.collect()
    assert not counted.living and listeners == []


@pytest.mark.parametrize("size", [(0, 3), (3, 0)])
def test_means_of_nothing(size):
    compiled = compile(lambda x: (x.mean(), x.sum(0)))
    for _ in range(2):
        assert compiled(torch.zeros(size))[0].isnan()


def test_bool_numbers_and_signs_of_zero():
    x = torch.tensor([1.0, -2.0])
    compiled = compile(lambda x: (x * True, torch.where(x > 0, x, True), x + False))
    for _ in range(2):
        assert [each.tolist() for each in compiled(x)] == [[1, -2], [1, 1], [1, -2]]
    divided = compile(lambda x, a: x / a)
    assert divided(x, 0.0)[0] == float("inf") and divided(x, -0.0)[0] == float("-inf")


@pytest.mark.parametrize("shift", [1e4, 1e6])
def test_large_logits_keep_their_digits(shift):
    x = (torch.randn(300, 200) + shift).float()
    exact = x.double().log_softmax(-1)
    for found in (x.log_softmax(-1), compile(lambda x: x.log_softmax(-1))(x)):
        assert float((found.double() - exact).abs().max()) < 1e-5
    classes = torch.arange(300) % 200
    loss = F.cross_entropy(x.double(), classes)
    assert abs(float(F.cross_entropy(x, classes)) - float(loss)) < 1e-5
