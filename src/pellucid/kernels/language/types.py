"""Types of values: scalars, vectors of them, and pointers."""

from __future__ import annotations

from dataclasses import dataclass

_BITS = {"f32": 32, "f64": 64, "bf16": 16, "i1": 1, "i8": 8, "i16": 16, "i32": 32, "i64": 64,
         "ptr": 64}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Type:
    """A scalar kind and a number of lanes; one lane is a scalar.

    Integers have no sign of their own: the operations do (`shift_right` keeps it, `zero_extend`
    adds zeros). bf16, the upper half of an f32, is for memory: only `dot` computes with it.
    """

    kind: str
    lanes: int = 1

    @property
    def bits(self) -> int:
        """Bits of one lane."""
        return _BITS[self.kind]

    @property
    def nbytes(self) -> int:
        """Bytes in memory of all lanes."""
        return max(self.bits // 8, 1) * self.lanes

    @property
    def is_float(self) -> bool:
        return self.kind in ("f32", "f64")

    @property
    def scalar(self) -> Type:
        return Type(self.kind)

    def of(self, lanes: int) -> Type:
        """The same kind with another number of lanes."""
        return Type(self.kind, lanes)

    def __str__(self) -> str:
        return self.kind if self.lanes == 1 else f"{self.kind}x{self.lanes}"


F32, F64, BF16 = Type("f32"), Type("f64"), Type("bf16")
I1, I8, I16, I32, I64 = Type("i1"), Type("i8"), Type("i16"), Type("i32"), Type("i64")
PTR = Type("ptr")
VOID = Type("void")


def parse(text: str) -> Type:
    """`Type` from its text: "f32", "f32x8"."""
    kind, _, lanes = text.partition("x")
    if kind not in _BITS or (lanes and not lanes.isdigit()):
        raise ValueError(f"no type {text!r}; kinds are {', '.join(_BITS)}, as in f32 or f32x8")
    return Type(kind, int(lanes or 1))
