"""An exception on its way from a worker process to the process that asked."""

from __future__ import annotations

import sys
import traceback

__all__ = ["ExceptionWrapper", "KeyErrorMessage"]


class KeyErrorMessage(str):
    """A message that `KeyError`, which shows the `repr` of its argument, shows with its line
    breaks.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class ExceptionWrapper:
    """Type and printed traceback of the exception being handled. `where` says where it happened.

    The exception itself is not kept: it holds the frames, and may not be picklable.
    """

    def __init__(self, where: str = "in background") -> None:
        kind, error, trace = sys.exc_info()
        if kind is None:
            raise RuntimeError("ExceptionWrapper: no exception is being handled")
        self.exc_type = kind
        self.exc_msg = "".join(traceback.format_exception(kind, error, trace))
        self.where = where

    def reraise(self) -> None:
        """Raise an exception of the same type whose message holds the original traceback.

        Types that cannot be made from one message become RuntimeError.
        """
        message = f"Caught {self.exc_type.__name__} {self.where}.\nOriginal {self.exc_msg}"
        if self.exc_type is KeyError:
            message = KeyErrorMessage(message)
        elif getattr(self.exc_type, "message", None):
            raise self.exc_type(message=message)  # type: ignore[call-arg]
        try:
            error = self.exc_type(message)
        except Exception:
            raise RuntimeError(message) from None
        raise error
