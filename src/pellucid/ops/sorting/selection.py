"""Which of several equal elements is chosen: the selection algorithms behind PyTorch's kernels.

Among equal elements `topk` and `kthvalue` may return the indices of any. PyTorch's CPU kernels
return those that their algorithms happen to leave in front: `std::nth_element`,
`std::partial_sort` and `std::sort` of the GNU C++ library, and a quickselect with the median of
three. These are here, on lists, for rows where it matters; rows without equal elements at the
border never come here. Sources: Musser, "Introspective sorting and selection algorithms" (1997);
Numerical Recipes, section 8.5.

A `Row` is a list of `(key, index)`; smaller keys come first, and only keys are compared.
"""

from __future__ import annotations

Row = list[tuple[int, int]]
_RUN = 16
"""Stretches up to this length are left to insertion sort."""


def _insertion_sort(row: Row, first: int, last: int) -> None:
    for i in range(first + 1, last):
        moving = row[i]
        j = i
        while j > first and moving[0] < row[j - 1][0]:
            row[j] = row[j - 1]
            j -= 1
        row[j] = moving


def _partition(row: Row, first: int, last: int) -> int:
    """Split around the median of three elements, which is moved to `first`."""
    a, b, c = first + 1, first + (last - first) // 2, last - 1
    x, y, z = row[a][0], row[b][0], row[c][0]
    if x < y:
        chosen = b if y < z else c if x < z else a
    else:
        chosen = a if x < z else c if y < z else b
    row[first], row[chosen] = row[chosen], row[first]
    pivot = row[first][0]
    low, high = first + 1, last
    while True:
        while row[low][0] < pivot:
            low += 1
        high -= 1
        while pivot < row[high][0]:
            high -= 1
        if low >= high:
            return low
        row[low], row[high] = row[high], row[low]
        low += 1


def _sift(row: Row, first: int, hole: int, length: int, value: tuple[int, int]) -> None:
    """Put `value` into a heap (largest key on top) whose place `hole` is free."""
    top = child = hole
    while child < (length - 1) // 2:
        child = 2 * (child + 1)
        if row[first + child][0] < row[first + child - 1][0]:
            child -= 1
        row[first + hole] = row[first + child]
        hole = child
    if length % 2 == 0 and child == (length - 2) // 2:
        child = 2 * (child + 1)
        row[first + hole] = row[first + child - 1]
        hole = child - 1
    parent = (hole - 1) // 2
    while hole > top and row[first + parent][0] < value[0]:
        row[first + hole] = row[first + parent]
        hole = parent
        parent = (hole - 1) // 2
    row[first + hole] = value


def _heap_select(row: Row, first: int, middle: int, last: int) -> None:
    """Bring the smallest elements in front of `middle`, as a heap."""
    length = middle - first
    for parent in range((length - 2) // 2, -1, -1):
        _sift(row, first, parent, length, row[first + parent])
    for i in range(middle, last):
        if row[i][0] < row[first][0]:
            value, row[i] = row[i], row[first]
            _sift(row, first, 0, length, value)


def partial_sort(row: Row, first: int, middle: int, last: int) -> None:
    """Sort the smallest elements to the front, up to `middle`."""
    _heap_select(row, first, middle, last)
    while middle - first > 1:
        middle -= 1
        value, row[middle] = row[middle], row[first]
        _sift(row, first, 0, middle - first, value)


def nth_element(row: Row, nth: int) -> None:
    """Bring the element of rank `nth` to its place, no larger ones before it."""
    first, last = 0, len(row)
    depth = 2 * (max(last, 1).bit_length() - 1)
    while last - first > 3:
        if not depth:
            _heap_select(row, first, nth + 1, last)
            row[first], row[nth] = row[nth], row[first]
            return
        depth -= 1
        cut = _partition(row, first, last)
        if cut <= nth:
            first = cut
        else:
            last = cut
    _insertion_sort(row, first, last)


def sort(row: Row, last: int) -> None:
    """Sort the elements in front of `last`, equal ones in no particular order."""
    stack = [(0, last, 2 * (max(last, 1).bit_length() - 1))]
    while stack:
        first, end, depth = stack.pop()
        while end - first > _RUN:
            if not depth:
                partial_sort(row, first, end, end)
                break
            depth -= 1
            cut = _partition(row, first, end)
            stack.append((cut, end, depth))
            end = cut
    _insertion_sort(row, 0, last)


def top(keys: list[int], k: int, ordered: bool) -> list[int]:
    """The indices of the `k` smallest keys, as `topk` finds them."""
    row = list(zip(keys, range(len(keys)), strict=True))
    if k * 64 <= len(row):
        partial_sort(row, 0, k, len(row))
    elif k:
        nth_element(row, k - 1)
        if ordered:
            sort(row, k - 1)
    return [index for _, index in row[:k]]


def kth(keys: list[int], k: int) -> int:
    """The index of the key of rank `k`, counted from 0, as `kthvalue` finds it."""
    row = list(zip(keys, range(len(keys)), strict=True))
    low, high = 0, len(row) - 1
    while high > low:
        if high == low + 1:
            if row[low][0] > row[high][0]:
                row[low], row[high] = row[high], row[low]
            break
        middle = low + (high - low) // 2
        row[middle], row[low + 1] = row[low + 1], row[middle]
        for a, b in ((low + 1, high), (low, high), (low + 1, low)):
            if row[a][0] > row[b][0]:
                row[a], row[b] = row[b], row[a]
        i, j, pivot = low + 1, high, row[low][0]
        while True:
            i += 1
            while pivot > row[i][0]:
                i += 1
            j -= 1
            while row[j][0] > pivot:
                j -= 1
            if j < i:
                break
            row[i], row[j] = row[j], row[i]
        row[low], row[j] = row[j], row[low]
        if j <= k:
            low = i
        if j >= k:
            high = j - 1
    return row[k][1]
