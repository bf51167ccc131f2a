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
from pellucid.compiler.specialised import Specialised
from pellucid.compiler.trace import tensors_in
from pellucid.compiler.view import plans_text
from pellucid.kernels import pool
from pellucid.tensor.events import listeners
from pellucid.tensor.tensor import Tensor

_MOST_PLANS = 64


def _key(item: Any) -> Any:
    """What a plan depends on in an argument.

    Raises: TypeError for one whose changes could not be noticed.
    """
    if isinstance(item, Tensor):
        return (item._layout.shape, item._layout.strides, item.dtype.name)
    if isinstance(item, (list, tuple)):
        return (type(item).__name__, *[_key(each) for each in item])
    if isinstance(item, dict):
        return ("dict", *[(name, _key(each)) for name, each in item.items()])
    if hasattr(item, "__dataclass_fields__") and not isinstance(item, type):
        names = item.__dataclass_fields__
        return (type(item).__name__, *[(name, _key(getattr(item, name))) for name in names])
    try:
        hash(item)
    except TypeError:
        raise TypeError(
            f"a compiled function cannot take a {type(item).__name__}: changes of it would not be "
            "noticed\n  Give tensors (torch.from_numpy for an array), or values that can be hashed."
        ) from None
    return (type(item).__name__, item)


def _modules_of(function: Any) -> list[Any]:
    """The modules that a call may use: the function itself, what its method belongs to, what it
    closes over.
    """
    cells = getattr(function, "__closure__", None) or ()
    roots = [function, getattr(function, "__self__", None), *[c.cell_contents for c in cells]]
    found: dict[int, Any] = {}
    for root in roots:
        if hasattr(root, "_modules") and hasattr(root, "_parameters"):
            found.update((id(module), module) for module in root.modules())
    return list(found.values())


class CompiledFunction:
    """A compiled Module or function. Call it like the original; `str()` shows its plans.

    Of a Module it is a stand-in: `isinstance`, attributes, parameters and the training mode are
    those of the original.
    """

    _own = frozenset(
        {"_orig_mod", "exact", "precision", "plans", "_lock", "_modules_seen", "__wrapped__"}
    )

    def __init__(
        self, original: Callable[..., Any], *, exact: bool = False, precision: str = "float32"
    ) -> None:
        self._orig_mod = original
        self.exact = exact
        self.precision = precision
        self.plans: OrderedDict[Any, Specialised] = OrderedDict()
        self._lock = threading.RLock()
        self._modules_seen = _modules_of(original)
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
        return plans_text([found.plan for found in self.plans.values()])

    def profile(self, times: int = 5) -> str:
        """The plans with the time of each step, measured now, and its share of what the machine
        could do: the larger of its operations at the rate of multiply-adds and its bytes at the
        rate of memory, both measured now too.
        """
        return plans_text([found.plan for found in self.plans.values()], times)

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
        tensors = list(tensors_in((args, kwargs)))
        if state.grad and self._wants_gradient(tensors):
            return self._orig_mod(*args, **kwargs)
        modes = tuple([module.training for module in self._modules_seen])
        key = (_key(args), _key(kwargs), modes, pool.num_threads())
        found = self.plans.get(key)
        if found is None or not found.holds():
            found, made = self._specialise(key, args, kwargs, tensors)
            if made:
                return found.first(tensors)
        return found(tensors)

    def _wants_gradient(self, tensors: list[Tensor]) -> bool:
        if any(t.requires_grad for t in tensors):
            return True
        return any(p.requires_grad for m in self._modules_seen for p in m._parameters.values()
                   if p is not None)  # fmt: skip

    def _specialise(
        self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: list[Tensor]
    ) -> tuple[Specialised, bool]:
        """The plan for these arguments, and whether it was made now."""
        with self._lock:
            found = self.plans.get(key)
            if found is not None and found.holds():
                return found, False
            self._modules_seen = _modules_of(self._orig_mod)
            quiet, listeners[:] = list(listeners), []
            try:
                found = Specialised(
                    self._orig_mod,
                    args,
                    kwargs,
                    tensors,
                    self._modules_seen,
                    self.exact,
                    self.precision,
                )
            finally:
                listeners[:] = quiet
            self.plans[key] = found
            while len(self.plans) > _MOST_PLANS:
                self.plans.popitem(last=False)
            return found, True


BACKENDS = ("pellucid", "inductor", "eager", "aot_eager", "cudagraphs", "ipex", "onnxrt", "tvm")
_MODES = (
    None, "default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs",
)  # fmt: skip


PRECISIONS = ("float32", "bfloat16")


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
    """Compile a Module or a function of tensors for inference.

    Args:
        model: what to compile; without it, a decorator is returned.
        fullgraph, dynamic, backend, mode, options: PyTorch's, checked and otherwise without effect:
            there is one compiler, it always takes the whole graph, and new sizes only make a new
            plan from kernels that are there. `options={"precision": …}` is the same as `precision`.
        disable: give the original back.
        exact: forbid Winograd's convolution, whose rounding error is about three times that of
            the direct way.
        precision: the type in which linear layers and convolutions with fixed weights multiply:
            "float32" (the default), or "bfloat16": activations and weights are rounded to it, sums,
            biases, activations, normalisation and softmax stay float32, and so do the results.

    The first call with inputs of new shapes traces the function and makes a plan; later ones run
    it. Parameters that change are noticed. Where a gradient is wanted, the original runs.
    `DataDependent` is raised where the function asks for the value of a tensor while it is traced.

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
