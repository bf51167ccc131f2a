"""`pellucid.compile`: a function that looks like the original and runs as one native call.

For every kind of input (shapes, types, layouts) there is a plan. A plan holds as long as what it
captured is unchanged: parameters are compared by storage and version, the training mode of modules
by value. Where a gradient is wanted the original runs: plans record no graph.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from pellucid.autograd.modes import no_grad, state
from pellucid.compiler.accuracy import Accuracy, accuracy
from pellucid.compiler.files import save_compiled
from pellucid.compiler.guards import aliasing
from pellucid.compiler.specialised import Specialised
from pellucid.compiler.trace import TRACING, is_tracing, tensors_in
from pellucid.compiler.training import MOST_PLANS, TrainingCalls, key_of
from pellucid.compiler.view import plans_text
from pellucid.kernels import pool
from pellucid.ops import autocast
from pellucid.tensor.events import silenced
from pellucid.tensor.tensor import Tensor


class CompiledFunction:
    """A compiled Module or function. Call it like the original; `str()` shows its plans.

    Of a Module it is a stand-in: `isinstance`, attributes, parameters and the training mode are
    those of the original.
    """

    _own = frozenset(
        {
            "_orig_mod",
            "exact",
            "precision",
            "plans",
            "_lock",
            "_modules_seen",
            "_training",
            "__wrapped__",
        }
    )

    def __init__(
        self, original: Callable[..., Any], *, exact: bool = False, precision: str = "float32"
    ) -> None:
        self._orig_mod = original
        self.exact = exact
        self.precision = precision
        self.plans: OrderedDict[Any, Specialised] = OrderedDict()
        self._lock = threading.RLock()
        self._training = TrainingCalls(original, exact)
        self._modules_seen = self._training.modules
        self.__wrapped__ = original

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        original = self._orig_mod
        return type(original) if hasattr(original, "_parameters") else CompiledFunction

    def __getattr__(self, name: str) -> Any:
        if name in CompiledFunction._own:  # not made yet: being copied or unpickled
            raise AttributeError(name)
        return getattr(self._orig_mod, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in CompiledFunction._own:
            object.__setattr__(self, name, value)
        else:
            setattr(self._orig_mod, name, value)

    def __repr__(self) -> str:
        return f"compiled {self._orig_mod!r}"

    def __str__(self) -> str:
        return plans_text(self._plans())

    def _plans(self) -> list[Any]:
        return [found.plan for found in (*self.plans.values(), *self._training.steps.values())
                if found.plan is not None]  # fmt: skip

    def profile(self, times: int = 5) -> str:
        """The plans with the time of each step, measured now, and its share of what the machine
        could do: the larger of its operations at the rate of multiply-adds and its bytes at the
        rate of memory, both measured now too.
        """
        return plans_text(self._plans(), times)

    def accuracy(self, *args: Any, **kwargs: Any) -> Accuracy:
        """How far the compiled function's results are from the original's, for these inputs.

        `str(compiled)` tells the same of the first inputs of each plan below float32.
        """
        with no_grad():
            exact = list(tensors_in(self._orig_mod(*args, **kwargs)))
            return accuracy(list(tensors_in(self(*args, **kwargs))), exact)

    def save(self, path: Any) -> None:
        """Write the plans made so far to a file that `load_compiled` runs without tracing.

        Raises: ValueError if there is no plan yet, or if one holds operators that run as in eager
        mode, writes to its inputs, or returns something else than tensors in lists, tuples and
        dictionaries.
        """
        save_compiled(list(self.plans.values()), path)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if is_tracing():  # part of something that is being compiled itself
            return self._orig_mod(*args, **kwargs)
        tensors = list(tensors_in((args, kwargs)))
        self._training.see(args, kwargs)
        if state.grad and self._wants_gradient(tensors):
            return self._training(args, kwargs, tensors)
        modes = tuple([module.training for module in self._modules_seen])
        key = (key_of(args), key_of(kwargs), modes, pool.num_threads(), autocast.mode(),
               aliasing(tensors), self._training.found_among(tensors))  # fmt: skip
        found = self.plans.get(key)
        if found is None or not (found.holds() and found.fits(tensors)):
            found, made = self._specialise(key, args, kwargs, tensors)
            if made:
                return found.first(tensors)
        return found(tensors)

    def _wants_gradient(self, tensors: list[Tensor]) -> bool:
        if any(t.requires_grad for t in tensors):
            return True
        return any([leaf._requires_grad for leaf in self._training.leaves])

    def _specialise(
        self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: list[Tensor]
    ) -> tuple[Specialised, bool]:
        """The plan for these arguments, and whether it was made now."""
        with TRACING, self._lock:
            found = self.plans.get(key)
            if found is not None and found.holds() and found.fits(tensors):
                return found, False
            self._modules_seen = self._training.look()
            with silenced():
                found = Specialised(
                    self._orig_mod, args, kwargs, tensors, self._modules_seen, self.exact,
                    self.precision,
                )  # fmt: skip
            self.plans[key] = found
            while len(self.plans) > MOST_PLANS:
                self.plans.popitem(last=False)
            return found, True


BACKENDS = ("pellucid", "inductor", "eager", "aot_eager", "cudagraphs", "ipex", "onnxrt", "tvm")
_MODES = (
    None, "default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs",
)  # fmt: skip


PRECISIONS = ("float32", "bfloat16", "int8")


def precision_of(precision: Any, options: dict[str, Any] | None) -> str:
    """The precision that is asked for, by its own argument or among PyTorch's options: a name, or
    a dtype.
    """
    given = (options or {}).get("precision")
    if precision is not None and given is not None and precision != given:
        raise ValueError(
            f"compile() is asked for precision={precision!r} and for options={{'precision': "
            f"{given!r}}}\n  Give one of them."
        )
    asked = next((each for each in (precision, given) if each is not None), "float32")
    name = getattr(asked, "name", asked)
    if name not in PRECISIONS:
        names = ", ".join(repr(each) for each in PRECISIONS)
        raise ValueError(f"compile() has no precision {asked!r}\n  There are {names}.")
    return str(name)


def compile(
    model: Callable[..., Any] | None = None, *, fullgraph: bool = False,
    dynamic: bool | None = None, backend: str | Callable[..., Any] = "inductor",
    mode: str | None = None, options: dict[str, Any] | None = None, disable: bool = False,
    exact: bool = False, precision: str | None = None,
) -> Any:  # fmt: skip
    """Compile a Module, a function of tensors, or a whole training step.

    Args:
        model: what to compile; without it, a decorator is returned.
        fullgraph, dynamic, backend, mode, options: PyTorch's, checked and otherwise without effect:
            there is one compiler, it always takes the whole graph, and new sizes only make a new
            plan from kernels that are there. `options={"precision": …}` is the same as `precision`.
        disable: give the original back.
        exact: forbid Winograd's convolution, whose rounding error is about three times that of
            the direct way (in bfloat16 up to 1.6 times).
        precision: the type in which linear layers and convolutions with fixed weights multiply:
            "float32" (the default); "bfloat16": activations and weights are rounded to it; "int8":
            weights get a scale for each output channel, rows of activations (of convolutions, all
            of them) one of their own in each call. Sums, biases, activations, normalisation and
            softmax stay float32, and so do the results. `accuracy` tells what it costs. Models in
            bfloat16, and calls under autocast, need no precision: they have one.

    The first call with inputs of new shapes traces the function and makes a plan; later ones run
    it. Parameters that change are noticed. `DataDependent` is raised where the function asks for
    the value of a tensor while it is traced.

    A function with `backward()` and `optimizer.step()` inside is one plan: parameters, `grad`,
    statistics and the optimizer's state become what they would in eager mode, learning rates are
    asked for anew in each step, and schedulers step. Other things that Python does
    (`losses.append`, counters) happen in the traced call only. Results are detached. Of a function
    through which gradients flow there are two plans, one forward and one backward, for first
    derivatives.

    Raises: RuntimeError for a mode, ValueError for a precision, TypeError for something that
    cannot be called.
    """
    if mode not in _MODES:
        names = ", ".join(repr(each) for each in _MODES[1:])
        raise RuntimeError(f"Unrecognized mode={mode}, should be one of: {names}")
    if isinstance(backend, str) and backend not in BACKENDS:
        raise RuntimeError(f"Invalid backend: {backend!r}\n  Leave it out: there is one compiler.")
    if model is None:
        return lambda given: compile(
            given, fullgraph=fullgraph, dynamic=dynamic, backend=backend, mode=mode,
            options=options, disable=disable, exact=exact, precision=precision,
        )  # fmt: skip
    chosen = precision_of(precision, options)
    if not callable(model):
        raise TypeError(f"compile() takes a Module or a function, not {type(model).__name__}")
    if disable:
        return model
    return CompiledFunction(model, exact=exact, precision=chosen)
