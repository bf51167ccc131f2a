"""Reading einsum equations: `"...ij,jk->...ik"` and the shapes it meets.

Every dimension of every operand gets a *letter*; those that an ellipsis covers get letters of their
own (①, ②, …, aligned from the right), so that nothing after this file knows about ellipses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pellucid.tensor.layout import Ints
from pellucid.tensor.tensor import Tensor

_ELLIPSIS = "."
_FIRST_COVERED = 0x2460  # ①


class Terms(NamedTuple):
    """An equation that fits its operands.

    `inputs[i]` has one letter for each dimension of operand i, `output` one for each of the result;
    `sizes` is the size of each letter.
    """

    equation: str
    inputs: tuple[str, ...]
    output: str
    sizes: dict[str, int]


def order(letter: str) -> int:
    """A to Z, then a to z: the order of the letters in an output that is not written down."""
    return ord(letter)


def equation_of(sublists: Sequence[Any], output: Sequence[Any] | None) -> str:
    """The equation that lists of numbers stand for: 0 is A, 26 is a, `...` is an ellipsis.

    Raises: ValueError for a number outside 0 to 51.
    """
    text = ",".join("".join(map(_letter, each)) for each in sublists)
    return text if output is None else text + "->" + "".join(map(_letter, output))


def _letter(number: Any) -> str:
    if number is Ellipsis:
        return "..."
    if not 0 <= number < 52:
        raise ValueError(
            "einsum(): subscript in subscript list is not within the valid range [0, 52)"
        )
    return chr(ord("A") + number) if number < 26 else chr(ord("a") + number - 26)


def _scan(text: str, start: int, what: str) -> str:
    """One term: letters, and `.` for an ellipsis."""
    found, place = "", 0
    while place < len(text):
        char = text[place]
        if char == " ":
            pass
        elif char == ".":
            if _ELLIPSIS in found:
                raise RuntimeError(_second_ellipsis(what))
            if text[place : place + 3] != "...":
                tail = " (...)" if what == "output" else ""
                raise RuntimeError(
                    f"einsum(): found '.' for {what} that is not part of any ellipsis{tail}"
                )
            found += _ELLIPSIS
            place += 2
        elif char.isascii() and char.isalpha():
            found += char
        else:
            raise RuntimeError(
                f"einsum(): invalid subscript given at index {start + place} in the equation "
                f"string, subscripts must be in [a-zA-Z]\n  Found {char!r}."
            )
        place += 1
    return found


def _second_ellipsis(what: str) -> str:
    if what == "output":
        return "einsum(): found '.' for output but an ellipsis (...) was already found"
    return f"einsum(): found '.' for {what} for which an ellipsis was already found"


def read(equation: str, shapes: Sequence[Ints]) -> Terms:
    """Read an equation for operands of these shapes.

    Raises: RuntimeError that names the letter, the operand and both sizes where they do not fit.
    """
    left, arrow, right = equation.partition("->")
    texts, start, terms = left.split(","), 0, []
    for number, text in enumerate(texts):
        terms.append(_scan(text, start, f"operand {number}"))
        start += len(text) + 1
    if len(terms) > len(shapes):
        raise RuntimeError(
            "einsum(): fewer operands were provided than specified in the equation\n"
            f"  {equation!r} names {len(terms)} operands, {len(shapes)} were given."
        )
    if len(terms) < len(shapes):
        raise RuntimeError(
            "einsum(): more operands were provided than specified in the equation\n"
            f"  {equation!r} names {len(terms)} operands, {len(shapes)} were given."
        )
    covered = max(
        (_covered(term, shape, number) for number, (term, shape) in _numbered(terms, shapes)),
        default=0,
    )
    inputs, sizes = [], _Sizes(shapes)
    for number, (term, shape) in _numbered(terms, shapes):
        inputs.append(_spelled(term, _covered(term, shape, number), covered))
        sizes.meet(number, inputs[-1], shape)
    output = _output(inputs, covered, right if arrow else None, start - 1 + len(arrow))
    return Terms(equation, tuple(inputs), output, sizes.found)


def _numbered(terms: list[str], shapes: Sequence[Ints]) -> Any:
    return enumerate(zip(terms, shapes, strict=True))


def _covered(term: str, shape: Ints, number: int) -> int:
    """How many dimensions the term's ellipsis stands for."""
    letters = len(term) - (_ELLIPSIS in term)
    if _ELLIPSIS not in term and letters != len(shape):
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({letters}) does not match the "
            f"number of dimensions ({len(shape)}) for operand {number} and no ellipsis was given\n"
            f"  Operand {number} has shape {tuple(shape)}, its term is {term!r}."
        )
    if letters > len(shape):
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({letters}) is more than the "
            f"number of dimensions ({len(shape)}) for operand {number}"
        )
    return len(shape) - letters if _ELLIPSIS in term else 0


def _spelled(term: str, own: int, covered: int) -> str:
    """The term with letters in place of its ellipsis, aligned from the right."""
    letters = "".join(chr(_FIRST_COVERED + place) for place in range(covered - own, covered))
    return term.replace(_ELLIPSIS, letters)


def is_covered(letter: str) -> bool:
    """Whether an ellipsis stands for this letter's dimension."""
    return ord(letter) >= _FIRST_COVERED


class _Sizes:
    """The size of each letter, 1 giving way to any other."""

    def __init__(self, shapes: Sequence[Ints]) -> None:
        self.found: dict[str, int] = {}
        self.where: dict[str, int] = {}
        self.shapes = shapes

    def meet(self, number: int, term: str, shape: Ints) -> None:
        """Take the sizes of one operand; RuntimeError where they contradict those before."""
        own: dict[str, int] = {}
        for letter, size in zip(term, shape, strict=True):
            if own.setdefault(letter, size) != size:
                raise RuntimeError(
                    f"einsum(): subscript {letter} is repeated for operand {number} but the sizes "
                    f"don't match, {size} != {own[letter]}\n"
                    f"  A repeated letter takes the diagonal of {tuple(shape)}, which must be "
                    "square there."
                )
        for letter, size in own.items():
            before = self.found.get(letter, 1)
            if 1 not in (before, size) and before != size:
                raise RuntimeError(self._conflict(letter, term.index(letter), number, size, before))
            if before == 1:
                self.found[letter] = size
                self.where[letter] = number

    def _conflict(self, letter: str, place: int, number: int, size: int, before: int) -> str:
        first = self.where[letter]
        shapes = (
            f"\n  Operand {first} has shape {tuple(self.shapes[first])}, operand {number} "
            f"{tuple(self.shapes[number])}."
        )
        if is_covered(letter):
            return (
                f"einsum(): dimension {place} covered by ellipsis in operand "
                f"{number}has size {size} which does not broadcast with previously seen ellipsis "
                f"with size {before} for the respective dimension" + shapes
            )
        return (
            f"einsum(): subscript {letter} has size {size} for operand {number} which does not "
            f"broadcast with previously seen size {before}" + shapes
        )


def _output(inputs: list[str], covered: int, written: str | None, start: int) -> str:
    """The letters of the result, in order."""
    every = "".join(inputs)
    ellipsis = "".join(chr(_FIRST_COVERED + place) for place in range(covered))
    if written is None:
        once = sorted(c for c in set(every) if every.count(c) == 1 and not is_covered(c))
        return ellipsis + "".join(once)
    term = _scan(written, start, "output")
    for letter in term:
        if letter == _ELLIPSIS:
            continue
        if term.count(letter) > 1:
            raise RuntimeError(
                f"einsum(): output subscript {letter} appears more than once in the output"
            )
        if letter not in every:
            raise RuntimeError(
                f"einsum(): output subscript {letter} does not appear in the equation for any "
                "input operand"
            )
    return term.replace(_ELLIPSIS, ellipsis)


def shapes_of(operands: Sequence[Tensor]) -> tuple[Ints, ...]:
    """The operands' shapes as plain tuples: part of the key under which plans are kept."""
    return tuple(each._layout.shape for each in operands)
