"""`x[...]` in every form, gather, scatter and masks: the same program on PyTorch and Pellucid."""

from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from ops.sides import agree, drawn, numbers, with_gradients

import pellucid
from pellucid.tensor.events import Event, listening

# --- the forms of an index ------------------------------------------------------------------------

INDICES: dict[str, Any] = {
    "int": lambda lib: 1,
    "negative": lambda lib: -1,
    "slice": lambda lib: slice(1, None),
    "step": lambda lib: slice(None, None, 2),
    "past the end": lambda lib: slice(-9, 9),
    "empty": lambda lib: slice(2, 1),
    "none": lambda lib: None,
    "ellipsis": lambda lib: ...,
    "all": lambda lib: slice(None),
    "nothing": lambda lib: (),
    "mixed": lambda lib: (0, None, slice(1, None), ..., -1),
    "two ints": lambda lib: (1, 2),
    "all ints": lambda lib: (1, 2, 3),
    "true": lambda lib: True,
    "false": lambda lib: False,
    "true and int": lambda lib: (True, 0),
    "list": lambda lib: [1, 0, 1],
    "list of lists": lambda lib: ([[0, 1], [1, 0]],),
    "two lists": lambda lib: ([0, 1], [2, 1]),
    "list after slice": lambda lib: (slice(None), [2, 0]),
    "list at the end": lambda lib: (..., [3, 0, 0]),
    "lists apart": lambda lib: ([0, 1], slice(None), [3, 0]),
    "lists broadcast": lambda lib: ([[0], [1]], [0, 2]),
    "int between lists": lambda lib: ([0, 1], 1, [3, 0]),
    "bools": lambda lib: [True, False],
    "tensor": lambda lib: lib.tensor([1, 1, 0]),
    "0-dim tensor": lambda lib: lib.tensor(1),
    "0-dim with tensor": lambda lib: (lib.tensor(1), lib.tensor([0, 2])),
    "matrix tensor": lambda lib: (slice(None), lib.tensor([[0, 2], [1, 1]])),
    "int32": lambda lib: lib.tensor([-1, 0], dtype=lib.int32),
    "uint8 mask": lambda lib: lib.tensor([1, 0], dtype=lib.uint8),
    "mask": lambda lib: lib.tensor([True, False]),
    "mask of two": lambda lib: lib.tensor([[True, False, True], [False, False, True]]),
    "mask behind": lambda lib: (slice(None), lib.tensor([True, False, True])),
    "mask and tensor": lambda lib: (lib.tensor([True, True]), lib.tensor([0, 2])),
    "mask and slice": lambda lib: (lib.tensor([True, False]), slice(None), [3, 1]),
    "0-dim mask": lambda lib: lib.tensor(True),
    "empty list": lambda lib: [],
    "array": lambda lib: np.array([1, 0]),
    "bool array": lambda lib: np.array([False, True]),
    "numpy int": lambda lib: np.int64(1),
    "range": lambda lib: range(2),
    "tensor bounds": lambda lib: slice(lib.tensor(0), lib.tensor(1)),
    "new axis behind a list": lambda lib: ([0, 1], None, slice(None), [1, 2]),
    # and what cannot be
    "too far": lambda lib: 2,
    "too far inside": lambda lib: (0, -4),
    "too far in a list": lambda lib: (slice(None), [0, 3]),
    "too far in the second list": lambda lib: ([0], slice(None), [4]),
    "too many": lambda lib: (0, 0, 0, 0),
    "backwards": lambda lib: slice(None, None, -1),
    "a float": lambda lib: 1.0,
    "a float tensor": lambda lib: lib.tensor([1.0]),
    "a wrong mask": lambda lib: lib.tensor([True, False, True]),
    "shapes apart": lambda lib: ([0, 1], [0, 1, 2]),
    "a string": lambda lib: "a",
    "a float slice": lambda lib: slice(0.5, 1),
}
_TURNED = {"as it is": lambda x: x, "turned": lambda x: x.permute(2, 0, 1).clone().permute(1, 2, 0)}


@pytest.mark.parametrize("turned", _TURNED)
@pytest.mark.parametrize("name", INDICES)
def test_reading_is_pytorchs(name: str, turned: str):
    def program(library, x):
        return _TURNED[turned](x)[INDICES[name](library)]

    agree(program, numbers(2, 3, 4))
    agree(with_gradients(program, order=2), numbers(2, 3, 4), grad=True)


@pytest.mark.parametrize("value", ["number", "tensor", "row"])
@pytest.mark.parametrize("name", INDICES)
def test_writing_is_pytorchs(name: str, value: str):
    def program(library, x, row):
        y = x * 1
        shown = {"number": 5, "tensor": row.sum(), "row": row}[value]
        y[INDICES[name](library)] = shown
        return y, y._version

    agree(program, numbers(2, 3, 4), numbers(4, seed=3))

    def tracked(library, x, row):
        return program(library, x, row)[0]

    agree(with_gradients(tracked, order=2), numbers(2, 3, 4), numbers(4, seed=3), grad=True)


_ITEMS = st.one_of(
    st.integers(-3, 3),
    st.builds(slice, st.none() | st.integers(-4, 4), st.none() | st.integers(-4, 4)),
    st.builds(slice, st.none(), st.none(), st.integers(1, 3)),
    st.none(),
    st.just(...),
    st.booleans(),
    st.lists(st.integers(-2, 2), min_size=1, max_size=2),
    st.just("mask"),
)


@drawn(st.lists(_ITEMS, min_size=1, max_size=4), examples=400)
def test_any_mixture_reads_and_writes_as_pytorchs(items: list[Any]):
    if items.count(...) > 1:
        items = [item for item in items if item is not ...]

    def index(library):
        mask = library.tensor([True, False, True])
        return tuple(mask if item == "mask" else item for item in items)

    agree(with_gradients(lambda lib, x: x[index(lib)]), numbers(3, 2, 3), grad=True)

    def write(library, x):
        y = x.transpose(0, 1).clone().transpose(0, 1)
        y[index(library)] = library.arange(3.0, dtype=library.float64)[:1]
        return y

    agree(write, numbers(3, 2, 3))


def test_assignment_takes_what_pytorchs_takes():
    for index, value in (
        (0, lambda lib: [1.0, 2.0]),
        (0, lambda lib: np.ones(3)),
        (0, lambda lib: lib.ones(1, 1, 3, dtype=lib.float64)),
        (0, lambda lib: lib.ones(3, dtype=lib.int64)),
        ([0], lambda lib: lib.ones(3, dtype=lib.int64)),
        (slice(None), lambda lib: lib.ones(4, 3, dtype=lib.float64)),
        ((0, 0), lambda lib: lib.ones(2)),
        (0, lambda lib: 1j),
        (0, lambda lib: None),
        ([0, 1], lambda lib: lib.ones(2, dtype=lib.float64)),
    ):

        def program(library, x, index=index, value=value):
            x[index] = value(library)
            return x

        agree(program, numbers(2, 3))


def test_an_index_out_of_range_is_told_with_the_range_there_is():
    x = pellucid.zeros(2, 3)
    with pytest.raises(IndexError, match=r"index 3 is out of bounds for dimension 1 with size 3"):
        x[0, 3]
    with pytest.raises(IndexError, match="Indices from -3 to 2 exist there"):
        x[:, [0, 5]]


def test_nothing_is_written_when_an_index_is_refused():
    x = pellucid.zeros(3)
    with pytest.raises(IndexError, match="out of bounds"):
        x[pellucid.tensor([0, 7])] = 1.0
    with pytest.raises(RuntimeError, match="cannot be broadcast"):
        x[pellucid.tensor([0, 1])] = pellucid.ones(3)
    assert x.tolist() == [0.0, 0.0, 0.0] and x._version == 0


def test_contains():
    agree(lambda lib, x: [x[0, 1] in x, 7 in x, 1.5 in x], numbers(2, 3))
    agree(lambda lib, x: "a" in x, numbers(2, 3))


def test_gathering_by_tensors_is_one_copy():
    heard: list[Event] = []
    x = pellucid.zeros(4, 3)
    with listening(heard.append):
        x[pellucid.tensor([0, 2])]
    assert [(e.kind, e.nbytes) for e in heard if e.name == "index"] == [("copy", 24)]


# --- named reads and writes -----------------------------------------------------------------------


def _index(library: Any) -> Any:
    return library.tensor([2, 0, 2])


def _places(library: Any) -> Any:
    return library.tensor([[0, 1, 2, 0], [2, 2, 0, 1]])


PROGRAMS = {
    "index_select": lambda lib, x, y: x.index_select(0, _index(lib)),
    "index_add": lambda lib, x, y: x.index_add(0, _index(lib), y, alpha=2),
    "index_copy": lambda lib, x, y: x.index_copy(0, lib.tensor([2, 0, 1]), y),
    "index_fill": lambda lib, x, y: x.index_fill(1, lib.tensor([0, 3]), y[0, 0].detach()),
    "index_put": lambda lib, x, y: x.index_put((_index(lib),), y[0]),
    "index_put adds": lambda lib, x, y: x.index_put((_index(lib),), y, accumulate=True),
    "index_put adds behind": lambda lib, x, y: x.t().index_put(
        (lib.tensor([[0], [1]]), _index(lib)), y[0, :3], accumulate=True
    ),
    "index_reduce": lambda lib, x, y: x.index_reduce(0, _index(lib), y, "prod"),
    "index_reduce mean": lambda lib, x, y: x.index_reduce(
        0, _index(lib), y, "mean", include_self=False
    ),
    "gather": lambda lib, x, y: x.gather(0, _places(lib)),
    "gather turned": lambda lib, x, y: x.t().gather(1, _places(lib)[:, :3]),
    "scatter": lambda lib, x, y: x.scatter(0, lib.tensor([[0, 1, 2, 0]]), y[:1]),
    "scatter value": lambda lib, x, y: x.scatter(0, _places(lib), 3.0),
    "scatter_add": lambda lib, x, y: x.scatter_add(0, _places(lib), y[:2]),
    "scatter_reduce sum": lambda lib, x, y: x.scatter_reduce(0, _places(lib), y[:2], "sum"),
    "scatter_reduce prod": lambda lib, x, y: x.scatter_reduce(0, _places(lib), y[:2], "prod"),
    "scatter_reduce amax": lambda lib, x, y: x.scatter_reduce(
        0, _places(lib), y[:2], "amax", include_self=False
    ),
    "take": lambda lib, x, y: x.take(lib.tensor([[0, -1], [5, 5]])),
    "take_along_dim": lambda lib, x, y: lib.take_along_dim(x, lib.tensor([[1, 0]]), 1),
    "put": lambda lib, x, y: x.put(_index(lib), y[0, :3]),
    "put adds": lambda lib, x, y: x.put(_index(lib), y[0, :3], accumulate=True),
    "where": lambda lib, x, y: lib.where(x > y, x, y),
    "where number": lambda lib, x, y: lib.where(x[:, :1] > 0, 0.0, y),
    "masked_fill": lambda lib, x, y: x.masked_fill(x > 0, y.sum()),
    "masked_fill row": lambda lib, x, y: x[0].masked_fill(y > 0, 1),
    "masked_select": lambda lib, x, y: x.masked_select(y[0] > 0),
    "masked_scatter": lambda lib, x, y: x.masked_scatter(x > 0, y),
    "nonzero": lambda lib, x, y: [(x > 0).nonzero(), lib.nonzero(x > 0, as_tuple=True)],
    "unravel_index": lambda lib, x, y: lib.unravel_index(_index(lib), (2, 3)),
    "fill_diagonal_": lambda lib, x, y: (x * 1).fill_diagonal_(7),
    # refused
    "gather too far": lambda lib, x, y: x.gather(0, _places(lib) + 1),
    "gather negative": lambda lib, x, y: x.gather(0, _places(lib) - 1),
    "gather float": lambda lib, x, y: x.gather(0, y),
    "gather too wide": lambda lib, x, y: x[:, :2].gather(0, _places(lib)),
    "scatter ranks": lambda lib, x, y: x.scatter(0, _index(lib), y),
    "scatter dtypes": lambda lib, x, y: x.scatter(0, _places(lib), y.float()),
    "index_add counts": lambda lib, x, y: x.index_add(0, lib.tensor([0]), y),
    "index_select matrix": lambda lib, x, y: x.index_select(0, _places(lib)),
    "index_copy too far": lambda lib, x, y: x.index_copy(0, lib.tensor([0, 1, 3]), y),
    "take too far": lambda lib, x, y: x.take(lib.tensor([12])),
    "where float": lambda lib, x, y: lib.where(x, x, y),
    "where one": lambda lib, x, y: lib.where(x > 0, x),
    "masked_fill float": lambda lib, x, y: x.masked_fill(x, 1),
    "masked_fill vector": lambda lib, x, y: x.masked_fill(x > 0, y[0]),
    "masked_scatter short": lambda lib, x, y: x.masked_scatter(x < 99, y[0]),
    "reduce unknown": lambda lib, x, y: x.scatter_reduce(0, _places(lib), y[:2], "median"),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_named_reads_and_writes_are_pytorchs(name: str):
    program = PROGRAMS[name]
    x, y = numbers(3, 4), numbers(3, 4, seed=9)
    agree(program, x, y)
    agree(lambda lib, x, y: program(lib, x.t().contiguous().t(), y), x, y)
    agree(with_gradients(program, order=2), x, y, grad=True)


@pytest.mark.parametrize(("rows", "width"), [(5, 1), (40, 3), (300, 200)])
def test_repeated_places_add_up_for_any_width(rows: int, width: int):
    generator = np.random.default_rng(rows)
    places = generator.integers(0, 4, rows)
    values = generator.standard_normal((rows, width))

    def program(library, index, values):
        start = library.zeros(4, width, dtype=library.float64)
        turned = library.zeros(width, 4, dtype=library.float64)
        return [
            start.index_add(0, index, values),
            start.index_put((index,), values, accumulate=True),
            turned.index_add(1, index, values.t()),
        ]

    agree(program, places, values)


def test_memory_that_is_read_and_written_at_once_is_refused():
    agree(lambda lib, x: x.index_put_((lib.tensor([0, 1]),), x[1:3]), numbers(3, 2))
    agree(lambda lib, x: lib.take(x, lib.tensor([0]), out=x[:1]), numbers(3))
