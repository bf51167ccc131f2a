"""One case, called on both sides, and everything a program could notice.

`check_case` gives findings: category -> detail of the first disagreement, or `None` where the check
was made and both agree. Categories beside those of `compare`:

=========== ======================================================================================
missing     a name that the call needs does not exist
crash       an exception where PyTorch gives a result
grad        gradients of a random cotangent with respect to every input that asks for one
gradgrad    gradients of these gradients
error_type  the exception PyTorch raises, or a subclass
error_words the words the database demands of the message
=========== ======================================================================================
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from types import ModuleType
from typing import Any

import numpy as np
import torch

from tests.parity.bridge import NUMPY_DTYPES, adopt, build, dtype_name, is_tensor, leaves, values
from tests.parity.compare import (
    Findings,
    aliases,
    array_values,
    autograd_flags,
    compare_trees,
    differ,
    structure,
)
from tests.parity.samples import Case
from tests.parity.tolerances import tolerance, words
from tests.parity.translate import MissingName, resolve, translate

# Eigenvectors and singular vectors are unique up to a sign or phase: the database's own
# `output_process_fn_grad` keeps what is unique, and only that is compared.
UP_TO_A_PHASE = frozenset(
    words(
        """
        linalg.eig linalg.eigh linalg.svd svd svd_lowrank pca_lowrank linalg.ldl_factor
        """
    )
)
UNINITIALISED = frozenset(
    words(
        """
        empty empty_like empty_strided empty_permuted new_empty new_empty_strided resize_
        resize_as_
        """
    )
)
GRADIENT_DTYPES = frozenset(("float32", "float64", "complex128"))


@dataclasses.dataclass(frozen=True)
class Side:
    """One library's forms of an operator. A form that cannot be found holds its `MissingName`."""

    library: ModuleType
    function: Any
    method: Any = None
    inplace: Any = None
    aliases: tuple[tuple[str, Any], ...] = ()


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What one call did: its result or its error, and the inputs as they are afterwards."""

    inputs: Any
    result: Any = None
    error: Exception | None = None

    @property
    def tensors(self) -> list[Any]:
        return [x for _, x in leaves(self.inputs) if is_tensor(x)]


def reference_side(op: Any) -> Side:
    names = tuple((alias.name, alias.op) for alias in op.aliases)
    return Side(torch, op.op, op.method_variant, op.inplace_variant, names)


def subject_side(op: Any, library: ModuleType) -> Side:
    """Pellucid's forms of an operator of the database."""

    def find(value: Any, path: str = "") -> Any:
        try:
            if path and _at(torch, path) is value:
                return resolve(library, path)
            return None if value is None else translate(value, library)
        except MissingName as missing:
            return missing
        except Exception as error:  # a room of the library that cannot be imported
            return MissingName(f"{path}: {told(error)}")

    return Side(
        library,
        find(op.op, op.name),
        find(op.method_variant, f"Tensor.{op.name}"),
        find(op.inplace_variant, f"Tensor.{op.name}_"),
        tuple(
            (alias.name, find(alias.op, alias.name.removeprefix("torch."))) for alias in op.aliases
        ),
    )


def _at(library: ModuleType, path: str) -> Any:
    try:
        return resolve(library, path)
    except MissingName:
        return None


def seed(library: ModuleType) -> None:
    """Start the library's random numbers afresh. One that has none yet differs where it matters."""
    if library is torch:  # `torch.manual_seed` notes the call stack for devices that are not here
        torch.default_generator.manual_seed(0)
        return
    with contextlib.suppress(AttributeError, ImportError):
        library.manual_seed(0)


def invoke(library: ModuleType, function: Any, call: Any, *, requires_grad: bool = True) -> Outcome:
    """Build the inputs afresh, seed, and call."""
    inputs: Any = None
    try:
        if isinstance(function, MissingName):
            raise function
        inputs = build(call, library, requires_grad=requires_grad)
        first, arguments, keywords = inputs
        seed(library)
        return Outcome(inputs, function(first, *arguments, **keywords))
    except Exception as error:  # whatever it is, it is the finding
        return Outcome(inputs, error=error)


def missing_name(error: Exception | None) -> str | None:
    """The name, if an exception says that the library lacks a name which PyTorch has."""
    if isinstance(error, MissingName):
        return f"no {error}"
    if isinstance(error, AttributeError) and error.name:
        holder = error.obj
        if isinstance(holder, ModuleType):
            return f"no {holder.__name__}.{error.name}"
        if is_tensor(holder) and hasattr(torch.Tensor, error.name):
            return f"no Tensor.{error.name}"
    return None


def result_tensors(outcome: Outcome) -> list[Any]:
    return [x for _, x in leaves(outcome.result) if is_tensor(x)]


def told(error: Exception) -> str:
    """An exception in one line."""
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words[:300]}"


def check_case(op: Any, case: Case, reference: Side, subject: Side) -> Findings:
    """All checks of one case; empty when PyTorch itself does not do what the case is about."""
    want = invoke(reference.library, reference.function, case.call)
    have = invoke(subject.library, subject.function, case.call)
    if not all(dtype_name(x.dtype) in NUMPY_DTYPES for x in result_tensors(want)):
        return {}  # complex32: NumPy cannot hold it, and nobody promised it
    missing = missing_name(have.error)
    if missing:
        return {"missing": missing}
    if case.error or want.error:
        return check_error(case, want, have)
    if have.error:
        return {"crash": f"{told(have.error)} (PyTorch gives a result)"}
    findings = check_result(op, case, want, have, subject.library)
    if structure(want.result, have.result) is None:
        findings |= check_gradients(op, case, want, have, subject.library)
    return findings


def check_error(case: Case, want: Outcome, have: Outcome) -> Findings:
    """Both refuse, with one exception type, and the message has the words the database names."""
    if want.error is None:
        return {}
    if have.error is None:
        return {"error_type": f"accepted, but PyTorch raises {told(want.error)}"}
    demanded, words = case.error or (type(want.error), "")
    findings: Findings = {"error_type": None}
    if not isinstance(have.error, demanded) or not isinstance(have.error, type(want.error)):
        findings["error_type"] = f"expected {told(want.error)}, got {told(have.error)}"
    if words:
        found = re.search(words, str(have.error))
        findings["error_words"] = None if found else f"expected /{words}/, got {told(have.error)}"
    return findings


def check_result(op: Any, case: Case, want: Outcome, have: Outcome, library: Any) -> Findings:
    """Result, inputs afterwards, aliasing and autograd flags."""
    settled = not (op.name in UNINITIALISED or getattr(op, "has_nondeterministic_output", False))
    raw_values = settled and op.name not in UP_TO_A_PHASE
    findings = compare_trees(op.name, want.result, have.result, look_at_values=raw_values)
    if findings["structure"]:
        return findings
    if op.name in UP_TO_A_PHASE and case.process:
        unique = [case.process(want.result), translate(case.process, library)(have.result)]
        findings["value"] = findings["value"] or compare_trees(op.name, *unique).get("value")
    if settled:
        changed = compare_trees(op.name, want.tensors, have.tensors, prefix="input after call, ")
        findings["value"] = findings["value"] or changed.get("value") or changed.get("shape")
    findings["alias"] = aliases((want.inputs, have.inputs), (want.result, have.result))
    findings["autograd"] = autograd_flags(want.result, have.result)
    return findings


# --- gradients ------------------------------------------------------------------------------------


def check_gradients(op: Any, case: Case, want: Outcome, have: Outcome, library: Any) -> Findings:
    """First and, where the case asks, second derivatives against the same random cotangents."""
    if case.dtype not in GRADIENT_DTYPES or not any(t.requires_grad for t in want.tensors):
        return {}
    second = case.second_order
    expected = _gradients(torch, want, case.process, second)
    got = _gradients(library, have, case.process, second)
    if expected is None:
        return {}
    findings: Findings = {"grad": _compare_gradients(op.name, expected, got)}
    if second and findings["grad"] is None and not isinstance(expected, Exception):
        findings["gradgrad"] = _second_order(op.name, want, have, expected, got, library)
    return findings


def _gradients(library: Any, outcome: Outcome, process: Any, create_graph: bool) -> Any:
    """Gradients of every input that asks, the exception instead, or None if nothing is to do."""
    try:
        result = translate(process, library)(outcome.result) if process else outcome.result
        outputs = [x for _, x in leaves(result) if is_tensor(x) and x.requires_grad]
        inputs = [x for x in outcome.tensors if x.requires_grad]
        if not outputs or not inputs:
            return None
        return _pull_back(library, outputs, inputs, create_graph)
    except Exception as error:  # compared with what the other side does
        return error


def _pull_back(library: Any, outputs: list, inputs: list, create_graph: bool) -> list:
    random = np.random.default_rng(len(outputs))
    weights = [adopt(cotangent(random, x), library) for x in outputs]
    return list(
        library.autograd.grad(
            outputs, inputs, weights, allow_unused=True, create_graph=create_graph
        )
    )


def cotangent(random: np.random.Generator, tensor: Any) -> np.ndarray:
    """Normal numbers of a tensor's shape and dtype."""
    kind = np.dtype(dtype_name(tensor.dtype))
    shape = tuple(tensor.shape)
    drawn = random.standard_normal(shape)
    if kind.kind == "c":
        drawn = drawn + 1j * random.standard_normal(shape)
    return np.asarray(drawn, dtype=kind)


def _compare_gradients(name: str, expected: Any, got: Any) -> str | None:
    if isinstance(got, Exception) or isinstance(expected, Exception) or got is None:
        if isinstance(got, Exception) and isinstance(expected, Exception):
            return None if isinstance(got, type(expected)) else differ(told(expected), told(got))
        texts = [told(x) if isinstance(x, Exception) else "gradients" for x in (expected, got)]
        return differ(texts[0], "no gradients" if got is None else texts[1])
    for index, (want, have) in enumerate(zip(expected, got, strict=True)):
        problem = _compare_gradient(name, want, have)
        if problem:
            return f"input that requires grad number {index}: {problem}"
    return None


def _compare_gradient(name: str, want: Any, have: Any) -> str | None:
    if want is None or have is None:
        texts = ["None" if x is None else "a tensor" for x in (want, have)]
        return differ(*texts)
    if dtype_name(want.dtype) != dtype_name(have.dtype):
        return differ(dtype_name(want.dtype), dtype_name(have.dtype))
    allowed = tolerance(name, dtype_name(want.dtype))
    return array_values(values(want), values(have), (4 * allowed[0], 4 * allowed[1]))


def _second_order(
    name: str, want: Outcome, have: Outcome, expected: list, got: list, library: Any
) -> str | None:
    pairs = [
        (w, h) for w, h in zip(expected, got, strict=True) if w is not None and w.requires_grad
    ]
    for _, mine in pairs:
        if not mine.requires_grad:
            return "a first gradient does not require grad"
    if not pairs:
        return None
    sides = []
    for side, (lib, outcome) in enumerate(((torch, want), (library, have))):
        inputs = [x for x in outcome.tensors if x.requires_grad]
        try:
            sides.append(_pull_back(lib, [pair[side] for pair in pairs], inputs, False))
        except Exception as error:  # compared with what the other side does
            sides.append(error)
    return _compare_gradients(name, *sides)
