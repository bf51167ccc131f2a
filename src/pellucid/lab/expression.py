"""Expressions that people type, such as `sin(2*pi*x)`: read into arithmetic on tensors, and into
nothing else.

The text is parsed, never run. Every node of its tree must be on the list below: numbers, the
variables, `pi` and `e`, arithmetic, comparisons (1 where they hold, else 0) and the functions named
here. An attribute, an index, a keyword, a string or any other name is refused with a sentence that
shows the place.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from typing import Any

from pellucid.ops.api import F
from pellucid.tensor.dtype import float64
from pellucid.tensor.tensor import Tensor

LONGEST = 2_000
"""Characters of an expression."""
DEEPEST = 60
"""Parts inside parts."""

Evaluator = Callable[[Mapping[str, Tensor]], Tensor]

CONSTANTS = {"pi": math.pi, "π": math.pi, "e": math.e}

FUNCTIONS: dict[str, tuple[int, Callable[..., Tensor]]] = {
    **{
        name: (1, getattr(F, name))
        for name in [
            "abs",
            "acos",
            "asin",
            "atan",
            "ceil",
            "cos",
            "cosh",
            "exp",
            "floor",
            "log",
            "relu",
            "sigmoid",
            "sign",
            "sin",
            "sinh",
            "sqrt",
            "tan",
            "tanh",
        ]
    },
    "step": (1, lambda x: (x >= 0).to(float64)),
    "square": (1, lambda x: x * x),
    "max": (2, lambda x, y: F.maximum(x, y)),
    "min": (2, lambda x, y: F.minimum(x, y)),
    "where": (3, lambda condition, x, y: F.where(condition != 0, x, y)),
}
"""What may be called: how many arguments, and the operator."""

_ARITHMETIC: dict[type, Callable[[Tensor, Tensor], Tensor]] = {
    ast.Add: lambda x, y: x + y,
    ast.Sub: lambda x, y: x - y,
    ast.Mult: lambda x, y: x * y,
    ast.Div: lambda x, y: x / y,
    ast.Mod: lambda x, y: F.remainder(x, y),
    ast.Pow: lambda x, y: F.pow(x, y),
}
_COMPARISONS: dict[type, Callable[[Tensor, Tensor], Tensor]] = {
    ast.Lt: lambda x, y: x < y,
    ast.LtE: lambda x, y: x <= y,
    ast.Gt: lambda x, y: x > y,
    ast.GtE: lambda x, y: x >= y,
}


class ExpressionError(ValueError):
    """An expression that cannot be read; the message shows the place and says what could."""


def read_expression(text: str, variables: tuple[str, ...] = ("x",)) -> Evaluator:
    """The expression as a function of its variables, a mapping of names to float64 tensors.

    Raises: ExpressionError for anything that is not arithmetic.
    """
    if not isinstance(text, str):
        raise ExpressionError(f"an expression is a string, not {type(text).__name__}")
    if not text.strip():
        raise ExpressionError("the expression is empty; sin(2*pi*x) is one")
    if len(text) > LONGEST:
        raise ExpressionError(
            f"the expression has {len(text)} characters; at most {LONGEST} are read"
        )
    source = text.strip().replace("^", "**")
    try:
        tree = ast.parse(source, mode="eval")
    except SyntaxError as error:
        raise _at(source, error.offset or 1, f"this does not parse: {error.msg}") from None
    except (ValueError, MemoryError, RecursionError):
        raise ExpressionError("this does not parse: it is nested too deeply, or no text") from None
    return _Reader(source, variables).read(tree.body, 0)


def _at(source: str, column: int, words: str) -> ExpressionError:
    line = source.replace("\n", " ")
    return ExpressionError(f"{words}\n  {line}\n  {' ' * (column - 1)}^")


class _Reader:
    """Turns a checked tree into closures."""

    def __init__(self, source: str, variables: tuple[str, ...]) -> None:
        self.source = source
        self.variables = variables

    def refuse(self, node: ast.AST, words: str) -> ExpressionError:
        return _at(self.source, getattr(node, "col_offset", 0) + 1, words)

    def read(self, node: ast.AST, depth: int) -> Evaluator:
        if depth > DEEPEST:
            raise self.refuse(node, f"this is nested more than {DEEPEST} deep")
        if isinstance(node, ast.Constant):
            return self.number(node)
        if isinstance(node, ast.Name):
            return self.name(node)
        if isinstance(node, ast.UnaryOp):
            return self.unary(node, depth)
        if isinstance(node, ast.BinOp):
            return self.chain(node, depth)
        if isinstance(node, ast.Compare):
            operator = _COMPARISONS.get(type(node.ops[0])) if len(node.ops) == 1 else None
            if operator is None:
                raise self.refuse(node, "only one of < <= > >= compares here, two numbers at once")
            holds = self.pair(operator, node.left, node.comparators[0], depth)
            return lambda values: holds(values).to(float64)
        if isinstance(node, ast.Call):
            return self.call(node, depth)
        raise self.refuse(
            node,
            f"{_CALLED.get(type(node), type(node).__name__)} is not arithmetic, and nothing else "
            "is read here",
        )

    def number(self, node: ast.Constant) -> Evaluator:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            kind = "text" if isinstance(value, (str, bytes)) else type(value).__name__
            raise self.refuse(node, f"{kind} is not a number")
        try:
            constant = F.tensor(float(value), dtype=float64)
        except OverflowError:
            raise self.refuse(node, "this number is larger than a float can be") from None
        return lambda values: constant

    def name(self, node: ast.Name) -> Evaluator:
        name = node.id
        if name in self.variables:
            return lambda values: values[name]
        if name in CONSTANTS:
            constant = F.tensor(CONSTANTS[name], dtype=float64)
            return lambda values: constant
        if name in FUNCTIONS:
            raise self.refuse(node, f"{name} is a function: write {name}({self.variables[0]})")
        raise self.refuse(
            node,
            f"{name!r} is not known: the variables are {', '.join(self.variables)}, the constants "
            f"{', '.join(CONSTANTS)}",
        )

    def unary(self, node: ast.UnaryOp, depth: int) -> Evaluator:
        inner = self.read(node.operand, depth + 1)
        if isinstance(node.op, ast.USub):
            return lambda values: -inner(values)
        if isinstance(node.op, ast.UAdd):
            return inner
        raise self.refuse(node, "only + and - stand before a number here")

    def chain(self, node: ast.AST, depth: int) -> Evaluator:
        """`a + b - c …`, however long: each operand is one level below, not each sum."""
        rest: list[tuple[Callable[[Tensor, Tensor], Tensor], Evaluator]] = []
        while isinstance(node, ast.BinOp):
            operator = _ARITHMETIC.get(type(node.op))
            if operator is None:
                raise self.refuse(node, "only + - * / % and ** combine numbers here")
            rest.append((operator, self.read(node.right, depth + 1)))
            node = node.left
        first = self.read(node, depth + 1)

        def evaluate(values: Mapping[str, Tensor]) -> Tensor:
            found = first(values)
            for operator, part in reversed(rest):
                found = operator(found, part(values))
            return found

        return evaluate

    def pair(self, operator: Any, left: ast.AST, right: ast.AST, depth: int) -> Evaluator:
        first, second = self.read(left, depth + 1), self.read(right, depth + 1)
        return lambda values: operator(first(values), second(values))

    def call(self, node: ast.Call, depth: int) -> Evaluator:
        if not isinstance(node.func, ast.Name):
            raise self.refuse(node, "only the functions of the list can be called")
        name = node.func.id
        if name not in FUNCTIONS:
            known = ", ".join(sorted(FUNCTIONS))
            raise self.refuse(node, f"there is no function {name!r}; there are {known}")
        count, function = FUNCTIONS[name]
        if node.keywords or any(isinstance(each, ast.Starred) for each in node.args):
            raise self.refuse(node, f"{name} takes plain arguments only")
        if len(node.args) != count:
            raise self.refuse(node, f"{name} takes {count} argument{'s' * (count > 1)}")
        parts = [self.read(each, depth + 1) for each in node.args]
        return lambda values: function(*(part(values) for part in parts))


_CALLED: dict[type, str] = {
    ast.Attribute: "an attribute (x.y)",
    ast.Subscript: "an index (x[y])",
    ast.Lambda: "a lambda",
    ast.ListComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
    ast.List: "a list",
    ast.Tuple: "a tuple",
    ast.Dict: "a dictionary",
    ast.JoinedStr: "a string",
    ast.NamedExpr: "an assignment",
    ast.IfExp: "`if … else` (where(x < 0, -x, x) chooses)",
    ast.BoolOp: "`and`/`or` (multiply comparisons instead)",
}
