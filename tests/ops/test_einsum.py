"""`einsum`: what it reads, what it computes, how it plans, and what it refuses."""

import doctest
import sys
from itertools import combinations
from math import prod

import numpy as np
import pytest
from hypothesis import strategies as st
from ops.sides import agree, drawn, numbers, with_gradients

import pellucid
from pellucid.ops.einsum import compiled
from pellucid.ops.einsum.contraction import lower
from pellucid.ops.einsum.einsum import einsum_plan
from pellucid.ops.einsum.plan import plan
from pellucid.tensor.events import Event, listening
from pellucid.tensor.layout import Layout, contiguous

einsum_module = sys.modules["pellucid.ops.einsum.einsum"]
einsum_plan_module = sys.modules["pellucid.ops.einsum.plan"]

# --- what it computes -----------------------------------------------------------------------------

_SIZES = dict(zip("abcde", (2, 3, 4, 2, 3), strict=True))


@st.composite
def equations(draw: st.DrawFn, most: int = 3) -> str:
    """Equations over five letters, with repeated letters, sums and any output."""
    count = draw(st.integers(1, most))
    terms = [draw(st.text("abcde", max_size=3)) for _ in range(count)]
    used = sorted(set("".join(terms)))
    if draw(st.booleans()):
        output = draw(st.permutations(used)) if used else []
        return ",".join(terms) + "->" + "".join(output[: draw(st.integers(0, len(used)))])
    return ",".join(terms)


def operands(equation: str) -> list[np.ndarray]:
    terms = equation.split("->")[0].split(",")
    return [numbers(*[_SIZES[c] for c in term], seed=place) for place, term in enumerate(terms)]


@drawn(equations(most=2), examples=300)
def test_pairs_are_pytorchs_with_strides_and_gradients(equation: str):
    def program(library, *tensors):
        return library.einsum(equation, *tensors)

    agree(with_gradients(program, order=2), *operands(equation), grad=True)


@drawn(equations(most=5), examples=100)
def test_many_operands_give_pytorchs_numbers(equation: str):
    def program(library, *tensors):
        return library.einsum(equation, *tensors).contiguous().clone()

    agree(with_gradients(program), *operands(equation), grad=True)


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("...ij,...jk->...ik", [(5, 2, 3), (3, 4)]),
        ("i...,...->...", [(2, 3), (4, 1)]),
        ("...,...->...", [(2, 1), (3,)]),
        ("...i,i...j", [(2, 3), (3, 2, 4)]),
        (" i j , j k -> k i ", [(2, 3), (3, 4)]),
        ("Ab,bA", [(2, 3), (3, 2)]),
        ("ab,ab->ba", [(1, 3), (2, 1)]),
        ("aij,ajk->aik", [(1, 2, 3), (1, 3, 4)]),
        ("ij,kj->ijk", [(2, 3), (4, 3)]),
        ("bchw,oc->bohw", [(2, 3, 4, 5), (6, 3)]),
        ("bqhd,bkhd->bhqk", [(2, 3, 2, 4), (2, 5, 2, 4)]),
        ("i,i->", [(0,), (0,)]),
        ("ij,jk->ik", [(2, 0), (0, 3)]),
        ("ii->i", [(3, 3)]),
        ("iji->j", [(2, 3, 2)]),
        ("ij->ji", [(2, 3)]),
        ("...", [(2, 3)]),
        ("->", [()]),
    ],
)
def test_spellings(equation: str, shapes: list[tuple[int, ...]]):
    arrays = [numbers(*shape, seed=place) for place, shape in enumerate(shapes)]
    agree(lambda lib, *t: lib.einsum(equation, *t), *arrays)
    agree(lambda lib, *t: lib.einsum(equation, list(t)), *arrays)
    turned = [np.asfortranarray(array) for array in arrays]
    agree(lambda lib, *t: lib.einsum(equation, *t).contiguous(), *turned)


def test_lists_of_numbers():
    a, b = numbers(2, 3), numbers(3, 4)
    agree(lambda lib, a, b: lib.einsum(a, [0, 1], b, [1, 2]), a, b)
    agree(lambda lib, a, b: lib.einsum(a, [30, 1], b, [1, 2], [2, 30]), a, b)
    agree(lambda lib, a, b: lib.einsum(a, [0, ...], b, [..., 2], [...]), a, numbers(3, 4))
    agree(lambda lib, a, b: lib.einsum(a, [0, 52], b, [1, 2]), a, b)


@pytest.mark.parametrize("dtype", ["int64", "int32", "float16", "complex64", "bool"])
def test_dtypes(dtype: str):
    a, b = numbers(2, 3).astype(dtype), numbers(3, 4).astype(dtype)
    agree(lambda lib, a, b: lib.einsum("ij,jk->ik", a, b), a, b)
    agree(lambda lib, a, b: lib.einsum("ij,jk->ijk", a, b), a, b)


def test_what_only_rearranges_is_a_view():
    x = pellucid.zeros(3, 3)
    for equation in ("ij->ji", "ii->i", "ij", "..."):
        heard: list[Event] = []
        with listening(heard.append):
            shown = pellucid.einsum(equation, x)
        assert shown._base is x and {event.kind for event in heard} == {"view"}
    shown = pellucid.einsum("ii->i", x)
    shown.fill_(2)
    assert x.trace().item() == 6


# --- how it plans ---------------------------------------------------------------------------------


def _cheapest(terms: list[str], output: str, sizes: dict[str, int]) -> int:
    """The fewest flops over every order of contraction, by trying them all."""
    if len(terms) == 1:
        return 0
    best = None
    for first, second in combinations(range(len(terms)), 2):
        rest = [term for place, term in enumerate(terms) if place not in (first, second)]
        letters = set(terms[first]) | set(terms[second])
        kept = letters & set("".join(rest) + output)
        flops = (2 if len(letters) > len(kept) else 1) * prod(sizes[c] for c in letters)
        total = flops + _cheapest([*rest, "".join(sorted(kept))], output, sizes)
        best = total if best is None else min(best, total)
    assert best is not None
    return best


@drawn(
    st.lists(
        st.lists(st.sampled_from("abcdef"), min_size=1, max_size=3, unique=True),
        min_size=2,
        max_size=5,
    ),
    st.lists(st.integers(2, 9), min_size=6, max_size=6),
)
def test_the_order_is_the_cheapest_there_is(terms: list[list[str]], sizes: list[int]):
    size = dict(zip("abcdef", sizes, strict=True))
    spelled = ["".join(term) for term in terms]
    shapes = tuple(tuple(size[c] for c in term) for term in spelled)
    output = "".join(sorted(set("".join(spelled)))[:2])
    found = plan(",".join(spelled) + "->" + output, shapes)
    left = [single.term for single in found.singles]
    assert found.flops == _cheapest(left, output, size)
    assert found.largest == max(pair.elements for pair in found.pairs)


def test_long_chains_are_planned_and_right():
    arrays = [numbers(2, 2, seed=place) for place in range(11)]
    letters = "abcdefghijkl"
    equation = ",".join(letters[i : i + 2] for i in range(11)) + "->al"
    result = pellucid.einsum(equation, *[pellucid.from_numpy(a) for a in arrays])
    assert np.allclose(result.numpy(), np.linalg.multi_dot(arrays))
    assert len(plan(equation, ((2, 2),) * 11).pairs) == 10


def test_the_examples_in_the_docstrings_run():
    for module in (einsum_plan_module, einsum_module):
        found = doctest.testmod(module)
        assert found.failed == 0 and found.attempted > 0


def test_a_plan_prints_its_steps():
    a, b, c = (pellucid.zeros(*shape) for shape in ((10, 20), (20, 30), (30,)))
    found = einsum_plan("ij,jk,k->i", a, b, c)
    assert found.path == ((1, 2), (0, 1)) and found.flops == 1600
    lines = str(found).splitlines()
    assert lines[0] == "einsum 'ij,jk,k->i' with i=10, j=20, k=30"
    assert "1600 flops in 2 steps (all at once: 18000)" in lines[1]
    assert lines[2].strip() == "1. operands (1, 2): jk,k->j  matmul (20, 30) @ (30, 1), 1200 flops"
    assert einsum_plan("ij,jk,k->i", a, b, c) is found


# --- where the matrices lie -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "left", "right", "copies"),
    [
        (("ij", "jk", "ik"), contiguous((2, 3)), contiguous((3, 4)), (False, False)),
        (("ij", "jk", "ik"), Layout((2, 3), (1, 2)), Layout((3, 4), (1, 3)), (False, False)),
        (("ij", "jk", "ik"), Layout((2, 3), (6, 2)), contiguous((3, 4)), (True, False)),
        (("ij", "jk", "ik"), Layout((2, 3), (0, 1)), contiguous((3, 4)), (True, False)),
        (
            ("bqhd", "bkhd", "bhqk"),
            contiguous((2, 8, 4, 8)),
            contiguous((2, 8, 4, 8)),
            (False, False),
        ),
        (("bchw", "oc", "bhwo"), contiguous((2, 3, 4, 5)), contiguous((6, 3)), (False, False)),
        (("bchw", "oc", "bhwo"), contiguous((2, 3, 2, 2)), contiguous((6, 3)), (True, False)),
        (("iab", "abk", "ik"), contiguous((2, 3, 4)), contiguous((3, 4, 5)), (False, False)),
        (("iab", "bak", "ik"), contiguous((2, 3, 4)), contiguous((4, 3, 5)), (True, False)),
    ],
)
def test_operands_are_copied_only_where_blas_cannot_read_them(terms, left, right, copies):
    way = lower(left, right, terms)
    assert (way.left.copies, way.right.copies) == copies
    assert all(bool(side.reason) is side.copies for side in (way.left, way.right))


def test_a_copy_is_told():
    heard: list[Event] = []
    a, b = pellucid.ones(2, 3, 2)[..., 0], pellucid.ones(3, 4)
    with listening(heard.append):
        pellucid.einsum("ij,jk->ik", a, b)
    reasons = [event.reason for event in heard if event.name == "contract"]
    assert reasons == ["einsum: copied first: ij: strides (6, 2) are not a matrix's"]


# --- refusals -------------------------------------------------------------------------------------

REFUSED = {
    "ji,jk->ik": "Operand 0 has shape \\(2, 3\\), operand 1 \\(3, 4\\)",
    "ij": "more operands were provided than specified",
    "ij,jk,kl": "names 3 operands, 2 were given",
    "ij,jk->ikk": "subscript k appears more than once in the output",
    "ij,jk->il": "subscript l does not appear in the equation",
    "i1,jk": "invalid subscript given at index 1",
    "ij,jk-ik": "invalid subscript given at index 5",
    "ij,jk->ik->": "invalid subscript given at index 9",
    "i.j,jk": "found '.' for operand 0 that is not part of any ellipsis",
    "ij,...jk...": "found '.' for operand 1 for which an ellipsis was already found",
    "ij,jk->i...k...": "found '.' for output but an ellipsis",
    "ijk,jk": "Operand 0 has shape \\(2, 3\\), its term is 'ijk'",
    "...,...": "dimension 0 covered by ellipsis in operand 1",
    "i...,j...->ij": "dimension 1 covered by ellipsis in operand 1",
    "...abc,ij": "is more than the number of dimensions",
    "ii,jk": "takes the diagonal of \\(2, 3\\)",
}


@pytest.mark.parametrize("equation", REFUSED)
def test_refusals_name_the_letter_the_operand_and_the_sizes(equation: str):
    a, b = numbers(2, 3), numbers(3, 4)
    agree(lambda lib, a, b: lib.einsum(equation, a, b), a, b)
    with pytest.raises(RuntimeError, match=REFUSED[equation]):
        pellucid.einsum(equation, pellucid.from_numpy(a), pellucid.from_numpy(b))


def test_wrong_arguments():
    a, b = numbers(2, 3), numbers(3, 4)
    agree(lambda lib, a, b: lib.einsum("ij,jk"), a, b)
    agree(lambda lib, a, b: lib.einsum("ij,jk", a, 1), a, b)
    agree(lambda lib, a, b: lib.einsum("ij,jk", a, b.float()), a, b)
    with pytest.raises(RuntimeError, match=r"use \.to\(torch.float64\) on the operand"):
        pellucid.einsum("ij,jk", pellucid.from_numpy(a), pellucid.zeros(3, 4))


# --- on kernels -----------------------------------------------------------------------------------

CONTRACTIONS = [
    ("bhqd,bhkd->bhqk", (2, 4, 64, 32), (2, 4, 64, 32)),
    ("bqhd,bkhd->bhqk", (2, 64, 4, 32), (2, 64, 4, 32)),
    ("abcd,dbea->ce", (12, 10, 48, 9), (9, 10, 40, 12)),
    ("aebf,dfce->abcd", (10, 12, 9, 13), (10, 13, 9, 12)),
    ("nc,nc->n", (600, 500), (600, 500)),
]


@pytest.mark.parametrize(("equation", "left", "right"), CONTRACTIONS)
def test_large_contractions_on_kernels(monkeypatch, equation, left, right):
    monkeypatch.setattr(compiled, "MULTIPLICATIONS", 1 << 18)
    asked = []
    kernels = compiled._kernels
    monkeypatch.setattr(compiled, "_kernels", lambda: asked.append(1) or kernels())
    pellucid.manual_seed(0)
    x, y = pellucid.randn(*left), pellucid.randn(*right)
    exact = np.einsum(equation, x.numpy().astype(np.float64), y.numpy(), optimize=True)
    found = pellucid.einsum(equation, x, y)
    assert asked
    scale = np.abs(exact).max()
    np.testing.assert_allclose(found.numpy(), exact, rtol=0, atol=4e-6 * scale)
    monkeypatch.setattr(compiled, "enabled", lambda: False)
    plain = pellucid.einsum(equation, x, y)
    assert plain.stride() == found.stride()
    np.testing.assert_allclose(found.numpy(), plain.numpy(), rtol=0, atol=4e-6 * scale)


def test_small_contractions_need_no_compiler(monkeypatch):
    monkeypatch.setattr(compiled, "_kernels", lambda: pytest.fail("kernels were asked for"))
    x = pellucid.randn(4, 8, 6)
    assert pellucid.einsum("abc,dbc->ad", x, x).shape == (4, 4)
