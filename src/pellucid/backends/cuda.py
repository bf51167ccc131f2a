"""`torch.backends.cuda`: flags of a device that is not there. They can be set and read back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

matmul = SimpleNamespace(
    allow_tf32=False,
    allow_fp16_reduced_precision_reduction=True,
    allow_bf16_reduced_precision_reduction=True,
    allow_fp16_accumulation=False,
    fp32_precision="none",
)
cufft_plan_cache = SimpleNamespace(max_size=0, size=0, clear=lambda: None)
_flags = {"flash_sdp": True, "mem_efficient_sdp": True, "math_sdp": True, "cudnn_sdp": True}


def is_built() -> bool:
    """Whether the library was built for CUDA: no."""
    return False


def is_flash_attention_available() -> bool:
    """Whether flash attention was built: no."""
    return False


def _pair(name: str) -> tuple[Callable[[bool], None], Callable[[], bool]]:
    def enable(enabled: bool) -> None:
        _flags[name] = bool(enabled)

    def ask() -> bool:
        return _flags[name]

    enable.__name__, ask.__name__ = f"enable_{name}", f"{name}_enabled"
    enable.__doc__ = f"Set the flag `{name}`, which changes nothing on the CPU."
    ask.__doc__ = f"The flag `{name}`."
    return enable, ask


enable_flash_sdp, flash_sdp_enabled = _pair("flash_sdp")
enable_mem_efficient_sdp, mem_efficient_sdp_enabled = _pair("mem_efficient_sdp")
enable_math_sdp, math_sdp_enabled = _pair("math_sdp")
enable_cudnn_sdp, cudnn_sdp_enabled = _pair("cudnn_sdp")


@contextmanager
def sdp_kernel(
    enable_flash: bool = True,
    enable_math: bool = True,
    enable_mem_efficient: bool = True,
    enable_cudnn: bool = True,
) -> Iterator[dict[str, Any]]:
    """The flags of attention for a block; on the CPU there is one way to compute it."""
    before = dict(_flags)
    _flags.update(
        flash_sdp=enable_flash,
        math_sdp=enable_math,
        mem_efficient_sdp=enable_mem_efficient,
        cudnn_sdp=enable_cudnn,
    )
    try:
        yield {}
    finally:
        _flags.update(before)
