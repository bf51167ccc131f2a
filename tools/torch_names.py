"""Write down which names PyTorch has: the data behind `pellucid check` and the import alias.

    python tools/torch_names.py [torchvision-wheel-or-folder] [-o output.txt.gz]

Public modules are imported and asked with `dir`, so names made at run time are there too. Private
modules (a path component begins with `_`) are only parsed: importing them may need packages or
hardware that nobody asked for. torchvision is only ever parsed.

The file has one line for each module or class, fields separated by tabs:

    M torch.nn.functional   c:Tensor   f:conv2d,relu   v:pi   m:modules
    C torch.nn.Module       add_module,apply,...

`c` classes, `f` functions, `v` other values, `m` submodules; `C` lists what a public class itself
defines (inherited names belong to its bases, given after `<`).
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import gzip
import importlib
import io
import os
import sys
import types
import warnings
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Kinds = dict[str, str]
Classes = dict[str, tuple[list[str], list[str]]]
SKIP = (
    "torch.include",
    "torch.bin",
    "torch.lib",
    "torch.share",
    "torch.test",
    "torch.utils.benchmark.examples",
)


def is_private(dotted: str) -> bool:
    return any(part.startswith("_") for part in dotted.split("."))


def kind_of(value: Any) -> str:
    if isinstance(value, types.ModuleType):
        return "m"
    if isinstance(value, type):
        return "c"
    return "f" if callable(value) else "v"


def belongs(name: str, value: Any, package: str) -> bool:
    """Whether a module attribute is the package's own, not something it imported from elsewhere.

    Foreign is what can be found under its own name in a module outside the package.
    """
    if isinstance(value, types.ModuleType):
        return value.__name__.split(".")[0] == package
    home = getattr(value, "__module__", None)
    if not isinstance(home, str) or home.split(".")[0] in (package, "builtins"):
        return True
    called = getattr(value, "__name__", None) or getattr(value, "_name", None) or name
    return getattr(sys.modules.get(home), str(called), None) is not value


def imported_names(module: types.ModuleType, package: str) -> Kinds:
    """name -> kind of what a living module shows."""
    names: Kinds = {}
    shown = set(dir(module))
    if (
        type(module) is not types.ModuleType
    ):  # a module with properties, such as torch.backends.cudnn
        shown |= set(dir(type(module))) - set(dir(types.ModuleType))
    for name in sorted(shown):
        if name.startswith("__"):
            continue
        try:
            value = getattr(module, name)
        except Exception:  # a lazy attribute that this build cannot make
            continue
        if name in getattr(module, "__all__", ()) or belongs(name, value, package):
            names[name] = kind_of(value)
    return names


def parsed_names(source: str, package: str) -> Kinds:
    """name -> kind of what a module defines at its top level, by reading its text."""
    names: Kinds = {}
    try:
        tree = ast.parse(source)
    except SyntaxError:  # written for a newer Python than the one that runs this
        return names
    for node in toplevel(tree.body):
        if isinstance(node, ast.ClassDef):
            names[node.name] = "c"
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names[node.name] = "f"
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                for leaf in ast.walk(target):
                    if isinstance(leaf, ast.Name):
                        names.setdefault(leaf.id, "v")
        elif isinstance(node, ast.ImportFrom) and (
            node.level or (node.module or "").split(".")[0] == package
        ):
            for alias in node.names:
                kind = "c" if alias.name[:1].isupper() else "f"
                names.setdefault(alias.asname or alias.name, kind)
    return {name: kind for name, kind in names.items() if not name.startswith("__") and name != "*"}


def star_imports(source: str, module: str, is_package: bool) -> list[str]:
    """The modules whose public names `module` takes over with `from … import *`."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return []
    base = module.split(".") if is_package else module.split(".")[:-1]
    found = []
    for node in toplevel(tree.body):
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            front = base[: len(base) - node.level + 1] if node.level else []
            found.append(".".join([*front, *filter(None, [node.module])]))
    return found


def toplevel(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements a module runs when imported, inside `if` and `try` too."""
    for node in body:
        yield node
        for part in ("body", "orelse", "finalbody"):
            if isinstance(node, ast.If | ast.Try | ast.With):
                yield from toplevel(getattr(node, part, []))
        for handler in getattr(node, "handlers", []):
            yield from toplevel(handler.body)


def sources(root: Path) -> Iterator[tuple[str, Callable[[], str]]]:
    """(dotted module name, function that reads its text) of a package folder or a wheel."""
    if root.is_dir():
        for path in sorted(root.rglob("*.py")):
            yield dotted(path.relative_to(root.parent).as_posix()), path.read_text
    else:
        wheel = zipfile.ZipFile(root)
        package = root.name.split("-")[0]
        for name in sorted(wheel.namelist()):
            if name.startswith(f"{package}/") and name.endswith(".py"):
                yield dotted(name), lambda name=name: wheel.read(name).decode()


def dotted(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def extension_modules(module: types.ModuleType, found: dict[str, Kinds], package: str) -> None:
    """`torch._C` and what hangs on it: compiled, so it can only be asked."""
    if module.__name__ in found:
        return
    found[module.__name__] = imported_names(module, package)
    for name, kind in found[module.__name__].items():
        if kind == "m":
            child = getattr(module, name)
            if child.__name__ == f"{module.__name__}.{name}":
                extension_modules(child, found, package)


def collect_torch() -> tuple[dict[str, Kinds], Classes]:
    """Modules and public classes of the installed PyTorch."""
    torch = importlib.import_module("torch")
    modules: dict[str, Kinds] = {}
    for name, read in sources(Path(torch.__file__).parent):
        if f"{name}.".startswith(tuple(f"{skipped}." for skipped in SKIP)):
            continue
        modules[name] = parsed_names(read(), "torch")
        if is_private(name):
            continue
        with contextlib.suppress(Exception):  # optional parts, whose dependencies may not be there
            module = importlib.import_module(name)
            living = imported_names(module, "torch")
            hidden = modules[name] if type(module) is not types.ModuleType else {}
            modules[name] = {n: k for n, k in hidden.items() if hasattr(module, n)} | living
    extension_modules(importlib.import_module("torch._C"), modules, "torch")
    return modules, public_classes(modules)


def public_classes(modules: dict[str, Kinds]) -> Classes:
    """Members of every public class, once: under the shortest of its public names."""
    shortest: dict[type, str] = {}
    for name in sorted(modules, key=lambda name: (name.count("."), len(name), name)):
        module = sys.modules.get(name)
        if is_private(name) or module is None:
            continue
        for attribute, kind in modules[name].items():
            if kind == "c" and not attribute.startswith("_"):
                shortest.setdefault(getattr(module, attribute), f"{name}.{attribute}")
    return {
        name: (
            [shortest.get(base, base.__qualname__) for base in cls.__bases__ if base is not object],
            class_members(cls),
        )
        for cls, name in shortest.items()
        if name.startswith("torch.")
    }


def class_members(cls: type) -> list[str]:
    """Public names a class itself defines; of `Tensor` all, for most are in a compiled base."""
    own = dir(cls) if cls.__module__ == "torch" and cls.__name__ == "Tensor" else vars(cls)
    return sorted(name for name in own if not name.startswith("_"))


def collect_torchvision(root: Path) -> dict[str, Kinds]:
    """Modules of torchvision, by reading; names taken over with `import *` are followed."""
    texts = {name: read() for name, read in sources(root)}
    modules = {name: parsed_names(text, "torchvision") for name, text in texts.items()}
    packages = {name.rpartition(".")[0] for name in texts}
    for _ in range(3):  # chains of stars are short
        for name, text in texts.items():
            for source in star_imports(text, name, name in packages):
                public = {n: k for n, k in modules.get(source, {}).items() if n[0] != "_"}
                modules[name] = public | modules[name]
    return modules


def add_submodules(modules: dict[str, Kinds]) -> None:
    for name in list(modules):
        parent, _, child = name.rpartition(".")
        if parent in modules:
            modules[parent][child] = "m"


def written(modules: dict[str, Kinds], classes: Classes) -> str:
    lines = []
    for module in sorted(modules):
        by_kind: dict[str, list[str]] = defaultdict(list)
        for name, kind in modules[module].items():
            by_kind[kind].append(name)
        fields = [f"{kind}:{','.join(sorted(by_kind[kind]))}" for kind in sorted(by_kind)]
        lines.append("\t".join([f"M {module}", *fields]))
    for cls in sorted(classes):
        bases, own = classes[cls]
        lines.append("\t".join([f"C {cls}", "<" + ",".join(bases), ",".join(own)]))
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "torchvision", nargs="?", type=Path, help="a wheel or a package folder to parse"
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("src/pellucid/compat/torch_names.txt.gz")
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    modules, classes = collect_torch()
    if options.torchvision is not None:
        modules.update(collect_torchvision(options.torchvision))
    add_submodules(modules)
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, filename="") as packed:
        packed.write(written(modules, classes).encode())
    temporary = options.output.with_suffix(".new")
    temporary.write_bytes(buffer.getvalue())
    os.replace(temporary, options.output)
    print(
        f"{len(modules)} modules, {len(classes)} classes, {len(buffer.getvalue()) / 1024:.0f} KiB"
    )


if __name__ == "__main__":
    main()
