"""PyTorch's module database: the same module built on both sides, trained, saved, copied, refused.

=========== ======================================================================================
init        parameters after construction, made with the same seed
state_keys  names and order of `state_dict()`, shapes, and which are parameters
repr        the printed module
buffers     the state after the call: running statistics, lazily made parameters
pickle      a pickled and a deep-copied module gives the same output and state
=========== ======================================================================================

The other categories are those of `checks`.
"""

from __future__ import annotations

import copy
import dataclasses
import pickle
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_modules import ModuleErrorEnum, module_db

from tests.parity.bridge import CannotFreeze, adopt, build, dtype_name, freeze, is_tensor, values
from tests.parity.checks import (
    Outcome,
    check_error,
    check_gradients,
    missing_name,
    told,
)
from tests.parity.compare import Findings, aliases, array_values, compare_trees, differ
from tests.parity.records import OpReport
from tests.parity.samples import Case, seed_all
from tests.parity.tolerances import tolerance
from tests.parity.translate import resolve

DTYPES = ("float32", "float64")


@dataclasses.dataclass(frozen=True, eq=False)
class ModuleCase:
    """A frozen constructor call and a frozen forward call; `case.call` is `(args, kwargs)`."""

    name: str
    constructor: tuple[tuple, dict]
    training: bool
    case: Case
    fails_in_forward: bool = False

    @property
    def call(self) -> str:
        mode = "train" if self.training else "eval"
        return f"constructor {_shown(self.constructor)} forward {_shown(self.case.call)} {mode}"


def _shown(call: tuple[tuple, dict]) -> str:
    arguments, keywords = call
    parts = [str(x) for x in arguments] + [f"{k}={v}" for k, v in keywords.items()]
    return f"({', '.join(parts)})"


def find_modules(names: list[str]) -> list[Any]:
    """The database's entries for `Conv2d`, `nn.Conv2d` or `all`."""
    wanted = {name.removeprefix("nn.") for name in names}
    return [info for info in module_db if "all" in wanted or info.module_cls.__name__ in wanted]


def module_cases(info: Any, only_dtype: str | None = None) -> Iterator[ModuleCase]:
    """Every constructor and input of the database, in training mode and, where it differs, eval."""
    modes = (True, False) if info.train_and_eval_differ else (True,)
    name = info.module_cls.__name__
    for dtype in DTYPES:
        if only_dtype not in (None, dtype):
            continue
        for training in modes:
            seed_all(name, dtype)
            made = info.module_inputs_func(
                info, "cpu", getattr(torch, dtype), requires_grad=True, training=training
            )
            for index, item in enumerate(made):
                yield from _frozen(name, f"input {index} {item.desc}", dtype, training, item)
    if info.module_error_inputs_func is not None and only_dtype in (None, "float32"):
        seed_all(name, "error")
        made = info.module_error_inputs_func(
            info, "cpu", torch.float32, requires_grad=False, training=True
        )
        for index, error in enumerate(made):
            late = error.error_on is ModuleErrorEnum.FORWARD_ERROR
            item = error.module_error_input
            words = (error.error_type, error.error_regex)
            yield from _frozen(name, f"error {index}", "float32", True, item, words, late)


def _frozen(
    name: str,
    label: str,
    dtype: str,
    training: bool,
    item: Any,
    error: tuple | None = None,
    late: bool = False,
) -> Iterator[ModuleCase]:
    made, given = item.constructor_input, item.forward_input
    try:
        constructor = freeze((tuple(made.args), dict(made.kwargs)))
        call = freeze((tuple(given.args), dict(given.kwargs)) if given else ((), {}))
    except CannotFreeze:
        return
    yield ModuleCase(name, constructor, training, Case(dtype, label, call, error=error), late)


@dataclasses.dataclass(frozen=True)
class Built:
    """One side's module, or the exception that its construction raised."""

    library: ModuleType
    module: Any = None
    error: Exception | None = None


def construct(library: ModuleType, case: ModuleCase) -> Built:
    """Seed, construct, convert to the dtype, set the mode."""
    try:
        arguments, keywords = build(case.constructor, library)
        library.manual_seed(0)
        module = resolve(library, f"nn.{case.name}")(*arguments, **keywords)
        module = module.to(getattr(library, case.case.dtype))
        return Built(library, module.train(case.training))
    except Exception as error:  # compared with what the other side does
        return Built(library, error=error)


def forward(built: Built, case: ModuleCase, module: Any = None) -> Outcome:
    """One call; the parameters count as inputs, so gradients are taken for them too."""
    module = built.module if module is None else module
    inputs: Any = None
    try:
        arguments, keywords = build(case.case.call, built.library)
        inputs = (arguments, keywords)
        built.library.manual_seed(1)
        result = module(*arguments, **keywords)
        return Outcome((inputs, list(module.parameters())), result)
    except Exception as error:  # compared with what the other side does
        return Outcome(inputs, error=error)


def check_module(info: Any, case: ModuleCase, library: ModuleType) -> Findings:
    """All checks of one constructor and input."""
    want, have = construct(torch, case), construct(library, case)
    if missing_name(have.error):
        return {"missing": missing_name(have.error)}
    if want.error or (case.case.error and not case.fails_in_forward):
        return check_error(
            case.case, Outcome(None, error=want.error), Outcome(None, error=have.error)
        )
    if have.error:
        return {"crash": f"constructor: {told(have.error)}"}
    findings: Findings = {"repr": differ(repr(want.module), repr(have.module))}
    if not info.is_lazy:
        findings |= check_state(want.module, have.module, "init", exact=True)
        if findings["init"] or findings["state_keys"]:
            copy_state(want.module, have)
    before = snapshot(have.module)
    return findings | check_call(info, case, want, have, before)


def check_call(info: Any, case: ModuleCase, want: Built, have: Built, before: Any) -> Findings:
    """Output, gradients, state afterwards, copies."""
    expected, got = forward(want, case), forward(have, case)
    if missing_name(got.error):
        return {"missing": missing_name(got.error)}
    if expected.error or case.case.error:
        return check_error(case.case, expected, got)
    if got.error:
        return {"crash": f"forward: {told(got.error)}"}
    op_name = f"nn.{case.name}"
    findings = compare_trees(op_name, expected.result, got.result)
    if findings["structure"] is None:
        pairs = (expected.inputs[0], got.inputs[0]), (expected.result, got.result)
        findings["alias"] = aliases(*pairs)
        entry = _Named(op_name)
        findings |= check_gradients(entry, case.case, expected, got, have.library)
    findings |= check_state(want.module, have.module, "buffers", exact=False)
    if not info.is_lazy:
        findings["pickle"] = check_copies(case, have, before, got.result)
    return findings


@dataclasses.dataclass(frozen=True)
class _Named:
    name: str


def check_state(expected: Any, got: Any, category: str, *, exact: bool) -> Findings:
    """Keys, kinds, dtypes and values of two state dicts."""
    want, have = expected.state_dict(), got.state_dict()
    findings: Findings = {category: None}
    parameters = [[name for name, _ in m.named_parameters()] for m in (expected, got)]
    findings["state_keys"] = differ(list(want), list(have)) or differ(*parameters)
    if findings["state_keys"]:
        return findings
    for name, value in want.items():
        if not is_tensor(value):
            continue
        bounds = tolerance("init", dtype_name(value.dtype))
        allowed = (bounds[0] / 10, bounds[1] / 100) if exact else bounds
        problem = differ(dtype_name(value.dtype), dtype_name(have[name].dtype))
        problem = problem or array_values(values(value), values(have[name]), allowed)
        if problem:
            findings[category] = f"{name}: {problem}"
            break
    return findings


def copy_state(expected: Any, have: Built) -> None:
    """Go on with PyTorch's numbers, so that one wrong initialisation is one finding."""
    state = {
        name: adopt(values(value), have.library)
        for name, value in expected.state_dict().items()
        if is_tensor(value)
    }
    have.module.load_state_dict(state)


def snapshot(module: Any) -> tuple[str, Any] | Exception:
    """The module pickled and deep-copied before the call."""
    try:
        return pickle.dumps(module), copy.deepcopy(module)
    except Exception as error:  # reported by check_copies
        return error


def check_copies(case: ModuleCase, have: Built, before: Any, result: Any) -> str | None:
    """A copy made before the call gives what the module gave."""
    if isinstance(before, Exception):
        return told(before)
    for way, restore in (
        ("pickle", lambda: pickle.loads(before[0])),
        ("deepcopy", lambda: before[1]),
    ):
        try:
            again = forward(have, case, restore())
        except Exception as error:  # the finding
            return f"{way}: {told(error)}"
        if again.error:
            return f"{way}: {told(again.error)}"
        found = compare_trees(case.name, result, again.result)
        problem = next((text for text in found.values() if text), None)
        if problem:
            return f"{way}: {problem}"
    return None


def run_module(
    info: Any,
    library: ModuleType,
    dtype: str | None = None,
    tell: Callable[[tuple], None] = lambda case: None,
) -> OpReport:
    """Every case of one module."""
    report = OpReport(info.name, "modules")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for case in module_cases(info, dtype):
            tell((case.case.dtype, case.case.label))
            findings = check_module(info, case, library)
            report.add(case.case.dtype, case.case.label, case.call, findings)
    return report
