"""The loop language: grammar, builder, verifier, passes, printer."""

import importlib
import pkgutil
import re

import pytest

import pellucid.kernels
from pellucid.kernels import jit
from pellucid.kernels.gemm import gemm
from pellucid.kernels.gemm_low import gemm_low
from pellucid.kernels.kernel import Kernel, kernel, kernels
from pellucid.kernels.language import nodes
from pellucid.kernels.language.builder import Builder
from pellucid.kernels.language.nodes import OPERATIONS, Value
from pellucid.kernels.language.text import program_text
from pellucid.kernels.language.types import BF16, F32, I64, parse
from pellucid.kernels.language.verify import InvalidProgram, verify
from pellucid.kernels.llvm import print_program
from pellucid.kernels.passes import PASSES, run_passes
from pellucid.kernels.target import TARGETS

SETTINGS = {
    "gemm": {"bias": True, "residual": True, "activation": "gelu"},
    "conv_windows": {"bias": True, "residual": False, "activation": "relu", "in_place": False},
    "conv_depthwise": {"bias": True, "residual": False, "activation": ""},
    "winograd": {"m": 4, "shared": True, "bias": True, "residual": True, "activation": "relu"},
    "gemm_low": {"kind": "bf16", "out": "both", "bias": True, "residual": "bf16"},
    "conv_low": {
        "kind": "i8",
        "out": "bf16",
        "bias": True,
        "residual": "f32",
        "activation": "relu",
        "in_place": False,
    },
    "winograd_low": {
        "m": 2,
        "shared": True,
        "out": "both",
        "bias": True,
        "residual": "bf16",
        "activation": "relu",
    },
    "batch_norm_backward": {"affine": True},
    "batch_norm_train": {"affine": True, "running": True},
    "winograd_weights": {"m": 4},
    "numbers_of": {"kind": "i64"},
    "layer_norm": {"add": True, "weight": True, "bias": True},
    "normalise_rows": {"weight": True, "bias": True, "centre": True},
    "normalise_rows_slope": {"weight": True, "centre": True},
    "plane_sums": {"grad": True},
    "pool": {"how": "max"},
    "transform_filters": {"m": 4},
    "update": {"expressions": (("add", ("in", 0), ("in", 1)),), "kinds": "vs"},
    "weight_gradient": {"taps": True, "unit": False},
    "attention": {"mask": True, "causal": False},
    "attention_low": {"mask": True, "causal": True, "out": "both"},
    "pointwise": {"expression": ("add", ("in", 0), ("in", 1)), "kinds": "vg", "rank": 1},
}
"""Settings of the kernels that need some."""
for module in pkgutil.iter_modules(pellucid.kernels.__path__, "pellucid.kernels."):
    importlib.import_module(module.name)  # which enters the kernels that are described there
KERNELS = sorted(name for name, each in kernels.items() if each.write.__module__.count(".") == 2)
"""Those of this room itself; `kernels/loops` writes programs for whole steps."""


def scale(target="avx2"):
    b = Builder(TARGETS[target], "scale", "x: ptr, out: ptr, n: i64, factor: f32")
    x, out, n, factor = b.parameters
    with b.loop("i", 0, n, b.lanes) as i:
        b.store(b.load(x, i, b.f32) * factor, out, i)
    return b


def test_the_grammar_names_every_kind_of_statement():
    grammar = nodes.__doc__
    for kind in ("value", "loop", "while", "if"):
        assert re.search(rf"\b{kind}\b", grammar)
    names = {each.__name__ for each in nodes.Statement.__args__}
    assert names == {"Value", "Loop", "While", "If"}


def test_types_are_read_and_written_alike():
    for text in ("f32", "f32x8", "i64", "i1x16", "ptr"):
        assert str(parse(text)) == text
    with pytest.raises(ValueError, match="no type 'f3'"):
        parse("f3")


def test_numbers_known_early_are_folded():
    b = scale()
    n = b.parameters[2]
    assert (n + 0) is n and (n * 1) is n
    assert (b.i64(6) // 4).constant == 1
    assert b.binary("div", b.i64(-7), b.i64(2)).constant == -3
    assert b.binary("rem", b.i64(-7), b.i64(2)).constant == -1


def test_a_float_zero_is_not_neutral():
    b = scale()
    factor = b.parameters[3]
    assert (factor + 0.0) is not factor
    assert b.constant(0.0, F32) is not b.constant(-0.0, F32)


def test_text_shows_loops_and_memory():
    text = program_text(scale().program())
    assert "scale(x: ptr, out: ptr, n: i64, factor: f32):" in text
    assert re.search(r"for i\d* from 0 to n by 8:", text)
    assert re.search(r"f32x8 out\[i\d*\] = v\d+", text)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", KERNELS)
def test_kernels_are_valid_before_and_after_each_pass(name, target):
    program = kernels[name].program(TARGETS[target], **SETTINGS.get(name, {}))
    run_passes(program, check=True)
    text = print_program(program, TARGETS[target])
    assert f"define void @{name}(" in text


@pytest.mark.parametrize("target", ["avx512", "avx2", "scalar"])
def test_targets_compile_to_objects(target):
    if target != "scalar" and not jit._binding().get_process_triple().startswith("x86_64"):
        pytest.skip("x86 code needs an x86 LLVM target")
    for program in (
        gemm.program(TARGETS[target], bias=True),
        gemm_low.program(TARGETS[target], kind="bf16"),
    ):
        object_ = jit.compile_program(program, TARGETS[target])
        assert object_[:4] == b"\x7fELF" or len(object_) > 1000


def test_passes_have_a_before_and_an_after():
    for _, change in PASSES:
        assert "Before:" in change.__doc__ and "After:" in change.__doc__


def test_unrolled_loops_are_written_out():
    b = Builder(TARGETS["scalar"], "f", "x: ptr")
    with b.loop("i", 0, 3, unroll=True) as i:
        b.store(b.constant(1.0, F32), b.parameters[0], i)
    text = program_text(run_passes(b.program(), check=True))
    assert "for" not in text and text.count("f32 x[") == 3


def test_equal_values_are_computed_once_and_loops_lose_what_they_do_not_change():
    b = Builder(TARGETS["scalar"], "f", "x: ptr, n: i64")
    x, n = b.parameters
    with b.loop("i", 0, n) as i:
        b.store(b.load(x, i + n * 4, F32), x, i + n * 4)
    text = program_text(run_passes(b.program(), check=True))
    assert text.count("n * 4") == 1
    assert text.index("n * 4") < text.index("for")


def test_what_nobody_uses_is_dropped():
    b = Builder(TARGETS["scalar"], "f", "n: i64")
    b.parameters[0] * 3
    assert "* 3" not in program_text(run_passes(b.program(), check=True))


ONE = Value("constant", F32, (), {"value": 1.0})
HALF = Value("constant", BF16, (), {"value": 0})
R = nodes.Register(F32, "r")


def broken(change):
    b = scale()
    program = b.program()
    change(b, program.functions[0].body)
    return program


def add(block, *values):
    block.statements += values


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda b, block: add(block, Value("neg", F32, (ONE,))), "before it is computed"),
        (lambda b, block: add(block, Value("sine", F32)), "no such operation"),
        (lambda b, block: add(block, Value("add", F32, (b.parameters[3],))), "takes 2 operands"),
        (lambda b, block: add(block, Value("add", F32, (b.parameters[3], b.parameters[2]))),
         "f32 of f32, i64"),
        (lambda b, block: add(block, Value("load", F32, (b.parameters[2], b.parameters[2]))),
         "operand 0 is i64, not ptr"),
        (lambda b, block: add(block, Value("extract", F32, (b.parameters[3],))), "lacks 'lane'"),
        (lambda b, block: add(block, Value("get", F32, (), {"register": R})), "read before set"),
        (lambda b, block: add(block, Value("sqrt", I64, (b.parameters[2],))), "works on floats"),
        (lambda b, block: add(block, Value("dot", F32, (b.parameters[3],) * 3)), "f32 of f32, f32"),
        (lambda b, block: add(block, HALF, Value("neg", BF16, (HALF,))),
         "convert it to f32 first"),
        (lambda b, block: add(block, Value("convert", BF16, (b.parameters[2],))), "from f32 only"),
        (lambda b, block: add(block, Value("call", I64, (), {"function": "g"})), "no function g"),
    ],
)  # fmt: skip
def test_the_verifier_finds_planted_mistakes(change, words):
    with pytest.raises(InvalidProgram, match=words):
        verify(broken(change))


def test_a_value_of_an_inner_block_is_not_seen_outside():
    b = scale()
    inner = b._function.body.statements[-1].body.statements[0]
    with pytest.raises(InvalidProgram, match="from another block"):
        add(b._function.body, Value("neg", inner.type, (inner,)))
        verify(b.program())


def test_operations_are_documented_by_arity():
    assert OPERATIONS["fma"].arity == 3 and OPERATIONS["store"].pure is False


def test_a_kernel_is_described_once():
    with pytest.raises(TypeError, match="described twice"):
        kernel("n: i64")(gemm.write)
    assert isinstance(gemm, Kernel)
