"""Run a function once on real inputs and write down its operators.

Operators tell what they did (`tensor/events.py`); the trace listens. Python runs as it always does,
so control flow on shapes and settings is fine and becomes part of the graph. Control flow on the
*values* of tensors that depend on the inputs cannot be in a graph: `bool(x)`, `x.item()`,
`x.numpy()` of such a tensor raise `DataDependent`, which names the line. Values of captured tensors
can be asked for: a plan holds only while these are unchanged.

A trace of a function that writes to nothing but what it made itself, and draws no random numbers,
is a sketch: products and convolutions give zeros, so that it costs little more than its Python.

Writes in place become values: a write gives the tensor, and those it is a view of, new values.
Other views of the same memory are looked at again through what they are views of.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from pellucid.autograd.modes import no_grad
from pellucid.compiler.again import caller
from pellucid.compiler.graph import Graph, Node, Value
from pellucid.ops.blas import sketch, sketching
from pellucid.ops.spec import registry
from pellucid.tensor.events import Event, before_writes, is_acting, listening, settings
from pellucid.tensor.random.generator import Generator, default_generator
from pellucid.tensor.tensor import Tensor

_READERS = ("__bool__", "__float__", "__int__", "__index__", "item", "tolist", "numpy",
            "__array__")  # fmt: skip
_FORM = {"copy": "fresh", "view": "view", "write": "write"}
TRACING = threading.RLock()
"""One trace at a time: listeners, readers of values and storages are watched while it runs."""


_active = threading.local()


def is_tracing() -> bool:
    """Whether this thread runs a function to trace it."""
    return getattr(_active, "depth", 0) > 0


class DataDependent(RuntimeError):
    """The function asks for the value of a tensor while it is traced."""

    harmless = False
    """Whether nothing had been changed when it was raised."""


class _NoSketch(BaseException):
    """The function does what must be done in earnest. No `except Exception` of its own stops it."""


class Tracer:
    """Listens to operators and writes them down."""

    def __init__(self, *, sketches: bool = False) -> None:
        self.sketches = sketches
        self.thread = threading.get_ident()
        self.skipped = sketch.skipped
        self.made: set[int] = set()
        """Storages that operators made."""
        self.nodes: list[Node] = []
        self.values: dict[int, Value] = {}
        self.fresh_of: dict[int, int] = {}
        """By tensor: the state of its storage for which `values` holds."""
        self.written: dict[int, int] = {}
        """By storage: how often it was written to."""
        self.parents: dict[int, tuple[Tensor, Node, int]] = {}
        self.alive: list[Any] = []
        self.inputs: list[Value] = []
        self.shown: dict[Any, Tensor] = {}
        """Tensors by what of which storage they show."""
        self.captured: list[Value] = []
        self.dependent: dict[Value, bool] = {}
        """Whether values depend on inputs, as far as it was asked."""
        self.asked: set[Value] = set()
        """Captured tensors whose values the function asked for."""
        self.mutated: dict[int, tuple[Value, Tensor]] = {}
        self.random = False
        self.mark = default_generator.mark()

    def run(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any],
        tensors: list[Tensor],
    ) -> Any:  # fmt: skip
        """Run the function, listening."""
        for tensor in tensors:
            value = Value(tuple(tensor.shape), tensor.dtype, tensor)
            self.inputs.append(self.enter(tensor, value))
        return self.listen(lambda: function(*args, **kwargs))

    def listen(self, call: Callable[[], Any]) -> Any:
        """Listen to what is called."""
        _active.depth = getattr(_active, "depth", 0) + 1
        try:
            with TRACING, listening(self.hear), _readers_refuse(self):
                return call()
        finally:
            _active.depth -= 1

    def enter(self, tensor: Tensor, value: Value) -> Value:
        self.shown[place_of(tensor)] = tensor
        self.alive += [tensor, tensor._storage]
        self.values[id(tensor)] = value
        self.fresh_of[id(tensor)] = self.written.get(id(tensor._storage), 0)
        return value

    def value(self, tensor: Tensor) -> Value:
        """The current value of a tensor; one that nobody made is captured."""
        state = self.written.get(id(tensor._storage), 0)
        known = self.values.get(id(tensor))
        if known is not None and self.fresh_of[id(tensor)] == state:
            return known
        parent = self.parents.get(id(tensor))
        if parent is None:
            base = tensor._base
            if base is not None and id(base) in self.values and known is None:
                return self._view_of(base, tensor)
            return self.capture(tensor)
        made, node, index = parent
        again = Node(node.op, "view", (self.value(made), *node.args[1:]), node.settings, [],
                     node.spec, node.line)  # fmt: skip
        again.outputs = [Value(v.shape, v.dtype, v.traced, again) for v in node.outputs]
        self.nodes.append(again)
        return self.enter(tensor, again.outputs[index])

    def capture(self, tensor: Tensor) -> Value:
        """A tensor that the function found somewhere; it may show the memory of one that is known,
        as `detach()` does.
        """
        known = self.shown.get(place_of(tensor))
        if known is not None and known is not tensor:
            return self.enter(tensor, self.value(known))
        value = Value(tuple(tensor.shape), tensor.dtype, tensor, captured=True)
        self.captured.append(value)
        return self.enter(tensor, value)

    def _view_of(self, base: Tensor, tensor: Tensor) -> Value:
        """A view that was made before the trace began, of a tensor in it."""
        layout = tensor._layout
        args = (self.value(base), layout.shape, layout.strides, layout.offset)
        node = Node("as_strided", "view", args, {}, [], registry.spec("as_strided"))
        node.outputs = [Value(tuple(tensor.shape), tensor.dtype, tensor, node)]
        self.nodes.append(node)
        return self.enter(tensor, node.out)

    def _argument(self, item: Any) -> Any:
        if isinstance(item, Tensor):
            return self.value(item)
        if isinstance(item, (list, tuple)):
            parts = [self._argument(each) for each in item]
            if hasattr(item, "_fields"):
                return type(item)(*parts)
            return parts if isinstance(item, list) else tuple(parts)
        return item

    def hear(self, event: Event) -> None:
        kind = _FORM.get(event.kind)
        if kind is None or threading.get_ident() != self.thread:
            return
        random = default_generator.has_moved(self.mark) or _draws(event)
        self.mark = default_generator.mark()
        self.random |= random
        if random and self.sketches:
            raise _NoSketch
        args = tuple(self._argument(item) for item in event.inputs)
        settings = {k: self._argument(v) for k, v in (event.settings or {}).items()}
        node = Node(event.name, kind, args, settings, [], event.spec, _line())
        if random:
            node.extra["random"] = True
        if event.again is not None:
            node.extra["again"] = event.again
        if sketch.skipped != self.skipped:
            self.skipped, node.extra["sketched"] = sketch.skipped, True
        if kind == "write":
            self._write(event, node)
        else:
            node.outputs = [Value(tuple(o.shape), o.dtype, o, node) for o in event.outputs]
            if kind == "fresh":
                self.made.update([id(o._storage) for o in event.outputs])
            for index, (tensor, value) in enumerate(zip(event.outputs, node.outputs, strict=True)):
                self.enter(tensor, value)
                if kind == "view":
                    self.parents[id(tensor)] = (event.inputs[0], node, index)
        self.nodes.append(node)
        self.alive += [t for t in tensors_in(event.inputs)]

    def _write(self, event: Event, node: Node) -> None:
        target = event.inputs[0]
        node.outputs = [Value(tuple(target.shape), target.dtype, target, node)]
        storage = id(target._storage)
        before = self.values[id(target)]
        self.written[storage] = self.written.get(storage, 0) + 1
        chain: list[tuple[Tensor, Node, int, Tensor]] = []
        child = target
        while id(child) in self.parents:
            parent, made, index = self.parents[id(child)]
            chain.append((parent, made, index, child))
            child = parent
        self.enter(target, node.out)
        value = node.out
        pending: list[Node] = []
        for parent, made, index, _ in chain:
            old = self.values[id(parent)]
            through = Node(
                "write_through", "write", (old, value), {}, [], None, node.line,
                {"view": (made.spec, made.args[1:], made.settings, index)},
            )  # fmt: skip
            through.outputs = [Value(old.shape, old.dtype, parent, through)]
            pending.append(through)
            value = self.enter(parent, through.out)
        root = chain[-1][0] if chain else target
        first = self.mutated.get(id(root), (old if chain else before, root))[0]
        if first.producer is None:
            self.mutated[id(root)] = (first, root)
        node.extra["after"] = pending

    def refuse_writes(self, target: Tensor) -> None:
        """What was there before the trace is not written with a sketch's numbers."""
        here = threading.get_ident() == self.thread
        if here and id(target._storage) not in self.made:
            raise _NoSketch

    def may_read(self, value: Value) -> bool:
        """Whether a value may be asked for while the function runs: it depends on captured tensors
        alone, which are not written to.
        """
        seen: set[Value] = set()
        found = [value]
        while found:
            one = found.pop()
            if one in seen:
                continue
            seen.add(one)
            node = one.producer
            if node is None:
                if not one.captured:
                    return False
                continue
            if node.kind == "write" or "random" in node.extra:
                return False
            if self.sketches and "sketched" in node.extra:
                raise _NoSketch
            found += node.inputs()
        self.asked.update(one for one in seen if one.captured)
        return True

    def depends(self, arguments: Any) -> bool:
        """Whether a tensor among these arguments depends on an input: a constant, which the
        function may keep, is computed.
        """
        return any([self._depends(self.value(tensor)) for tensor in tensors_in(arguments)])

    def _depends(self, value: Value) -> bool:
        """What is known of a value's sources is kept, so that nothing is looked at twice."""
        seen: set[Value] = set()
        found, answer = [value], False
        while found and not answer:
            one = found.pop()
            if one in seen or self.dependent.get(one) is False:
                continue
            seen.add(one)
            inputs = one.producer.inputs() if one.producer is not None else []
            answer = self.dependent.get(one, one.producer is None and not one.captured)
            found += inputs
        self.dependent.update({value: True} if answer else dict.fromkeys(seen, False))
        return answer

    def read_foreign(self, tensor: Tensor) -> None:
        """A tensor that no operator has met was asked for its value: the plan depends on it."""
        self.asked.add(self.capture(tensor))

    def kept_elsewhere(self, result: Any) -> bool:
        """Whether somebody else than the trace, its tensors and the result holds a tensor that was
        made: a list of the caller's, a cache. Its numbers are then asked for.
        """
        made = {id(t): t for t in self.alive if isinstance(t, Tensor)
                and id(t._storage) in self.made}  # fmt: skip
        held = Counter(
            itertools.chain(
                (id(t) for t in self.alive),
                (id(t) for t in self.shown.values()),
                (id(v.traced) for v in self._known()),
                (id(parent) for parent, _, _ in self.parents.values()),
                (id(root) for _, root in self.mutated.values()),
                {id(t): id(t._base) for t in self.alive if isinstance(t, Tensor)}.values(),
                (id(t) for t in tensors_in(result)),
            )
        )
        held[id(result)] += 1  # where it is a tensor itself
        # Three more are `made`, the loop's variable and the argument of the call.
        return any(sys.getrefcount(each) > held[id(each)] + 3 for each in made.values())

    def compute(self) -> None:
        """Give the tensors of a sketch their numbers, one operator after the other."""
        with no_grad():
            for node in self.nodes:
                if node.kind == "view" or node.op == "write_through":
                    continue
                given = {value: value.traced for value in node.inputs()}
                found = caller(node)(given)
                results = found if isinstance(found, (list, tuple)) else [found]
                for value, tensor in zip(node.outputs, results, strict=True):
                    np.copyto(value.traced._array, tensor._array)

    def _known(self) -> set[Value]:
        values = {v for node in self.nodes for v in (*node.outputs, *node.inputs())}
        return {*values, *self.inputs, *self.captured, *self.values.values()}

    def graph(self, outputs: list[Tensor]) -> Graph:
        for first, root in self.mutated.values():
            if first in self.asked:
                raise _refusal("item", Value(first.shape, first.dtype, root), _line())
        nodes = []
        for node in self.nodes:
            after = node.extra.pop("after", [])
            nodes += [node, *after]
        self.nodes = nodes
        found = [self.value(tensor) for tensor in outputs]
        mutated = [(first, self.value(root)) for first, root in self.mutated.values()]
        return Graph(self.inputs, self.captured, self.nodes, found, mutated, self.random)


def _line() -> str:
    """The user's line that is running: the nearest one outside the library."""
    frame = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if f"{_PACKAGE}" not in file:
            return f"{file}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""


_PACKAGE = __file__.removesuffix("compiler/trace.py")


def _draws(event: Event) -> bool:
    """Whether a call draws from a generator of its own, or is a factory that draws."""
    given = (*event.inputs, *(event.settings or {}).values())
    return event.again is not None or any(isinstance(each, Generator) for each in given)


def place_of(tensor: Tensor) -> Any:
    """What of which storage a tensor shows."""
    return (id(tensor._storage), tensor._layout, tensor.dtype)


@contextmanager
def _readers_refuse(tracer: Tracer) -> Iterator[None]:
    """Let the ways from a tensor to a number refuse tensors of this trace."""
    thread = threading.get_ident()
    before = {name: getattr(Tensor, name) for name in _READERS}

    def guarded(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def read(self: Tensor, *args: Any, **kwargs: Any) -> Any:
            here = threading.get_ident() == thread and not is_acting()
            if here and id(self) in tracer.values:
                value = tracer.values[id(self)]
                if value.traced is self and not tracer.may_read(value):
                    raise _refusal(name, value, _line())
            elif here:
                tracer.read_foreign(self)
            return original(self, *args, **kwargs)

        return read

    for name, original in before.items():
        setattr(Tensor, name, guarded(name, original))
    try:
        yield
    finally:
        for name, original in before.items():
            setattr(Tensor, name, original)


def _refusal(name: str, value: Value, line: str) -> DataDependent:
    asked = {
        "__bool__": "bool(x)",
        "__float__": "float(x)",
        "__int__": "int(x)",
        "__index__": "x as an index",
        "__array__": "numpy.asarray(x)",
    }.get(name, f"x.{name}()")
    made = f", made by {value.producer.op}" if value.producer is not None else ", an input"
    where = f" at {value.producer.line}" if value.producer is not None else ""
    return DataDependent(
        f"{line}: {asked} needs the value of a tensor, which a compiled function does not know "
        f"before it runs\n  x is {value}{made}{where}\n"
        "  Compile the parts before and after this line on their own, choose with torch.where "
        "instead of `if`, or call the function without compile."
    )


def trace(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any],
    tensors: list[Tensor], *, sketches: bool = False, modules: Sequence[Any] = (),
) -> tuple[Graph, Any]:  # fmt: skip
    """The graph of `function(*args, **kwargs)` and what the run returned. `tensors` are the inputs
    among the arguments. Nothing is recorded for gradients. With `sketches` a sketch is tried first;
    its result is worth nothing but its structure. `modules` get their attributes back where a
    sketch is given up.
    """
    if sketches:
        state, changes = default_generator.state_bytes(), settings.version
        before = [(vars(module), dict(vars(module))) for module in modules]
        try:
            tracer = Tracer(sketches=True)
            with sketching(), _watching(tracer):
                found = _traced(tracer, function, args, kwargs, tensors)
            if settings.version != changes or tracer.kept_elsewhere(found[1]):
                tracer.compute()
            return found
        except DataDependent:
            raise
        except (Exception, _NoSketch):  # a write, a random number, zeros that an operator refuses
            default_generator.load_state_bytes(state)
            for table, old in before:  # the run that counts finds what this one found
                table.clear()
                table.update(old)
    return _traced(Tracer(), function, args, kwargs, tensors)


@contextmanager
def _watching(tracer: Tracer) -> Iterator[None]:
    before_writes.append(tracer.refuse_writes)
    sketch.wants = tracer.depends
    try:
        yield
    finally:
        sketch.wants = None
        before_writes.remove(tracer.refuse_writes)


def _traced(
    tracer: Tracer, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any],
    tensors: list[Tensor],
) -> tuple[Graph, Any]:  # fmt: skip
    with no_grad():
        result = tracer.run(function, args, kwargs, tensors)
    return tracer.graph(list(tensors_in(result))), result


def tensors_in(item: Any) -> Iterator[Tensor]:
    """The tensors in nested lists, tuples, dictionaries and objects that hold their fields."""
    if isinstance(item, Tensor):
        yield item
    elif isinstance(item, (list, tuple)):
        for each in item:
            yield from tensors_in(each)
    elif isinstance(item, dict):
        for each in item.values():
            yield from tensors_in(each)
    elif hasattr(item, "__dataclass_fields__"):
        for name in item.__dataclass_fields__:
            yield from tensors_in(getattr(item, name))
