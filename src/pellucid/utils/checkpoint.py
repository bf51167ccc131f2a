"""Gradient checkpointing (`torch.utils.checkpoint`): keep no intermediate results, compute them
again in backward.

`checkpoint(f, x)` runs `f` without keeping what its gradient needs. When backward asks for the
first
of these tensors, `f` runs a second time, with the generator in the state it had, and the tensors
are
taken from that run. Memory falls from all layers to one segment, time rises by one forward pass.

Two ways to do it: `use_reentrant=False` packs saved tensors as placeholders
(`saved_tensors_hooks`); `use_reentrant=True` is a `Function` whose backward runs `f` and calls
backward inside.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

from pellucid import random
from pellucid.amp.autocast_mode import as_it_was
from pellucid.autograd.api import backward as run_backward
from pellucid.autograd.engine import running
from pellucid.autograd.function import Function
from pellucid.autograd.graph import saved_tensors_hooks
from pellucid.autograd.modes import enable_grad, no_grad, state
from pellucid.nn.modules.container import Sequential
from pellucid.tensor.tensor import Tensor

__all__ = [
    "CheckpointError",
    "CheckpointFunction",
    "check_backward_validity",
    "checkpoint",
    "checkpoint_sequential",
    "detach_variable",
    "noop_context_fn",
    "set_checkpoint_debug_enabled",
    "set_checkpoint_early_stop",
]

Contexts = Callable[[], tuple[AbstractContextManager[Any], AbstractContextManager[Any]]]


class CheckpointError(RuntimeError):
    """The second run saved other tensors than the first."""


class _Stop(Exception):
    """Everything that is needed was computed: the rest of the function need not run."""


class _Settings:
    early_stop: bool | None = None
    debug: bool | None = None


@contextmanager
def set_checkpoint_early_stop(enable: bool) -> Iterator[None]:
    """Whether second runs end as soon as the last saved tensor is there; overrides
    `early_stop=`.
    """
    before, _Settings.early_stop = _Settings.early_stop, enable
    try:
        yield
    finally:
        _Settings.early_stop = before


@contextmanager
def set_checkpoint_debug_enabled(enabled: bool | None) -> Iterator[None]:
    """Accepted: errors always name the tensors that differ."""
    before, _Settings.debug = _Settings.debug, enabled
    try:
        yield
    finally:
        _Settings.debug = before


def noop_context_fn() -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    """Contexts for the first and the second run that do nothing."""
    return nullcontext(), nullcontext()


def detach_variable(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The inputs cut off the tape: leaves over the same memory that want a gradient if they did."""
    if not isinstance(inputs, tuple):
        raise RuntimeError(
            "Only tuple of tensors is supported. Got Unsupported input type: "
            f"{type(inputs).__name__}"
        )
    return tuple(
        value.detach().requires_grad_(value.requires_grad) if isinstance(value, Tensor) else value
        for value in inputs
    )


def check_backward_validity(inputs: Iterable[Any]) -> None:
    """Warn if no input wants a gradient: then nothing flows through a reentrant checkpoint."""
    if not any(value.requires_grad for value in inputs if isinstance(value, Tensor)):
        warnings.warn(
            "None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2
        )


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Contexts = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    **kwargs: Any,
) -> Any:
    """`function(*args, **kwargs)`, whose intermediate results are computed again in backward.

    Args:
        use_reentrant: which way (see above). False is recommended; None warns and means True.
        context_fn: gives the contexts of the first and of the second run.
        determinism_check: "default" compares shapes and dtypes of both runs, "none" nothing.
        early_stop: end the second run when all saved tensors are there.
        preserve_rng_state: (in `kwargs`, True) whether both runs draw the same random numbers.

    Raises: ValueError for options that the reentrant way does not have; in backward CheckpointError
    if the runs differ.
    """
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint: the use_reentrant parameter should be passed explicitly. "
            "Starting in PyTorch 2.9, calling checkpoint without use_reentrant will raise an "
            "exception. use_reentrant=False is recommended, but if you need to preserve the "
            "current "
            "default behavior, you can pass use_reentrant=True. Refer to docs for more details on "
            "the "
            "differences between the two variants.",
            stacklevel=2,
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if use_reentrant:
        if kwargs:
            raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
        if context_fn is not noop_context_fn or debug:
            raise ValueError(
                "Passing `context_fn` or `debug` is only supported when use_reentrant=False."
            )
        return CheckpointFunction.apply(function, preserve, *args)
    if determinism_check not in ("default", "none"):
        raise ValueError(
            "determinism_check should be one of ['default', 'none'], but got " + determinism_check
        )
    if not state.grad:
        return function(*args, **kwargs)
    if _Settings.early_stop is not None:
        early_stop = _Settings.early_stop
    first, second = context_fn()
    run = _Rerun(function, args, kwargs, preserve, second)
    frame = _Frame(run, early_stop, determinism_check == "default")
    with saved_tensors_hooks(frame.pack, frame.unpack), first:
        return function(*args, **kwargs)


class _Rerun:
    """A function with its arguments and what its first run found around it."""

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        preserve: bool,
        context: AbstractContextManager[Any],
    ) -> None:
        self.function, self.args, self.kwargs = function, args, kwargs
        self.generator = random.get_rng_state() if preserve else None
        self.context = context
        self.autocast = as_it_was()

    def __call__(self, *args: Any) -> Any:
        """Run again, on `args` if there are any; the generator outside is left as it is."""
        with random.fork_rng(enabled=self.generator is not None):
            if self.generator is not None:
                random.set_rng_state(self.generator)
            with enable_grad(), self.autocast(), self.context:
                return self.function(*(args or self.args), **self.kwargs)


class _Placeholder:
    """Stands in a node for the tensor that was saved as number `index`."""

    __slots__ = ("__weakref__", "index")

    def __init__(self, index: int) -> None:
        self.index = index


class _Frame:
    """One checkpointed call: how many tensors it saved, and those that a second run brought."""

    def __init__(self, run: _Rerun, early_stop: bool, compare: bool) -> None:
        self.run = run
        self.early_stop = early_stop
        self.compare = compare
        self.shapes: list[tuple[tuple[int, ...], Any]] = []
        self.found: weakref.WeakKeyDictionary[Any, dict[int, Tensor]] = weakref.WeakKeyDictionary()

    def pack(self, tensor: Tensor) -> _Placeholder:
        """Keep a number instead of the tensor."""
        self.shapes.append((tensor._layout.shape, tensor.dtype))
        return _Placeholder(len(self.shapes) - 1)

    def unpack(self, placeholder: _Placeholder) -> Tensor:
        """The tensor of that number, from a second run in this backward pass."""
        key = running.walk or placeholder
        if key not in self.found:
            self.found[key] = self._recompute()
        values = self.found[key]
        if placeholder.index not in values:
            raise CheckpointError(
                "torch.utils.checkpoint: Unpack is being triggered for a tensor that was already "
                "unpacked once. If you are calling ctx.saved_tensors in backward, make sure to do "
                "so "
                "only once."
            )
        return values.pop(placeholder.index)

    def _recompute(self) -> dict[int, Tensor]:
        values: dict[int, Tensor] = {}
        expected = len(self.shapes)

        def take(tensor: Tensor) -> Tensor:
            if len(values) == expected:
                raise CheckpointError(
                    "torch.utils.checkpoint: trying to save more tensors during recomputation than "
                    f"during the original forward pass.\n{_TIP}"
                )
            values[len(values)] = tensor.detach()
            if self.early_stop and len(values) == expected:
                raise _Stop
            return tensor

        with saved_tensors_hooks(take, lambda tensor: tensor), suppress(_Stop):
            self.run()
        self._check(values, expected)
        return values

    def _check(self, values: dict[int, Tensor], expected: int) -> None:
        if len(values) != expected:
            raise CheckpointError(
                "torch.utils.checkpoint: A different number of tensors was saved during the "
                "original "
                f"forward and recomputation.\nNumber of tensors saved during forward: {expected}\n"
                f"Number of tensors saved during recomputation: {len(values)}.\n{_TIP}"
            )
        if not self.compare:
            return
        different = [
            f"tensor at position {i}:\nsaved metadata: {_told(*self.shapes[i])}\n"
            f"recomputed metadata: {_told(value._layout.shape, value.dtype)}"
            for i, value in values.items()
            if (value._layout.shape, value.dtype) != self.shapes[i]
        ]
        if different:
            raise CheckpointError(
                "torch.utils.checkpoint: Recomputed values for the following tensors have "
                "different "
                "metadata than during the forward pass.\n" + "\n".join(different) + f".\n{_TIP}"
            )


_TIP = (
    "  The function must do the same each time it is called with the same arguments: look for "
    "state "
    "that it changes, such as counters, caches and buffers."
)


def _told(shape: tuple[int, ...], kind: Any) -> str:
    return f"{{'shape': torch.Size({list(shape)}), 'dtype': {kind}, 'device': device(type='cpu')}}"


class CheckpointFunction(Function):
    """The reentrant way: `backward` runs the function with recording on, and backward through
    it.
    """

    @staticmethod
    def forward(ctx: Any, run_function: Any, preserve_rng_state: bool, *args: Any) -> Any:
        """Run without recording; keep the arguments."""
        check_backward_validity(args)
        ctx.run = _Rerun(run_function, (), {}, preserve_rng_state, nullcontext())
        ctx.places = [i for i, value in enumerate(args) if isinstance(value, Tensor)]
        ctx.inputs = [None if isinstance(value, Tensor) else value for value in args]
        ctx.save_for_backward(*(args[i] for i in ctx.places))
        with no_grad():
            return run_function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Run again, recorded, and send `grads` through it; parameters inside get theirs on the
        way.
        """
        if running.walk is not None and running.walk.needed is not None:
            raise RuntimeError(
                "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or "
                "passing an `inputs` parameter to .backward(). To resolve this error, you can "
                "either "
                "set use_reentrant=False, or call .backward() without passing the `inputs` "
                "argument."
            )
        inputs = list(ctx.inputs)
        for place, tensor in zip(ctx.places, ctx.saved_tensors, strict=True):
            inputs[place] = tensor
        leaves = detach_variable(tuple(inputs))
        outputs = ctx.run(*leaves)
        pairs = [
            (output, grad)
            for output, grad in zip(
                (outputs,) if isinstance(outputs, Tensor) else outputs, grads, strict=True
            )
            if isinstance(output, Tensor) and output.requires_grad
        ]
        if not pairs:
            raise RuntimeError(
                "none of output has requires_grad=True, this checkpoint() is not necessary"
            )
        run_backward([output for output, _ in pairs], [grad for _, grad in pairs])
        passed = [leaf.grad if isinstance(leaf, Tensor) else None for leaf in leaves]
        return (None, None, *passed)


def checkpoint_sequential(
    functions: Any,
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    **kwargs: Any,
) -> Any:
    """Run `functions` (a `Sequential` or a list) one after the other, checkpointing all segments
    but the last.
    """
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint.checkpoint_sequential: the use_reentrant parameter should be "
            "passed explicitly. In version 2.9 we will raise an exception if use_reentrant is not "
            "passed. use_reentrant=False is recommended, but if you need to preserve the current "
            "default behavior, you can pass use_reentrant=True. Refer to docs for more details on "
            "the "
            "differences between the two variants.",
            stacklevel=2,
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    layers = list(functions.children()) if isinstance(functions, Sequential) else list(functions)

    def segment(start: int, end: int) -> Callable[[Any], Any]:
        def forward(value: Any) -> Any:
            for layer in layers[start:end]:
                value = layer(value)
            return value

        return forward

    size = len(layers) // segments
    end = 0
    for start in range(0, size * (segments - 1), size):
        end = start + size
        input = checkpoint(
            segment(start, end), input, use_reentrant=use_reentrant, preserve_rng_state=preserve
        )
    return segment(end, len(layers))(input)
