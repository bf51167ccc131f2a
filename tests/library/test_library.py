"""`torch.library`: the same operators defined in PyTorch and here, called and differentiated."""

import pytest
import torch

import pellucid

BOTH = pytest.mark.parametrize("engine", [torch, pellucid], ids=["torch", "pellucid"])
_made = 0


def fresh(short: str) -> str:
    """A name no operator has yet."""
    global _made
    _made += 1
    return f"lib{_made}::{short}"


def annotated(engine, function, **annotations):
    """`function` with the engine's own types as annotations."""
    function.__annotations__ = annotations
    return function


def sine(engine, **options):
    name = fresh("sine")
    function = annotated(
        engine,
        lambda x, factor=2.0: x.sin() * factor,
        x=engine.Tensor,
        factor=float,
        **{"return": engine.Tensor},
    )
    return name, engine.library.custom_op(name, function, mutates_args=(), **options)


def setup(ctx, inputs, output):
    x, ctx.factor = inputs
    ctx.needed = ctx.needs_input_grad
    ctx.save_for_backward(x)


def cosine(ctx, grad):
    (x,) = ctx.saved_tensors
    return grad * x.cos() * ctx.factor, None


@BOTH
def test_an_operator_is_called_and_found(engine):
    name, op = sine(engine)
    space, _, short = name.partition("::")
    x = engine.tensor([0.5, 1.0])
    wanted = (x.sin() * 3).tolist()
    found = getattr(getattr(engine.ops, space), short)
    for call in (op, found, found.default):
        assert call(x, 3.0).tolist() == wanted
        assert call(factor=3.0, x=x).tolist() == wanted
    assert op(x).tolist() == (x.sin() * 2).tolist()
    assert str(found.default) == f"{space}.{short}.default"
    assert repr(found) == f"<OpOverloadPacket(op='{space}.{short}')>"
    assert repr(op) == f"<CustomOpDef({name})>"
    assert found.default.name() == name
    with pytest.raises(AttributeError, match=f"'{space}' object has no attribute 'nothing'"):
        _ = getattr(engine.ops, space).nothing


@BOTH
def test_its_gradient_is_what_was_registered(engine):
    name, op = sine(engine)
    x = engine.tensor([0.5, 1.0], requires_grad=True)
    label = name.replace("::", "_")
    assert type(op(x).grad_fn).__name__ == f"GeneratedBackwardFor_{label}_defaultBackward"
    with pytest.raises(RuntimeError, match="no autograd formula was registered"):
        op(x).sum().backward()
    op.register_autograd(cosine, setup_context=setup)
    op(x, 3.0).sum().backward()
    assert x.grad.tolist() == (x.detach().cos() * 3).tolist()
    assert not op(x.detach()).requires_grad


@BOTH
def test_lists_of_tensors_and_several_outputs(engine):
    def pair(x, others, *, shift=1):
        return x + shift, sum(others) * x

    types = {"x": engine.Tensor, "others": list[engine.Tensor], "shift": int}
    types["return"] = tuple[engine.Tensor, engine.Tensor]
    pair = annotated(engine, pair, **types)
    op = engine.library.custom_op(fresh("pair"), pair, mutates_args=())

    def backward(ctx, first, second):
        x, *others = ctx.saved_tensors
        return first + second * sum(others), [second * x for _ in others]

    def keep(ctx, inputs, keyword_only_inputs, output):
        x, others = inputs
        assert keyword_only_inputs == {"shift": 5}
        ctx.save_for_backward(x, *others)

    op.register_autograd(backward, setup_context=keep)
    x, y, z = (engine.tensor([v], requires_grad=True) for v in (2.0, 3.0, 4.0))
    first, second = op(x, [y, z], shift=5)
    assert (first.item(), second.item()) == (7.0, 14.0)
    (first + 2 * second).backward()
    assert [t.grad.item() for t in (x, y, z)] == [15.0, 4.0, 4.0]


@BOTH
def test_writing_to_an_argument(engine):
    def grow(x):
        x.add_(1)

    grow = annotated(engine, grow, x=engine.Tensor, **{"return": None})
    op = engine.library.custom_op(fresh("grow"), grow, mutates_args={"x"})
    x = engine.zeros(2)
    version = x._version
    assert op(x) is None
    assert x.tolist() == [1, 1]
    assert x._version > version


@BOTH
def test_a_library_defines_and_implements(engine):
    space = fresh("").removesuffix("::")
    library = engine.library.Library(space, "DEF")
    assert library.define("scale(Tensor x, int n=2, *, str note='a, b') -> Tensor") == "scale"
    scale = getattr(engine.ops, space).scale
    library.impl("scale", lambda x, n=2, *, note="a, b": x * n * len(note), "CPU")
    assert scale(engine.ones(1)).item() == 8
    assert scale(engine.ones(1), n=3, note="").item() == 0
    engine.library.define(f"{space}::other", "(Tensor x) -> Tensor")
    with pytest.raises(NotImplementedError, match="Could not run"):
        getattr(engine.ops, space).other(engine.ones(1))
    engine.library.impl(f"{space}::other", "cpu")(lambda x: x + 1)
    assert getattr(engine.ops, space).other(engine.ones(1)).item() == 2
    library.define("plain(Tensor x) -> Tensor")
    library.impl("plain", lambda x: x * x)
    x = engine.tensor([3.0], requires_grad=True)
    getattr(engine.ops, space).plain(x).backward()
    assert x.grad.item() == 6


@BOTH
@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda op, x: op(), RuntimeError, "is missing value for argument 'x'"),
        (lambda op, x: op(x, 1.0, 2.0), RuntimeError, r"expected at most 2 argument\(s\)"),
        (lambda op, x: op("a"), RuntimeError, "Expected a value of type 'Tensor' for argument 'x'"),
        (lambda op, x: op(x, "a"), RuntimeError, "Expected a value of type 'float'"),
        (lambda op, x: op(x, other=1), RuntimeError, "Unknown keyword argument 'other'"),
    ],
)
def test_refused_arguments(engine, call, kind, words):
    _, op = sine(engine)
    with pytest.raises(kind, match=words):
        call(op, engine.ones(1))


@BOTH
def test_refused_definitions(engine):
    library = engine.library
    with pytest.raises(ValueError, match="Parameter x must have a type annotation"):
        library.custom_op(fresh("f"), lambda x: x, mutates_args=())
    typed = annotated(engine, lambda x: None, x=engine.Tensor, **{"return": None})
    with pytest.raises(ValueError, match=r"\{'y'\} in mutates_args were not found"):
        library.custom_op(fresh("f"), typed, mutates_args={"y"})
    with pytest.raises(ValueError, match="Unsupported kind: NEW"):
        library.Library("mine", "NEW")
    same = library.custom_op(
        fresh("same"), lambda x: x, mutates_args=(), schema="(Tensor x) -> Tensor"
    )
    with pytest.raises(RuntimeError, match="may not alias any inputs"):
        same(engine.ones(1))


@pytest.mark.parametrize(
    "annotations",
    [
        {"x": "Tensor", "return": "Tensor"},
        {"x": "Tensor | None", "n": int, "return": None},
        {"x": "list[Tensor]", "s": str, "b": bool, "return": "tuple[Tensor, Tensor]"},
        {"f": list[float], "k": int | float | bool, "o": int | None, "return": "list[Tensor]"},
        {"d": "dtype", "e": "device", "return": int},
    ],
)
def test_schemas_are_inferred_as_by_pytorch(annotations):
    arguments = ", ".join(name for name in annotations if name != "return")
    found = []
    for engine in (torch, pellucid):
        function = eval(f"lambda {arguments}: 0")
        space = {"Tensor": engine.Tensor, "dtype": engine.dtype, "device": engine.device}
        function.__annotations__ = {
            name: eval(kind, space) if isinstance(kind, str) else kind
            for name, kind in annotations.items()
        }
        found.append(engine.library.infer_schema(function, mutates_args={"x"} & set(annotations)))
    assert found[1] == found[0]
