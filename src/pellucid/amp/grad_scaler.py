"""`GradScaler`: multiplies the loss so that gradients in float16 do not vanish, and skips steps
that overflowed.

The loss is scaled before backward and gradients are divided by the scale before the step. A step
with
an infinite or NaN gradient is left out and the scale halved; after `growth_interval` good steps in
a
row it is doubled.
"""

from __future__ import annotations

import enum
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.autograd.modes import no_grad
from pellucid.tensor.dtype import float16, float32, int32
from pellucid.tensor.tensor import Tensor


class OptState(enum.Enum):
    """How far an optimizer is in this iteration."""

    READY = 0
    UNSCALED = 1
    STEPPED = 2


@dataclass
class _Progress:
    stage: OptState = OptState.READY
    overflowed: bool | None = None
    """Whether a gradient was infinite or NaN; None: not looked at yet."""


class GradScaler:
    """Scales losses and gradients for training in float16.

    Args:
        device: "cpu"; for "cuda" (the default, as in PyTorch) it warns and does nothing.
        init_scale, growth_factor, backoff_factor, growth_interval: the scale at first, what it is
            multiplied by after good steps and after an overflow, and how many good steps that
            takes.
        enabled: False makes every method pass on what it is given.

    Raises: AssertionError unless growth_factor > 1 and backoff_factor < 1.
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        self._device = device
        self._enabled = enabled
        if enabled and device == "cuda":
            warnings.warn(
                "torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling.",
                stacklevel=2,
            )
            self._enabled = False
        if not growth_factor > 1.0 and self._enabled:
            raise AssertionError("The growth factor must be > 1.0.")
        if not backoff_factor < 1.0 and self._enabled:
            raise AssertionError("The backoff factor must be < 1.0.")
        self._init_scale = init_scale
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        self._init_growth_tracker = 0
        self._scale: Tensor | None = None
        self._growth_tracker: Tensor | None = None
        self._progress: dict[int, _Progress] = {}

    def _state_of(self, optimizer: Any) -> _Progress:
        return self._progress.setdefault(id(optimizer), _Progress())

    def _check_started(self, name: str) -> tuple[Tensor, Tensor]:
        for field in ("_scale", "_growth_tracker"):
            if getattr(self, field) is None:
                raise AssertionError(
                    f"Attempted {name} but {field} is None.  This may indicate your script did not "
                    "use scaler.scale(loss or outputs) earlier in the iteration."
                )
        return self._scale, self._growth_tracker  # type: ignore[return-value]

    def _start(self) -> Tensor:
        if self._scale is None:
            self._scale = ops.full((), self._init_scale, dtype=float32)
            self._growth_tracker = ops.full((), self._init_growth_tracker, dtype=int32)
        return self._scale

    def scale(self, outputs: Any) -> Any:
        """A tensor, or tensors in lists, tuples and other iterables, times the scale.

        Raises: ValueError for anything else.
        """
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs * self._start()
        if isinstance(outputs, Iterable):
            scaled = map(self.scale, outputs)
            return type(outputs)(scaled) if isinstance(outputs, (list, tuple)) else scaled
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def unscale_(self, optimizer: Any) -> None:
        """Divide the gradients of an optimizer by the scale, in place; `step` does so if you do
        not.

        Raises: RuntimeError if it was done since the last `update`, ValueError for gradients in
        float16.
        """
        if not self._enabled:
            return
        scale, _ = self._check_started("unscale_")
        progress = self._state_of(optimizer)
        if progress.stage is OptState.UNSCALED:
            raise RuntimeError(
                "unscale_() has already been called on this optimizer since the last update()."
            )
        if progress.stage is OptState.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        inverse = float(np.float32(1.0 / scale.item()))
        progress.overflowed = False
        with no_grad():
            for group in optimizer.param_groups:
                for param in group["params"]:
                    if param.grad is None:
                        continue
                    if param.grad.dtype is float16:
                        raise ValueError("Attempting to unscale FP16 gradients.")
                    if not bool(ops.isfinite(param.grad).all()):
                        progress.overflowed = True
                    param.grad.mul_(inverse)
        progress.stage = OptState.UNSCALED

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """`optimizer.step(*args, **kwargs)`, left out if a gradient is infinite or NaN.

        Raises: RuntimeError for a `closure`, and if it was called since the last `update`.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        self._check_started("step")
        progress = self._state_of(optimizer)
        if progress.stage is OptState.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if progress.stage is OptState.READY:
            self.unscale_(optimizer)
        result = None if progress.overflowed else optimizer.step(*args, **kwargs)
        progress.stage = OptState.STEPPED
        return result

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """End the iteration: halve the scale after an overflow, double it after enough good steps.

        `new_scale` sets it instead. Raises AssertionError if no gradients were looked at.
        """
        if not self._enabled:
            return
        scale, tracker = self._check_started("update")
        if new_scale is not None:
            scale.fill_(new_scale if isinstance(new_scale, Tensor) else float(new_scale))
        else:
            looked = [p.overflowed for p in self._progress.values() if p.overflowed is not None]
            if not looked:
                raise AssertionError("No inf checks were recorded prior to update.")
            self._adapt(scale, tracker, any(looked))
        self._progress = {}

    def _adapt(self, scale: Tensor, tracker: Tensor, overflowed: bool) -> None:
        if overflowed:
            scale.mul_(self._backoff_factor)
            tracker.fill_(0)
            return
        successes = int(tracker.item()) + 1
        if successes == self._growth_interval:
            grown = np.float32(scale.item()) * np.float32(self._growth_factor)
            if np.isfinite(grown):
                scale.fill_(float(grown))
            successes = 0
        tracker.fill_(successes)

    # -- the numbers

    def get_scale(self) -> float:
        """The scale; 1.0 if disabled."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else self._scale.item()

    def get_growth_factor(self) -> float:
        """What the scale is multiplied by after enough good steps."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Set it."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """What the scale is multiplied by after an overflow."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Set it."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """The number of good steps in a row after which the scale grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Set it."""
        self._growth_interval = new_interval

    def _get_growth_tracker(self) -> int:
        if not self._enabled:
            return 0
        tracker = self._growth_tracker
        return self._init_growth_tracker if tracker is None else int(tracker.item())

    def is_enabled(self) -> bool:
        """Whether it scales."""
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs; empty if disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._get_growth_tracker(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a `state_dict`. RuntimeError if it is empty (saved by a disabled
        scaler).
        """
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled "
                "instance of GradScaler."
            )
        self._init_scale = state_dict["scale"]
        if self._scale is not None:
            self._scale.fill_(state_dict["scale"])
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._init_growth_tracker = state_dict["_growth_tracker"]
        if self._growth_tracker is not None:
            self._growth_tracker.fill_(state_dict["_growth_tracker"])
