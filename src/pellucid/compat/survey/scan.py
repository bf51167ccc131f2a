"""Reading one file: which of PyTorch's names it uses, on which lines."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field

from pellucid.compat import aliases, names
from pellucid.compat.survey.bindings import (
    EVERYDAY_ATTRIBUTES,
    OTHER,
    TENSOR,
    UNKNOWN,
    Binding,
    Instance,
    Other,
    Scope,
    Torch,
    attribute_of,
    local_names,
    result_of,
)

FORGIVING = {"ImportError", "ModuleNotFoundError", "AttributeError", "Exception", "BaseException"}
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True)
class Use:
    """One use of a name. `guarded`: the program is prepared for its absence. `guess`: a method of
    something that may or may not be a tensor."""

    name: str
    line: int
    guarded: bool = False
    guess: bool = False


@dataclass
class Scan:
    """What one file uses, and what its top-level names stand for (for files that import it)."""

    uses: dict[Use, None] = field(default_factory=dict)  # in order
    scope: Scope = field(default_factory=Scope)
    defined: set[str] = field(default_factory=set)


# Gives the scan of a local module ("" names of packages, "level" dots), or None for a foreign one.
LocalModule = Callable[[str, int], Scan | None]


def scan(tree: ast.Module, local: LocalModule, into: Scan | None = None) -> Scan:
    """Read the module `tree`; `local(name, level)` finds modules of the program itself."""
    result = Scan() if into is None else into
    result.defined |= {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    reader = _Reader(result, local)
    reader.read(tree.body)
    return result


class _Reader(ast.NodeVisitor):
    """Walks statements in order; bodies of functions come last, when all globals are known."""

    def __init__(self, result: Scan, local: LocalModule) -> None:
        self.result = result
        self.local = local
        self.scope = result.scope
        self.guards = 0
        self.later: list[Callable[[], None]] = []
        self.cls: Binding | None = None  # what the class being read inherits from

    def read(self, body: list[ast.stmt]) -> None:
        for statement in body:
            self.visit(statement)
        while self.later:
            self.later.pop(0)()

    def use(self, name: str, line: int, guess: bool = False) -> None:
        if not name.rpartition(".")[2].startswith("__"):  # torch.__version__ and its like are there
            self.result.uses.setdefault(Use(name, line, self.guards > 0, guess))

    # Imports.

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            bound = alias.asname or alias.name.partition(".")[0]
            if aliases.is_alias(alias.name):
                self.use(alias.name, node.lineno)
                self.scope.names[bound] = Torch(alias.name if alias.asname else bound)
            else:
                self.local(alias.name, 0)
                self.scope.names[bound] = OTHER

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if not node.level and aliases.is_alias(module):
            for alias in node.names:
                self._import_from_torch(module, alias, node.lineno)
            return
        found = self.local(module, node.level)
        for alias in node.names:
            if alias.name == "*":
                self.scope.names.update({} if found is None else found.scope.names)
                continue
            inner = None if found is None else found.scope.names.get(alias.name)
            if inner is None:  # a name defined there, or a submodule
                self.local(f"{module}.{alias.name}".strip("."), node.level)
            self.scope.names[alias.asname or alias.name] = OTHER if inner is None else inner

    def _import_from_torch(self, module: str, alias: ast.alias, line: int) -> None:
        if alias.name == "*":
            self.use(module, line)
            for name in names.members(module):
                if not name.startswith("_"):
                    self.scope.names[name] = Torch(f"{module}.{name}")
            return
        full = f"{module}.{alias.name}"
        self.use(full, line)
        self.scope.names[alias.asname or alias.name] = Torch(full)

    # Names and attributes.

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            found = self.scope.find(node.id)
            if isinstance(found, Torch) and found.name not in aliases.ROOTS:
                self.use(found.name, node.lineno)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        base = self.infer(node.value)
        if isinstance(base, Torch):
            self.use(f"{base.name}.{node.attr}", node.end_lineno or node.lineno)
            return
        self._method(base, node)
        self.visit(node.value)

    def _method(self, base: Binding, node: ast.Attribute) -> None:
        name, line = node.attr, node.end_lineno or node.lineno
        if isinstance(base, Instance):
            if name in names.class_members(base.cls):
                self.use(f"{base.cls}.{name}", line)
        elif not isinstance(base, Other) and self._only_of_tensors(name):
            self.use(f"torch.Tensor.{name}", line, guess=True)

    def _only_of_tensors(self, name: str) -> bool:
        """Whether of all that is known only tensors have an attribute `name`."""
        return (
            name in names.class_members("torch.Tensor")
            and name not in EVERYDAY_ATTRIBUTES
            and name not in self.result.defined
            and not any(name in names.class_members(f"torch.{cls}") for cls in _LIKE_TENSORS)
        )

    def infer(self, node: ast.expr) -> Binding:
        """What an expression stands for."""
        if isinstance(node, ast.Name):
            return self.scope.find(node.id)
        if isinstance(node, ast.Attribute):
            return attribute_of(self.infer(node.value), node.attr)
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and self.infer(node.func.value) == TENSOR:
                return TENSOR if node.func.attr not in ("item", "tolist", "size", "dim") else OTHER
            return result_of(self.infer(node.func))
        if isinstance(node, ast.BinOp):
            sides = (self.infer(node.left), self.infer(node.right))
            return TENSOR if TENSOR in sides else UNKNOWN
        if isinstance(node, ast.Subscript | ast.UnaryOp):
            inner = node.value if isinstance(node, ast.Subscript) else node.operand
            return TENSOR if self.infer(inner) == TENSOR else UNKNOWN
        constant = ast.Constant | ast.JoinedStr | ast.List | ast.Dict | ast.Set | ast.Tuple
        return OTHER if isinstance(node, constant) else UNKNOWN

    def visit_Call(self, node: ast.Call) -> None:
        asked = _asked_name(node)
        if asked is not None:  # getattr(torch, "compile") takes; with a default it only asks
            base = self.infer(node.args[0])
            if isinstance(base, Torch) and node.func.id == "getattr" and len(node.args) == 2:  # type: ignore[attr-defined]
                self.use(f"{base.name}.{asked}", node.lineno)
            if isinstance(base, Torch):
                return
        self.generic_visit(node)

    # What binds names.

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self._bind(target, self.infer(node.value))
            self.visit(target)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.generic_visit(node)
        if node.value is not None:
            self._bind(node.target, self.infer(node.value))

    def _bind(self, target: ast.expr, value: Binding) -> None:
        if isinstance(target, ast.Name):
            self.scope.names[target.id] = value
        elif isinstance(target, ast.Tuple | ast.List):
            for part in target.elts:
                self._bind(part, UNKNOWN)

    def visit_For(self, node: ast.For) -> None:
        self.visit(node.iter)
        self._bind(node.target, TENSOR if self.infer(node.iter) == TENSOR else UNKNOWN)
        for statement in (*node.body, *node.orelse):
            self.visit(statement)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for part in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(part)
        bases = [base for base in map(self.infer, node.bases) if isinstance(base, Torch)]
        before, outer = self.cls, self.scope
        self.cls = Instance(bases[0].name) if bases else OTHER
        self.scope = Scope(outer)
        for statement in node.body:
            self.visit(statement)
        self.cls, self.scope = before, outer
        self.scope.names[node.name] = OTHER

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for part in (*node.decorator_list, *_annotations_and_defaults(node)):
            self.visit(part)
        self.scope.names[node.name] = OTHER
        self._postpone(node, self.cls)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        for part in _annotations_and_defaults(node):
            self.visit(part)
        self._postpone(node, None)

    def _postpone(self, node: Function, cls: Binding | None) -> None:
        scope = Scope(self.scope, dict.fromkeys(local_names(node), UNKNOWN))
        parameters = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
        if cls is not None and parameters:
            scope.names[parameters[0]] = cls
            if getattr(node, "name", "") == "forward" and isinstance(cls, Instance):
                scope.names.update(dict.fromkeys(parameters[1:2], TENSOR))
        guards = self.guards

        def read_body() -> None:
            outer, self.scope = self.scope, scope
            before, self.guards = self.guards, guards
            own, self.cls = self.cls, None
            body = node.body if isinstance(node.body, list) else [node.body]
            for part in body:
                self.visit(part)
            self.scope, self.guards, self.cls = outer, before, own

        self.later.append(read_body)

    # What prepares for a name's absence.

    def visit_Try(self, node: ast.Try) -> None:
        guarded = any(_forgives(handler) for handler in node.handlers)
        self._guarded(node.body, guarded)
        for part in (*node.handlers, *node.orelse, *node.finalbody):
            self.visit(part)

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        self._guarded(node.body, _asks_first(node.test))
        for statement in node.orelse:
            self.visit(statement)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.visit(node.test)
        self._guarded([node.body], _asks_first(node.test))
        self.visit(node.orelse)

    def _guarded(self, body: list[ast.stmt] | list[ast.expr], guarded: bool) -> None:
        self.guards += guarded
        for part in body:
            self.visit(part)
        self.guards -= guarded


_LIKE_TENSORS = ("nn.Module", "optim.Optimizer", "Generator", "Size", "device", "dtype")


def _asked_name(node: ast.Call) -> str | None:
    """`name` of `hasattr(x, "name")` and `getattr(x, "name", …)`."""
    named = isinstance(node.func, ast.Name) and node.func.id in ("hasattr", "getattr")
    if named and len(node.args) >= 2 and isinstance(node.args[1], ast.Constant):
        return str(node.args[1].value)
    return None


def _annotations_and_defaults(node: Function) -> list[ast.expr]:
    arguments = node.args
    every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    extras = (arguments.vararg, arguments.kwarg)
    annotations = [argument.annotation for argument in (*every, *filter(None, extras))]
    found = [*arguments.defaults, *arguments.kw_defaults, *annotations]
    return [part for part in (*found, getattr(node, "returns", None)) if part is not None]


def _forgives(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    return any(
        isinstance(node, ast.Name) and node.id in FORGIVING for node in ast.walk(handler.type)
    )


def _asks_first(test: ast.expr) -> bool:
    """Whether a condition asks first: `hasattr`, `is_available()`, `TYPE_CHECKING`."""
    for node in ast.walk(test):
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return False
        if isinstance(node, ast.Call) and _asked_name(node) is not None:
            return True
        if isinstance(node, ast.Attribute) and node.attr in ("is_available", "TYPE_CHECKING"):
            return True
        if isinstance(node, ast.Name) and node.id == "TYPE_CHECKING":
            return True
    return False
