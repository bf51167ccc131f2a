"""Matrix products in low precision: C = activation(A B + bias + residual) with f32 sums.

A holds bf16, or bytes with a scale and a zero for each row; B is packed (`pack.packed_words`). What
comes after the sums is computed in f32. As words of k are short, a panel of B is read from the L2
cache over all of k, and sums never go to memory in between.
"""

from __future__ import annotations

from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import BF16, F32, I32
from pellucid.kernels.tile import width
from pellucid.kernels.tile_low import Output, Scales, panel_rows, tile_scratch, write_tiles


@kernel(
    "a: ptr, b: ptr, c: ptr, low: ptr, bias: ptr, residual: ptr, m: i64, n: i64, steps: i64, "
    "lda: i64, ldc: i64, ldl: i64, ldr: i64, mc: i64, nc: i64, a_scale: ptr, a_zero: ptr, "
    "b_scale: ptr, b_sum: ptr"
)
def gemm_low(
    b: KernelBuilder, *, kind: str, out: str = "f32", bias: bool = False, residual: str = "",
    activation: str = "",
) -> None:  # fmt: skip
    """A (m, k), `steps` words of k in rows `lda` words apart, times B (k, n), packed.

    `out` is "f32", "bf16" or "both": C has rows ldc floats apart, `low` rows ldl bf16 apart.
    `residual` is "", "f32" or "bf16". For kind "i8", rows of A have scales and zeros, columns of B
    scales and sums. A block is `mc` rows by `nc` panels.
    """
    write_tiles(b, kind)
    b.begin()
    arg, nr = b.arg, width(b.target)
    scratch = tile_scratch(b)
    panels = b.ceil_div(arg.n, nr)
    across, down = b.ceil_div(panels, arg.nc), b.ceil_div(arg.m, arg.mc)
    with b.units(across * down) as block:
        column, row = block // down, block % down
        first, last = column * arg.nc, b.minimum((column + 1) * arg.nc, panels)
        top = row * arg.mc
        count = b.minimum(arg.mc, arg.m - top)
        target = Output(
            b.offset(arg.c, top * arg.ldc) if out != "bf16" else None, arg.ldc,
            b.offset(arg.low, top * arg.ldl, BF16) if out != "f32" else None, arg.ldl,
            arg.bias if bias else None,
            b.offset(arg.residual, top * arg.ldr, BF16 if residual == "bf16" else F32)
            if residual else None, arg.ldr, residual, activation, _scales(b, kind, top),
        )  # fmt: skip
        a = b.offset(arg.a, top * arg.lda, I32)
        with b.loop("panel", first, last) as panel:
            source = b.offset(arg.b, panel * arg.steps * nr, I32)
            panel_rows(b, kind, a, arg.lda, source, arg.steps, count, target, panel * nr,
                       arg.n - panel * nr, scratch)  # fmt: skip


def _scales(b: KernelBuilder, kind: str, top: Value) -> Scales | None:
    if kind != "i8":
        return None
    arg = b.arg
    rows, zeros = b.offset(arg.a_scale, top), b.offset(arg.a_zero, top, I32)
    return Scales(rows, zeros, arg.b_scale, arg.b_sum, 1)
