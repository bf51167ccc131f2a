"""Write the type stubs of what is derived at import: operators as functions, as `Tensor` methods,
as `nn.functional` names.

    python tools/write_stubs.py           writes the .pyi files beside the modules
    python tools/write_stubs.py --check   says which are out of date, and exits with 1 if any is

The signatures are those of the operators' bodies. Annotations that a stub cannot resolve become
Any.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1] / "src" / "pellucid"
HEADER = "# Written by tools/write_stubs.py from the operators' descriptions: do not edit.\n"
IMPORTS = """from collections.abc import Callable, Iterable, Sequence
from typing import Any

"""
KNOWN = {
    "Tensor",
    "Any",
    "bool",
    "int",
    "float",
    "str",
    "complex",
    "None",
    "tuple",
    "list",
    "Sequence",
}
BUILTIN_SHADOWS = {"bool", "int", "float", "complex", "str", "tuple", "list"}
KEYWORD_ONLY = {"alpha", "rounding_mode", "value"}
"""Parameters with a default that PyTorch takes by keyword alone, except in activations."""
SEVERAL = {
    "split",
    "split_with_sizes",
    "chunk",
    "unbind",
    "tensor_split",
    "hsplit",
    "vsplit",
    "dsplit",
}


def annotation(text: Any, default: str = "Any") -> str:
    """An annotation as a stub may write it."""
    if text is inspect.Parameter.empty:
        return default
    if not isinstance(text, str):
        text = getattr(text, "__name__", str(text))
    names = set(re.findall(r"[A-Za-z_][A-Za-z_0-9.]*", text))
    return text if names <= KNOWN else default


def parameters(call: Callable[..., Any], method: bool) -> str:
    """The parameter list of an operator; a method's first one is `self`."""
    spec = getattr(call, "spec", None)
    body = inspect.unwrap(call)
    pieces: list[str] = []
    if spec is not None and spec.kind == "pointwise":
        pieces = list(_from_description(call, spec, method))
    else:
        pieces = list(_from_signature(body, spec))
    if method:
        pieces = ["self", *pieces[1:]]
    return ", ".join(pieces)


def _from_description(call: Callable[..., Any], spec: Any, method: bool) -> Iterator[str]:
    """The parameters of an elementwise operator: first a tensor, then tensors or numbers."""
    names = list(spec.parameters)
    flag = "inplace" in getattr(getattr(call, "__signature__", None), "parameters", ())
    keywords = []
    for number, name in enumerate(names + ["inplace"] * flag):
        required = name not in spec.defaults and not (flag and number == len(names))
        text = f"{name}: {'bool' if name == 'inplace' else 'Any'}{'' if required else ' = ...'}"
        if number == 0 and not method:
            yield f"{name}: Tensor"
        elif name in KEYWORD_ONLY and not required and not flag:
            keywords.append(text)
        else:
            yield text
    if spec.out and not method and not call.__name__.endswith("_"):
        keywords.append("out: Tensor | None = ...")
    if keywords:
        yield from ("*", *keywords)


def _from_signature(body: Callable[..., Any], spec: Any) -> Iterator[str]:
    starred = False
    out = spec is not None and spec.out
    for parameter in inspect.signature(body).parameters.values():
        text = annotation(parameter.annotation)
        if parameter.kind is parameter.VAR_POSITIONAL:
            starred = True
            yield f"*{parameter.name}: {text}"
            continue
        if parameter.kind is parameter.VAR_KEYWORD:
            if out:
                yield from ([] if starred else ["*"]) + ["out: Any = ..."]
            yield f"**{parameter.name}: {text}"
            return
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            starred = True
            yield "*"
        if parameter.name == "out":
            out = False
        default = "" if parameter.default is parameter.empty else " = ..."
        yield f"{parameter.name}: {text}{default}"
    if out:
        if not starred:
            yield "*"
        yield "out: Any = ..."


def result(call: Callable[..., Any], name: str) -> str:
    """What an operator returns, as far as its body says."""
    if name in SEVERAL:
        return "tuple[Tensor, ...]"
    if name.endswith("_") and not name.endswith("__"):
        return "Tensor"
    spec = getattr(call, "spec", None)
    if spec is not None and spec.kind == "pointwise":
        return "Tensor"
    if spec is not None and spec.kind == "view":
        return "Tensor"
    text = annotation(inspect.signature(inspect.unwrap(call)).return_annotation)
    if spec is not None and text == "None":  # the body writes; its call returns what was written
        return "Tensor"
    return text


def function(name: str, call: Callable[..., Any], method: bool = False) -> str:
    """One `def` line."""
    indent = "    " if method else ""
    if not name.isidentifier():
        return ""
    return f"{indent}def {name}({parameters(call, method)}) -> {result(call, name)}: ...\n"


def _body(place: dict[str, Callable[..., Any]], method: bool = False) -> str:
    return "".join(function(name, call, method) for name, call in sorted(place.items()))


def methods_stub() -> str:
    """`tensor/methods.pyi`: what the operators and the tape attach to `Tensor`."""
    spec = importlib.import_module("pellucid.ops.spec")
    tensor = importlib.import_module("pellucid.tensor.tensor").Tensor
    place = spec.namespace("Tensor")
    text = _body({n: c for n, c in place.items() if n not in BUILTIN_SHADOWS}, method=True)
    special = sorted(
        n for n in vars(tensor) if n.startswith("__") and n.endswith("__") and n in SPECIAL
    )
    for name in special:
        signature, _, remark = SPECIAL[name].partition("  #")
        text += f"    def {name}(self{signature}: ...{remark and '  #' + remark}\n"
    for name in sorted(n for n in place if n in BUILTIN_SHADOWS):
        text += function(name, place[name], method=True)
    for name, value in sorted(vars(tensor).items()):
        if isinstance(value, property) and name in TAPE_PROPERTIES:
            text += f"    {name}: {TAPE_PROPERTIES[name]}\n"
    for name in TAPE_METHODS:
        if hasattr(tensor, name) and name not in place:
            text += (
                f"    def {name}(self, *args: Any, **kwargs: Any) -> {TAPE_METHODS[name]}: ...\n"
            )
    head = HEADER + "import builtins\n" + IMPORTS + "from pellucid.tensor.tensor import Tensor\n\n"
    return head + "class Methods:\n" + _builtins_named(text, BUILTIN_SHADOWS & set(place))


def _builtins_named(text: str, shadowed: set[str]) -> str:
    """`text` of a class with methods called `bool`, `int`, …: its annotations mean the builtins."""
    names = "|".join(sorted(shadowed))
    return re.sub(rf"(?<=[:>|\[,] )({names})\b|(?<=\[)({names})\b", r"builtins.\1\2", text)


ELEMENTWISE = "  # type: ignore[override]  # compares elements: object.__eq__ answers one bool"
SPECIAL = {
    **{
        f"__{r}{name}__": ", other: Any) -> Tensor"
        for name in [
            "add",
            "sub",
            "mul",
            "truediv",
            "floordiv",
            "mod",
            "pow",
            "matmul",
            "and",
            "or",
            "xor",
            "lshift",
            "rshift",
        ]
        for r in ("", "r", "i")
    },
    **{f"__{name}__": ", other: Any) -> Tensor" for name in ["lt", "le", "gt", "ge"]},
    **{f"__{name}__": ", other: Any) -> Tensor" + ELEMENTWISE for name in ("eq", "ne")},
    "__hash__": ") -> int",
    "__reversed__": ") -> Tensor",
    **{f"__{name}__": ") -> Tensor" for name in ["neg", "pos", "abs", "invert"]},
    "__getitem__": ", index: Any) -> Tensor",
    "__setitem__": ", index: Any, value: Any) -> None",
    "__contains__": ", element: Any) -> bool",
}
TAPE_PROPERTIES = {
    "requires_grad": "bool",
    "grad": "Tensor | None",
    "grad_fn": "Any",
    "is_leaf": "bool",
    "data": "Tensor",
    "retains_grad": "bool",
    "output_nr": "int",
    **dict.fromkeys(("T", "mT", "H", "mH", "real", "imag"), "Tensor"),
}
TAPE_METHODS = {
    "backward": "None",
    "requires_grad_": "Tensor",
    "register_hook": "Any",
    "register_post_accumulate_grad_hook": "Any",
    "retain_grad": "None",
}


def functions_stub(place: str) -> str:
    """The stub of a module that shows one public place: `ops`, `nn.functional`, `linalg`,
    `special`.
    """
    spec = importlib.import_module("pellucid.ops.spec")
    return (
        HEADER
        + IMPORTS
        + "from pellucid.tensor.tensor import Tensor\n\n"
        + _body(spec.namespace(place))
    )


def late_names() -> str:
    """`ops/late_names.txt`: which family that is read late has which names. A name belongs to the
    first family with which it comes. To be asked before any of them has been read.
    """
    ops = importlib.import_module("pellucid.ops")
    registry = importlib.import_module("pellucid.ops.spec").registry

    def there() -> set[str]:
        return {f"{place}.{name}" for place in ops.PLACES for name in registry.ready(place)}

    lines, before = [], there()
    for family in ops.LATE:
        registry.read(family)
        names = there()
        lines.append(" ".join([family, *sorted(names - before)]))
        before = names
    return "\n".join(lines) + "\n"


def stubs() -> dict[Path, str]:
    """Every stub with its text, and the names of the families that are read late."""
    found = {ROOT / "ops" / "late_names.txt": late_names()}
    found |= {ROOT / "tensor" / "methods.pyi": methods_stub()}
    found[ROOT / "ops" / "functions.pyi"] = functions_stub("torch")
    for place, module in (
        ("nn.functional", "nn/operators"),
        ("linalg", "ops/linalg_functions"),
        ("special", "ops/special_functions"),
        ("fft", "ops/fft_functions"),
    ):
        found[ROOT / f"{module}.pyi"] = functions_stub(place)
    return found


def main() -> int:
    """Write or check."""
    check = "--check" in sys.argv[1:]
    stale = 0
    for path, text in stubs().items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        print(("out of date: " if check else "wrote ") + str(path.relative_to(ROOT)))
        if not check:
            partial = path.with_suffix(".tmp")
            partial.write_text(text, encoding="utf-8")
            partial.replace(path)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
