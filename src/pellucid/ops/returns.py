"""Named results: `torch.max(x, dim)` answers `torch.return_types.max(values=…, indices=…)`."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

types: dict[str, Any] = {}
"""Every named result by its name: what `torch.return_types` shows."""


def return_type(name: str, fields: str) -> Any:
    """The tuple type for operator `name` with these fields, printed as PyTorch prints it."""
    names = tuple(fields.split())
    members: dict[str, Any] = {
        field: property(itemgetter(number)) for number, field in enumerate(names)
    }
    members |= {
        "__slots__": (),
        "__module__": "torch.return_types",
        "_fields": names,
        "n_fields": len(names),
    }
    found = types[name] = type(name, (Result,), members)
    return found


class Result(tuple[Any, ...]):
    """A tuple whose elements have names (a `namedtuple` that costs nothing to define)."""

    __slots__ = ()
    _fields: tuple[str, ...] = ()

    def __new__(cls, *values: Any) -> Result:
        if len(values) == 1 and len(cls._fields) != 1:
            values = tuple(values[0])
        return super().__new__(cls, values)

    def __repr__(self) -> str:
        lines = ",\n".join(
            f"{field}={value!r}" for field, value in zip(self._fields, self, strict=True)
        )
        return f"torch.return_types.{type(self).__name__}(\n{lines})"

    def _asdict(self) -> dict[str, Any]:
        return dict(zip(self._fields, self, strict=True))

    def __reduce__(self) -> Any:
        return tuple, (tuple(self),)
