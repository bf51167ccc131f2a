"""The order of an epoch: a permutation from random words."""

from __future__ import annotations

from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import I32, I64


@kernel("words: ptr, out: ptr, n: i64")
def permute(b: KernelBuilder) -> None:
    """0 … n - 1 (i64), each place swapped with one that is not before it, which a word (u32, n - 1
    of them) chooses (Fisher and Yates; Durstenfeld 1964): `torch.randperm`'s, one thread.
    """
    b.begin()
    arg = b.arg
    with b.loop("i", 0, arg.n) as i:
        b.store(i, arg.out, i)
    with b.loop("i", 0, arg.n - 1) as i:
        word = b.zero_extend(b.load(arg.words, i, I32), I64)
        other = i + word % (arg.n - i)
        mine, theirs = b.load(arg.out, i, I64), b.load(arg.out, other, I64)
        b.store(theirs, arg.out, i)
        b.store(mine, arg.out, other)


_SIZE, _APART = 624, 397
_LOW32 = 0xFFFFFFFF


@kernel("seed: i64, state: ptr, words: ptr, out: ptr, n: i64")
def permute_seeded(b: KernelBuilder) -> None:
    """The permutation that a generator with this seed draws first (Matsumoto and Nishimura 1998:
    MT19937, as initialised in 2002). `state` holds 624 i64, `words` n rounded up to whole states.
    """
    b.begin()
    arg = b.arg
    b.store(b.binary("and", arg.seed, _LOW32), arg.state, 0)
    with b.loop("i", 1, _SIZE) as i:
        last = b.load(arg.state, i - 1, I64)
        mixed = b.binary("xor", last, b.binary("shift_right", last, 30))
        b.store(b.binary("and", mixed * 1812433253 + i, _LOW32), arg.state, i)
    with b.loop("block", 0, b.ceil_div(arg.n, _SIZE)) as block, b.loop("i", 0, _SIZE) as i:
        one = b.load(arg.state, b.select(i < _SIZE - 1, i + 1, 0), I64)
        high = b.binary("and", b.load(arg.state, i, I64), 0x80000000)
        y = b.binary("or", high, b.binary("and", one, 0x7FFFFFFF))
        apart = b.select(i < _SIZE - _APART, i + _APART, i - (_SIZE - _APART))
        far = b.load(arg.state, apart, I64)
        odd = b.binary("and", y, 1) * 0x9908B0DF
        twisted = b.binary("xor", b.binary("xor", far, b.binary("shift_right", y, 1)), odd)
        b.store(twisted, arg.state, i)
        b.store(_tempered(b, twisted), arg.words, block * _SIZE + i)
    with b.loop("i", 0, arg.n) as i:
        b.store(i, arg.out, i)
    with b.loop("i", 0, arg.n - 1) as i:
        other = i + b.load(arg.words, i, I64) % (arg.n - i)
        mine, theirs = b.load(arg.out, i, I64), b.load(arg.out, other, I64)
        b.store(theirs, arg.out, i)
        b.store(mine, arg.out, other)


def _tempered(b: KernelBuilder, y: Value) -> Value:
    y = b.binary("xor", y, b.binary("shift_right", y, 11))
    y = b.binary("xor", y, b.binary("and", b.binary("shift_left", y, 7), 0x9D2C5680))
    y = b.binary("xor", y, b.binary("and", b.binary("shift_left", y, 15), 0xEFC60000))
    return b.binary("xor", y, b.binary("shift_right", y, 18))
