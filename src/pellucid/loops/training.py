"""`compile_loop`: a training step and its data as a loop that runs without Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from pellucid.autograd.modes import no_grad
from pellucid.compiler.guards import ModuleState
from pellucid.compiler.step_trace import StepGraph
from pellucid.compiler.steps import settings_of
from pellucid.compiler.trace import tensors_in
from pellucid.compiler.training import TrainingCalls
from pellucid.compiler.whole import NotWhole
from pellucid.data.dataloader import DataLoader
from pellucid.loops.batches import Batches, rows_of
from pellucid.loops.native import NativeStep, NotSteady
from pellucid.tensor.random.generator import Generator
from pellucid.tensor.tensor import Tensor, adopt

SECONDS = 0.05
"""How long one native call may take: Ctrl-C is heard between calls."""
_FIRST, _MOST = 16, 1 << 14

Step = Callable[..., Any]


class TrainingLoop:
    """A compiled loop. `loop(steps)` trains on and returns what the step returned, a tensor
    (steps,) of losses, (steps, n) where it returns n numbers, and with a dimension for the models
    after the steps in a sweep. `str(loop)` says how it runs.
    """

    def __init__(self, steps: Sequence[Step], batches: Batches, *, sweep: bool = False) -> None:
        self.steps, self.batches, self.sweep = list(steps), batches, sweep
        self.calls = [TrainingCalls(step, exact=False) for step in self.steps]
        self.native: dict[int, NativeStep] = {}
        """By rows of a batch."""
        self.reason = ""
        self._speed: dict[int, float] = {}
        self._settings: Any = None
        self._modules: list[ModuleState] = []

    def __repr__(self) -> str:
        count = f", {len(self.steps)} models" if self.sweep else ""
        return f"TrainingLoop({getattr(self.steps[0], '__name__', self.steps[0])!r}{count})"

    def __str__(self) -> str:
        if self.native:
            sizes = ", ".join(f"batches of {rows}" for rows in self.native)
            each = next(iter(self.native.values()))
            lanes = f", {each.lanes} models in a vector" if each.lanes else ""
            return f"{self!r}: many steps a native call, for {sizes}{lanes}"
        if self.reason:
            return f"{self!r}: a plan a step, because {self.reason}"
        return f"{self!r}: not run yet"

    def __call__(self, steps: int) -> Tensor:
        """Train for this many steps.

        Raises: ValueError for a number of steps that is not positive. An exception of the step
        (and KeyboardInterrupt) leaves the model as it was after the last step that was finished.
        """
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise ValueError(f"a loop runs a positive number of steps, not {steps!r}")
        self._check()
        found: list[np.ndarray] = []
        left = steps
        loaded: NativeStep | None = None
        try:
            while left:
                batch = self.batches.take(min(left, self._chunk()))
                native = self.native.get(batch.shape[1])
                if native is not loaded and loaded is not None:
                    loaded.store()
                    loaded = None
                if native is not None and (loaded is native or native.holds()):
                    if loaded is None:
                        native.load()
                        loaded = native
                    start = perf_counter()
                    found.append(native.run(batch))
                    self._speed[batch.shape[1]] = (perf_counter() - start) / len(batch)
                else:
                    found += [self._one(row) for row in batch]
                left -= len(batch)
        finally:
            if loaded is not None:
                loaded.store()
        return self._losses(found)

    def _check(self) -> None:
        """Options that changed make what was compiled useless."""
        now = [self._state(call) for call in self.calls]
        if now != self._settings or not all(state.holds() for state in self._modules):
            self.native.clear()
            self._settings = now

    @staticmethod
    def _state(call: TrainingCalls) -> Any:
        """What a step depends on that may change between loops, beside its modules."""
        return settings_of(call.optimisers), tuple([t._requires_grad for t in call.leaves])

    def _chunk(self) -> int:
        if not self.native:
            return 1 if not self.reason else _FIRST
        pace = max(self._speed.values(), default=0.0)
        return _FIRST if not pace else max(1, min(_MOST, int(SECONDS / pace)))

    def _one(self, row: np.ndarray) -> np.ndarray:
        """One step with Python, which is traced if that has not been tried: (1, models, numbers)"""
        with no_grad():
            batch = list(rows_of(self.batches.tensors, row))
        traced: list[StepGraph] = []
        numbers = []
        for call in self.calls:
            if self.reason:
                result = call(tuple(batch), {}, batch)
            else:
                call.look()
                traced.append(call.traced(tuple(batch), {}, batch))
                result = traced[-1].result
            numbers.append(_numbers(result))
        if traced:
            self._settings = [self._state(call) for call in self.calls]
            self._modules = [ModuleState(call.modules, ()) for call in self.calls]
            self._compile(traced, len(row))
        return np.array([numbers], np.float32)

    def _compile(self, traced: list[StepGraph], rows: int) -> None:
        if not all(step.keeps for step in traced):
            return
        if not all(step.backward and not step.wanted for step in traced):
            raise ValueError(
                "the step of a compiled loop is a whole training step: it calls loss.backward() "
                "and optimizer.step() itself"
            )
        try:
            self.native[rows] = NativeStep(traced, self.batches.tensors, rows, self.sweep)
        except NotSteady:
            return
        except NotWhole as reason:
            self.reason = str(reason)

    def _losses(self, parts: list[np.ndarray]) -> Tensor:
        table = np.concatenate(parts)
        table = table if self.sweep else table[:, 0]
        return adopt(np.ascontiguousarray(table[..., 0] if table.shape[-1] == 1 else table))


def _numbers(result: Any) -> list[float]:
    tensors = list(tensors_in(result))
    odd = next((tuple(t.shape) for t in tensors if t.numel() != 1), None)
    if odd is not None:
        raise ValueError(
            "the step of a compiled loop returns its loss, or several single numbers, and one of "
            f"its results is {odd}\n  Reduce it, as with .mean()."
        )
    return [float(t.detach()._array.reshape(())) for t in tensors] or [0.0]


def compile_loop(
    step: Step, *, data: Tensor | tuple[Tensor, ...] | DataLoader, batch_size: int | None = None,
    shuffle: bool = False, generator: Generator | None = None, drop_last: bool = False,
) -> TrainingLoop:  # fmt: skip
    """Compile a training step and its data to a loop: batches are gathered, models trained,
    schedules followed and losses logged in one native call for many steps.

    Args:
        step: `step(*batch) -> loss`: zero_grad, forward, backward, clipping, optimizer.step(),
            scheduler.step(), written as ever. It is called with Python once or twice and traced.
        data: tensors with one row for each example, or a `DataLoader` of a `TensorDataset`, which
            then says all that follows.
        batch_size: rows of a step; all of them if it is None.
        shuffle, generator, drop_last: the order of rows, as `DataLoader` has them: the same
            generator gives the same batches as `for batch in loader`, epoch after epoch.

    Returns:
        A callable: `losses = loop(steps)` trains for that many steps, `loop(steps)` again goes on
        where it stopped. After each call parameters, `grad`, the optimizer's and the scheduler's
        state are those of the same steps in eager mode, up to rounding; the same start gives the
        same bits. Ctrl-C stops between two native calls, 50 ms apart.

    A step that is large, or uses operators without a form of fixed size, runs as a plan for each
    step (`torch.compile`) instead, with the same results; `str(loop)` says why. Numbers that Python
    computes inside the step are those of the traced step, except the optimizer's rates.

    Raises: TypeError, ValueError for data that are no rows of tensors.
    """
    if not callable(step):
        raise TypeError(f"compile_loop() takes a function, not {type(step).__name__}")
    return TrainingLoop([step], _batches(data, batch_size, shuffle, generator, drop_last))


def compile_sweep(
    steps: Sequence[Step], *, data: Tensor | tuple[Tensor, ...] | DataLoader,
    batch_size: int | None = None, shuffle: bool = False, generator: Generator | None = None,
    drop_last: bool = False,
) -> TrainingLoop:  # fmt: skip
    """Compile the training steps of many models of one shape to one loop: seeds, rates, decays.

    Args:
        steps: a step for each model, as `compile_loop` takes one, each with a model and an
            optimizer of its own. They do the same and may differ in values: of parameters, of
            state, of the optimizers' options.
        data, batch_size, shuffle, generator, drop_last: as in `compile_loop`; all models see the
            same batches.

    Returns:
        A callable: `losses = loop(steps)`, (steps, models). Sixteen models (as many as a vector has
        floats) are trained at once, one in each lane, and the groups of sixteen are shared out to
        the threads; models too large for that are shared out one by one. What a model becomes
        does not depend on the others; by `compile_loop` it becomes the same up to rounding.

    Raises: TypeError, ValueError for no steps, or data that are no rows of tensors.
    """
    steps = list(steps)
    if not steps:
        raise ValueError("a sweep needs at least one step")
    odd = [type(step).__name__ for step in steps if not callable(step)]
    if odd:
        raise TypeError(f"compile_sweep() takes functions, not {odd[0]}")
    batches = _batches(data, batch_size, shuffle, generator, drop_last)
    return TrainingLoop(steps, batches, sweep=True)


def _batches(
    data: Any, batch_size: int | None, shuffle: bool, generator: Generator | None, drop_last: bool
) -> Batches:
    if isinstance(data, DataLoader):
        if batch_size is not None or shuffle or generator is not None or drop_last:
            raise ValueError("a DataLoader says itself how it makes batches: leave the rest out")
        return Batches(data)
    return Batches(data, batch_size=batch_size, shuffle=shuffle, generator=generator,
                   drop_last=drop_last)  # fmt: skip
