"""Layers that learn their input size from the first input."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from pellucid.nn.parameter import is_lazy


class LazyModuleMixin:
    """Mixed in before the layer it completes: `class LazyLinear(LazyModuleMixin, Linear)`.

    The first call runs `initialize_parameters`, which gives the parameters their shapes; then the
    module becomes an instance of `cls_to_become`. A state can be saved and loaded before that.
    """

    cls_to_become: type[Any] | None = None
    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _non_persistent_buffers_set: set[str]
    _register_load_state_dict_pre_hook: Callable[..., Any]
    register_forward_pre_hook: Callable[..., Any]
    _get_name: Callable[[], str]
    reset_parameters: Callable[[], None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._load_hook = self._register_load_state_dict_pre_hook(self._lazy_load_hook)
        self._initialize_hook = self.register_forward_pre_hook(
            self._infer_parameters, with_kwargs=True
        )

    def _own_tensors(self) -> Iterator[tuple[str, Any, bool]]:
        """`(name, tensor, persistent)` of this module's parameters and buffers."""
        for name, tensor in itertools.chain(self._parameters.items(), self._buffers.items()):
            if tensor is not None:
                yield name, tensor, name not in self._non_persistent_buffers_set

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        for name, tensor, persistent in self._own_tensors():
            if persistent:
                kept = tensor if keep_vars or is_lazy(tensor) else tensor.detach()
                destination[prefix + name] = kept

    def _lazy_load_hook(
        self, state_dict: Any, prefix: str, local_metadata: Any, *lists: Any
    ) -> None:
        """A state with real tensors decides the shapes before it is copied."""
        for name, tensor, _ in self._own_tensors():
            value = state_dict.get(prefix + name)
            if value is not None and is_lazy(tensor) and not is_lazy(value):
                tensor.materialize(tuple(value.shape))

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Give every parameter its shape, from the arguments of the first call."""
        raise NotImplementedError(
            f"initialize_parameters is not implemented for {type(self).__name__}"
        )

    def has_uninitialized_params(self) -> bool:
        """Whether a parameter or buffer of this module still waits for its shape."""
        return any(is_lazy(tensor) for _, tensor, _ in self._own_tensors())

    def _infer_parameters(self, module: Any, args: tuple[Any, ...], kwargs: Any = None) -> None:
        module.initialize_parameters(*args, **(kwargs or {}))
        if module.has_uninitialized_params():
            raise RuntimeError(f"module {self._get_name()} has not been fully initialized")
        module._initialize_hook.remove()
        module._load_hook.remove()
        del module._initialize_hook, module._load_hook
        if module.cls_to_become is not None:
            module.__class__ = module.cls_to_become
