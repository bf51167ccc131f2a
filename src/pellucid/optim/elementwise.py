"""Optimizers that update each element on its own: all but L-BFGS.

Such an optimizer says its update twice:

* `_update_by_operators` in tensor operators, as the papers write it. It serves half-precision and
  complex parameters, those without data, and `differentiable=True` (the update itself is recorded
  then).
* a *rule*, a function of NumPy arrays, for float32 and float64. Small networks spend their time in
  the overhead of calls and large ones in moving memory, so a rule makes few calls, and large
  parameters are cut into blocks that stay in the cache while all the rule's passes go over them.
  Who listens to operators hears of one write for each parameter, named `Adam.step`.

Both round alike, up to the fused multiply-add of PyTorch's vectorised loops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.autograd.modes import enable_grad
from pellucid.ops.inplace import tell_write
from pellucid.optim.optimizer import Group, Optimizer, _use_grad_for_differentiable
from pellucid.tensor.dtype import dtype, float32, float64, get_default_dtype
from pellucid.tensor.events import Action, listeners, observers, tell_action, unnoticed
from pellucid.tensor.tensor import Tensor

Array = np.ndarray[Any, Any]
Rule = Callable[..., None]
Numbers = tuple[Any, ...]

BLOCK = 32768
"""Elements of a block: five float32 arrays of this size (640 KiB) stay in a core's second-level
cache.
"""

_BY_RULE = (float32, float64)
_ACCELERATORS = ["cuda", "xpu", "hpu", "privateuseone", "xla"]
_FUSED_DEVICES = ["mps", "cuda", "xpu", "hpu", "cpu", "mtia"]


@dataclass(slots=True)
class Update:
    """How one group is updated by a rule: which state tensors the rule gets, in which order.

    The rule is called `rule(param, grad, *state, *numbers)`.
    """

    rule: Rule
    state: Sequence[str]


@dataclass(slots=True, eq=False)
class RuleCall:
    """One parameter's update by a rule, as listeners hear of it: `numbers` as the rule got them,
    and how to come to those of the next step.
    """

    optimizer: ElementwiseOptimizer
    group: Group
    param: Tensor
    state: dict[str, Any]
    rule: Rule
    names: tuple[str, ...]
    numbers: Numbers

    def next(self) -> tuple[float | None, Any]:
        """Count a step: its number, and what numbers are known by in this step (`known`)."""
        step = self.optimizer._advance(self.state, self.group)
        shared = self.optimizer._numbers_depend_on_step_only
        return step, (id(self.group), step, None if shared else id(self.param))

    def values(self, step: float) -> Sequence[Any]:
        """The rule's numbers at a step, as Python's."""
        return self.optimizer._numbers(self.group, step, self.state)

    def holds(self) -> bool:
        """Whether the optimizer still has these groups and this state."""
        groups, state = self.optimizer.param_groups, self.optimizer.state.get(self.param)
        return any(group is self.group for group in groups) and (
            state is self.state or (state is None and not self.names)
        )


class ElementwiseOptimizer(Optimizer):
    """The loop over parameters. Subclasses give the four methods below the line; `state["step"]`
    is made here.
    """

    _numbers_depend_on_step_only = True
    """Whether parameters of one group at the same step share their numbers."""

    _numbers_keep_their_kind = True
    """Whether a number that is None in one step is None in all."""

    @_use_grad_for_differentiable
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update each parameter that has a gradient. `closure` computes the loss anew; what it
        returns is returned.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._update_group(group)
        return loss

    def _update_group(self, group: Group) -> None:
        update = self._update(group)
        rule, names = update.rule, update.state
        by_operators = bool(group.get("differentiable"))
        name = f"{type(self).__name__}.step"
        known: dict[Any, Numbers] = {}
        for param in group["params"]:
            grad = param.grad
            if grad is None:
                continue
            state = self._state_of(param, group)
            kind = param.dtype
            if (
                by_operators
                or kind not in _BY_RULE
                or grad.dtype is not kind
                or param._storage.meta
            ):
                self._update_by_operators(param, grad, state, group)
                if observers:
                    tell_action(Action(name, self, reason=f"{kind} parameters by operators"))
                continue
            step = self._advance(state, group)
            if step is None:
                self._update_by_operators(param, grad, state, group)
                if observers:
                    tell_action(Action("state is made", self))
                continue
            numbers = known.get((kind, step))
            if numbers is None:
                if observers:
                    with unnoticed():
                        values = self._numbers(group, step, state)
                else:
                    values = self._numbers(group, step, state)
                numbers = as_arrays(param._array.dtype, values)
                if self._numbers_depend_on_step_only:
                    known[kind, step] = numbers
            start = perf_counter() if listeners else 0.0
            tensors = [state[key] for key in names]
            in_blocks(rule, [param._array, grad._array, *[t._array for t in tensors]], numbers)
            param._bump_version()
            for tensor in tensors:
                tensor._bump_version()
            if listeners:
                call = RuleCall(self, group, param, state, rule, tuple(names), numbers)
                tell_write(name, param, (grad, *tensors), start, {"rule": call})

    def _state_of(self, param: Tensor, group: Group) -> dict[str, Any]:
        """The parameter's state; at its first step it is made, and the options are checked against
        the parameter.
        """
        state: dict[str, Any] = self.state[param]
        if not state:
            check_flags(param, group)
            state["step"] = ops.zeros((), dtype=counter_dtype(group))
            self._start(param, group, state)
            if observers:
                tell_action(Action("state is made", self))
        return state

    def _advance(self, state: dict[str, Any], group: Group) -> float | None:
        """Count the step; None leaves this step (and its counting) to the operators."""
        return count(state)

    # ---------------------------------------------------------------------------------------------

    def _start(self, param: Tensor, group: Group, state: dict[str, Any]) -> None:
        """Put the tensors that the update needs into a fresh `state`."""
        raise NotImplementedError

    def _update(self, group: Group) -> Update:
        """The rule of this group."""
        raise NotImplementedError

    def _numbers(self, group: Group, step: float, state: dict[str, Any]) -> Sequence[float | None]:
        """The numbers that the rule wants after the state, at step `step` (1 for the first). None
        stays None.
        """
        raise NotImplementedError

    def _update_by_operators(
        self, param: Tensor, grad: Tensor, state: dict[str, Any], group: Group
    ) -> None:
        """The update in tensor operators."""
        raise NotImplementedError


def count(state: dict[str, Any]) -> float:
    """Add one to the step counter and return it."""
    counter = state["step"]
    step: float = counter._array.item() + 1.0
    set_counter(counter, step)
    return step


def set_counter(counter: Tensor, value: float) -> None:
    """Write a 0-dim state tensor."""
    counter._array.fill(value)
    counter._bump_version()


def as_arrays(kind: np.dtype[Any], numbers: Sequence[Any]) -> Numbers:
    """Numbers as 0-dim arrays of the parameter's dtype: NumPy takes these a quarter faster than
    Python's floats.
    """
    return tuple([n if n is None or type(n) is bool else np.array(n, kind) for n in numbers])


def in_blocks(rule: Rule, arrays: list[Array], numbers: Numbers) -> None:
    """Call the elementwise `rule` on `arrays` of one shape, block by block when they are large and
    contiguous.
    """
    size = arrays[0].size
    if not arrays[
        0
    ].ndim:  # NumPy's operators make numbers of 0-dim arrays, which cannot be written
        arrays = [array.reshape(1) for array in arrays]
    if size <= BLOCK or not all(array.flags.c_contiguous for array in arrays):
        rule(*arrays, *numbers)
        return
    flat = [array.reshape(-1) for array in arrays]
    for start in range(0, size, BLOCK):
        rule(*[array[start : start + BLOCK] for array in flat], *numbers)


# -- pieces that rules share


def descent(param: Array, grad: Array, decay: Array | None, maximize: bool) -> Array:
    """The direction to go against: `grad` (to climb, `-grad`) plus `decay * param` (L2 penalty)."""
    if maximize:
        grad = np.negative(grad)
    if decay is not None:
        pull = param * decay
        pull += grad
        return pull
    return grad


def lerp_(average: Array, value: Array, weight: Array) -> None:
    """`average += weight * (value - average)`, from the nearer end as PyTorch's `lerp_`."""
    change = value - average
    if weight < 0.5:
        change *= weight
        average += change
    else:
        change *= 1 - weight
        np.subtract(value, change, out=average)


def add_square_(average: Array, value: Array, decay: Array, weight: Array) -> None:
    """`average = decay * average + weight * value²`, in the order of `mul_` and `addcmul_`."""
    average *= decay
    square = value * weight
    square *= value
    average += square


def add_quotient_(param: Array, numerator: Array, denominator: Array, factor: Array) -> None:
    """`param += factor * numerator / denominator`, in the order of `addcdiv_`."""
    change = numerator * factor
    change /= denominator
    param += change


# -- the same in operators


def descent_of(param: Tensor, grad: Tensor, group: Group) -> Tensor:
    """`descent` in operators."""
    if group["maximize"]:
        grad = -grad
    decay = group["weight_decay"]
    if not isinstance(decay, Tensor) and decay == 0:
        return grad
    if isinstance(decay, Tensor) and decay.requires_grad:
        return grad.addcmul(param.clone(), decay)
    return grad.add(param, alpha=number(decay))


def real(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Complex tensors seen as real ones, with a last dimension of two; real tensors as they are."""
    return tuple([ops.view_as_real(t) if t.is_complex() else t for t in tensors])


# -- checks


def number(value: Any) -> Any:
    """A hyperparameter as a Python number: one-element tensors are read."""
    return value.item() if isinstance(value, Tensor) else value


def scalar(value: Any) -> Any:
    """A hyperparameter that can be multiplied with any tensor: one-element tensors lose their
    dimensions.
    """
    return value.squeeze() if isinstance(value, Tensor) and value.dim() != 0 else value


def check_lr(lr: float | Tensor) -> None:
    """Refuse learning rates below zero and tensors of several elements."""
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    check_not_negative("learning rate", lr)


def check_not_negative(words: str, value: Any) -> None:
    """Refuse `value` below zero (and NaN)."""
    if not value >= 0.0:
        raise ValueError(f"Invalid {words}: {value}")


def check_betas(betas: Sequence[Any]) -> None:
    """Refuse decay rates of averages outside [0, 1)."""
    for index in (0, 1):
        if not 0.0 <= betas[index] < 1.0:
            raise ValueError(f"Invalid beta parameter at index {index}: {betas[index]}")


def check_fused(fused: bool | None, foreach: bool | None, differentiable: bool) -> None:
    """Refuse `fused` together with `differentiable` or `foreach`."""
    if fused and differentiable:
        raise RuntimeError("`fused` does not support `differentiable`")
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


def check_flags(param: Tensor, group: Group) -> None:
    """Refuse what the flags of `group` cannot do with `param`: `capturable` wants an accelerator,
    `fused` floating dtypes.
    """
    fused = group.get("fused")
    if fused and not param.is_floating_point():
        raise RuntimeError(
            "`fused=True` requires all the params to be floating point Tensors of "
            f"supported devices: {_FUSED_DEVICES} but {param.dtype} and {param.device.type}"
        )
    if group.get("capturable") and not fused:
        raise AssertionError(
            "If capturable=True, params and state_steps must be on supported devices: "
            f"{_ACCELERATORS}. Here they are on the CPU: leave capturable=False."
        )


def counter_dtype(group: Group) -> dtype:
    """The dtype of `state["step"]`: float64 when that is the default dtype and the group is not
    fused.
    """
    return float64 if get_default_dtype() is float64 and not group.get("fused") else float32


def revive(
    optimizer: Optimizer, defaults: dict[str, Any], counters: Sequence[str] = ("step",)
) -> None:
    """Bring the groups and states of old checkpoints up to date.

    Options that the groups lack get `defaults`; counters that were Python numbers become tensors.
    """
    for group in optimizer.param_groups:
        for name, value in defaults.items():
            group.setdefault(name, value)
        for param in group["params"]:
            state = optimizer.state.get(param) or {}
            for name in counters if state else ():
                if not isinstance(state[name], Tensor):
                    kind = counter_dtype(group)
                    state[name] = ops.tensor(float(state[name]), dtype=kind)
