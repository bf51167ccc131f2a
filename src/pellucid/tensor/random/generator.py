"""`Generator`: the Mersenne Twister behind every random operator, with PyTorch's CPU state layout.

The engine is MT19937 (Matsumoto & Nishimura 1998). NumPy's compiled `MT19937` twists and tempers
the words; this module decides what PyTorch's engine decides: how a seed becomes a state, where in a
block of 624 words the next draw stands, how two words make 64 bits (the first one is the high
half), and how all of this is written as 5056 bytes, so that a state saved by PyTorch continues
here, and the other way round.

What is drawn is counted in 32-bit *words*: a distribution that takes as many words as PyTorch's
leaves the stream where PyTorch leaves it (`pellucid.tensor.random.distributions`).
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np

from pellucid.tensor.device import CPU, device, require_cpu
from pellucid.tensor.dtype import uint8
from pellucid.tensor.tensor import Tensor, adopt

BLOCK = 624
"""Words in one state of MT19937: that many draws are made from it before it is twisted into the
next state.
"""

DEFAULT_SEED = 67280421310721
"""The seed of a `Generator()` nobody has seeded (c10::default_rng_seed_val)."""

_LOW_WORD = 0xFFFFFFFF

STATE_BYTES = 5056
"""Size of a saved state: PyTorch's legacy structure with 64-bit words and one cached float behind
it.
"""

# Seed; draws before the next twist, plus one; whether seeded; index of the next word.
_HEADER = struct.Struct("<QiiQ")
# x, y, rho of the float64 normal (y is used) and its validity; the float32 normal and its validity.
_NORMALS = struct.Struct("<dddixxxxf?xxx")
_WORDS = slice(_HEADER.size, _HEADER.size + 8 * BLOCK)


class Generator:
    """A stream of pseudo-random words on the CPU; the same seed gives PyTorch's numbers.

    A generator holds the 624-word state, the position in it, and the second half of the last
    Box-Muller pair (`next_double_normal`), which the scalar normal sampler hands out first. `lock`
    is held by every sampler while it draws: threads may share a generator, each call gets words of
    its own, their order is the threads' order.

    Args: `device`: "cpu" (others are refused, RuntimeError).
    """

    def __init__(self, device: device | str = "cpu") -> None:
        require_cpu(device)
        self.lock = threading.RLock()
        self._seed_with(DEFAULT_SEED)

    @cached_property
    def _engine(self) -> np.random.RandomState:
        """NumPy's engine at the start of the stream, made when it is first needed: importing
        `numpy.random` takes a tenth of the time that importing Pellucid takes.
        """
        engine = np.random.RandomState(np.random.MT19937(0))
        engine.seed(self._seed & _LOW_WORD)
        return engine

    # -- seeds

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of `seed`, from -2**63 to 2**64 - 1 (negative: counted from 2**64), and
        return self.

        The engine uses the low 32 bits only, as PyTorch's does; `initial_seed` remembers all 64.
        """
        if isinstance(seed, (bool, np.bool_)) or not isinstance(seed, (int, np.integer)):
            raise RuntimeError(f"manual_seed expected a long, but got {type(seed).__name__}")
        if not -(2**63) <= seed < 2**64:
            raise ValueError("Overflow when unpacking long long")
        with self.lock:
            self._seed_with(int(seed) % 2**64)
        return self

    def seed(self) -> int:
        """Start the stream of 64 bits taken from the operating system, and return them."""
        seed = int.from_bytes(os.urandom(8), "little")
        with self.lock:
            self._seed_with(seed)
        return seed

    def initial_seed(self) -> int:
        """The seed this stream was started with, from 0 to 2**64 - 1."""
        return self._seed

    def _seed_with(self, seed: int) -> None:
        self._seed = seed
        engine = self.__dict__.get("_engine")
        if engine is not None:
            engine.seed(seed & _LOW_WORD)  # init_genrand of the reference code of 2002
        self._words = _NO_WORDS
        self._next = BLOCK
        self._is_untouched = True
        self.next_double_normal: float | None = None
        self._next_float_normal: float | None = None

    # -- draws

    def words(self, count: int) -> np.ndarray:
        """The next `count` 32-bit words: uint32 `(count,)`. Do not write into it."""
        with self.lock:
            end = self._next + count
            if end <= BLOCK:
                words = self._words[self._next : end]
                self._next = end
                return words
            rest = self._words[self._next :]
            blocks = -(-(count - rest.size) // BLOCK)
            fresh = self._tempered(blocks * BLOCK)
            self._is_untouched = False
            self._words = fresh[-BLOCK:].copy() if blocks > 1 else fresh
            self._next = count - rest.size - (blocks - 1) * BLOCK
            if not rest.size:
                return fresh[:count]
            return np.concatenate([rest, fresh[: count - rest.size]])

    def random(self) -> int:
        """The next word: an int below 2**32."""
        if self._next == BLOCK:
            return int(self.words(1)[0])
        word = int(self._words[self._next])
        self._next += 1
        return word

    def random64(self) -> int:
        """The next two words as an int below 2**64; the first is the high half."""
        return self.random() << 32 | self.random()

    def words64(self, count: int) -> np.ndarray:
        """The next `2 * count` words in pairs: uint64 `(count,)`, the first of a pair is the high
        half.
        """
        pairs = self.words(2 * count).reshape(count, 2).astype(np.uint64)
        return pairs[:, 0] << np.uint64(32) | pairs[:, 1]

    def _tempered(self, count: int) -> np.ndarray:
        """`count` words from NumPy's engine; it stands at the end of a block before and after whole
        blocks.
        """
        return self._engine.randint(0, 2**32, size=count, dtype=np.uint32)

    # -- states

    def mark(self) -> tuple[Any, ...]:
        """Where the stream stands, for `has_moved`."""
        normals = self.next_double_normal, self._next_float_normal
        return self._words, self._next, self._seed, self._is_untouched, normals

    def has_moved(self, mark: tuple[Any, ...]) -> bool:
        """Whether numbers were drawn, or another state taken, since `mark`."""
        now = self.mark()
        return now[0] is not mark[0] or now[1:] != mark[1:]

    def state_bytes(self) -> bytes:
        """The whole state as PyTorch writes it: 5056 bytes, little-endian."""
        with self.lock:
            index = 0 if self._is_untouched else self._next
            left = 1 if self._is_untouched else BLOCK - self._next + 1
            key = self._engine.get_state(legacy=False)["state"]["key"]
            normals = self.next_double_normal, self._next_float_normal
            y, single = (0.0 if normal is None else normal for normal in normals)
            has_y, has_single = (normal is not None for normal in normals)
            header = _HEADER.pack(self._seed, left, 1, index)
            cache = _NORMALS.pack(0.0, y, 0.0, has_y, single, has_single)
            return header + key.astype("<u8").tobytes() + cache

    def load_state_bytes(self, state: bytes) -> None:
        """Continue from `state`, 5056 bytes of `state_bytes` or of PyTorch's
        `get_state().numpy().tobytes()`.

        RuntimeError for another size, or where the position in the block is impossible.
        """
        if len(state) != STATE_BYTES:
            raise RuntimeError(
                f"Expected a CPUGeneratorImplState of size {STATE_BYTES} but found the input RNG "
                f"state size to be {len(state)}"
            )
        seed, left, seeded, index = _HEADER.unpack_from(state)
        is_untouched = (left, index) == (1, 0)
        if not (seeded and 1 <= left <= BLOCK and (is_untouched or left + index == BLOCK + 1)):
            raise RuntimeError("Invalid mt19937 state")
        key = np.frombuffer(state[_WORDS], dtype="<u8").astype(np.uint32)
        _, double, _, has_double, single, has_single = _NORMALS.unpack_from(state, _WORDS.stop)
        with self.lock:
            self._seed = seed
            self._is_untouched = is_untouched
            if is_untouched:
                self._engine.set_state(("MT19937", key, BLOCK, 0, 0.0))
                self._words, self._next = _NO_WORDS, BLOCK
            else:
                self._engine.set_state(("MT19937", key, 0, 0, 0.0))
                self._words, self._next = self._tempered(BLOCK), index
            self.next_double_normal = double if has_double else None
            self._next_float_normal = single if has_single else None

    def get_state(self) -> Tensor:
        """The whole state as a uint8 tensor `(5056,)`, for `set_state` here or in PyTorch."""
        return adopt(np.frombuffer(bytearray(self.state_bytes()), dtype=np.uint8))

    def set_state(self, new_state: Tensor) -> Generator:
        """Continue from a state of `get_state`, and return self.

        TypeError for anything but a uint8 tensor, RuntimeError for one that is no state.
        """
        if not isinstance(new_state, Tensor):
            raise TypeError(f"expected a torch.ByteTensor, but got {type(new_state).__name__}")
        if new_state.dtype is not uint8:
            raise TypeError("RNG state must be a torch.ByteTensor")
        self.load_state_bytes(new_state._array.tobytes())
        return self

    def clone_state(self) -> Generator:
        """A new generator that continues as this one would."""
        clone = Generator()
        clone.load_state_bytes(self.state_bytes())
        return clone

    def get_offset(self) -> int:
        """Refused: offsets count blocks of a counter-based engine, and MT19937 has no counter."""
        raise RuntimeError("CPU Generator does not use offset")

    def set_offset(self, offset: int) -> None:
        """Refused, see `get_offset`."""
        raise RuntimeError("CPU Generator does not use offset")

    @property
    def device(self) -> device:
        """The CPU."""
        return CPU

    def __reduce__(self) -> tuple[Any, tuple[bytes]]:
        return _restored, (self.state_bytes(),)


_NO_WORDS = np.empty(BLOCK, dtype=np.uint32)


def _restored(state: bytes) -> Generator:
    generator = Generator()
    generator.load_state_bytes(state)
    return generator


def _unseeded() -> Generator:
    generator = Generator()
    generator.seed()
    return generator


default_generator = _unseeded()
"""The generator of every random operator that is not given one; all threads share it."""


class _Elsewhere(threading.local):
    """Where this thread draws instead of the default generator, if anywhere."""

    generator: Generator | None = None


_elsewhere = _Elsewhere()


def current_generator() -> Generator:
    """The generator to draw from if none is given."""
    return _elsewhere.generator or default_generator


@contextmanager
def drawing_elsewhere() -> Iterator[None]:
    """What this thread draws inside comes from a generator that nobody knows: for results that
    nobody will see.
    """
    outside = _elsewhere.generator
    _elsewhere.generator = Generator()
    try:
        yield
    finally:
        _elsewhere.generator = outside
