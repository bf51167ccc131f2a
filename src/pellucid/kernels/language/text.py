"""A program as text for people: `PELLUCID_DEBUG=loops` prints this."""

from __future__ import annotations

from pellucid.kernels.language.nodes import Block, Function, If, Loop, Program, Value, While

_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "rem": "%", "lt": "<", "le": "<=",
          "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}  # fmt: skip


class _Writer:
    def __init__(self) -> None:
        self.names: dict[Value, str] = {}
        self.lines: list[str] = []

    def ref(self, value: Value) -> str:
        if value.op == "constant":
            number = value.attributes["value"]
            return f"{number:g}" if isinstance(number, float) else str(number)
        return self.names.setdefault(value, f"v{len(self.names)}")

    def right(self, value: Value) -> str:
        """The right-hand side of a statement."""
        args = [self.ref(x) for x in value.args]
        a = value.attributes
        if value.op in _SIGNS:
            return f"{args[0]} {_SIGNS[value.op]} {args[1]}"
        if value.op in ("load", "load_masked"):
            mask = f" where {args[2]}" if len(args) > 2 else ""
            return f"{value.type} {args[0]}[{args[1]}]{mask}"
        if value.op == "offset":
            return f"{args[0]} + {args[1]} * {a['scale']}"
        if value.op == "get":
            return a["register"].name
        extra = [f"{k}={v}" for k, v in a.items()]
        return f"{value.op}({', '.join([*args, *extra])})"

    def value(self, value: Value, indent: str) -> None:
        args = [self.ref(x) for x in value.args]
        if value.op == "constant":
            return
        if value.op in ("store", "store_masked"):
            mask = f" where {args[3]}" if len(args) > 3 else ""
            text = f"{value.args[0].type} {args[1]}[{args[2]}] = {args[0]}{mask}"
        elif value.op == "set":
            text = f"{value.attributes['register'].name} := {args[0]}"
        elif value.op == "get":
            register = value.attributes["register"].name
            text = f"{self.ref(value)}: {value.type} = {register}"
        elif value.type.kind == "void":
            text = self.right(value)
        else:
            text = f"{self.ref(value)}: {value.type} = {self.right(value)}"
        self.lines.append(indent + text)

    def block(self, block: Block, indent: str) -> None:
        inner = indent + "    "
        for statement in block:
            if isinstance(statement, Value):
                self.value(statement, indent)
            elif isinstance(statement, Loop):
                var = f"{statement.var.attributes['name']}{len(self.names)}"
                self.names[statement.var] = var
                bounds = [self.ref(x) for x in (statement.start, statement.stop, statement.step)]
                mark = "unrolled " if statement.unroll else ""
                self.lines.append(
                    f"{indent}{mark}for {var} from {bounds[0]} to {bounds[1]} by {bounds[2]}:"
                )
                self.block(statement.body, inner)
            elif isinstance(statement, While):
                self.lines.append(f"{indent}repeat:")
                self.block(statement.head, inner)
                self.lines.append(f"{indent}while {self.ref(statement.condition)}:")
                self.block(statement.body, inner)
            elif isinstance(statement, If):
                self.lines.append(f"{indent}if {self.ref(statement.condition)}:")
                self.block(statement.then, inner)
                if statement.orelse.statements:
                    self.lines.append(f"{indent}else:")
                    self.block(statement.orelse, inner)


def function_text(function: Function) -> str:
    writer = _Writer()
    parameters = []
    for parameter in function.parameters:
        writer.names[parameter] = parameter.attributes["name"]
        parameters.append(f"{parameter.attributes['name']}: {parameter.type}")
    writer.block(function.body, "    ")
    return "\n".join([f"{function.name}({', '.join(parameters)}):", *writer.lines])


def program_text(program: Program) -> str:
    """All functions of a program, callees first."""
    return "\n\n".join(function_text(f) for f in program.functions) + "\n"
