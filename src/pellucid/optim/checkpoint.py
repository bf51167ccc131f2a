"""An optimizer's state as a checkpoint: parameters become numbers when packed, and parameters
again when unpacked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from copy import deepcopy
from itertools import chain
from typing import Any

from pellucid.tensor.dtype import float32
from pellucid.tensor.tensor import Tensor

Group = dict[str, Any]


def pack(state: dict[Any, Any], groups: list[Group]) -> dict[str, Any]:
    """State and groups with each parameter replaced by its number, counted over all groups."""
    number: dict[int, int] = {}
    packed_groups = []
    start = 0
    for group in groups:
        params = group["params"]
        for index, param in enumerate(params, start):
            number.setdefault(id(param), index)
        start += len(params)
        packed = {key: value for key, value in group.items() if key != "params"}
        packed["params"] = [number[id(param)] for param in params]
        packed_groups.append(packed)
    packed_state = {
        number[id(key)] if isinstance(key, Tensor) else key: value for key, value in state.items()
    }
    return {"state": packed_state, "param_groups": packed_groups}


def unpack(
    state_dict: dict[str, Any], groups: list[Group], cast: Callable[..., Tensor]
) -> tuple[defaultdict[Any, Any], list[Group]]:
    """The state and groups of `state_dict`, for the parameters that `groups` holds now.

    `cast(param, value, number, saved_groups, key)` brings each tensor to the parameter's dtype.
    """
    saved = deepcopy(state_dict["param_groups"])
    if len(groups) != len(saved):
        raise ValueError(
            "loaded state dict has a different number of parameter groups: "
            f"it has {len(saved)}, the optimizer {len(groups)}"
        )
    for index, (group, other) in enumerate(zip(groups, saved, strict=True)):
        if len(group["params"]) != len(other["params"]):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of "
                f"optimizer's group: group {index} has {len(other['params'])} parameters there, "
                f"{len(group['params'])} here"
            )
    numbers = chain.from_iterable(group["params"] for group in saved)
    params = chain.from_iterable(group["params"] for group in groups)
    param_of = dict(zip(numbers, params, strict=True))

    def cast_all(param: Tensor, value: Any, number: Any, key: Any = None) -> Any:
        if isinstance(value, Tensor):
            return cast(param, value, number, state_dict["param_groups"], key)
        if isinstance(value, dict):
            return {k: cast_all(param, v, number, k) for k, v in value.items()}
        if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
            return type(value)(cast_all(param, v, number) for v in value)  # type: ignore[call-arg]
        return value

    state: defaultdict[Any, Any] = defaultdict(dict)
    for key, value in state_dict["state"].items():
        if key in param_of:
            state[param_of[key]] = cast_all(param_of[key], value, key)
        else:
            state[key] = value
    for group, other in zip(groups, saved, strict=True):
        other["params"] = group["params"]
        if "param_names" in group:
            other.setdefault("param_names", group["param_names"])
    return state, saved


def cast_state(
    param: Tensor, value: Tensor, number: int, saved_groups: list[Group], key: Any
) -> Tensor:
    """`value` as state of `param`: floating parameters want state of their dtype, except for the
    counter `step`.
    """
    if key != "step":
        return value.to(dtype=param.dtype) if param.is_floating_point() else value
    group = next((group for group in saved_groups if number in group["params"]), {})
    if group.get("capturable") or group.get("fused"):
        return value.to(dtype=float32)
    return value
