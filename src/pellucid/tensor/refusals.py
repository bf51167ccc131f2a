"""Refusals that several parts of a tensor share: of memory, of data that is not there."""

from __future__ import annotations

from collections.abc import Sequence


def no_data() -> NotImplementedError:
    """The refusal to hand out data that is not there."""
    return NotImplementedError(
        "Cannot copy out of meta tensor; no data!\n"
        "  Tensors on device='meta' have a shape and a dtype only. torch.empty_like(x, "
        "device='cpu'), or to_empty(device='cpu') of a module, gives memory to be filled; "
        "load_state_dict(state, assign=True) puts loaded tensors in their place."
    )


def no_number() -> RuntimeError:
    """The refusal of a number that is not there."""
    return RuntimeError(
        "Tensor.item() cannot be called on meta tensors\n"
        "  Tensors on device='meta' have a shape and a dtype only: what depends on their numbers "
        "cannot be run with them."
    )


def no_memory(shape: Sequence[int], nbytes: int) -> RuntimeError:
    """The refusal of memory for a tensor of this shape, as PyTorch's allocator says it."""
    if nbytes >= 1 << 63:
        return RuntimeError(f"Storage size calculation overflowed with sizes={list(shape)}")
    return RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate "
        f"memory: you tried to allocate {nbytes} bytes. Error code 12 (Cannot allocate memory)\n"
        f"  A tensor of shape {tuple(shape)} needs {nbytes / 2**30:,.1f} GiB."
    )
