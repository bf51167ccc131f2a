"""Products of many matrices, and of vectors in space: `linalg.multi_dot`, `matrix_power`, `cross`,
`linalg.vander`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid.ops.api import F
from pellucid.ops.arguments import tensors
from pellucid.ops.dispatch import composite
from pellucid.ops.inplace import check_castable, scalar_type
from pellucid.ops.linalg.matmul import mm
from pellucid.ops.spec import OutRule
from pellucid.tensor.device import contiguous_format
from pellucid.tensor.layout import normalize_dim
from pellucid.tensor.tensor import Tensor

# --- chains ---------------------------------------------------------------------------------------


def _best_order(sizes: Sequence[int]) -> list[list[int]]:
    """Where to split each stretch of a chain of matrices so that the fewest products are made."""
    n = len(sizes) - 1
    cost = [[0] * n for _ in range(n)]
    split = [[0] * n for _ in range(n)]
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            choices = [
                (cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            ]
            cost[i][j], split[i][j] = min(choices)
    return split


def _chain(matrices: Sequence[Tensor], split: list[list[int]], i: int, j: int) -> Tensor:
    if i == j:
        return matrices[i]
    k = split[i][j]
    return mm(_chain(matrices, split, i, k), _chain(matrices, split, k + 1, j))


@composite(where="linalg", out=True)
def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of a chain of matrices in the cheapest order; the ends may be vectors."""
    chain = list(tensors)
    if len(chain) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(chain)}")
    for place, x in enumerate(chain):
        ends = place in (0, len(chain) - 1)
        if ends and x.dim() not in (1, 2):
            which = "first" if place == 0 else "last"
            raise RuntimeError(
                f"multi_dot(): the {which} tensor must be 1D or 2D but got {x.dim()}D"
            )
        if not ends and x.dim() != 2:
            raise RuntimeError(f"multi_dot(): tensor {place} must be 2D but got {x.dim()}D")
        if x.dtype is not chain[0].dtype:
            raise RuntimeError(
                "multi_dot(): all tensors must have be the same dtype but tensor 0 is "
                f"{scalar_type(chain[0].dtype)} and tensor {place} {scalar_type(x.dtype)}"
            )
    row, column = chain[0].dim() == 1, chain[-1].dim() == 1
    if row:
        chain[0] = chain[0].unsqueeze(0)
    if column:
        chain[-1] = chain[-1].unsqueeze(-1)
    for place in range(len(chain) - 1):
        a, b = chain[place], chain[place + 1]
        if a.shape[1] != b.shape[0]:
            raise RuntimeError(
                f"multi_dot(): tensors {place} and {place + 1} with shapes {list(a.shape)} and "
                f"{list(b.shape)} cannot be multiplied"
            )
    sizes = [x.shape[0] for x in chain] + [chain[-1].shape[1]]
    found = _chain(chain, _best_order(sizes), 0, len(chain) - 1)
    shape = [size for size, gone in zip(found.shape, (row, column), strict=True) if not gone]
    return found.view(shape)


@composite(where="torch")
def chain_matmul(*matrices: Any, out: Tensor | None = None) -> Tensor:
    """The older spelling of `linalg.multi_dot`."""
    chain = tensors("chain_matmul", matrices)
    if len(chain) == 1:
        return chain[0]
    return multi_dot(chain, out=out)


@composite(where="linalg", out=OutRule(check_castable, row_major=True))
def matrix_power(input: Tensor, n: int) -> Tensor:
    """The product of `n` copies of square matrices; of their inverses if `n` is negative."""
    if input.dim() < 2:
        raise RuntimeError(
            "linalg.matrix_power: The input tensor A must have at least 2 dimensions."
        )
    if input.shape[-1] != input.shape[-2]:
        raise RuntimeError(
            "linalg.matrix_power: A must be batches of square matrices, but they are "
            f"{input.shape[-2]} by {input.shape[-1]} matrices"
        )
    if n == 0:
        one = F.eye(input.shape[-1], dtype=input.dtype)
        return input.clone(memory_format=contiguous_format).copy_(one)
    base = F.linalg.inv(input) if n < 0 else input
    n = abs(n)
    found: Any = None
    while n:
        if n & 1:
            found = base if found is None else found.matmul(base)
        n >>= 1
        if n:
            base = base.matmul(base)
    return found.clone() if found is input else found


@composite(where="torch Tensor", out=True, name="matrix_power")
def torch_matrix_power(input: Tensor, n: int) -> Tensor:
    """The older spelling of `linalg.matrix_power`."""
    return matrix_power(input, n)


# --- cross product --------------------------------------------------------------------------------


def _check_cross(name: str, a: Tensor, b: Tensor, axis: int) -> None:
    if a.shape[axis] != 3 or b.shape[axis] != 3:
        raise RuntimeError(
            f"{name}: inputs dimension {axis} must have length 3. Got {a.shape[axis]} and "
            f"{b.shape[axis]}"
        )


@composite(where="linalg", name="cross", out=True)
def linalg_cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The vectors that stand on both of two vectors with three elements along `dim`."""
    if input.dim() != other.dim():
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    axis = normalize_dim(dim, input.dim())
    _check_cross("linalg.cross", input, other, dim)
    a, b = F.broadcast_tensors(input, other)
    a1, a2 = a.roll(-1, axis), a.roll(-2, axis)
    b1, b2 = b.roll(-1, axis), b.roll(-2, axis)
    return a1 * b2 - a2 * b1


@composite(out=True)
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """`linalg.cross` along the first dimension of size 3 if `dim` is not given."""
    if dim is None:
        found = [i for i, size in enumerate(input.shape) if size == 3]
        if not found:
            raise RuntimeError("no dimension of size 3 in input")
        dim = found[0]
    return linalg_cross(input, other, dim=dim)


@composite(where="linalg")
def vander(input: Tensor, *, N: int | None = None) -> Tensor:
    """The powers 0 to N - 1 of each element: a Vandermonde matrix for each row."""
    if N is None and not input.dim():
        raise RuntimeError("Expected dim >= 1, but got 0")
    if N is not None and N <= 1:
        raise RuntimeError(f"Expected N > 1, but got {N}")
    count = input.shape[-1] if N is None else N
    if not input.dim():
        input = input.unsqueeze(0)
    if not input.dtype.category:
        input = input.long()
    powers = input.unsqueeze(-1).expand(*input.shape, count - 1)
    one = F.ones((*input.shape, 1), dtype=powers.dtype)
    return F.cat([one, powers.cumprod(-1)], -1)
