"""The order of an epoch: a permutation from random words."""

from __future__ import annotations

from pellucid.kernels.kernel import KernelBuilder, kernel
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
