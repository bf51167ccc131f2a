"""LLVM IR of what low precision needs: bf16 to and from f32, and sums of short products.

Targets without such instructions get the same numbers in other ones: bf16 is the upper half of an
f32, so it is widened by a shift, and bytes are multiplied as 32-bit integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import Type
from pellucid.kernels.target import Target

_WIDTHS = (16,)
"""Lanes of sums for which the target's instructions are used."""


class Printer(Protocol):
    """What is asked of the printer of values."""

    target: Target

    def define(self, text: str, stem: str = "v") -> str: ...
    def intrinsic(
        self, name: str, result: str, args: Sequence[str], types: Sequence[str]
    ) -> str: ...
    def typed(self, value: Value) -> str: ...
    def ref(self, value: Value) -> str: ...


def vector(kind: str, lanes: int) -> str:
    """An LLVM type by LLVM's name of the scalar."""
    return kind if lanes == 1 else f"<{lanes} x {kind}>"


def splat(kind: str, lanes: int, number: int) -> str:
    """An integer in every lane."""
    return str(number) if lanes == 1 else f"<{', '.join([f'{kind} {number}'] * lanes)}>"


def convert(p: Printer, x: Value, type: Type) -> str:
    """f32 to bf16, rounded to the nearest (ties to even, NaN stays), or back, which is exact."""
    lanes = type.lanes
    if type.kind == "bf16":
        return _rounded(p, x, lanes)
    wide = vector("i32", lanes)
    bits = p.define(f"zext {p.typed(x)} to {wide}")
    bits = p.define(f"shl {wide} {bits}, {splat('i32', lanes, 16)}")
    return p.define(f"bitcast {wide} {bits} to {vector('float', lanes)}")


def _rounded(p: Printer, x: Value, lanes: int) -> str:
    if p.target.dot_bf16 and lanes in _WIDTHS:
        found = p.intrinsic("llvm.x86.avx512bf16.cvtneps2bf16.512", "<16 x bfloat>", [p.ref(x)],
                            ["<16 x float>"])  # fmt: skip
        return p.define(f"bitcast <16 x bfloat> {found} to <16 x i16>")
    wide = vector("i32", lanes)

    def number(value: int) -> str:
        return splat("i32", lanes, value)

    bits = p.define(f"bitcast {p.typed(x)} to {wide}")
    high = p.define(f"lshr {wide} {bits}, {number(16)}")
    odd = p.define(f"and {wide} {high}, {number(1)}")
    half = p.define(f"add {wide} {bits}, {number(0x7FFF)}")
    total = p.define(f"add {wide} {half}, {odd}")
    nearest = p.define(f"lshr {wide} {total}, {number(16)}")
    quiet = p.define(f"or {wide} {high}, {number(0x40)}")
    nan = p.define(f"fcmp uno {p.typed(x)}, {p.ref(x)}")
    chosen = p.define(f"select {vector('i1', lanes)} {nan}, {wide} {quiet}, {wide} {nearest}")
    return p.define(f"trunc {wide} {chosen} to {vector('i16', lanes)}")


def dot(p: Printer, a: Value, b: Value, c: Value) -> str:
    """c + the products of each lane: see `Builder.dot`."""
    lanes = c.type.lanes
    if c.type.kind == "f32":
        if p.target.dot_bf16 and lanes in _WIDTHS:
            pairs = [p.define(f"bitcast {p.typed(v)} to <32 x bfloat>") for v in (a, b)]
            return p.intrinsic("llvm.x86.avx512bf16.dpbf16ps.512", "<16 x float>",
                               [p.ref(c), *pairs],
                               ["<16 x float>", "<32 x bfloat>", "<32 x bfloat>"])  # fmt: skip
        return _dot_bf16(p, a, b, p.ref(c), lanes)
    if p.target.dot_i8 and lanes in _WIDTHS:
        types = ["<16 x i32>", "<64 x i8>", "<64 x i8>"]
        return p.intrinsic("llvm.x86.avx512.vpdpbusd.512", "<16 x i32>",
                           [p.ref(v) for v in (c, a, b)], types)  # fmt: skip
    return _dot_i8(p, a, b, p.ref(c), lanes)


def _words(p: Printer, x: Value, lanes: int) -> str:
    return p.define(f"bitcast {p.typed(x)} to {vector('i32', lanes)}")


def _dot_bf16(p: Printer, a: Value, b: Value, total: str, lanes: int) -> str:
    wide, real = vector("i32", lanes), vector("float", lanes)
    words = [_words(p, x, lanes) for x in (a, b)]
    for change in (f"shl {wide} {{}}, {splat('i32', lanes, 16)}",
                   f"and {wide} {{}}, {splat('i32', lanes, -65536)}"):  # fmt: skip
        x, y = (p.define(f"bitcast {wide} {p.define(change.format(w))} to {real}") for w in words)
        if p.target.features:
            name = "llvm.fma.f32" if lanes == 1 else f"llvm.fma.v{lanes}f32"
            total = p.intrinsic(name, real, [x, y, total], [real] * 3)
        else:  # no such instruction: round twice
            product = p.define(f"fmul {real} {x}, {y}")
            total = p.define(f"fadd {real} {product}, {total}")
    return total


def _dot_i8(p: Printer, a: Value, b: Value, total: str, lanes: int) -> str:
    wide = vector("i32", lanes)
    left, right = (_words(p, x, lanes) for x in (a, b))
    for shift in (0, 8, 16, 24):
        moved = p.define(f"lshr {wide} {left}, {splat('i32', lanes, shift)}")
        x = p.define(f"and {wide} {moved}, {splat('i32', lanes, 255)}")
        moved = p.define(f"shl {wide} {right}, {splat('i32', lanes, 24 - shift)}")
        y = p.define(f"ashr {wide} {moved}, {splat('i32', lanes, 24)}")
        product = p.define(f"mul {wide} {x}, {y}")
        total = p.define(f"add {wide} {total}, {product}")
    return total
