"""Winograd's convolution with products in bf16: see `winograd`.

Both transforms are computed in float32; what goes into the products, transformed images and
weights, is rounded. F(2, 3) has 1.6 times the error of rounding for the direct way, F(4, 3) four
times, so only the first is used.
"""

from __future__ import annotations

from pellucid.kernels.activations import ACTIVATIONS
from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import BF16, F32, I32, Type
from pellucid.kernels.tile import width
from pellucid.kernels.tile_low import row_tiles, tile_sums, write_tiles
from pellucid.kernels.winograd import Stages, run_stages


@kernel(
    "x: ptr, u: ptr, out: ptr, low: ptr, bias: ptr, residual: ptr, v: ptr, products: ptr, "
    "images: i64, h: i64, w: i64, c: i64, k: i64, oh: i64, ow: i64, ph: i64, pw: i64, chunk: i64, "
    "v_row: i64, p_row: i64"
)
def winograd_low(
    b: KernelBuilder, *, m: int, shared: bool, out: str, bias: bool, residual: str, activation: str
) -> None:
    """x (N, H, W, C) in bf16 and transformed, packed weights into out or low (N, OH, OW, K).

    `out` and `residual` are as in `gemm_low`, the rest as in `winograd`; `v` holds bf16.
    """
    write_tiles(b, "bf16")
    b.begin()
    down, across = b.ceil_div(b.arg.oh, m), b.ceil_div(b.arg.ow, m)
    run_stages(b, _LowStages(b, m, down, across, bias, residual, activation, out), shared)


class _LowStages(Stages):
    def __init__(
        self, b: KernelBuilder, m: int, down: Value, across: Value, bias: bool, residual: str,
        activation: str, out: str,
    ) -> None:  # fmt: skip
        super().__init__(b, m, down, across, (bias, bool(residual), activation))
        self.kinds, self.out = residual, out
        self.v_type = BF16

    def read(self, at: Value, mask: Value | None) -> Value:
        b = self.b
        return b.convert(b.load(b.arg.x, at, BF16.of(b.lanes), mask), F32)

    def write(self, value: Value, at: Value, mask: Value | None) -> None:
        b, arg = self.b, self.b.arg
        if self.residual:
            kind: Type = BF16 if self.kinds == "bf16" else F32
            value = value + b.convert(b.load(arg.residual, at, kind.of(b.lanes), mask), F32)
        value = ACTIVATIONS[self.activation](b, value)
        if self.out != "bf16":
            b.store(value, arg.out, at, mask)
        if self.out != "f32":
            b.store(b.convert(value, BF16), arg.low, at, mask)

    def input(self, tile: Value, slot: Value, v: Value) -> None:
        super().input(tile, slot, v)
        b, arg = self.b, self.b.arg
        if b.lanes > 1:  # whole vectors are written, and so the second half of the last word
            return
        nothing = b.constant(0.0, BF16)
        with b.when(b.binary("eq", arg.c % 2, 1)), b.loop("place", 0, self.size**2) as place:
            at = place * arg.chunk * arg.v_row + slot * arg.v_row + arg.c
            b.store(nothing, v, at)

    def multiply(self, place: Value, panel: Value, count: Value, v: Value, products: Value) -> None:
        b, arg, nr = self.b, self.b.arg, width(self.b.target)
        panels, steps, row = b.ceil_div(arg.k, nr), b.ceil_div(arg.c, 2), arg.v_row // 2
        a = b.offset(v, place * arg.chunk * row, I32)
        source = b.offset(arg.u, (place * panels + panel) * steps * nr, I32)
        out = b.offset(products, place * arg.chunk * arg.p_row + panel * nr)
        for first, height in row_tiles(b, count):
            start = b.offset(a, first * row, I32)
            tile_sums(b, height, start, row, source, steps, b.offset(out, first * arg.p_row),
                      arg.p_row)  # fmt: skip
