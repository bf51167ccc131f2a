"""Numbers and functions of matrices: `det`, `slogdet`, `cond`, `matrix_rank`, `pinv`, …"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid.autograd.modes import state
from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.elementwise.arithmetic import conj
from pellucid.ops.linalg import kernels
from pellucid.ops.linalg.support import (
    LinAlgError,
    check_floating,
    check_matrix,
    check_square,
    rows,
)
from pellucid.ops.returns import return_type
from pellucid.tensor.dtype import int64
from pellucid.tensor.tensor import Tensor

_Slogdet = return_type("linalg_slogdet", "sign logabsdet")
_LegacySlogdet = return_type("slogdet", "sign logabsdet")


# --- determinants ---------------------------------------------------------------------------------


def _det_grad(grad: Any, A: Any, out: Any) -> Any:
    """`grad * conj(adj(A))^T`: through the inverse, or singular values for singular matrices."""
    if not A.numel():
        return F.zeros_like(A)
    if bool((out._array != 0).all()) and state.grad:
        right = F.diag_embed((grad * conj(out)).unsqueeze(-1).expand(A.shape[:-1]))
        return F.linalg.solve(A.mH, right)
    U, S, Vh = F.linalg.svd(A)
    others = _products_of_the_others(S)
    phase = conj(det(U) * det(Vh)) if A.is_complex() else det(U) * det(Vh)
    factor = (grad * phase).unsqueeze(-1).unsqueeze(-1)
    return factor * U.matmul(others.unsqueeze(-1).to(U.dtype) * Vh)


def _products_of_the_others(values: Any) -> Any:
    """For each of the values along the last dimension the product of all others."""
    one = F.ones_like(values.narrow(-1, 0, 1))
    count = values.shape[-1]
    before = F.cat([one, values.narrow(-1, 0, count - 1)], -1).cumprod(-1)
    after = F.cat([one, values.narrow(-1, 1, count - 1).flip(-1)], -1).cumprod(-1).flip(-1)
    return before * after


@operator(where="linalg", out=True, backward_name="LinalgDetBackward0", gradient={"A": _det_grad})
def det(A: Tensor) -> Tensor:
    """The determinants of square matrices."""
    check_square("linalg.det", A)
    with np.errstate(all="ignore"):
        return rows(np.asarray(np.linalg.det(A._array)), A.dtype)


@composite(name="det")
def torch_det(input: Tensor) -> Tensor:
    """`linalg.det`."""
    return det(input)


def _slogdet_grad(grads: Any, A: Any, sign: Any) -> Any:
    g_sign, g_log = grads
    if g_sign is None and g_log is None:
        return None
    if not A.is_complex():
        if g_log is None:
            return None
        g = g_log
    else:
        g = 0 if g_log is None else g_log
        if g_sign is not None:
            turn = F.imag(conj(g_sign) * sign)
            g = g - F.complex(F.zeros_like(turn), turn)
        g = g.to(A.dtype)
    right = F.diag_embed(g.unsqueeze(-1).expand(A.shape[:-1]))
    return F.linalg.solve(A.mH, right)


@operator(
    where="linalg",
    out=True,
    fields=("sign", "logabsdet"),
    backward_name="LinalgSlogdetBackward0",
    gradient={"A": _slogdet_grad},
)
def slogdet(A: Tensor) -> Any:
    """The sign (phase) of the determinants and the logarithm of their magnitude."""
    check_square("linalg.slogdet", A)
    with np.errstate(all="ignore"):
        sign, logarithm = np.linalg.slogdet(A._array)
    return _Slogdet(rows(np.asarray(sign), A.dtype), rows(np.asarray(logarithm), A.dtype.to_real()))


@composite(name="slogdet", out=True)
def torch_slogdet(input: Tensor) -> Any:
    """The older spelling of `linalg.slogdet`."""
    return _LegacySlogdet(*slogdet(input))


@composite()
def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinants: NaN for negative ones."""
    check_square("logdet", input)
    sign, logarithm = slogdet(input)
    if input.is_complex():
        return logarithm + sign.log()
    return F.where(sign == -1.0, math.nan, logarithm)


# --- condition and rank ---------------------------------------------------------------------------


@composite(where="linalg", out=True)
def cond(input: Tensor, p: Any = None) -> Tensor:
    """The condition number: how much relative errors grow when a system is solved."""
    check_matrix("linalg.cond", input)
    check_floating("linalg.cond", input, half=True)
    order = 2 if p is None else p
    if not isinstance(order, str) and abs(order) == 2:
        values = F.linalg.svdvals(input)
        if not values.shape[-1]:
            raise RuntimeError("linalg.cond: the matrices are empty and have no singular values")
        last = values.shape[-1] - 1
        largest, smallest = values.narrow(-1, 0, 1), values.narrow(-1, last, 1)
        return (smallest / largest if order == -2 else largest / smallest).squeeze(-1)
    check_square("linalg.cond", input)
    if not input.numel():
        return F.zeros(input.shape[:-2], dtype=input.dtype.to_real())
    inverse, info = F.linalg.inv_ex(input)
    norms = F.linalg.matrix_norm(input, order)
    found = norms * F.linalg.matrix_norm(inverse, order)
    return found.masked_fill(info != 0, math.inf) if bool((info != 0).any()) else found


def _tolerance(name: str, value: Any, parameter: str, like: Tensor) -> Tensor:
    if isinstance(value, Tensor):
        if value.is_complex():
            raise RuntimeError(
                f"{name}: {parameter} tensor of complex type is not supported. Got {value.dtype}"
            )
        return value
    return F.tensor(float(value), dtype=like.dtype, device=like.device)


def _thresholds(name: str, values: Tensor, atol: Any, rtol: Any, m: int, n: int) -> Tensor:
    """The magnitude up to which singular values count as zero."""
    epsilon = float(np.finfo(values.dtype.numpy).eps)
    given = atol is not None and rtol is None
    absolute = _tolerance(name, 0.0 if atol is None else atol, "atol", values)
    if rtol is not None:
        relative = _tolerance(name, rtol, "rtol", values)
    else:
        relative = F.tensor(epsilon * max(m, n), dtype=values.dtype, device=values.device)
        if given:
            relative = F.where(absolute > 0, 0.0, relative)
    largest = values.amax(-1) if values.shape[-1] else values.new_zeros(values.shape[:-1])
    return F.maximum(absolute.to(values.dtype), relative.to(values.dtype) * largest)


@composite(where="linalg", out=True)
def matrix_rank(
    input: Tensor,
    tol: Any = None,
    hermitian: bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
) -> Tensor:
    """How many singular values exceed the tolerance: `max(atol, rtol * largest)`."""
    name = "torch.linalg.matrix_rank"
    check_matrix(name, input, "input")
    check_floating("linalg.matrix_rank", input)
    m, n = input.shape[-2:]
    values = _sizes(input.detach(), hermitian)
    if not input.numel():
        return F.zeros(input.shape[:-2], dtype=int64)
    if tol is not None:
        limit = _tolerance(name, tol, "tol", values)
    else:
        limit = _thresholds(name, values, atol, rtol, m, n)
    return (values > limit.unsqueeze(-1)).sum(-1)


def _sizes(input: Tensor, hermitian: bool) -> Tensor:
    if hermitian:
        return F.linalg.eigvalsh(input).abs()
    return F.linalg.svdvals(input)


# --- pseudoinverse --------------------------------------------------------------------------------


def _pinv_grad(grad: Any, input: Any, out: Any) -> Any:
    """Golub and Pereyra's formula (1973), in the order of products that suits the shape."""
    m, n = input.shape[-2:]
    turned, gradh = out.mH, grad.mH
    if m <= n:
        K = gradh.matmul(out)
        Kh = K.matmul(turned)
        rest = gradh - K.matmul(input)
        return (
            -(out.matmul(K)).mH
            + Kh
            - input.matmul(out).matmul(Kh)
            + turned.matmul(out).matmul(rest)
        )
    K = out.matmul(gradh)
    Kh = turned.matmul(K)
    rest = (gradh - input.matmul(K)).matmul(out).matmul(turned)
    return -(K.matmul(out)).mH + rest + Kh - Kh.matmul(out).matmul(input)


@operator(
    where="linalg",
    out=True,
    backward_name="LinalgPinvBackward0",
    gradient={"input": _pinv_grad},
)
def pinv(
    input: Tensor,
    rcond: Any = None,
    hermitian: bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
) -> Tensor:
    """The pseudoinverse (Moore-Penrose): singular values above the tolerance are inverted."""
    name = "torch.linalg.pinv"
    check_matrix("linalg.pinv", input)
    check_floating("linalg.pinv", input)
    rtol = rcond if rtol is None else rtol
    array, (m, n) = input._array, input.shape[-2:]
    if not input.numel():
        return rows(np.empty((*input.shape[:-2], n, m), array.dtype), input.dtype)
    try:
        if hermitian:
            values, U = np.linalg.eigh(array)
            S = np.abs(values)
        else:
            U, S, Vh = np.linalg.svd(array, full_matrices=False)
            right, U = Vh.swapaxes(-1, -2).conj(), U.conj()
    except np.linalg.LinAlgError:
        raise LinAlgError(f"{name}: The algorithm failed to converge.") from None
    limit = _thresholds(name, rows(S, input.dtype.to_real()), atol, rtol, m, n)._array
    with np.errstate(all="ignore"):
        inverse = np.where(limit[..., None] < S, 1 / S, 0).astype(S.dtype)
    if hermitian:
        found = (U * np.sign(values)[..., None, :] * inverse[..., None, :]) @ U.conj().swapaxes(
            -1, -2
        )
    else:
        found = (right * inverse[..., None, :]) @ U.swapaxes(-1, -2)
    return rows(found, input.dtype)


@composite(name="pinverse")
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """The older spelling of `linalg.pinv`."""
    return pinv(input, rcond)


# --- exponential ----------------------------------------------------------------------------------


def _expm_grad(grad: Any, A: Any) -> Any:
    """The exponential of `[[A^H, G], [0, A^H]]` has the gradient in its upper right corner."""
    n = A.shape[-1]
    turned = A.mH
    top = F.cat([turned, grad], -1)
    bottom = F.cat([F.zeros_like(turned), turned], -1)
    return matrix_exp(F.cat([top, bottom], -2)).narrow(-2, 0, n).narrow(-1, n, n)


@operator(where="linalg", backward_name="LinalgMatrixExpBackward0", gradient={"A": _expm_grad})
def matrix_exp(A: Tensor) -> Tensor:
    """The exponentials of square matrices."""
    check_square("linalg.matrix_exp", A, half=True)
    if not A.numel():
        return rows(A._array, A.dtype)
    return rows(kernels.expm(A._array), A.dtype)


@composite(name="matrix_exp")
def torch_matrix_exp(input: Tensor) -> Tensor:
    """`linalg.matrix_exp`."""
    return matrix_exp(input)
