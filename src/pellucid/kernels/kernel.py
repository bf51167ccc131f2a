"""Kernels: functions that write programs, compiled for their settings and called with arguments.

    @kernel("x: ptr, out: ptr, n: i64, factor: f32")
    def scale(b: KernelBuilder) -> None:
        start, stop = b.share(b.arg.n)
        ...

Every kernel has one C signature, so that steps of a plan and the thread pool can call any of them:
`void (arguments*, thread, threads, team*)`. Arguments lie in a block of 8-byte words. All threads
run the kernel at once and share the work by their number (`share`); `barrier` waits for the others.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from pellucid.kernels import cache, jit
from pellucid.kernels.language.builder import Builder, Operand
from pellucid.kernels.language.nodes import Program, Value
from pellucid.kernels.language.types import F32, F64, I64, parse
from pellucid.kernels.target import Target, current
from pellucid.kernels.waiting import wait_while, wake

ARRIVED, PHASE, PHASE_SLEEPERS, CLAIMED = 8, 16, 17, 48
"""Words of a team's memory: threads at the barrier, how often it opened, how many threads sleep
until it does, and how many units of the work since then are taken.
"""

ENTRY = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)


class KernelBuilder(Builder):
    """A builder whose function has the signature of kernels."""

    def __init__(self, target: Target, name: str, arguments: str) -> None:
        super().__init__(target, f"{name}.barrier", "team: ptr, threads: i64")
        _write_barrier(self)
        self._name, self._arguments = name, arguments
        self.arg: Any = None

    def begin(self) -> None:
        """Open the kernel itself; functions written before can be called from it."""
        args, self.thread, self.threads, self.team = self.function(
            self._name, "args: ptr, thread: i64, threads: i64, team: ptr"
        )
        self.arg = SimpleNamespace()
        for word, part in enumerate(p.strip() for p in self._arguments.split(",")):
            name, _, kind = part.partition(":")
            type = parse(kind.strip())
            if type == F32:
                value = self.convert(self.load(args, word, F64), F32)
            else:
                value = self.load(args, word, type)
            setattr(self.arg, name.strip(), value)

    def barrier(self) -> None:
        """Wait until every thread has come here."""
        self.call(f"{self._name}.barrier", self.team, self.threads)

    def share(self, count: Operand) -> tuple[Value, Value]:
        """This thread's part of `count` items: [start, stop)."""
        total = self.i64(count)
        start = self.thread * total // self.threads
        return start, (self.thread + 1) * total // self.threads

    @contextmanager
    def units(self, count: Operand) -> Iterator[Value]:
        """This thread's units of `count`, taken one by one as it gets ready for them: threads that
        are slow, or come late, take fewer. Once between two barriers (the
        end of a kernel counts as one).
        """
        total = self.i64(count)
        unit = self.register(self.i64(-1), "unit")

        def take() -> None:
            with self.when(self.threads > 1):
                self.set(unit, self.atomic_add(self.offset(self.team, CLAIMED, I64), 1))
            with self.otherwise():
                self.set(unit, self.get(unit) + 1)

        take()
        with self.repeat(lambda: self.get(unit) < total):
            yield self.get(unit)
            take()


def _write_barrier(b: Builder) -> None:
    """All threads count up; the last one opens the next phase, the others watch it."""
    team, threads = b.parameters
    with b.when(threads > 1):
        arrived, phase = (b.offset(team, word, I64) for word in (ARRIVED, PHASE))
        before = b.atomic_load(phase)
        with b.when(b.binary("eq", b.atomic_add(arrived, 1), threads - 1)):
            b.atomic_store(arrived, 0)
            b.atomic_store(b.offset(team, CLAIMED, I64), 0)
            b.atomic_store(phase, before + 1)
            wake(b, team, PHASE, PHASE_SLEEPERS)
        with b.otherwise():
            wait_while(b, team, PHASE, PHASE_SLEEPERS, lambda now: b.binary("eq", now, before))


Arguments = str | Callable[..., str]


class Compiled:
    """A kernel for certain settings: its address, and how arguments are packed."""

    __slots__ = (
        "address",
        "entry",
        "name",
        "nbytes",
        "pack_into",
        "parameters",
        "settings",
        "_format",
    )

    def __init__(self, name: str, address: int, arguments: str, settings: dict[str, Any]) -> None:
        self.name = name
        self.settings = settings
        self.address = address
        self.parameters = tuple(p.partition(":")[0].strip() for p in arguments.split(","))
        kinds = [parse(p.partition(":")[2].strip()) for p in arguments.split(",")]
        self._format = struct.Struct("=" + "".join("d" if k.is_float else "q" for k in kinds))
        self.nbytes = self._format.size
        self.pack_into = self._format.pack_into
        self.entry = ENTRY(address)

    def pack(self, *values: Any) -> ctypes.Array[ctypes.c_char]:
        """A block of arguments."""
        block = ctypes.create_string_buffer(self.nbytes)
        self._format.pack_into(block, 0, *values)
        return block


class Kernel:
    """What `@kernel` makes of a function. Call it with settings to get the compiled kernel."""

    def __init__(self, write: Callable[..., None], arguments: Arguments) -> None:
        self.write = write
        self.arguments = arguments
        self.name = write.__name__
        self.__doc__ = write.__doc__
        self._compiled: dict[Any, Compiled] = {}

    def parameters(self, settings: dict[str, Any]) -> str:
        """The run-time arguments for these settings."""
        given = self.arguments
        return given if isinstance(given, str) else given(**settings)

    def program(self, target: Target | None = None, **settings: Any) -> Program:
        """The program for these settings, before any pass."""
        b = KernelBuilder(target or current(), self.name, self.parameters(settings))
        self.write(b, **settings)
        return b.program()

    def __call__(self, **settings: Any) -> Compiled:
        key = tuple(settings.values())
        found = self._compiled.get(key)
        if found is None:
            target = current()
            digest = cache.key(self.name, sorted(settings.items()), target, jit.versions())
            address = jit.build(lambda: self.program(target, **settings), self.name, digest, target)
            found = self._compiled[key] = Compiled(
                self.name, address, self.parameters(settings), settings
            )
        return found


kernels: dict[str, Kernel] = {}
"""Every kernel by name."""


def kernel(arguments: Arguments) -> Callable[[Callable[..., None]], Kernel]:
    """Describe a kernel: its run-time arguments here (a text, or a function of the settings that
    gives one), its settings as keywords of the function.
    """

    def decorate(write: Callable[..., None]) -> Kernel:
        text = " ".join(arguments.split()) if isinstance(arguments, str) else arguments
        made = Kernel(write, text)
        if made.name in kernels:
            raise TypeError(f"kernel {made.name} is described twice")
        kernels[made.name] = made
        return made

    return decorate
