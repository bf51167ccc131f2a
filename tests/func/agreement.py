"""The transforms of `torch.func` on the samples of PyTorch's operator database, compared with
PyTorch: `vmap` over each tensor argument alone and over all together, in several places; `jvp`;
`vjp` inside `vmap` and outside.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import torch

from tests.parity.bridge import TensorRecipe, adopt, build, is_tensor, leaves, map_tree
from tests.parity.checks import reference_side, seed, subject_side
from tests.parity.compare import structure, tensor_values
from tests.parity.samples import SUITE, Case, op_cases

COUNT = 3
FLOATS = ("float16", "float32", "float64", "complex64", "complex128", "bfloat16")


@dataclasses.dataclass(frozen=True)
class Way:
    """Which tensors of a call are batched (by number), and where."""

    batched: tuple[int, ...]
    in_dim: int
    out_dim: int

    def __str__(self) -> str:
        return f"tensors {self.batched} in_dim {self.in_dim} out_dim {self.out_dim}"


def tensors_of(case: Case) -> list[TensorRecipe]:
    found: dict[int, TensorRecipe] = {}
    for _, value in leaves(case.call):
        if isinstance(value, TensorRecipe):
            found[id(value)] = value
    return list(found.values())


def ways(case: Case) -> Iterator[Way]:
    count = len(tensors_of(case))
    for number in range(min(count, 4)):
        yield Way((number,), 0, 0)
    if count:
        yield Way((0,), -1, -1)
    if count > 1:
        yield Way(tuple(range(count)), 0, 0)


def array_of(recipe: TensorRecipe) -> np.ndarray:
    made = build(recipe, torch, requires_grad=False)
    return made.float().numpy() if recipe.dtype == "bfloat16" else made.numpy()


def batch_of(recipe: TensorRecipe, in_dim: int) -> np.ndarray:
    """Three tensors near the sample's: floats scaled, others the same (indices stay in range)."""
    array = array_of(recipe)
    if recipe.dtype in FLOATS:
        rows = [array, (array * 0.875).astype(array.dtype), (array * 0.75).astype(array.dtype)]
    else:
        rows = [array] * COUNT
    return np.stack(rows, axis=in_dim)


def function_of(
    case: Case, library: ModuleType, function: Any, chosen: list[TensorRecipe]
) -> Callable[..., Any]:
    """The call as a function of the chosen tensors, its result as a tuple of tensors."""

    def call(*given: Any) -> Any:
        replaced = {id(recipe): value for recipe, value in zip(chosen, given, strict=True)}

        def leaf(value: Any) -> Any:
            if isinstance(value, TensorRecipe):
                if id(value) in replaced:
                    return replaced[id(value)]
                return build(value, library, requires_grad=False)
            return build(value, library)

        first, arguments, keywords = map_tree(leaf, case.call)
        result = function(first, *arguments, **keywords)
        if case.process is not None and library is torch:
            pass
        return tuple(x for _, x in leaves(result) if is_tensor(x))

    return call


def run(library: ModuleType, body: Callable[[], Any]) -> Any:
    """The result or the error."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            seed(library)
            return body()
    except Exception as error:
        return error


def compare(name: str, expected: Any, got: Any) -> str | None:
    """What differs between two tuples of tensors; nothing where PyTorch itself refuses."""
    if isinstance(expected, Exception):
        return None
    if isinstance(got, Exception):
        return f"{type(got).__name__}: {str(got).splitlines()[0]}"
    if len(expected) != len(got):
        return f"{len(got)} tensors, expected {len(expected)}"
    for number, (want, have) in enumerate(zip(expected, got, strict=True)):
        if tuple(want.shape) != tuple(have.shape):
            return f"result {number}: shape {tuple(have.shape)}, expected {tuple(want.shape)}"
        problem = structure(want, have) or tensor_values(name, want, have)
        if problem:
            return f"result {number}: {problem}"
    return None


def is_float(tensor: Any) -> bool:
    return bool(tensor.is_floating_point())


def check_vmap(
    op: Any, case: Case, way: Way, sides: tuple[Any, Any], gradients: bool
) -> str | None:
    chosen = [tensors_of(case)[number] for number in way.batched]
    if way.in_dim == -1 and not chosen[0].shape:
        return None
    arrays = [batch_of(recipe, way.in_dim) for recipe in chosen]
    found = []
    for side in sides:
        library = side.library
        function = function_of(case, library, side.function, chosen)

        def body(library: Any = library, function: Any = function) -> Any:
            given = [adopt(array, library) for array in arrays]
            mapped = library.func.vmap(function, way.in_dim, way.out_dim, randomness="different")
            outputs = mapped(*given)
            if not gradients:
                return outputs
            return (
                outputs
                + _gradients(library, mapped, given)
                + _inner(library, function, given, way.in_dim)
            )

        found.append(run(library, body))
    return compare(op.name, *found)


def _gradients(library: Any, mapped: Any, given: list[Any]) -> tuple[Any, ...]:
    """Through `vmap`, from outside."""
    inputs = [x.requires_grad_() if is_float(x) else x for x in given]
    outputs = [o for o in mapped(*inputs) if o.requires_grad]
    wanted = [x for x in inputs if x.requires_grad]
    if not outputs or not wanted:
        return ()
    found = library.autograd.grad(
        outputs, wanted, [library.ones_like(o) for o in outputs], allow_unused=True
    )
    for x in given:
        x.requires_grad_(False)
    return tuple(library.zeros(()) if f is None else f for f in found)


def _inner(library: Any, function: Any, given: list[Any], in_dim: int) -> tuple[Any, ...]:
    """`vjp` of each element, inside `vmap`."""
    if not all(is_float(x) for x in given):
        return ()

    def one(*x: Any) -> Any:
        outputs, pull = library.func.vjp(
            lambda *y: tuple(o for o in function(*y) if is_float(o)), *x
        )
        return pull(tuple(library.ones_like(o) for o in outputs))

    return tuple(library.func.vmap(one, in_dim)(*given))


def check_jvp(op: Any, case: Case, sides: tuple[Any, Any]) -> str | None:
    chosen = [r for r in tensors_of(case) if r.dtype in FLOATS]
    if not chosen:
        return None
    arrays = [array_of(recipe) for recipe in chosen]
    random = np.random.default_rng(0)
    moves = [np.asarray(random.standard_normal(a.shape)).astype(a.dtype) for a in arrays]
    found = []
    for side in sides:
        library = side.library
        function = function_of(case, library, side.function, chosen)

        def body(library: Any = library, function: Any = function) -> Any:
            given = tuple(adopt(array, library) for array in arrays)
            tangents = tuple(adopt(array, library) for array in moves)
            outputs, moved = library.func.jvp(function, given, tangents)
            return outputs + moved

        found.append(run(library, body))
    return compare(op.name, *found)


def findings(op: Any, library: ModuleType, dtype: str, most: int = 5) -> Iterator[str]:
    """What differs for one operator in one dtype."""
    sides = reference_side(op), subject_side(op, library)
    torch_dtype = getattr(torch, dtype)
    differentiable = torch_dtype.is_floating_point and op.supports_autograd
    for number, case in enumerate(op_cases(op, SUITE, dtype)):
        if case.error is not None or not case.label.startswith("sample"):
            continue
        if number >= most:
            break
        for way in ways(case):
            gradients = differentiable and dtype == "float64"
            problem = check_vmap(op, case, way, sides, gradients)
            if problem:
                yield f"{op.name} {dtype} {case.label} vmap {way}: {problem}"
        if differentiable and getattr(op, "supports_forward_ad", False):
            problem = check_jvp(op, case, sides)
            if problem:
                yield f"{op.name} {dtype} {case.label} jvp: {problem}"
