"""How much tensor memory is alive: bytes over time, the peak, and which lines held it.

Storages are watched by weak references: nothing is kept alive, and a storage counts once, however
many views look at it. The curve has a fixed number of points; when it is full, pairs of points
are merged, so that a long run takes no more memory than a short one.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Hashable
from time import perf_counter
from typing import Any

from pellucid.tensor.storage import Storage

POINTS = 512
_NOTICED = 1.01
"""By which factor the peak must grow before it is written down again who holds the memory."""


class _Watched(weakref.ref[Storage]):
    """A weak reference that remembers what it counts for."""

    __slots__ = ("holder", "key", "nbytes")

    key: int
    nbytes: int
    holder: Hashable


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
        self._lock = threading.RLock()  # a storage may end while another is entered
        self._noted = 0.0
        self._held: dict[Any, int] = {}
        self._watched: dict[int, _Watched] = {}
        self._width = 0.001
        self._highest: list[int] = []

    def watch(self, storage: Storage, holder: Hashable, now: float) -> int:
        """Count a storage until it ends; one that is known already is not counted again.

        Returns the bytes that are new. `now` is `perf_counter()`, which the caller has asked.
        """
        key = id(storage)
        nbytes = storage._nbytes
        if not nbytes or key in self._watched:
            return 0
        with self._lock:
            watched = _Watched(storage, self._ended)
            watched.key, watched.nbytes, watched.holder = key, nbytes, holder
            self._watched[key] = watched
            self._held[holder] = self._held.get(holder, 0) + nbytes
            self._grow(nbytes, now - self.start)
        return nbytes

    def _grow(self, nbytes: int, seconds: float) -> None:
        self._note(seconds)
        self.now += nbytes
        if self.now > self.peak:
            self.peak, self.peak_at = self.now, seconds
            if self.now > self._noted * _NOTICED:
                self._noted = self.now
                self.at_peak = dict(self._held)
        point = min(int(seconds / self._width), len(self._highest) - 1)
        if self.now > self._highest[point]:
            self._highest[point] = self.now

    def _ended(self, watched: Any) -> None:
        with self._lock:
            self.now -= watched.nbytes
            left = self._held[watched.holder] - watched.nbytes
            if left:
                self._held[watched.holder] = left
            else:
                del self._held[watched.holder]
            del self._watched[watched.key]

    def _note(self, seconds: float) -> None:
        """Carry the curve on to this moment: between two new storages memory only shrinks."""
        points, place = self._highest, int(seconds / self._width)
        if place < len(points):
            return
        while place >= POINTS:
            points = self._highest = [max(points[i : i + 2]) for i in range(0, len(points), 2)]
            self._width *= 2
            place = int(seconds / self._width)
        points.extend([self.now] * (place + 1 - len(points)))

    def curve(self) -> tuple[float, list[int]]:
        """(seconds between two points, bytes alive at each point)."""
        self._note(perf_counter() - self.start)
        return self._width, list(self._highest)
