"""Compiled functions against eager mode: values, shapes, strides, aliasing, guards, refusals."""

import dataclasses
import gc
import threading

import numpy as np
import pytest

import pellucid as torch
import pellucid.nn.functional as F
from pellucid import nn
from pellucid.compiler import plan
from pellucid.compiler.compiled import compile
from pellucid.compiler.plan import Buffer, EagerStep, arrange
from pellucid.compiler.trace import DataDependent
from pellucid.models import resnet18


def flat(result):
    return list(result) if isinstance(result, (tuple, list)) else [result]


def agree(function, *args, tolerance=1e-5):
    """Compiled twice and eager: equal up to rounding, with the same layout."""
    compiled = compile(function)
    with torch.no_grad():
        wanted, first, second = function(*args), compiled(*args), compiled(*args)
    for eager, *others in zip(flat(wanted), flat(first), flat(second), strict=True):
        for other in others:
            assert (other.shape, other.dtype, other.stride()) == (
                eager.shape, eager.dtype, eager.stride())  # fmt: skip
            scale = max(float(eager.double().abs().max()), 1e-30) if eager.numel() else 1.0
            if eager.numel():
                assert float((eager.double() - other.double()).abs().max()) <= tolerance * scale
    return compiled


def eager_steps(compiled):
    plan = next(iter(compiled.plans.values())).plan
    return [step.label for step in plan.planner.steps if isinstance(step, EagerStep)]


def randomise(model):
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model.eval()


@pytest.mark.parametrize("shape", [(1, 3, 64, 64), (3, 3, 97, 65)])
def test_resnet(shape):
    torch.manual_seed(0)
    compiled = agree(randomise(resnet18()), torch.randn(shape), tolerance=3e-5)
    assert eager_steps(compiled) == []


def test_transformer_encoder():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(64, 4, 128, activation="gelu", batch_first=True)
    compiled = agree(nn.TransformerEncoder(layer, 2).eval(), torch.randn(2, 5, 64))
    assert eager_steps(compiled) == []


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(10, 16)
        self.qkv = nn.Linear(16, 48)
        self.norm = nn.LayerNorm(16)

    def forward(self, index):
        x = self.table(index)
        heads = [part.view(*index.shape, 4, 4).transpose(1, 2) for part in self.qkv(x).chunk(3, -1)]
        q, k, v = heads
        o = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
        w = (q @ k.transpose(-1, -2) / 2.0).softmax(-1) @ v
        return (
            self.norm(o + x).mean(1) * 2 + 1, torch.cat([x, x[:, 1:]], 1), F.gelu(x),
            x.masked_fill(index[..., None] > 3, 0.0), torch.where(x > 0, x, -x), x[:, 0], w,
            (x + 1).exp().clamp(0.5, 2) * 3, x.sum(), x.argmax(-1),
        )  # fmt: skip


def test_rows_a_page_apart_are_spread():
    """The hidden layer's rows of 4 KiB, the input's too; a reader that is no product, and none."""
    torch.manual_seed(0)
    perceptron = nn.Sequential(nn.Linear(1024, 1024), nn.GELU(), nn.Linear(1024, 40)).eval()
    compiled = agree(perceptron, torch.randn(2, 30, 1024))
    assert eager_steps(compiled) == []
    hidden = perceptron[:2]
    agree(hidden, torch.randn(30, 1024))
    agree(lambda x: (hidden(x) * 2, perceptron[2](hidden(x))), torch.randn(30, 1024))
    agree(lambda x: perceptron[2](hidden(x).view(5, 6, 1024)), torch.randn(30, 1024))


def test_a_model_of_many_operators():
    torch.manual_seed(0)
    agree(Mixed().eval(), torch.randint(0, 10, (2, 5)))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.clone().mul_(2.0),
        lambda x: x.clone().add_(x, alpha=3),
        lambda x: (x.t() + 1, x.t().contiguous()),
        lambda x: x.view(-1)[::2] * 2,
        lambda x: x.expand(3, 4, 6) + x[:, :1],
        lambda x: torch.stack([x, x + 1], 1),
        lambda x: (x.double() @ x.double().t()).float(),
        lambda x: F.conv1d(x[None], x[:, None, :3], groups=4),
        lambda x: x.new_zeros(3) + 1,
        lambda x: torch.arange(6.0) * x,
        lambda x: x.cumsum(0),
        lambda x: x.max(1),
        lambda x: (x > 0, (x > 0)[1:], x.to(torch.bfloat16), x.to(torch.int8)),
        lambda x: (x.double(), torch.complex(x, x), x.long().t(), x.bool().t().contiguous()),
        lambda x: (x.half() * 2).float(),
        lambda x: x[:0] + 1,
        lambda x: torch.where(x > 0, x, x.new_zeros(())),
    ],
)
def test_small_functions(function):
    agree(function, torch.randn(4, 6))


def test_activations_after_products_of_other_dimensions():
    torch.manual_seed(0)
    for model, shape in (
        (nn.Sequential(nn.Conv1d(3, 4, 3), nn.ReLU()), (2, 3, 9)),
        (nn.Sequential(nn.Conv3d(3, 4, 2), nn.GELU()), (2, 3, 4, 4, 4)),
        (nn.Sequential(nn.ConvTranspose2d(3, 4, 2), nn.ReLU()), (2, 3, 4, 4)),
        (nn.Sequential(nn.Linear(3, 4), nn.GELU(approximate="tanh")), (3,)),
        (nn.Sequential(nn.Conv2d(4, 8, 3, groups=2, dilation=2), nn.SiLU()), (1, 4, 9, 9)),
        (nn.Sequential(nn.Conv2d(8, 8, 3, groups=8), nn.Hardswish()), (1, 8, 9, 9)),
        (nn.Sequential(nn.Linear(3, 4), nn.ReLU()).double(), (2, 3)),
        (nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU()), (0, 2, 3, 3)),
    ):
        x = torch.randn(shape)
        agree(model.eval(), x.double() if model[0].weight.dtype is torch.float64 else x)


def test_writes_through_views():
    def function(x):
        y = x.clone()
        top = y[:2]
        part = top[:, 1:3]
        part.mul_(10.0)
        y[3] = 7.0
        top.add_(1.0)
        return y, part, top * 2

    agree(function, torch.randn(4, 6))


def test_writes_to_inputs_reach_them():
    def function(x):
        x.add_(1.0)
        return x * 2

    compiled = compile(function)
    for _ in range(3):
        x = torch.randn(3, 4)
        before, version = x.clone(), x._version
        result = compiled(x)
        assert torch.equal(x, before + 1) and torch.equal(result, (before + 1) * 2)
        assert x._version > version


def test_buffers_that_the_model_changes():
    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("seen", torch.zeros(2))

        def forward(self, x):
            self.seen.add_(x.sum(0))
            return x + self.seen

    model, other = Counter(), Counter()
    compiled = compile(model)
    for _ in range(3):
        x = torch.randn(3, 2)
        torch.testing.assert_close(compiled(x), other(x))
        torch.testing.assert_close(model.seen, other.seen)


def test_outputs_alias_as_in_eager_mode():
    compiled = compile(lambda x: (x.t(), (y := x + 1), y[1:]))
    for _ in range(2):
        x = torch.randn(3, 4)
        view, y, part = compiled(x)
        assert view.data_ptr() == x.data_ptr() and view.stride() == (1, 4)
        part.zero_()
        assert float(y[1:].abs().sum()) == 0 and float(y[0].abs().sum()) > 0


def test_changed_parameters_are_noticed():
    model = nn.Linear(4, 3).eval()
    compiled, x = compile(model), torch.randn(2, 4)
    with torch.no_grad():
        compiled(x)
        model.weight.mul_(2.0)
        torch.testing.assert_close(compiled(x), model(x))
        model.load_state_dict({"weight": torch.ones(3, 4), "bias": torch.zeros(3)})
        torch.testing.assert_close(compiled(x), model(x))
        model.weight = nn.Parameter(torch.zeros(3, 4))
        torch.testing.assert_close(compiled(x), model(x))


def test_settings_of_modules_are_noticed():
    class Scale(nn.Module):
        factor, steps = 2.0, (1, 2)

        def __init__(self):
            super().__init__()
            self.factor = 3.0
            self.inner = nn.LeakyReLU(0.1)

        def forward(self, x):
            self.seen = x
            return self.inner(x) * self.factor

    model = Scale().eval()
    compiled = compile(model)
    x = torch.randn(5)
    with torch.no_grad():
        for _ in range(2):
            assert torch.equal(compiled(x), model(x))
        first = next(iter(compiled.plans.values()))
        model.inner.negative_slope = 0.5
        assert torch.equal(compiled(x), model(x))
        compiled.factor = 4.0
        assert torch.equal(compiled(x), model(x)) and model.factor == 4.0
        second = next(iter(compiled.plans.values()))
        model.seen = None
        assert torch.equal(compiled(x), model(x))
        assert second is next(iter(compiled.plans.values())) is not first


def test_the_training_mode_is_part_of_the_plan():
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
    compiled, x = compile(model), torch.ones(1, 4)
    with torch.no_grad():
        model.eval()
        assert torch.equal(compiled(x), compiled(x))
        model.train()
        assert len({tuple(compiled(x).flatten().tolist()) for _ in range(20)}) > 1


def test_gradients_are_those_of_the_original():
    model = nn.Linear(4, 3)
    x = torch.randn(2, 4)
    compile(model)(x).sum().backward()
    torch.testing.assert_close(model.weight.grad, x.sum(0).expand(3, 4).contiguous())


def test_shapes_that_change_get_plans_of_their_own():
    model = randomise(resnet18(num_classes=5))
    compiled = compile(model)
    with torch.no_grad():
        for shape in ((1, 3, 40, 40), (2, 3, 40, 40), (1, 3, 33, 47), (1, 3, 40, 40)):
            x = torch.randn(shape)
            torch.testing.assert_close(compiled(x), model(x), rtol=1e-3, atol=1e-4)
    assert len(compiled.plans) == 3


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: x if x.sum() > 0 else -x, r"bool\(x\) needs the value"),
        (lambda x: x * x.max().item(), r"x.item\(\) needs the value"),
        (lambda x: torch.tensor(x.tolist()), r"x.tolist\(\) needs the value"),
        (lambda x: x * float(x[0, 0]), r"float\(x\) needs the value"),
    ],
)
def test_control_flow_on_values_is_refused_with_the_line(function, words):
    with pytest.raises(DataDependent, match=words) as caught:
        compile(function)(torch.randn(2, 2))
    assert "test_compile.py:" in str(caught.value)


class TestValuesAskedFor:
    """Of tensors that do not depend on the inputs."""

    def test_constants_made_inside(self):
        def function(x):
            mask = torch.full((3, 3), float("-inf")).triu(1)
            return x + 1 if bool((mask[0, 1:] < 0).all()) else x

        agree(function, torch.randn(3))

    def test_captured_tensors_are_watched(self):
        flag, scale = torch.tensor(1), torch.tensor([2.0, 3.0])

        def function(x):
            if flag.item():
                x = x * 2
            return x + int((scale * 2).sum())

        compiled = compile(function)
        x = torch.randn(4)
        for change in (lambda: None, lambda: flag.zero_(), lambda: scale.add_(1)):
            change()
            assert torch.equal(compiled(x), function(x))
            assert torch.equal(compiled(x), function(x))

    def test_not_if_the_function_writes_to_them(self):
        count = torch.zeros(())

        def function(x):
            if count.item() < 0:
                return x
            count.add_(1)
            return x * 2

        with pytest.raises(DataDependent, match=r"needs the value of a tensor"):
            compile(function)(torch.randn(3))

    def test_a_mask_of_a_transformer_encoder(self):
        torch.manual_seed(0)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        encoder = nn.TransformerEncoder(layer, 1).eval()
        mask = nn.Transformer.generate_square_subsequent_mask(6)
        agree(lambda x: encoder(x, mask=mask), torch.randn(2, 6, 16))


def test_an_index_outside_an_embedding_is_refused_at_each_call():
    compiled = compile(nn.Embedding(4, 3).eval())
    with torch.no_grad():
        compiled(torch.tensor([0, 3]))
        with pytest.raises(IndexError, match="index out of range in self"):
            compiled(torch.tensor([0, 4]))
        compiled(torch.tensor([0, 3]))


def test_structures_of_arguments_and_results():
    def function(pair, *, named):
        return {"sum": pair[0] + named["x"], "both": [pair[1], (pair[0] * 2,)]}

    a, b = torch.randn(2), torch.randn(2)
    result = compile(function)((a, b), named={"x": b})
    torch.testing.assert_close(result["sum"], a + b)
    assert isinstance(result["both"][1], tuple)


def test_arguments_that_could_change_unnoticed_are_refused():
    compiled = compile(lambda x, other: x + float(other[0]))
    with pytest.raises(
        TypeError, match="cannot take a ndarray: changes of it would not be noticed"
    ):
        compiled(torch.ones(2), np.ones(1))


def test_fields_of_a_dataclass_are_arguments():
    @dataclasses.dataclass
    class Pair:
        x: torch.Tensor
        factor: float

    compiled = compile(lambda pair: pair.x * pair.factor)
    for factor in (2.0, 3.0, 2.0):
        assert torch.equal(compiled(Pair(torch.ones(2), factor)), torch.full((2,), factor))


def test_four_threads_call_one_function():
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)).eval()
    compiled = compile(model)
    inputs = [torch.randn(n, 8) for n in (1, 2, 3, 4)]
    with torch.no_grad():
        wanted = [model(x) for x in inputs]
    failures = []

    def work(number):
        for i in range(2500):
            which = (i + number) % 4
            with torch.no_grad():
                if not torch.allclose(compiled(inputs[which]), wanted[which], atol=1e-5):
                    failures.append(which)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_buffers_that_live_at_once_do_not_overlap():
    spans = [(0, 2, 100), (1, 3, 200), (3, 5, 50), (4, 4, 300), (0, 5, 64)]
    buffers = []
    for first, last, size in spans:
        buffer = Buffer("arena", size)
        buffer.first, buffer.last = first, last
        buffers.append(buffer)
    total = arrange(buffers)
    for i, a in enumerate(buffers):
        for b in buffers[:i]:
            if a.first <= b.last and b.first <= a.last:
                assert a.offset + a.nbytes <= b.offset or b.offset + b.nbytes <= a.offset
    assert total < sum(size for *_, size in spans) + 64 * len(spans)


def test_plans_for_several_sizes_share_their_packed_weights():
    torch.manual_seed(0)
    model = randomise(nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(),
                                    nn.Conv2d(16, 16, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                                    nn.Linear(16, 5)))  # fmt: skip
    gc.collect()
    before = len(plan._packed)
    compiled = agree(model, torch.randn(1, 3, 20, 20))
    after = len(plan._packed)
    assert after == before + 3
    with torch.no_grad():
        for size in (21, 22):
            x = torch.randn(2, 3, size, size)
            torch.testing.assert_close(compiled(x), model(x), rtol=1e-4, atol=1e-5)
        assert len(plan._packed) == after
        model[1].weight.mul_(2)
        torch.testing.assert_close(compiled(x), model(x), rtol=1e-4, atol=1e-5)
    del compiled
    gc.collect()
    assert len(plan._packed) == before


class TestSketches:
    """Traces that compute no products."""

    def test_constants_behind_a_product_are_computed(self):
        torch.manual_seed(0)
        left, right = torch.randn(5, 6), torch.randn(6, 7)
        agree(lambda x: (x @ (left @ right).relu() + 1, left @ right, (left @ right).T),
              torch.randn(4, 5))  # fmt: skip

    def test_nothing_that_was_there_is_written_with_its_numbers(self):
        torch.manual_seed(0)
        weight, kept = torch.randn(4, 4), torch.zeros(3, 4)

        def function(x):
            kept.copy_(x @ weight)
            x += 1
            return kept * 2

        compiled = compile(function)
        for _ in range(2):
            x = torch.randn(3, 4)
            wanted = x @ weight
            torch.testing.assert_close(compiled(given := x.clone()), wanted * 2)
            torch.testing.assert_close(kept, wanted)
            torch.testing.assert_close(given, x + 1)

    def test_random_numbers_are_those_of_eager_mode(self):
        weight = torch.randn(4, 4)
        function = lambda x: F.dropout(x @ weight, 0.5)
        compiled = compile(function)
        x = torch.randn(8, 4)
        for _ in range(2):
            torch.manual_seed(3)
            wanted, then = function(x), torch.rand(1)
            torch.manual_seed(3)
            torch.testing.assert_close(compiled(x), wanted)
            assert torch.equal(torch.rand(1), then)

    def test_an_operator_that_refuses_zeros_is_traced_in_earnest(self):
        x = torch.eye(3) * 2
        compiled = compile(lambda x: torch.linalg.inv(x @ x))
        torch.testing.assert_close(compiled(x), torch.eye(3) / 4)
        torch.testing.assert_close(compiled(x), torch.eye(3) / 4)
