"""Names that PyTorch has and Pellucid lacks: fine to import and name, an error to use."""

import copy
import pickle

import pytest
from subprocesses import under_alias

from pellucid.compat import MissingName

IMPORTS = """
import torch
import torch.distributed.rpc as rpc, torch.onnx, torch.fx.experimental
from torch.distributed.rpc import RRef, init_rpc
from torch.onnx import *
import torch.distributed.elastic.multiprocessing.errors
"""


def test_importing_naming_and_asking_are_fine(tmp_path):
    under_alias(
        tmp_path,
        IMPORTS
        + """
import abc, typing
assert torch.distributed.rpc.RRef is RRef and rpc is torch.distributed.rpc
assert not isinstance(3, RRef) and RRef == RRef and RRef in {RRef}
assert export.__name__ == "export"  # from torch.onnx import *

class Mine(RRef):
    def method(self): return 1

class Both(abc.ABC, RRef): pass
class Net(torch.nn.Module, RRef): pass

def annotated(x: RRef[int] | None = None, backend=rpc.BackendType.TENSORPIPE) -> RRef: ...
assert typing.get_type_hints(annotated)["return"] is RRef
assert issubclass(Mine, RRef) and Mine.method(None) == 1 and bool(RRef)
torch.distributed.rpc.some_flag = True
assert torch.distributed.rpc.some_flag is True
""",
    )


USES = {
    "init_rpc('me')": "torch.distributed.rpc.init_rpc is a function",
    "RRef(1)": "torch.distributed.rpc.RRef is a class of PyTorch that Pellucid does not have; "
    "it cannot be made an instance of",
    "type('Mine', (RRef,), {})()": "the base of an object (class Mine inherits from it)",
    "rpc.BackendType.TENSORPIPE + 1": "rpc.BackendType.TENSORPIPE is a value",
    "list(rpc.BackendType.TENSORPIPE)": "cannot be looped over",
    "bool(rpc.BackendType.TENSORPIPE)": "cannot be tested for truth",
    "int(rpc.BackendType.TENSORPIPE)": "cannot be used as a number",
    "1 in init_rpc": "cannot be searched with `in`",
    "len(init_rpc)": "cannot be measured with len()",
    "init_rpc < 1": "cannot be ordered",
    "init_rpc.__enter__()": "cannot be entered with `with`",
    "rpc.rpc_sync.anything('x')": "torch.distributed.rpc.rpc_sync.anything is a value",
}


def test_every_use_is_refused_in_words(tmp_path):
    program = IMPORTS + (
        f"uses = {list(USES)!r}\n"
        "for use in uses:\n"
        "    try:\n        eval(use)\n"
        "    except NotImplementedError as error:\n"
        "        assert type(error).__name__ == 'MissingName' and error.name.startswith('torch.')\n"
        "        print(repr(str(error)))\n"
        "    else:\n        print('nothing raised')\n"
    )
    said = [eval(line) for line in under_alias(tmp_path, program).splitlines()]
    for (use, words), text in zip(USES.items(), said, strict=True):
        assert words in text, use
        assert "that Pellucid does not have" in text and "pellucid check" in text


def test_asking_is_answered_truthfully(tmp_path):
    under_alias(
        tmp_path,
        """
import torch
assert not hasattr(torch, "onnx") and getattr(torch, "onnx", None) is None
assert not hasattr(torch, "jit_nonsense") and not hasattr(torch.nn, "Linearr")
assert hasattr(torch, "tensor") and hasattr(torch.nn, "Module") and hasattr(torch, "version")
taken = torch.onnx
assert not hasattr(taken, "export") and not hasattr(taken, "nonsense")
try:
    torch.nn.Linearr
except AttributeError as error:
    assert error.name == "Linearr" and "PyTorch has" not in str(error)
else:
    raise AssertionError("a name nobody has")
try:
    getattr(torch, "onnx")
except AttributeError as error:
    assert "PyTorch has this module, Pellucid does not" in str(error)
""",
    )


def test_questions_after_missing_parts_are_answered_with_no(tmp_path):
    under_alias(
        tmp_path,
        """
import torch
from torch.distributed import is_available
assert is_available() is False and torch.distributed.is_initialized() is False
assert torch.distributed.is_available is is_available
assert torch.xpu.device_count() == 0 and torch.compiler.is_compiling() is False
assert is_available.__module__ == "torch.distributed" and "False" in is_available.__doc__
from pellucid.compat import LEDGER
assert [entry.name for entry in LEDGER if entry.used] == []
""",
    )


def test_the_engine_itself_gets_no_stubs(tmp_path):
    under_alias(
        tmp_path,
        """
import torch, pellucid.compat.ledger as ledger
code = compile("import torch; found = torch.onnx", ledger.ENGINE + "/nn/example.py", "exec")
try:
    exec(code)
except AttributeError as error:
    assert "PyTorch has this module, Pellucid does not" in str(error)
else:
    raise AssertionError("a stub for the engine")
""",
    )


def test_notes_to_compilers_leave_a_function_as_it_is(tmp_path):
    under_alias(
        tmp_path,
        """
import torch, torch._dynamo
def f(): return 1
for decorate in (torch._dynamo.disable, torch._dynamo.allow_in_graph, torch.jit.unused,
                 torch._dynamo.disable(recursive=False), torch.jit.ignore, torch.compiler.disable):
    assert decorate(f)() == 1, decorate
""",
    )


def test_a_name_that_nobody_has_fails_at_its_import(tmp_path):
    under_alias(
        tmp_path,
        """
for line in ("import torch.nonsense", "from torch import nonsense", "from torch.onnx import zzz",
             "import torch.nn.functional.deeper", "import torch.explain"):
    try:
        exec(line)
    except ImportError:
        continue
    raise AssertionError(line)
""",
    )


def test_the_error_names_the_import_in_the_file_that_uses_it(tmp_path):
    (tmp_path / "other.py").write_text("from torch.onnx import export\n")
    out = under_alias(
        tmp_path,
        """
import other
from torch.onnx import export
try:
    export()
except NotImplementedError as error:
    print(error)
""",
    )
    assert f"imported {tmp_path / 'program.py'}:3    from torch.onnx import export" in out
    assert f"used     {tmp_path / 'program.py'}:5    export()" in out


def test_the_ledger_tells_taken_used_and_assigned_apart(tmp_path):
    out = under_alias(
        tmp_path,
        """
import torch.onnx
from torch.onnx import export
torch.onnx.flag = 1
try:
    export()
except NotImplementedError:
    pass
from pellucid.compat import LEDGER
for entry in LEDGER:
    lines = [[place.line for place in p] for p in (entry.taken, entry.used, entry.assigned)]
    print(entry.name, entry.kind, *lines)
""",
    )
    assert out.splitlines() == [
        "torch.onnx module [2] [] []",
        "torch.onnx.export function [3] [6] []",
        "torch.onnx.flag value [] [] [4]",
    ]


@pytest.mark.parametrize("method", ["pickle", "copy"])
def test_the_error_survives(method):
    error = MissingName("words", "torch.onnx.export", "function")
    again = pickle.loads(pickle.dumps(error)) if method == "pickle" else copy.copy(error)
    assert (str(again), again.name, again.kind) == ("words", "torch.onnx.export", "function")


def test_notes_to_parts_that_are_missing_change_nothing(tmp_path):
    under_alias(
        tmp_path,
        """
import torch

@torch.fx.wrap
def f(x): return x + 1

@torch._dynamo.assume_constant_result
def g(x): return x + 2

assert f(1) == 2 and g(1) == 3
assert torch._C._log_api_usage_once("somebody.used") is None
assert torch.compiler.is_compiling() is False
""",
    )


def test_modules_that_pytorchs_modules_import_are_their_attributes(tmp_path):
    under_alias(
        tmp_path,
        """
import torch
assert torch.torch is torch and torch.nn.functional.torch.Tensor is torch.Tensor
""",
    )
