"""Batching rules of matrix products and of operators on matrices, which take any dimensions before
the last two as they are.
"""

from __future__ import annotations

from typing import Any

from pellucid.ops.api import F
from pellucid.ops.batching.rules import UNTOUCHED, Call, rule
from pellucid.tensor.tensor import Tensor


@rule("mm", "bmm")
def matrices(call: Call) -> Any:
    """Stacks of matrices, or the same for all."""
    return F.matmul(*_pair(call, "input", "mat2"))


def _pair(call: Call, first: str, second: str) -> tuple[Tensor, Tensor]:
    rank = call[first].dim()
    return call.aligned(call[first], rank), call.aligned(call[second], rank)


@rule("mv")
def mv(call: Call) -> Any:
    """A matrix and a vector."""
    matrix, vector = call["input"], call["vec"]
    if not call.is_batched(vector):
        return F.matmul(call.value(matrix), call.value(vector))
    return F.matmul(call.value(matrix), call.value(vector).unsqueeze(-1)).squeeze(-1)


@rule("dot")
def dot(call: Call) -> Any:
    """Two vectors."""
    first, second = call.all(call["input"]), call.all(call["tensor"])
    return F.matmul(first.unsqueeze(1), second.unsqueeze(2)).reshape(call.size)


_PRODUCTS = {
    "addmm": ("mat1", "mat2", "mm"),
    "baddbmm": ("batch1", "batch2", "bmm"),
    "addmv": ("mat", "vec", "mv"),
}


@rule("addmm", "baddbmm", "addmv", "addbmm")
def add_product(call: Call) -> Any:
    """`beta * input + alpha * product`."""
    if call.key == "addbmm":
        found = F.matmul(*_pair(call, "batch1", "batch2")).sum(-3)
    elif call.key == "addmv":
        found = F.matmul(call.all(call["mat"]), call.all(call["vec"]).unsqueeze(-1)).squeeze(-1)
    else:
        found = F.matmul(*_pair(call, *_PRODUCTS[call.key][:2]))
    batched = call.key == "addmv" or any(
        call.is_batched(v) for n, v in call.given.items() if n != "input"
    )
    rank = found.dim() - batched
    alpha, beta = call["alpha"], call["beta"]
    if alpha != 1:
        found = found * alpha
    input = call.aligned(call["input"], rank)
    if beta == 0:
        return found if batched else found.expand(call.size, *found.shape)
    return found + (input if beta == 1 else input * beta)


@rule("internal.linear")
def linear(call: Call) -> Any:
    """`input @ weight.T + bias`, with one weight for all or one for each element."""
    input, weight, bias = call["input"], call["weight"], call["bias"]
    if not call.is_batched(weight) and not call.is_batched(bias):
        return call.rerun()
    single = input.dim() == 1
    rows = call.value(input)
    if single:
        rows = rows.unsqueeze(-2)
    turned = call.value(weight).transpose(-2, -1)
    if call.is_batched(weight):
        for _ in range(input.dim() - 2):
            turned = turned.unsqueeze(1)
    found = F.matmul(rows, turned)
    if single:
        found = found.squeeze(-2)
    if bias is None:
        return found
    shift = call.value(bias)
    if call.is_batched(bias):
        for _ in range(input.dim() - 1):
            shift = shift.unsqueeze(1)
    return found + shift


@rule("internal.contract")
def contract(call: Call) -> Any:
    """One more letter for the batch. In the result the letters of both operands come first, then
    the left one's, then the right one's.
    """
    left, right, (first, second, result) = call["left"], call["right"], call["terms"]
    letter = next(c for c in _LETTERS if c not in first + second + result)
    in_left, in_right = call.is_batched(left), call.is_batched(right)
    shared = sum(c in first and c in second for c in result)
    place = 0
    if not in_right:
        place = shared
    elif not in_left:
        place = shared + sum(c in first and c not in second for c in result)
    terms = (
        letter * in_left + first,
        letter * in_right + second,
        result[:place] + letter + result[place:],
    )
    found = F.internal.contract(call.value(left), call.value(right), terms)
    return found.movedim(place, 0) if place else found


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@rule(
    "linalg.det",
    "linalg.inv_ex",
    "linalg.slogdet",
    "linalg.eig",
    "linalg.eigh",
    "linalg.qr",
    "linalg.cholesky_ex",
    "linalg.lu_factor_ex",
    "linalg.matrix_exp",
    "internal.svd",
    "internal.lu",
    "cholesky_inverse",
)
def matrix(call: Call) -> Any:
    """Matrices in a stack are what these operators take."""
    name = "A" if "A" in call.spec.parameters else "input"
    if call[name].dim() < 2:
        return UNTOUCHED
    return call.rerun()


@rule(
    "linalg.solve_triangular",
    "cholesky_solve",
    "linalg.lu_solve",
    "triangular_solve",
    "internal.lu_unpack",
)
def system(call: Call) -> Any:
    """Matrices and right sides, as many dimensions each."""
    tensors = {n: v for n, v in call.given.items() if isinstance(v, Tensor)}
    pivots = {n for n in tensors if "pivots" in n.lower()}
    rank = max(v.dim() + (n in pivots) for n, v in tensors.items())
    changed = {}
    for name, tensor in tensors.items():
        own = tensor.dim() + (name in pivots)
        value = call.all(tensor)
        for _ in range(rank - own):
            value = value.unsqueeze(1)
        changed[name] = value
    return call.rerun(**changed)


@rule("linalg.solve_ex")
def solve(call: Call) -> Any:
    """A system; a vector on the right side stays one."""
    A, B = call["A"], call["B"]
    vector = B.dim() == 1 or (B.dim() == A.dim() - 1 and tuple(B.shape) == tuple(A.shape[:-1]))
    if not call["left"] or A.dim() < 2:
        return UNTOUCHED
    rank = A.dim() - 1 if vector else max(A.dim(), B.dim())
    matrices, right = call.all(A), call.all(B)
    for _ in range((rank + vector) - A.dim()):
        matrices = matrices.unsqueeze(1)
    if vector:
        for _ in range(A.dim() - 1 - B.dim()):
            right = right.unsqueeze(1)
        right = right.unsqueeze(-1)
    else:
        for _ in range(rank - B.dim()):
            right = right.unsqueeze(1)
    found = call.run(A=matrices, B=right, check_errors=bool(call["check_errors"]))
    if not vector:
        return found
    first, *rest = found
    return (first.squeeze(-1), *rest)
