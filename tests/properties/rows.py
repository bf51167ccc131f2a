"""Tables of calls: one row says how an operator is called, and every layout is tried on it.

    row("addmm", "nm", "nk", "km", beta=2)

A string among the positional arguments stands for a tensor: a letter is a size (the same letter is
the same size all through the row), a digit is that size, `*` is any shape, `~` any shape that
broadcasts with `*`. After a colon comes where the numbers lie: one of `DOMAINS`, or `index4` for
whole numbers from 0 to 3; a closing `!` says that no gradient is asked for. `verbatim("ij,jk")` is
a string that the operator is to see; a tensor among the keywords is written `tensor("n")`.

The comparison itself is the one of `tests.parity.checks`: values, dtypes, strides, aliasing, flags,
what became of the inputs, and of a refusal the type of the exception.
"""

from __future__ import annotations

import dataclasses
import types
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pellucid
from pellucid.ops.spec import OpSpec, registry
from tests.parity.bridge import (
    StorageRecipe,
    TensorRecipe,
    contiguous_strides,
    leaves,
    map_tree,
)
from tests.parity.checks import Side, check_case
from tests.parity.samples import Case
from tests.strategies import FLOAT_DTYPES, shapes, tensors

torch.set_num_threads(1)

Array = np.ndarray


# --- rows -----------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Argument:
    """A tensor of a row: its sizes by letter, and where its numbers lie."""

    sizes: str
    domain: str
    constant: bool = False


@dataclasses.dataclass(frozen=True)
class Verbatim:
    """A string that is an argument itself."""

    text: str


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """One way of calling the operator `key` of the registry.

    `dtypes` are those of tensors without a domain of whole numbers, `unique` keeps of a result what
    mathematics decides (the sign of an eigenvector is free), `empty` says whether a letter may be
    0, and `orders` how many derivatives are compared.
    """

    key: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    dtypes: tuple[str, ...] = FLOAT_DTYPES
    unique: Callable[[Any], Any] | None = None
    empty: bool = True
    orders: int = 2

    def __str__(self) -> str:
        words = [_word(each) for each in self.args]
        words += [f"{name}={_word(value)}" for name, value in self.kwargs.items()]
        return f"{self.key}({', '.join(words)})"

    @property
    def spec(self) -> OpSpec:
        return registry.specs[self.key]


def _word(value: Any) -> str:
    if isinstance(value, Argument):
        return value.sizes if value.domain == "any" else f"{value.sizes}:{value.domain}"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(map(_word, value)) + "]"
    return value.text if isinstance(value, Verbatim) else str(value)


def tensor(text: str) -> Argument:
    """`"nk"` or `"nk:positive"` as an argument."""
    sizes, _, domain = text.partition(":")
    return Argument(sizes, domain.removesuffix("!") or "any", domain.endswith("!"))


verbatim = Verbatim


def row(
    key: str,
    *args: Any,
    dtypes: tuple[str, ...] = FLOAT_DTYPES,
    unique: Callable[[Any], Any] | None = None,
    empty: bool = True,
    orders: int = 2,
    **kwargs: Any,
) -> Row:
    """A row; strings among `args`, also in lists, are tensors."""

    def read(value: Any) -> Any:
        return tensor(value) if isinstance(value, str) else value

    return Row(key, map_tree(read, args), kwargs, dtypes, unique, empty, orders)


# --- numbers --------------------------------------------------------------------------------------


def _regular(matrix: Array) -> Array:
    return matrix / 8 + 2 * np.eye(*matrix.shape[-2:])


def _definite(matrix: Array) -> Array:
    small = matrix / 8
    return small @ small.swapaxes(-1, -2) + np.eye(matrix.shape[-1])


DOMAINS: dict[str, Callable[[Array], Array]] = {
    "any": lambda x: x,
    "smooth": lambda x: x + 0.0371,
    "positive": lambda x: np.abs(x) + 0.25,
    "above1": lambda x: np.abs(x) + 1.25,
    "nonzero": lambda x: x + np.where(x < 0, -0.25, 0.25),
    "small": lambda x: x / 8,
    "unit": lambda x: 0.9 * np.sin(x + 0.1),
    "open": lambda x: 0.5 + 0.4 * np.sin(x),
    "own": lambda x: x,
    "sign": lambda x: np.where(x < 0, -1.0, 1.0),
}
"""Elementwise maps from the numbers drawn to those an operator is defined for."""

MATRICES: dict[str, Callable[[Array], Array]] = {
    "regular": _regular,
    "definite": _definite,
    "lower": lambda x: np.tril(_regular(x)),
}
"""The same for the matrices in the last two dimensions: they need elements of their own."""


def within(recipe: TensorRecipe, domain: str) -> TensorRecipe:
    """The recipe with its numbers moved into a domain, the layout as it was."""
    kind = np.dtype(recipe.dtype)
    whole = np.frombuffer(recipe.storage.data, kind).copy()
    if domain in MATRICES:
        step = kind.itemsize
        shown = np.lib.stride_tricks.as_strided(
            whole[recipe.offset :], recipe.shape, [step * each for each in recipe.strides]
        )
        shown[...] = MATRICES[domain](shown.copy())
    elif domain.startswith("index"):
        whole %= int(domain.removeprefix("index") or 1)
    else:
        whole = np.asarray(DOMAINS[domain](whole), kind)
    return dataclasses.replace(recipe, storage=StorageRecipe(whole.tobytes(), recipe.storage.users))


# --- drawing --------------------------------------------------------------------------------------


@st.composite
def calls(draw: st.DrawFn, row: Row, *, grad: bool = False) -> tuple[Any, tuple, dict]:
    """`(input, args, kwargs)` of a row, every tensor in a layout of its own.

    With `grad`, tensors of floating point are float64 and require a gradient.
    """
    dtype = "float64" if grad else draw(st.sampled_from(row.dtypes))
    sizes: dict[str, int] = {}
    shared = draw(shapes(0, 3))

    def size(letter: str) -> int:
        if letter.isdigit():
            return int(letter)
        if letter not in sizes:
            choices = (1, 2, 3, 4, 2, 3, 4, 3, 0) if row.empty and not grad else (1, 2, 3, 4)
            sizes[letter] = draw(st.sampled_from(choices))
        return sizes[letter]

    def shape(text: str) -> tuple[int, ...]:
        if text.startswith("~"):
            kept = shared[draw(st.integers(0, len(shared))) :]
            front = tuple(1 if draw(st.booleans()) else n for n in kept)
            return front + tuple(map(size, text[1:]))
        if text.startswith("*"):
            return shared + tuple(map(size, text[1:]))
        return tuple(map(size, text))

    def leaf(value: Any) -> Any:
        if isinstance(value, Verbatim):
            return value.text
        if not isinstance(value, Argument):
            return value
        return draw(_argument(value, shape(value.sizes), dtype, grad))

    args, kwargs = map_tree(leaf, row.args), map_tree(leaf, row.kwargs)
    return args[0], args[1:], kwargs


def _argument(
    argument: Argument, shape: tuple[int, ...], dtype: str, grad: bool
) -> st.SearchStrategy[TensorRecipe]:
    domain = argument.domain
    if domain.startswith("index"):
        return tensors(shape, ("int64",)).map(lambda recipe: within(recipe, domain))
    if domain == "mask":
        return tensors(shape, ("bool",))
    drawn = tensors(shape, (dtype,), requires_grad=grad and not argument.constant)
    if domain in MATRICES or domain == "own":
        drawn = drawn.filter(elements_of_their_own)
    if domain == "any" or not dtype.startswith("float"):
        return drawn
    if dtype == "float16":
        return drawn.map(lambda recipe: within(recipe, domain if domain in DOMAINS else "any"))
    return drawn.map(lambda recipe: within(recipe, domain))


def elements_of_their_own(recipe: TensorRecipe) -> bool:
    """Whether no two elements share memory, so that each can be written."""
    return all(
        stride or size < 2 for size, stride in zip(recipe.shape, recipe.strides, strict=True)
    )


def plain(row: Row, *, size: int = 2, seed: int = 0) -> tuple[Any, tuple, dict]:
    """The row's call with contiguous float64 tensors of a size, numbers away from every kink."""
    counter = [seed]

    def leaf(value: Any) -> Any:
        if isinstance(value, Verbatim):
            return value.text
        if not isinstance(value, Argument):
            return value
        counter[0] += 1
        text = value.sizes.replace("*", "z").replace("~", "z")
        shape = tuple(int(letter) if letter.isdigit() else size for letter in text)
        recipe = _plain_tensor(value, shape, np.random.default_rng(counter[0]))
        return as_complex(recipe) if row.dtypes[0].startswith("complex") else recipe

    args, kwargs = map_tree(leaf, row.args), map_tree(leaf, row.kwargs)
    return args[0], args[1:], kwargs


def as_complex(recipe: TensorRecipe) -> TensorRecipe:
    """The same numbers, complex, without asking for a gradient."""
    data = np.frombuffer(recipe.storage.data, recipe.dtype).astype(np.complex128).tobytes()
    storage = StorageRecipe(data, recipe.storage.users)
    return dataclasses.replace(recipe, storage=storage, dtype="complex128", requires_grad=False)


def _plain_tensor(
    argument: Argument, shape: tuple[int, ...], random: np.random.Generator
) -> TensorRecipe:
    domain = argument.domain
    elements = int(np.prod(shape, dtype=np.int64))
    if domain.startswith("index"):
        array: Array = random.permutation(elements).astype(np.int64)
    elif domain == "mask":
        array = random.permutation(elements) % 2 == 0
    else:
        array = (random.permutation(elements) - elements // 2) * 0.21 + 0.1 * random.random(
            elements
        )
    name = "bool" if array.dtype == np.bool_ else array.dtype.name
    grad = array.dtype.kind == "f" and not argument.constant
    strides = contiguous_strides(shape)
    recipe = TensorRecipe(StorageRecipe(array.tobytes(), 1), name, shape, strides, 0, grad)
    return recipe if domain == "mask" else within(recipe, domain)


# --- checking -------------------------------------------------------------------------------------


def function_of(library: types.ModuleType, key: str) -> Callable[..., Any]:
    """The public function of an operator: the first of its places, `Tensor` after the others."""
    spec = registry.specs[key]
    places = sorted(spec.where, key=lambda place: place == "Tensor")
    return public(library, places[0], spec.name)


def public(library: types.ModuleType, place: str, name: str) -> Callable[..., Any]:
    """What stands under `name` in a place of the registry."""
    home: Any = library
    for part in place.split(".") if place != "torch" else ():
        home = getattr(home, part)
    return getattr(home, name)


def examples(count: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """So many drawn examples, the same ones each time, without a clock."""
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def findings(row: Row, call: Any, *, grad: bool = False) -> dict[str, str]:
    """What PyTorch and Pellucid do not agree on."""
    op: Any = types.SimpleNamespace(name=row.key, has_nondeterministic_output=False)
    sides = [Side(library, _finished(library, row)) for library in (torch, pellucid)]
    case = Case("float64" if grad else "", str(row), call, second_order=grad and row.orders > 1)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = check_case(op, case, *sides)
    return {category: detail for category, detail in found.items() if detail}


def _finished(library: types.ModuleType, row: Row) -> Callable[..., Any]:
    function = function_of(library, row.key)
    if row.unique is None:
        return function
    unique = row.unique
    return lambda *args, **kwargs: unique(function(*args, **kwargs))


def refuse(row: Row, call: Any, found: dict[str, str]) -> None:
    """Fail with what was found and the layouts it was found for."""
    if found:
        given = "; ".join(str(leaf) for _, leaf in leaves(call))
        lines = [f"{category}: {detail}" for category, detail in found.items()]
        raise AssertionError("\n  ".join([f"{row}", *lines, f"given {given}"]))


def check_layouts(row: Row, count: int = 5) -> None:
    """The row agrees with PyTorch in `count` drawn layouts."""

    @examples(count)
    @given(call=calls(row))
    def agrees(call: Any) -> None:
        refuse(row, call, findings(row, call))

    agrees()


def check_gradients(row: Row, count: int = 2) -> None:
    """Its gradients, first and second, agree in `count` drawn layouts."""

    @examples(count)
    @given(call=calls(row, grad=True))
    def agrees(call: Any) -> None:
        refuse(row, call, findings(row, call, grad=True))

    agrees()


def keys(rows: Iterable[Row]) -> set[str]:
    """The operators that a table calls."""
    return {each.key for each in rows}


def family(*modules: str) -> set[str]:
    """The public operators described in these modules of `pellucid.ops`."""
    found = set()
    for key, spec in registry.specs.items():
        if spec.where[0] != "internal" and module_of(spec).startswith(modules):
            found.add(key)
    return found


def module_of(spec: OpSpec) -> str:
    """The module of `pellucid.ops` in which a spec's body was written, as `nn.pooling`."""
    code = getattr(spec.body, "__code__", None)
    path = code.co_filename if code is not None else ""
    return path.rpartition("pellucid/ops/")[2].removesuffix(".py").replace("/", ".")
