"""`Optimizer`: parameter groups, state per parameter, hooks, checkpoints.

An optimizer holds *groups*: dicts with the list `params` and that group's options (`lr`, …), and a
*state* per parameter:
`state[p]` is a dict such as `{"step": …, "exp_avg": …}`. Subclasses set options in `defaults` and
write `step`.
"""

from __future__ import annotations

import functools
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from pellucid.autograd.hooks import RemovableHandle, add_hook
from pellucid.autograd.modes import is_grad_enabled, set_grad_enabled
from pellucid.optim import checkpoint
from pellucid.tensor.tensor import Tensor

__all__ = ["Optimizer", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook"]

Group = dict[str, Any]
StateDict = dict[str, Any]
Params = Iterable[Tensor] | Iterable[Group] | Iterable[tuple[str, Tensor]]
Hooks = OrderedDict[int, Callable[..., Any]]
F = TypeVar("F", bound=Callable[..., Any])

_every_step_pre_hooks: Hooks = OrderedDict()
_every_step_post_hooks: Hooks = OrderedDict()
_HOOK_LISTS = (
    "_optimizer_step_pre_hooks",
    "_optimizer_step_post_hooks",
    "_optimizer_state_dict_pre_hooks",
    "_optimizer_state_dict_post_hooks",
    "_optimizer_load_state_dict_pre_hooks",
    "_optimizer_load_state_dict_post_hooks",
)


class _RequiredParameter:
    def __repr__(self) -> str:
        return "<required parameter>"


required = _RequiredParameter()
"""As a value in `defaults`: each group must give this option itself."""


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(optimizer, args, kwargs)` before every step of every optimizer.

    It may return `(args, kwargs)` to replace the arguments of `step`.
    """
    return _register(_every_step_pre_hooks, hook)


def register_optimizer_step_post_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(optimizer, args, kwargs)` after every step of every optimizer."""
    return _register(_every_step_post_hooks, hook)


def _register(hooks: Hooks, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
    handle = add_hook(hooks, hook)
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def _use_grad_for_differentiable(step: F) -> F:
    """Run `step` without recording, or with it when the optimizer is `differentiable`."""

    @functools.wraps(step)
    def stepping(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        before = is_grad_enabled()
        set_grad_enabled(self.defaults["differentiable"])
        try:
            return step(self, *args, **kwargs)
        finally:
            set_grad_enabled(before)

    return stepping  # type: ignore[return-value]


def type_name(value: object) -> str:
    """How messages name the type of `value`: `torch.FloatTensor`, `int`, `collections.Counter`."""
    if isinstance(value, Tensor):
        return str(value.type())
    kind = type(value)
    module = "" if kind.__module__ in ("builtins", "__builtin__") else kind.__module__ + "."
    return module + kind.__qualname__


class Optimizer:
    """What all optimizers share.

    Args:
        params: tensors, `(name, tensor)` pairs, or dicts (groups) with the key `params` and
        options of their own. The
            order must be the same in every run, so that a checkpoint finds its parameters again:
            sets are refused.
        defaults: the options of groups that do not give them.

    Raises:
        TypeError: `params` is one tensor, or holds something that is no tensor.
        ValueError: no parameters; a tensor that is not a leaf; a parameter in two groups; only
        some have names.
    """

    state: defaultdict[Any, Any]
    param_groups: list[Group]
    defaults: dict[str, Any]

    _optimizer_step_pre_hooks: Hooks
    _optimizer_step_post_hooks: Hooks
    _optimizer_state_dict_pre_hooks: Hooks
    _optimizer_state_dict_post_hooks: Hooks
    _optimizer_load_state_dict_pre_hooks: Hooks
    _optimizer_load_state_dict_post_hooks: Hooks

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self._make_hook_lists()
        self._patch_step_function()
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, "
                f"but got {type_name(params)}"
            )
        self.state = defaultdict(dict)
        self.param_groups = []
        groups: list[Any] = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def _make_hook_lists(self) -> None:
        for name in _HOOK_LISTS:
            if name not in self.__dict__:
                setattr(self, name, OrderedDict())

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("defaults", "state", "param_groups")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._make_hook_lists()
        self._patch_step_function()
        self.defaults.setdefault("differentiable", False)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for index, group in enumerate(self.param_groups):
            lines += [""] * (index > 0) + [f"Parameter Group {index}"]
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join(lines) + "\n)"

    # -- groups

    def add_param_group(self, param_group: Group) -> None:
        """Add a group; options it does not give are the optimizer's `defaults`.

        Raises: TypeError or ValueError as the class says.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        _list_parameters(param_group)
        for param in param_group["params"]:
            self._check_parameter(param)
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(
                    "parameter group didn't specify a value of required optimization parameter "
                    f"{name}"
                )
            param_group.setdefault(name, default)
        self._check_group(param_group)
        self.param_groups.append(param_group)

    def _check_parameter(self, param: Any) -> None:
        if not isinstance(param, Tensor):
            raise TypeError(
                f"optimizer can only optimize Tensors, but one of the params is {type_name(param)}"
            )
        movable = self.defaults.get("differentiable") or param.is_leaf or param.retains_grad
        if not movable:
            raise ValueError("can't optimize a non-leaf Tensor")

    def _check_group(self, param_group: Group) -> None:
        new = set(param_group["params"])
        if len(param_group["params"]) != len(new):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; "
                "in future, this will cause an error; "
                "see github.com/pytorch/pytorch/issues/40967 for more information",
                stacklevel=4,
            )
        named = "param_names" in param_group
        for group in self.param_groups:
            if named != ("param_names" in group):
                raise ValueError(
                    "all optimizer param groups should be with/without names. cannot add param "
                    f"group {'with' if named else 'without'} names to the optimizer"
                )
        if any(not new.isdisjoint(group["params"]) for group in self.param_groups):
            raise ValueError("some parameters appear in more than one parameter group")

    # -- stepping

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters once from their `.grad`. `closure` computes the loss anew and
        returns it.
        """
        raise NotImplementedError

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or set them to zeros with `set_to_none=False`.

        With None, a parameter that gets no gradient in the next backward pass is skipped by `step`.
        """
        for group in self.param_groups:
            for param in group["params"]:
                grad = param.grad
                if grad is None:
                    continue
                if set_to_none:
                    param.grad = None
                    continue
                if grad.grad_fn is not None:
                    grad.detach_()
                else:
                    grad.requires_grad_(False)
                grad.zero_()

    def _patch_step_function(self) -> None:
        """Let the class's `step` call the hooks, once for each class an instance is made of."""
        cls: Any = type(self)
        if not getattr(cls.step, "hooked", False):
            cls.step = self.profile_hook_step(cls.step)
            cls.step.hooked = True

    @staticmethod
    def profile_hook_step(func: F) -> F:
        """`func`, a `step` method, with the hooks called before and after it."""

        @functools.wraps(func)
        def step(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
            if _every_step_pre_hooks or self._optimizer_step_pre_hooks:
                args, kwargs = self._call_pre_hooks(func, args, kwargs)
            out = func(self, *args, **kwargs)
            if self._optimizer_step_post_hooks or _every_step_post_hooks:
                mine, every = self._optimizer_step_post_hooks, _every_step_post_hooks
                for hook in (*mine.values(), *every.values()):
                    hook(self, (self, *args), kwargs)
            return out

        return step  # type: ignore[return-value]

    def _call_pre_hooks(self, func: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        args = (self, *args)
        every, mine = _every_step_pre_hooks, self._optimizer_step_pre_hooks
        for hook in (*every.values(), *mine.values()):
            result = hook(self, args, kwargs)
            if result is None:
                continue
            if not (isinstance(result, tuple) and len(result) == 2):
                raise RuntimeError(
                    f"{func} must return None or a tuple of (new_args, new_kwargs), "
                    f"but got {result}."
                )
            args, kwargs = result
        return args[1:], kwargs

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` before `step`; it may return `(args, kwargs)`."""
        return _register(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` after `step`."""
        return _register(self._optimizer_step_post_hooks, hook)

    # -- checkpoints

    def register_state_dict_pre_hook(
        self, hook: Callable[[Optimizer], None], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(optimizer)` before `state_dict` packs the state; first of all hooks if
        `prepend`.
        """
        return _register(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(
        self, hook: Callable[[Optimizer, StateDict], StateDict | None], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` on the packed state; it may return another one."""
        return _register(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(
        self, hook: Callable[[Optimizer, StateDict], StateDict | None], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` before loading; it may return what to load instead."""
        return _register(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(
        self, hook: Callable[[Optimizer], None], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(optimizer)` after loading."""
        return _register(self._optimizer_load_state_dict_post_hooks, hook, prepend)

    def state_dict(self) -> StateDict:
        """`{"state": …, "param_groups": …}` with parameters replaced by their number in order.

        The tensors are the optimizer's own, not copies.
        """
        for pre in self._optimizer_state_dict_pre_hooks.values():
            pre(self)
        packed = checkpoint.pack(self.state, self.param_groups)
        for post in self._optimizer_state_dict_post_hooks.values():
            changed = post(self, packed)
            packed = packed if changed is None else changed
        return packed

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Take over a `state_dict()`: options and state, matched to the parameters by their order.

        Floating state becomes the dtype of its parameter (but not the counter `step`). Other
        tensors are taken as
        they are.

        Raises: ValueError when the number of groups or the sizes of groups differ.
        """
        state_dict = state_dict.copy()
        for pre in self._optimizer_load_state_dict_pre_hooks.values():
            changed = pre(self, state_dict)
            state_dict = state_dict if changed is None else changed
        cast = self._process_value_according_to_param_policy
        state, groups = checkpoint.unpack(state_dict, self.param_groups, cast)
        self.__setstate__({"state": state, "param_groups": groups})
        for post in self._optimizer_load_state_dict_post_hooks.values():
            post(self)

    @staticmethod
    def _process_value_according_to_param_policy(
        param: Tensor, value: Tensor, param_id: int, param_groups: list[Group], key: Any = None
    ) -> Tensor:
        return checkpoint.cast_state(param, value, param_id, param_groups, key)


def _list_parameters(param_group: Group) -> None:
    """Make `params` a list of tensors and, if they came with names, `param_names` the list of
    names.
    """
    params = param_group["params"]
    if isinstance(params, Tensor):
        params = [params]
    elif isinstance(params, set):
        raise TypeError(
            "optimizer parameters need to be organized in ordered collections, but the ordering of "
            "tensors in sets will change between runs. Please use a list instead."
        )
    params = list(params)
    names = [param[0] for param in params if isinstance(param, tuple)]
    param_group["params"] = [param[1] if isinstance(param, tuple) else param for param in params]
    if names:
        if len(names) != len(params):
            raise ValueError(
                "all optimizer params should be with/without names. Some param names are missing"
            )
        param_group["param_names"] = names
