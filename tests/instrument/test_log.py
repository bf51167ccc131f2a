"""`log`: the lines it writes, where they go, and what it never writes."""

import asyncio
import logging

import numpy as np
import pytest

from pellucid.instrument import describe, log


class TensorLike:
    """Has a tensor's interface; printing its values is an error here."""

    shape = (2, 3)
    dtype = "pellucid.float32"
    requires_grad = True

    def stride(self):
        return (3, 1)

    def __repr__(self):
        raise AssertionError("values must not be printed")


def test_lines_say_arguments_result_and_time(caplog):
    @log("DEBUG")
    def add(a, b=2, *, c=0):
        return a + b + c

    with caplog.at_level(logging.DEBUG):
        assert add(1, c=4) == 7
    first, last = (record.message for record in caplog.records)
    assert first.startswith("-> ") and first.endswith("add(a=1, c=4)")
    assert "add = 7 [" in last and last.endswith(" ms]")
    assert {record.levelname for record in caplog.records} == {"DEBUG"}
    assert {record.name for record in caplog.records} == {__name__}


def test_an_error_is_logged_and_raised(caplog):
    @log
    def fails(x):
        raise ValueError("first line\nsecond line")

    with caplog.at_level(logging.INFO), pytest.raises(ValueError, match="first line"):
        fails(1)
    assert "raised ValueError: first line [" in caplog.records[-1].message


def test_below_the_level_nothing_is_written(caplog):
    with caplog.at_level(logging.WARNING):
        log("INFO")(lambda: 1)()
    assert not caplog.records


def test_hidden_parameters_and_an_own_logger(caplog):
    @log(logger="doors", hide=["token"])
    def open_door(number, token):
        return None

    with caplog.at_level(logging.INFO):
        open_door(3, "secret")
        open_door(3, token="secret")
    assert "secret" not in caplog.text and "token=…" in caplog.text
    assert {record.name for record in caplog.records} == {"doors"}


def test_without_configured_logging_lines_go_to_stderr(capsys):
    silent = logging.Logger("apart from the root")

    @log("INFO", logger=silent)
    def shout():
        return "done"

    shout()
    assert "INFO -> " in capsys.readouterr().err


def test_generators_say_how_many_values(caplog):
    @log
    def count(n):
        yield from range(n)

    @log
    async def acount(n):
        for i in range(n):
            yield i

    async def drive():
        return [i async for i in acount(2)]

    with caplog.at_level(logging.INFO):
        list(count(3))
        early = count(3)
        next(early)
        early.close()
        asyncio.run(drive())
    ends = [record.message for record in caplog.records if record.message.startswith("<-")]
    assert "count = None after 3 values" in ends[0]
    assert "count closed early after 1 values" in ends[1]
    assert "acount = None after 2 values" in ends[2]


def test_tensors_are_described_never_printed():
    said = describe(TensorLike())
    assert said == "TensorLike[2, 3] strides (3, 1) float32 requires_grad"
    assert describe([TensorLike()]) == f"[{said}]"
    assert describe({"x": (TensorLike(),)}) == f"{{'x': ({said},)}}"
    array = np.zeros((2, 3), np.float64).T
    assert describe(array) == "ndarray[3, 2] strides (8, 24) bytes float64"


def test_long_and_broken_values():
    class Broken:
        def __repr__(self):
            raise RuntimeError("no")

    assert describe(list(range(20))) == "[0, 1, 2, 3, 4, 5, ... 20 in all]"
    assert describe([[[1, 2]]]) == "[[list of 2]]"
    assert describe("x" * 200).endswith("...") and len(describe("x" * 200)) == 80
    assert describe(Broken()) == "<Broken, whose repr failed with RuntimeError>"


def test_an_unknown_level_is_refused():
    with pytest.raises(ValueError, match="no level named 'LOUD'; there are CRITICAL"):
        log("LOUD")
