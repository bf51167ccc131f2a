"""Results survive interruptions, cut-off lines, other sweeps and other runs."""

import json

import pytest

from pellucid.lab.sweep import Cell, Question, Results

QUESTION = Question("abs(x)", (-1.0, 1.0), "relu", "adam", 10, 0, 2)


def record(width, rate=None):
    return {
        "width": width, "depth": 1, "lr": rate, "parameters": 3 * width + 1, "l2": 0.1 / width,
        "sup": [0.3 / width, None], "loss": [0.01, 1e300],
    }  # fmt: skip


def filled(path, widths, finish=True):
    with Results(path, QUESTION) as results:
        for width in widths:
            results.add(record(width))
        if finish:
            results.finish()
    return path.read_bytes()


def test_the_order_in_which_cells_end_does_not_show(tmp_path):
    one = filled(tmp_path / "a.jsonl", [1, 2, 3])
    other = filled(tmp_path / "b.jsonl", [3, 1, 2])
    assert one == other
    lines = [json.loads(line) for line in one.splitlines()]
    assert Question.from_json(lines[0]) == QUESTION
    assert lines[1:] == [record(1), record(2), record(3)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "b.jsonl"]


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_line_that_was_cut_off_is_dropped(tmp_path, cut):
    path = tmp_path / "a.jsonl"
    whole = filled(path, [1, 2, 3], finish=False)
    path.write_bytes(whole[:-cut])
    with Results(path, QUESTION, resume=True) as results:
        assert set(results.records) == {Cell(1, 1), Cell(2, 1)}
        results.add(record(3))
        results.finish()
    assert path.read_bytes() == whole


def test_a_header_that_was_cut_off_begins_anew(tmp_path):
    path = tmp_path / "a.jsonl"
    whole = filled(path, [])
    for cut in (1, 10, len(whole) - 1, len(whole)):
        path.write_bytes(whole[:-cut])
        with Results(path, QUESTION, resume=True) as results:
            assert not results.records
        assert path.read_bytes() == whole


def test_a_damaged_line_costs_its_cell_only(tmp_path, caplog):
    path = tmp_path / "a.jsonl"
    whole = filled(path, [1, 2, 3])
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b'{"width": 2, \xff\n', *lines[3:]]))
    with Results(path, QUESTION, resume=True) as results:
        assert set(results.records) == {Cell(1, 1), Cell(3, 1)}
        results.add(record(2))
        results.finish()
    assert path.read_bytes() == whole
    assert "line 3 is damaged" in caplog.text


def test_a_question_alone_is_no_result(tmp_path):
    path = tmp_path / "a.jsonl"
    filled(path, [], finish=False)
    other = Question("x", (0.0, 1.0), "tanh", "adam", 10, 0, 2)
    with Results(path, other) as results:
        results.finish()
    assert json.loads(path.read_bytes()) == other.as_json()


@pytest.mark.parametrize("content", [b"my notes", b"my notes\n", b'{"a": 1}\n', b"[1]\n", b"\n"])
def test_other_files_are_left_alone(tmp_path, content):
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    for resume in (False, True):
        with pytest.raises(ValueError, match="is no result of a sweep"):
            Results(path, QUESTION, resume=resume)
    assert path.read_bytes() == content


def test_results_are_not_overwritten(tmp_path):
    path = tmp_path / "a.jsonl"
    whole = filled(path, [1, 2])
    with pytest.raises(ValueError, match="2 cells: --resume goes on with them"):
        Results(path, QUESTION)
    other = Question("abs(x)", (-1.0, 1.0), "tanh", "adam", 10, 5, 2)
    with pytest.raises(ValueError, match=r"activation relu there, tanh here, first_seed 0 there"):
        Results(path, other, resume=True)
    assert path.read_bytes() == whole


def test_two_runs_do_not_write_one_file(tmp_path):
    path = tmp_path / "a.jsonl"
    with Results(path, QUESTION), pytest.raises(ValueError, match="another sweep that still runs"):
        Results(path, QUESTION, resume=True)
    Results(path, QUESTION, resume=True).close()


def test_learning_rates_are_told_apart(tmp_path):
    path = tmp_path / "a.jsonl"
    with Results(path, QUESTION) as results:
        for rate in (0.1, 0.001):
            results.add(record(4, rate))
        results.finish()
    with Results(path, QUESTION, resume=True) as results:
        assert list(results.records) == [Cell(4, 1, 0.001), Cell(4, 1, 0.1)]


def test_another_version_is_another_sweep():
    told = {**QUESTION.as_json(), "pellucid": "0.0.1"}
    with pytest.raises(ValueError, match="the same version everywhere"):
        Question.from_json(told)
