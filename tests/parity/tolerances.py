"""How near is near enough: per dtype, and per operator only with a reason.

The numbers are PyTorch's own defaults (`torch.testing.assert_close`), tighter for float64. An entry
of `LOOSER` multiplies both numbers for one operator and says why a correct answer may differ that
much.
"""

from __future__ import annotations

RELATIVE_ABSOLUTE: dict[str, tuple[float, float]] = {
    "float64": (1e-9, 1e-9),
    "complex128": (1e-9, 1e-9),
    "float32": (1.3e-6, 1e-5),
    "complex64": (1.3e-6, 1e-5),
    "float16": (1e-3, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
}

SUMS = "a sum of products in another order; the bound grows with the length and size of the terms"
FACTOR = "a matrix factorisation; the condition of the matrix multiplies the rounding"
CANCELS = (
    "scores reach 5e3 and its gradients are differences of such terms: measured against float64 "
    "both engines are 2e-4 to 3e-4 off where the largest is 15, and 1.4e-4 from each other"
)
SERIES = "a special function evaluated by another series, a few units in the last place apart"
NARROW = "sums of half-precision numbers are rounded at other places"


def words(text: str) -> tuple[str, ...]:
    """The words of a text: a list of names that stays readable."""
    return tuple(text.split())


LOOSER: dict[str, tuple[float, str]] = {
    **dict.fromkeys(
        words(
            """
            addbmm addmm addmv addr baddbmm bmm mm mv matmul __rmatmul__ dot vdot inner
            einsum tensordot linalg.multi_dot linalg.matrix_power linalg.vecdot corrcoef cov
            nn.functional.linear nn.functional.bilinear nn.functional.conv1d
            nn.functional.conv2d nn.functional.conv3d nn.functional.conv_transpose1d
            nn.functional.conv_transpose2d nn.functional.conv_transpose3d
            nn.functional.scaled_dot_product_attention cdist
            fft.fft fft.ifft fft.rfft fft.irfft fft.hfft fft.ihfft fft.fft2 fft.ifft2 fft.rfft2
            fft.irfft2 fft.hfft2 fft.ihfft2 fft.fftn fft.ifftn fft.rfftn fft.irfftn fft.hfftn
            fft.ihfftn stft istft
            """
        ),
        (10.0, SUMS),
    ),
    **dict.fromkeys(
        words(
            """
            linalg.inv linalg.inv_ex linalg.det linalg.slogdet linalg.solve linalg.solve_ex
            linalg.cholesky linalg.cholesky_ex linalg.qr linalg.svd linalg.svdvals
            linalg.eigh linalg.eigvalsh linalg.eig linalg.eigvals linalg.lstsq linalg.pinv
            linalg.lu linalg.lu_factor linalg.lu_factor_ex linalg.lu_solve
            linalg.solve_triangular linalg.tensorinv linalg.tensorsolve linalg.cond
            linalg.matrix_norm linalg.norm linalg.householder_product linalg.ldl_factor
            linalg.ldl_factor_ex linalg.ldl_solve cholesky cholesky_inverse cholesky_solve
            triangular_solve pinverse qr svd lu lu_solve lu_unpack logdet norm geqrf
            matrix_exp
            """
        ),
        (100.0, FACTOR),
    ),
    "nn.functional.multi_head_attention_forward": (4.0, CANCELS),
    **dict.fromkeys(
        words(
            """
            lgamma digamma polygamma mvlgamma igamma igammac erfinv i0 special.i0e
            special.i1 special.i1e special.ndtri special.log_ndtr special.erfcx special.zeta
            """
        ),
        (10.0, SERIES),
    ),
}

LOOSER_HALF: dict[str, tuple[float, str]] = dict.fromkeys(
    words(
        """
        sum nansum mean nanmean prod cumsum cumprod var std var_mean std_mean norm logsumexp
        linalg.norm linalg.vector_norm linalg.matrix_norm softmax log_softmax logcumsumexp
        trapezoid trapz cumulative_trapezoid trace dist
        """
    ),
    (4.0, NARROW),
)


def tolerance(op: str, dtype: str) -> tuple[float, float]:
    """`(relative, absolute)` for values of `dtype` that operator `op` gave; exact for integers."""
    relative, absolute = RELATIVE_ABSOLUTE.get(dtype, (0.0, 0.0))
    factor = LOOSER.get(op, (1.0, ""))[0]
    if dtype in ("float16", "bfloat16"):
        factor = max(factor, LOOSER_HALF.get(op, (1.0, ""))[0])
        absolute = max(absolute, relative * 1e-2) * factor
    return relative * factor, absolute * factor
