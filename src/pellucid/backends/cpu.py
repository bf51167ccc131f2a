"""`torch.backends.cpu`: what the processor can do."""

from __future__ import annotations

from numpy._core._multiarray_umath import __cpu_features__  # type: ignore[import-not-found]  # compiled


def get_cpu_capability() -> str:
    """ "AVX512", "AVX2" or "DEFAULT": the widest instructions that the processor has."""
    if __cpu_features__.get("AVX512F"):
        return "AVX512"
    return "AVX2" if __cpu_features__.get("AVX2") else "DEFAULT"
