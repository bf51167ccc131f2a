"""From LLVM IR to code that runs: LLVM through llvmlite, objects from and to the cache."""

from __future__ import annotations

import sys
import threading
from functools import cache as once
from time import perf_counter
from typing import Any

from pellucid.config import debug_windows
from pellucid.kernels import cache
from pellucid.kernels.language.nodes import Program
from pellucid.kernels.language.text import program_text
from pellucid.kernels.llvm import print_program
from pellucid.kernels.passes import run_passes
from pellucid.kernels.target import Target

_lock = threading.Lock()
_engines: list[Any] = []
"""Code lives as long as the process: its addresses are handed out."""


@once
def _binding() -> Any:
    """llvmlite, loaded when the first kernel is needed."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


@once
def _machine(target: Target) -> Any:
    llvm = _binding()
    host = llvm.get_host_cpu_name()
    cpu = host if target.name != "scalar" else ""
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=cpu, features=target.features, opt=3, reloc="pic", codemodel="jitdefault", jit=True
    )


def versions() -> str:
    """What code depends on besides its program: LLVM, the CPU."""
    llvm = _binding()
    return f"{'.'.join(map(str, llvm.llvm_version_info))}-{llvm.get_host_cpu_name()}"


def compile_object(ir: str, target: Target) -> bytes:
    """Object code of LLVM IR text."""
    llvm = _binding()
    module = llvm.parse_assembly(ir)
    module.triple = llvm.get_process_triple()
    module.verify()
    machine = _machine(target)
    module.data_layout = str(machine.target_data)
    if "asm" in debug_windows():
        print(machine.emit_assembly(module), file=sys.stderr)
    return bytes(machine.emit_object(module))


def load_object(data: bytes, function: str, target: Target) -> int:
    """The address of `function` of an object, loaded into this process."""
    llvm = _binding()
    empty = llvm.parse_assembly("")
    empty.triple = llvm.get_process_triple()
    engine = llvm.create_mcjit_compiler(empty, _machine(target))
    engine.add_object_file(llvm.object_file.ObjectFileRef.from_data(data))
    engine.finalize_object()
    _engines.append(engine)
    address = int(engine.get_function_address(function))
    if not address:
        raise RuntimeError(f"the object has no function {function!r}")
    return address


def build(make: Any, name: str, key: str, target: Target) -> int:
    """The address of the function `name` of the program that `make()` writes, from the cache if the
    key is there.
    """
    windows = debug_windows()
    start = perf_counter()
    with _lock:
        data = None if windows & {"loops", "passes", "llvm", "asm"} else cache.read(key)
        origin = "cache"
        if data is None:
            data = compile_program(make(), target)
            cache.write(key, data)
            origin = "compiled"
        try:
            address = load_object(data, name, target)
        except RuntimeError:
            if origin == "compiled":
                raise
            data = compile_program(make(), target)
            cache.write(key, data)
            address = load_object(data, name, target)
    if "jit" in windows:
        took = 1e3 * (perf_counter() - start)
        print(f"pellucid jit: {name} {origin} in {took:.1f} ms", file=sys.stderr)
    return address


def compile_program(program: Program, target: Target) -> bytes:
    """Passes, printer, LLVM."""
    windows = debug_windows()
    run_passes(program)
    if "loops" in windows:
        print(program_text(program), file=sys.stderr)
    ir = print_program(program, target)
    if "llvm" in windows:
        print(ir, file=sys.stderr)
    return compile_object(ir, target)
