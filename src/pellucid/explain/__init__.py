"""`pellucid.explain(x)`: what a tensor is, what a call did, what a program spent.

* `explain(tensor)` tells shape, strides, memory, who shares it, and where the gradient goes.
* `explain(module)` lists the tensors it holds, and what saving, loading and moving do to them.
* `explain.loading(module, state)` says why a state does not fit, and gives the lines that fix it.
* `explain(function, *args)` runs a function and lists its operators in order.
* `explain.roi(feature, box)` shows what RoI Pooling and RoI Align do with a box.
* `explain.diagram(model, *inputs)` draws a model, with the sizes of a run.
* `explain.session("report.html")` records a block and writes a page about it.

Each returns an object: print it, look at it in a notebook, or ask it for `to_dict()`. The module
itself is what is called.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pellucid.explain.call_view import CallExplanation, explain_call
from pellucid.explain.module_view import ModuleExplanation, explain_module
from pellucid.explain.session import Session, session
from pellucid.explain.tensor_view import TensorExplanation, explain_tensor
from pellucid.explain.text import Explanation
from pellucid.nn.module import Module
from pellucid.tensor.tensor import Tensor

if TYPE_CHECKING:
    from pellucid.explain.loading import Loading as Loading
    from pellucid.explain.loading import loading as loading
    from pellucid.explain.region_view import roi as roi
    from pellucid.explain.structure.diagram import Diagram as Diagram
    from pellucid.explain.structure.diagram import diagram as diagram

__all__ = [
    "CallExplanation",
    "Diagram",
    "Explanation",
    "Loading",
    "ModuleExplanation",
    "Session",
    "TensorExplanation",
    "diagram",
    "explain",
    "explain_call",
    "explain_module",
    "explain_tensor",
    "loading",
    "roi",
    "session",
]

_LATE = {
    "Loading": "pellucid.explain.loading",
    "loading": "pellucid.explain.loading",
    "Diagram": "pellucid.explain.structure.diagram",
    "diagram": "pellucid.explain.structure.diagram",
    "roi": "pellucid.explain.region_view",
}
"""Names that load on first use: they need rooms that most programs do not."""


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _LATE:
            raise AttributeError(f"module 'pellucid.explain' has no attribute {name!r}")
        value = getattr(importlib.import_module(_LATE[name]), name)
        globals()[name] = value
        return value


class _Callable(ModuleType):
    """A module that is called: `pellucid.explain(x)` beside `pellucid.explain.session`."""

    def __call__(self, subject: Any, *args: Any, **kwargs: Any) -> Explanation:
        """Explain a tensor, a module, or a call of `subject` with these arguments.

        Raises: TypeError if `subject` is neither a tensor nor callable.
        """
        if isinstance(subject, Tensor):
            if args or kwargs:
                raise TypeError(
                    "explain(tensor) takes nothing besides the tensor\n"
                    "  To explain a call, give the function first: explain(function, *args)."
                )
            return explain_tensor(subject, sys._getframe(1))
        if isinstance(subject, Module) and not args and not kwargs:
            return explain_module(subject)
        if callable(subject):
            return explain_call(subject, *args, **kwargs)
        raise TypeError(
            f"explain: a {type(subject).__name__} is neither a tensor nor a function\n"
            "  Use explain(tensor), or explain(function, *args) to explain a call."
        )


explain = sys.modules[__name__]
explain.__class__ = _Callable
