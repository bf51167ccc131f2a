"""A compiled function that gradients flow through: a plan forward, and one backward as a node of
the tape.

The traced run goes forward and then backward from its outputs, with gradients that are inputs of
the graph. What the second half reads of the first is an output of the first plan and an input of
the second one.
"""

from __future__ import annotations

from typing import Any

from pellucid.autograd.modes import no_grad, state
from pellucid.autograd.node import Edge, Node, edge_of
from pellucid.autograd.saved import FREED
from pellucid.compiler.graph import Graph, Value
from pellucid.compiler.step_trace import StepGraph
from pellucid.compiler.steps import PlannedGraph
from pellucid.compiler.trace import tensors_in
from pellucid.tensor.layout import contiguous
from pellucid.tensor.tensor import Tensor, empty


class Pair:
    """The two plans of a function for one kind of input. Call it with the input tensors."""

    def __init__(self, step: StepGraph, modules: list[Any], exact: bool) -> None:
        ahead, back, self.saved, self.read = _split(step)
        self.wanted = step.wanted
        self.differentiable = step.differentiable
        self.forward = PlannedGraph(ahead, step.result, modules, exact)
        self.backward = PlannedGraph(back, (), modules, exact)
        self.kinds = [(v.shape, v.dtype) for v in back.inputs[: len(self.differentiable)]]
        self.present = step.present
        inputs = {id(v.traced): i for i, v in enumerate(ahead.inputs)}
        self.sources: list[Tensor | int] = [inputs.get(id(t), t) for t in self.wanted]
        self.read_again = [v.traced for v in back.captured]

    @property
    def plan(self) -> Any:
        """What `str()` shows."""
        return self.forward.plan

    @property
    def possible(self) -> bool:
        """Whether outputs that gradients flow through are memory of their own."""
        return all(self.forward.specs[i].written for i in self.differentiable)

    def holds(self) -> bool:
        """Whether everything the plans work on is what and where it was."""
        return self.forward.holds()

    def __call__(self, tensors: list[Tensor]) -> Any:
        """Run forward; the outputs hang on a node of the tape that runs backward."""
        with no_grad():
            outputs = self.forward.run(tensors)
        result = outputs[: self.forward.count]
        node = _Backward(self, tensors, outputs)
        for number, position in enumerate(self.differentiable):
            out = result[position]
            out._grad_fn, out._output_nr, out._requires_grad = node, number, True
        return self.forward.rebuild(result)


class _Backward(Node):
    """The second plan, with what the first one saved for it."""

    def __init__(self, pair: Pair, tensors: list[Tensor], outputs: list[Tensor]) -> None:
        wanted = [tensors[s] if isinstance(s, int) else s for s in pair.sources]
        edges: list[Edge | None] = [edge_of(each) for each in wanted]
        super().__init__("CompiledFunctionBackward", edges)
        self.outputs = len(pair.differentiable)
        self.pair = pair
        count = pair.forward.count
        self.saved: list[Tensor] | None = [
            *outputs[count : count + len(pair.saved)], *[tensors[i] for i in pair.read]
        ]  # fmt: skip
        self.versions = [t._storage.version for t in (*self.saved, *pair.read_again)]

    def apply(self, grads: list[Tensor | None]) -> list[Tensor | None]:
        """The gradients of what was wanted."""
        pair = self.pair
        if self.saved is None:
            raise RuntimeError(FREED)
        if state.grad:
            raise RuntimeError(
                "torch.compile with aot_autograd does not currently support double backward\n"
                "  Call the original function, without compile, for gradients of gradients."
            )
        now = [t._storage.version for t in (*self.saved, *pair.read_again)]
        if now != self.versions:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an "
                "inplace operation\n  A compiled function saved it for its backward pass: call "
                "backward() before the parameters change."
            )
        given = []
        for grad, (shape, dtype) in zip(grads, pair.kinds, strict=True):
            if grad is None:
                grad = empty(contiguous(shape), dtype)
                grad._array.fill(0)
            given.append(grad)
        with no_grad():
            found = iter(pair.backward.run([*given, *self.saved]))
        return [next(found) if here else None for here in pair.present]

    def release(self) -> None:
        """Let go of the saved tensors."""
        self.saved = None


def _split(step: StepGraph) -> tuple[Graph, Graph, list[Value], list[int]]:
    """The graph forward, the graph backward, what the first saves for the second, and which inputs
    the second reads.
    """
    graph = step.graph
    ahead, back = graph.nodes[: step.mark], graph.nodes[step.mark :]
    made = {v for node in ahead for v in node.outputs}
    tangents = set(step.tangents)
    inputs = [v for v in graph.inputs if v not in tangents]
    gradients = [v for v in step.gradients if v is not None]
    needed: dict[Value, None] = {}
    for node in back:
        needed.update((v, None) for v in node.inputs())
    needed.update((v, None) for v in gradients)
    saved = [v for v in needed if v in made]
    read = [i for i, v in enumerate(inputs) if v in needed]
    captured = set(graph.captured)
    again = {v: Value(v.shape, v.dtype, v.traced) for v in (*saved, *[inputs[i] for i in read])}
    for node in back:
        node.replace(again)
    gradients = [again.get(v, v) for v in gradients]
    results = [v for v in graph.outputs if v not in tangents]
    count = len(list(tensors_in(step.result)))
    first = Graph(inputs, graph.captured, ahead, [*results[:count], *saved], graph.mutated,
                  graph.random)  # fmt: skip
    second = Graph(
        [*step.tangents, *[again[v] for v in saved], *[again[inputs[i]] for i in read]],
        [v for v in needed if v in captured], back, gradients, [],
    )  # fmt: skip
    return first, second, saved, read
