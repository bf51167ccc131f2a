"""Matrix products, convolutions and linear algebra."""

from __future__ import annotations

from typing import Any

from tests.properties.rows import row, verbatim

WIDE = ("float64",)
"""Factorisations multiply the rounding of their input: they are compared in float64."""


def sizes_of(found: Any) -> Any:
    """The absolute values of factors whose signs are free."""
    if isinstance(found, (tuple, list)):
        return tuple(each.abs() for each in found)
    return found.abs()


ROWS = [
    row("mm", "nk", "km"),
    row("bmm", "bnk", "bkm"),
    row("mv", "nk", "k"),
    row("dot", "n", "n"),
    row("vdot", "n", "n"),
    row("inner", "nk", "mk"),
    row("outer", "n", "m"),
    row("matmul", "k", "k"),
    row("matmul", "nk", "k"),
    row("matmul", "k", "bkm"),
    row("matmul", "bnk", "km"),
    row("matmul", "abnk", "bkm"),
    row("addmm", "nm", "nk", "km", beta=2, alpha=0.5),
    row("addmm", "m", "nk", "km"),
    row("baddbmm", "bnm", "bnk", "bkm", alpha=2),
    row("addmv", "n", "nk", "k"),
    row("addbmm", "nm", "bnk", "bkm"),
    row("addr", "nm", "n", "m"),
    row("tensordot", "nkl", "klm", dims=2),
    row("einsum", verbatim("ij,jk->ik"), "nk", "km"),
    row("einsum", verbatim("bij,bkj->bik"), "bnk", "bmk"),
    row("einsum", verbatim("ii->i"), "nn"),
    row("einsum", verbatim("i,j"), "n", "m"),
    row("einsum", verbatim("...ij->...ji"), "bnm"),
    row("chain_matmul", "nk", "kl", "lm", empty=False),
    row("linalg.multi_dot", ["nk", "kl", "lm"], empty=False),
    row("linalg.matrix_power", "nn:regular", 3, empty=False),
    row("matrix_power", "22:regular", -2, dtypes=WIDE),
    row("linalg.vecdot", "nm", "nm"),
    row("linalg.cross", "n3", "n3"),
    row("cross", "n3", "n3", dim=1),
    row("linalg.vander", "n", N=3),
    row("vander", "n", orders=0),
    row("cdist", "nk", "mk", orders=1),
    row("nn.functional.linear", "nk", "mk"),
    row("nn.functional.linear", "bnk", "mk", "m"),
    row("nn.functional.bilinear", "nk", "nl", "mkl", "m", empty=False),
    row("nn.functional.conv1d", "2c5", "4c3", "4", empty=False),
    row("nn.functional.conv2d", "2c55", "3c32", "3", padding=1, empty=False),
    row("nn.functional.conv2d", "1465", "4133", None, 2, 1, 1, 4),
    row("nn.functional.conv2d", "2355", "4311"),
    row("nn.functional.conv2d", "2355", "2322", None, 1, 0, 2),
    row("nn.functional.conv3d", "1c344", "2c222", "2", empty=False),
    row("nn.functional.conv_transpose1d", "2c4", "c33", "3", 2, empty=False),
    row("nn.functional.conv_transpose2d", "2c34", "c233", None, 2, 1, 1, empty=False),
    row("nn.functional.conv_transpose2d", "2433", "4222", "4", 1, 0, 0, 2),
    row("nn.functional.conv_transpose3d", "1c223", "c2222", "2", empty=False),
    row("convolution", "2344", "2333", "2", [1, 1], [1, 1], [1, 1], False, [0, 0], 1),
    row("nn.functional.unfold", "2344", 2, 1, 0, 2),
    row("nn.functional.fold", "289", (4, 4), 2),
    row("linalg.det", "nn:regular"),
    row("det", "bnn:regular"),
    row("linalg.slogdet", "nn:regular"),
    row("slogdet", "nn:regular"),
    row("logdet", "nn:definite"),
    row("linalg.inv", "nn:regular"),
    row("linalg.inv_ex", "bnn:regular"),
    row("inverse", "nn:regular"),
    row("linalg.solve", "nn:regular", "nm"),
    row("linalg.solve", "nn:regular", "n"),
    row("linalg.solve_ex", "bnn:regular", "bnm"),
    row("linalg.solve_triangular", "nn:lower", "nm", upper=False),
    row("triangular_solve", "nm", "nn:lower", upper=False),
    row("cholesky_solve", "nm", "nn:lower"),
    row("cholesky_inverse", "nn:lower", dtypes=WIDE),
    row("linalg.cholesky", "nn:definite"),
    row("linalg.cholesky_ex", "bnn:definite"),
    row("cholesky", "nn:definite", upper=True),
    row("linalg.qr", "43:regular", dtypes=WIDE),
    row("qr", "33:regular", dtypes=WIDE),
    row("linalg.svd", "32:regular", full_matrices=False, unique=sizes_of, dtypes=WIDE, orders=1),
    row("svd", "33:regular", unique=sizes_of, dtypes=WIDE, orders=1),
    row("linalg.svdvals", "nm:regular", dtypes=WIDE, orders=1),
    row("linalg.eigh", "33:definite", unique=sizes_of, dtypes=WIDE, orders=1),
    row("linalg.eigvalsh", "33:definite", dtypes=WIDE),
    row("linalg.eig", "33:definite", unique=lambda found: found[0].abs(), dtypes=WIDE, orders=1),
    row("linalg.eigvals", "33:definite", unique=sizes_of, dtypes=WIDE, orders=1),
    row(
        "linalg.lstsq", "43:regular", "4m", unique=lambda found: found[0], dtypes=WIDE, empty=False
    ),
    row("linalg.pinv", "nm:regular", dtypes=WIDE, orders=1, empty=False),
    row("pinverse", "32:regular", dtypes=WIDE, orders=1),
    row("linalg.matrix_exp", "nn:regular"),
    row("matrix_exp", "33:small"),
    row("linalg.cond", "33:regular", dtypes=WIDE, orders=1),
    row("linalg.matrix_rank", "nm:regular", empty=False, orders=0),
    row("linalg.matrix_norm", "nm"),
    row("linalg.matrix_norm", "bnm", 1),
    row("linalg.lu", "33:regular"),
    row("linalg.lu_factor", "nn:regular"),
    row("linalg.lu_factor_ex", "bnn:regular"),
    row("lu", "33:regular"),
    row("linalg.tensorinv", "44:regular", ind=1),
    row("linalg.tensorsolve", "33:regular", "3"),
    row("linalg.householder_product", "43:small", "3:small"),
    row("orgqr", "43:small", "3:small"),
]
