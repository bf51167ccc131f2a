"""How much tensor memory is alive: bytes over time, the peak, and which lines held it.

Storages are watched by weak references: nothing is kept alive, and a storage counts once, however
many views look at it. The curve has a fixed number of points; when it is full, pairs of points
are merged, so that a long run takes no more memory than a short one.
"""

from __future__ import annotations

import weakref
from collections.abc import Hashable
from time import perf_counter
from typing import Any

from pellucid.tensor.storage import Storage

POINTS = 512
_NOTICED = 1.01
"""By which factor the peak must grow before it is written down again who holds the memory."""


class _Watched(weakref.ref):  # type: ignore[type-arg]
    __slots__ = ("holder", "key", "nbytes")


class LiveMemory:
    """Bytes of the storages made since `start`, by who made them.

    Attributes: `now` and `peak` in bytes, `peak_at` in seconds since the start, `at_peak` the
    bytes that each holder had near the peak.
    """

    def __init__(self) -> None:
        self.start = perf_counter()
        self.now = 0
        self.peak = 0
        self.peak_at = 0.0
        self.at_peak: dict[Any, int] = {}
        self._noted = 0.0
        self._held: dict[Any, int] = {}
        self._watched: dict[int, _Watched] = {}
        self._width = 0.001
        self._highest: list[int] = []

    def watch(self, storage: Storage, holder: Hashable) -> None:
        """Count a storage until it ends; one that is known already is not counted again."""
        key = id(storage)
        nbytes = storage._nbytes
        if not nbytes or key in self._watched:
            return
        watched = _Watched(storage, self._ended)
        watched.key, watched.nbytes, watched.holder = key, nbytes, holder
        self._watched[key] = watched
        self._held[holder] = self._held.get(holder, 0) + nbytes
        self.now += nbytes
        seconds = perf_counter() - self.start
        if self.now > self.peak:
            self.peak, self.peak_at = self.now, seconds
            if self.now > self._noted * _NOTICED:
                self._noted = self.now
                self.at_peak = dict(self._held)
        self._note(seconds)

    def _ended(self, watched: Any) -> None:
        self._note(perf_counter() - self.start)
        self.now -= watched.nbytes
        left = self._held[watched.holder] - watched.nbytes
        if left:
            self._held[watched.holder] = left
        else:
            del self._held[watched.holder]
        del self._watched[watched.key]

    def _note(self, seconds: float) -> None:
        """Enter `now` into the curve: each point is the highest value of its stretch of time."""
        place = int(seconds / self._width)
        while place >= POINTS:
            points = self._highest
            self._highest = [max(points[i : i + 2]) for i in range(0, len(points), 2)]
            self._width *= 2
            place = int(seconds / self._width)
        points = self._highest
        while len(points) <= place:
            points.append(self.now)
        if self.now > points[place]:
            points[place] = self.now

    def curve(self) -> tuple[float, list[int]]:
        """(seconds between two points, bytes alive at each point)."""
        self._note(perf_counter() - self.start)
        return self._width, list(self._highest)
