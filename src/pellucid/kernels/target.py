"""The CPU that code is made for: vector lanes, registers, features.

`PELLUCID_TARGET` chooses another than the host's best, for tests and for reading the code that
another CPU would get: avx512, avx2, neon, scalar.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from pellucid.config import target_name


@dataclass(frozen=True, slots=True)
class Target:
    """What kernels ask of a CPU.

    `lanes`: f32 in a vector register; `rows` x `vectors`: the register tile of a matrix product
    (accumulators that leave room for the operands).
    """

    name: str
    lanes: int
    rows: int
    vectors: int
    features: str
    dot_bf16: bool = False
    dot_i8: bool = False


TARGETS = {
    "avx512": Target("avx512", 16, 14, 2, "+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx2,+fma"),
    "avx2": Target("avx2", 8, 6, 2, "+avx2,+fma,+avx"),
    "neon": Target("neon", 4, 8, 3, "+neon"),
    "scalar": Target("scalar", 1, 2, 4, ""),
}


@functools.cache
def host_features() -> dict[str, bool]:
    """The features that LLVM sees on this CPU."""
    import llvmlite.binding as llvm

    return dict(llvm.get_host_cpu_features())


@functools.cache
def current() -> Target:
    """The target of this process: `PELLUCID_TARGET`, else the best that the CPU has."""
    chosen = target_name(tuple(TARGETS))
    has = host_features()
    if chosen is None:
        if has.get("avx512f") and has.get("avx512vl") and has.get("avx512dq"):
            chosen = "avx512"
        elif has.get("avx2") and has.get("fma"):
            chosen = "avx2"
        else:
            chosen = "neon" if has.get("neon") else "scalar"
    target = TARGETS[chosen]
    if chosen != "avx512":
        return target
    flags = target.features + (",+avx512bf16" if has.get("avx512bf16") else "")
    flags += ",+avx512vnni" if has.get("avx512vnni") else ""
    return Target(
        "avx512", target.lanes, target.rows, target.vectors, flags,
        bool(has.get("avx512bf16")), bool(has.get("avx512vnni")),
    )  # fmt: skip
