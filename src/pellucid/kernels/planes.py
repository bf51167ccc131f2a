"""Sums over the planes of images (N, C, L), for the statistics of normalisation; planes are shared
out to the threads.
"""

from __future__ import annotations

from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import F32
from pellucid.kernels.vectors import over_vectors


@kernel(
    "x: ptr, grad: ptr, centre: ptr, sums: ptr, products: ptr, planes: i64, channels: i64, n: i64"
)
def plane_sums(b: KernelBuilder, *, grad: bool) -> None:
    """Of each plane of n numbers, with d = x - centre of its channel: the sums of d and of d^2; or
    with `grad`, those of grad and of grad * d.
    """
    b.begin()
    arg = b.arg
    start, stop = b.share(arg.planes)
    with b.loop("plane", start, stop) as plane:
        x, given = b.offset(arg.x, plane * arg.n), b.offset(arg.grad, plane * arg.n)
        centre = b.broadcast(b.load(arg.centre, plane % arg.channels, F32), b.lanes)
        zero = b.broadcast(b.constant(0.0, F32), b.lanes)
        total, product = b.register(zero, "total"), b.register(zero, "product")

        def add(
            at: Value, mask: Value | None, x: Value = x, given: Value = given,
            centre: Value = centre,
        ) -> None:  # fmt: skip
            away = b.load(x, at, b.f32, mask) - centre
            if mask is not None:
                away = b.select(mask, away, 0.0)
            other = b.load(given, at, b.f32, mask) if grad else away
            b.set(total, b.get(total) + other)
            b.set(product, b.fma(other, away, b.get(product)))

        over_vectors(b, arg.n, add)
        b.store(b.reduce("add", b.get(total)), arg.sums, plane)
        b.store(b.reduce("add", b.get(product)), arg.products, plane)
