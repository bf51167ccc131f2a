"""The kernel that runs a program of `single.py` again and again."""

from __future__ import annotations

from typing import Any

from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.types import I64
from pellucid.kernels.loops.lanes import LaneEmitter
from pellucid.kernels.loops.single import Emitter, Step


def _arguments(
    *, program: tuple[Step, ...], room: int, row: int, logs: int, rows: int, data: int, lanes: int
) -> str:
    sources = "".join(f", data{i}: ptr" for i in range(data))
    return (f"memory: ptr, numbers: ptr, log: ptr, indices: ptr{sources}, steps: i64, "
            "groups: i64")  # fmt: skip


@kernel(_arguments)
def whole_steps(
    b: KernelBuilder, *, program: tuple[Step, ...], room: int, row: int, logs: int, rows: int,
    data: int, lanes: int,
) -> None:  # fmt: skip
    """Run `steps` steps of each of `groups` independent trainings, which are shared out to the
    threads.

    A group has `room` floats of memory, `row` numbers and `logs` logged ones a step; indices are
    `rows` i64 a step, the same for all. With `lanes`, a group is that many models, and every float
    stands for as many.
    """
    b.begin()
    arg: Any = b.arg
    wide = lanes or 1
    first, last = b.share(arg.groups)
    with b.loop("group", first, last) as group, b.loop("step", 0, arg.steps) as step:
        line = group * arg.steps + step
        spaces = {
            "memory": b.offset(arg.memory, group * (room * wide)),
            "numbers": b.offset(arg.numbers, line * (row * wide)),
            "log": b.offset(arg.log, line * (logs * wide)),
            "indices": b.offset(arg.indices, step * rows, I64),
            **{f"data{i}": getattr(arg, f"data{i}") for i in range(data)},
        }
        emitter = LaneEmitter(b, spaces) if lanes else Emitter(b, spaces)
        for each in program:
            emitter.emit(each)
