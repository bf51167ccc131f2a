"""In which order to contract: the plan of an einsum, found once for an equation and its shapes.

Contracting a pair costs two floating-point operations for each combination of its letters (one
where nothing is summed). Up to eight operands every order is looked at, by dynamic programming over
subsets; beyond, the pair that shrinks the operands most goes first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import combinations
from math import prod
from typing import NamedTuple

from pellucid.ops.einsum.syntax import Terms, is_covered, read
from pellucid.tensor.layout import Ints

MOST_EXACT = 8
"""Up to this many operands, the order is the best there is."""


class Single(NamedTuple):
    """What happens to one operand before it meets another.

    `diagonals` are pairs of dimensions to be merged, one after another (the merged one goes last);
    `dropped` are dimensions of size 1, which broadcast anyway; `order` puts the rest in order
    before the last `summed` dimensions, which no other operand and not the output have, are summed.
    Each counts in what is left by the steps before it. `term` is what remains.
    """

    diagonals: tuple[tuple[int, int], ...]
    dropped: tuple[int, ...]
    order: tuple[int, ...]
    summed: int
    term: str


class Pair(NamedTuple):
    """Contract the operands at two places of the list; the result goes to the list's end.

    `left`, `right` and `result` are terms; letters of size 1 are only in the last result. `flops`
    counts multiplications and additions.
    """

    places: tuple[int, int]
    left: str
    right: str
    result: str
    flops: int
    elements: int


class Plan(NamedTuple):
    """How an einsum is computed. Printing it shows a table."""

    terms: Terms
    singles: tuple[Single, ...]
    pairs: tuple[Pair, ...]

    @property
    def path(self) -> tuple[tuple[int, int], ...]:
        """The places contracted at each step, as `numpy.einsum_path` writes them."""
        return tuple(pair.places for pair in self.pairs)

    @property
    def flops(self) -> int:
        """Floating-point operations of all pairs."""
        return sum(pair.flops for pair in self.pairs)

    @property
    def naive_flops(self) -> int:
        """The same, if all operands were multiplied in one nest of loops."""
        return len(self.terms.inputs) * prod(self.terms.sizes.values())

    @property
    def largest(self) -> int:
        """Elements of the largest intermediate result (the output counts too)."""
        return max((pair.elements for pair in self.pairs), default=0)

    def __str__(self) -> str:
        sizes = ", ".join(f"{letter}={size}" for letter, size in self.terms.sizes.items())
        lines = [
            f"einsum {self.terms.equation!r} with {sizes}",
            f"  {self.flops} flops in {len(self.pairs)} steps (all at once: {self.naive_flops}), "
            f"largest result {self.largest} elements",
        ]
        for number, pair in enumerate(self.pairs):
            lines.append(
                f"  {number + 1}. operands {pair.places}: {pair.left},{pair.right}->{pair.result}  "
                f"{self._kind(pair)}, {pair.flops} flops"
            )
        return "\n".join(lines)

    def _kind(self, pair: Pair) -> str:
        batch, rows, columns, summed = groups(pair.left, pair.right, pair.result)
        if not summed:
            return "product"
        size = [prod(self.terms.sizes[c] for c in group) for group in (rows, summed, columns)]
        count = prod(self.terms.sizes[c] for c in batch)
        times = f"{count} times " if batch else ""
        return f"matmul {times}({size[0]}, {size[1]}) @ ({size[1]}, {size[2]})"


def groups(left: str, right: str, result: str) -> tuple[str, str, str, str]:
    """Letters in both and the result, in the left only, in the right only, and summed."""
    batch = "".join(c for c in result if c in left and c in right)
    rows = "".join(c for c in result if c in left and c not in right)
    columns = "".join(c for c in result if c in right and c not in left)
    return batch, rows, columns, "".join(c for c in left if c not in result)


@lru_cache(maxsize=4096)
def plan(equation: str, shapes: tuple[Ints, ...]) -> Plan:
    """The plan for operands of these shapes.

    >>> print(plan("ij,jk,k->i", ((10, 20), (20, 30), (30,))))
    einsum 'ij,jk,k->i' with i=10, j=20, k=30
      1600 flops in 2 steps (all at once: 18000), largest result 20 elements
      1. operands (1, 2): jk,k->j  matmul (20, 30) @ (30, 1), 1200 flops
      2. operands (0, 1): ij,j->i  matmul (10, 20) @ (20, 1), 400 flops
    """
    terms = read(equation, shapes)
    singles = _singles(terms, shapes)
    return Plan(terms, singles, tuple(_pairs(terms, [single.term for single in singles])))


def _singles(terms: Terms, shapes: tuple[Ints, ...]) -> tuple[Single, ...]:
    """What happens to each operand on its own."""
    reduced = [_merged(term, shape) for term, shape in zip(terms.inputs, shapes, strict=True)]
    if len(shapes) == 1:
        (diagonals, term, _) = reduced[0]
        return (Single(diagonals, (), (), 0, term),)
    remaining = [
        "".join(c for c, size in zip(t, s, strict=True) if size != 1) for _, t, s in reduced
    ]
    return tuple(
        _single(terms, reduced[number], [t for other, t in enumerate(remaining) if other != number])
        for number in range(len(shapes))
    )


Merged = tuple[tuple[tuple[int, int], ...], str, list[int]]
"""Diagonals, and the letters with their sizes once these are taken."""


def _merged(term: str, shape: Ints) -> Merged:
    """Take diagonals until every letter of the term is there once."""
    sizes, diagonals = list(shape), []
    while len(set(term)) < len(term):
        letter = next(c for c in term if term.count(c) > 1)
        first = term.index(letter)
        second = term.index(letter, first + 1)
        diagonals.append((first, second))
        size = sizes[first]
        term = term[:first] + term[first + 1 : second] + term[second + 1 :] + letter
        sizes = [*sizes[:first], *sizes[first + 1 : second], *sizes[second + 1 :], size]
    return tuple(diagonals), term, sizes


def _single(terms: Terms, merged: Merged, others: list[str]) -> Single:
    """Drop the letters of size 1 of an operand and sum those that nobody else has."""
    diagonals, term, sizes = merged
    dropped = tuple(place for place in range(len(term) - 1, -1, -1) if sizes[place] == 1)
    term = "".join(c for c, size in zip(term, sizes, strict=True) if size != 1)
    wanted = "".join(others) + terms.output
    lonely = sorted(c for c in term if c not in wanted)
    if not lonely:
        return Single(diagonals, dropped, (), 0, term)
    kept = [c for c in terms.output if c in term]
    kept += sorted(c for c in term if c not in kept and c not in lonely)
    order = tuple(term.index(c) for c in [*kept, *lonely])
    return Single(diagonals, dropped, order, len(lonely), "".join(kept))


# --- the order ------------------------------------------------------------------------------------


def _pairs(terms: Terms, given: list[str]) -> Iterator[Pair]:
    """The pairs to contract, in order."""
    if len(given) == 1:
        return
    sizes, output = terms.sizes, terms.output
    for first, second in _path(given, output, sizes):
        left, right = given[first], given[second]
        rest = [term for place, term in enumerate(given) if place not in (first, second)]
        last = not rest
        kept = set("".join(rest) + output)
        result = output if last else _intermediate(left, right, kept)
        yield Pair(
            (first, second),
            left,
            right,
            result,
            _cost(left, right, result, sizes),
            prod(sizes[c] for c in result),
        )
        given = [*rest, result]


def _intermediate(left: str, right: str, kept: set[str]) -> str:
    """The letters of an intermediate result in the order a matrix product leaves them in."""
    both = "".join(c for c in left if c in right and c in kept)
    rows = "".join(c for c in left if c not in right and c in kept)
    return both + rows + "".join(c for c in right if c not in left and c in kept)


def _cost(left: str, right: str, result: Sequence[str], sizes: dict[str, int]) -> int:
    """Floating-point operations of one pair."""
    letters = set(left + right)
    each = 2 if len(letters) > len(set(result)) else 1
    return each * prod(sizes[c] for c in letters)


def _path(given: list[str], output: str, sizes: dict[str, int]) -> list[tuple[int, int]]:
    """The places to contract at each step; left to right where nothing is cheaper."""
    if len(given) == 2:
        return [(0, 1)]
    if len(given) <= MOST_EXACT:
        return _best_path(given, output, sizes)
    return _greedy_path(given, output, sizes)


Found = tuple[int, tuple[int, int] | None, frozenset[str]]
"""For a subset of operands: its cost, the two halves contracted last, and the letters it keeps."""


def _best_path(given: list[str], output: str, sizes: dict[str, int]) -> list[tuple[int, int]]:
    """The cheapest order, by dynamic programming over the subsets of the operands."""
    count = len(given)
    letters = [frozenset(term) for term in given]
    outside = {
        subset: frozenset(output).union(*(letters[i] for i in range(count) if not subset >> i & 1))
        for subset in range(1, 1 << count)
    }
    found: dict[int, Found] = {1 << i: (0, None, letters[i]) for i in range(count)}
    for amount in range(2, count + 1):
        for members in combinations(range(count), amount):
            subset = sum(1 << i for i in members)
            best: Found | None = None
            for left in _halves(subset):
                right = subset ^ left
                cost_left, _, kept_left = found[left]
                cost_right, _, kept_right = found[right]
                every = kept_left | kept_right
                kept = every & outside[subset]
                each = 2 if len(every) > len(kept) else 1
                cost = cost_left + cost_right + each * prod(sizes[c] for c in every)
                if best is None or cost < best[0]:
                    best = cost, (left, right), kept
            assert best is not None
            found[subset] = best
    return _as_places(found, count)


def _halves(subset: int) -> Iterator[int]:
    """The parts of a subset that hold its first operand, left to right first."""
    first = subset & -subset
    rest = subset ^ first
    part = (rest - 1) & rest
    while True:
        yield part | first
        if not part:
            return
        part = (part - 1) & rest


def _as_places(found: dict[int, Found], count: int) -> list[tuple[int, int]]:
    """The tree of subsets as places in a list from which pairs are taken and results appended."""
    current = [1 << i for i in range(count)]
    path: list[tuple[int, int]] = []

    def contract(subset: int) -> None:
        halves = found[subset][1]
        if halves is None:
            return
        for half in halves:
            contract(half)
        places = sorted(current.index(half) for half in halves)
        path.append((places[0], places[1]))
        for place in reversed(places):
            del current[place]
        current.append(subset)

    contract((1 << count) - 1)
    return path


def _greedy_path(given: list[str], output: str, sizes: dict[str, int]) -> list[tuple[int, int]]:
    """Always the pair whose result is smallest beside its operands."""
    given, path = list(given), []
    while len(given) > 1:
        best: tuple[float, int, int, str] | None = None
        for first, second in combinations(range(len(given)), 2):
            rest = (t for place, t in enumerate(given) if place not in (first, second))
            kept = set("".join(rest) + output)
            result = _intermediate(given[first], given[second], kept)
            grown = prod(sizes[c] for c in result) - sum(
                prod(sizes[c] for c in given[place]) for place in (first, second)
            )
            if best is None or grown < best[0]:
                best = grown, first, second, result
        assert best is not None
        path.append(best[1:3])
        del given[best[2]], given[best[1]]
        given.append(best[3])
    return path


__all__ = ["Pair", "Plan", "Single", "groups", "is_covered", "plan"]
