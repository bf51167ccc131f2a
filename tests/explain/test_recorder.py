"""The recorder: what it counts, for which line, and that it lets go of everything."""

import gc
import threading
import weakref

import pytest

import pellucid as torch
from pellucid import nn
from pellucid.explain.live import POINTS, LiveMemory
from pellucid.explain.modules import ModuleWatch, held
from pellucid.explain.recorder import Recorder, exclusive
from pellucid.explain.sites import BACKWARD, FORWARD, UPDATE
from pellucid.explain.summary import by_line, by_module, findings
from pellucid.nn.hooks import GLOBAL
from pellucid.optim import SGD
from pellucid.tensor.events import listeners
from pellucid.tensor.storage import Storage


def recorded(function):
    recorder = Recorder()
    with recorder.recording():
        function()
    return recorder


def lines(recorder, phase=None):
    """Source text -> names of the operators that ran for it."""
    found = {}
    for row in recorder.rows():
        if phase is None or row.phase == phase:
            found.setdefault(row.line.text, []).append(row.name)
    return found


def test_operators_are_told_by_line():
    x = torch.ones(2, 3)

    def program():
        y = x.t()
        for _ in range(3):
            y + 1

    recorder = recorded(program)
    assert lines(recorder) == {"y = x.t()": ["t"], "y + 1": ["add"]}
    (view, add) = recorder.rows()
    assert (view.kind, view.calls, view.allocated) == ("view", 1, 0)
    assert (add.kind, add.calls, add.allocated) == ("copy", 3, 3 * 24)
    assert add.line.file == __file__ and recorder.calls == 4


def test_backward_counts_for_the_line_whose_gradient_it_is():
    w = torch.ones(3, requires_grad=True)

    def program():
        y = w.exp()
        y.sum().backward()

    recorder = recorded(program)
    forward = lines(recorder, FORWARD)
    assert forward["y = w.exp()"] == ["exp"] and "sum" in forward["y.sum().backward()"]
    backward = lines(recorder, BACKWARD)
    assert {"ExpBackward0", "mul"} <= set(backward["y = w.exp()"])
    assert "SumBackward0" in backward["y.sum().backward()"]
    assert recorder.calls == sum(row.calls for row in recorder.rows() if row.kind != "node")


def test_an_optimisers_step_is_an_update():
    w = torch.ones(3, requires_grad=True)
    w.grad = torch.ones(3)
    optimizer = SGD([w], lr=0.1)
    recorder = recorded(optimizer.step)
    assert {row.phase for row in recorder.rows()} == {UPDATE}


def test_a_reshape_that_copies_is_found_with_its_reason():
    x = torch.ones(64, 32)

    def program():
        x.t().reshape(-1)
        x.reshape(-1)

    (found,) = findings(recorded(program))
    assert found.remark.line.text == "x.t().reshape(-1)"
    assert found.remark.nbytes == 64 * 32 * 4
    assert found.advice.title == "reshape copied" and "cannot merge" in found.advice.why


def test_an_operand_that_blas_cannot_read_and_an_accidental_float64_are_found():
    wide = torch.ones(64, 128)
    doubles = torch.ones(64, 128, dtype=torch.float64)

    def program():
        wide[:, ::2] @ wide[:64, :64]
        wide.t() @ wide
        wide * doubles

    titles = [found.advice.title for found in findings(recorded(program))]
    assert sorted(titles) == ["mm rearranged an operand", "mul became float64"]


def test_a_view_that_is_called_fresh_is_not_counted_as_memory():
    x = torch.ones(4, 2)
    recorder = recorded(lambda: x.t().reshape(8))
    assert sum(row.allocated for row in recorder.rows()) == x.nbytes
    assert recorder.memory.peak == x.nbytes


def test_recording_ends_with_an_exception_and_holds_no_tensor():
    before = list(listeners)
    recorder, made = Recorder(), []

    def program():
        y = torch.ones(1000)
        made.append(weakref.ref(y._storage))
        raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"), recorder.recording():
        program()
    gc.collect()
    assert listeners == before
    assert made[0]() is None and recorder.memory.now == 0 and recorder.memory.peak == 4000


def test_times_are_without_those_of_the_calls_inside():
    ended = []
    assert exclusive(ended, 11.0, 1.0) == 1.0  # from 10 to 11
    assert exclusive(ended, 14.0, 2.0) == 2.0  # from 12 to 14
    assert exclusive(ended, 20.0, 9.5) == 7.5  # from 10.5: around the second only
    assert exclusive(ended, 30.0, 25.0) == pytest.approx(25 - 1 - 9.5)
    for number in range(1000):
        exclusive(ended, 100.0 + number, 0.5)
    assert len(ended) < 100


def test_threads_lose_no_calls():
    x = torch.ones(4)
    recorder = Recorder()

    def work():
        for _ in range(500):
            x + 1

    with recorder.recording():
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert recorder.calls == 2000
    (line,) = by_line(recorder)
    assert line.calls == 2000 and line.allocated == 2000 * 16


def test_rows_do_not_grow_with_the_number_of_calls():
    x = torch.ones(4)

    def program():
        for _ in range(300):
            (x + 1).exp()

    assert len(recorded(program).rows()) == 2


# --- memory ---------------------------------------------------------------------------------------


def test_the_peak_and_who_held_it():
    memory = LiveMemory()
    first = Storage(1000)
    assert memory.watch(first, "a", memory.start) == 1000
    assert memory.watch(first, "b", memory.start) == 0
    second = Storage(5000)
    memory.watch(second, "b", memory.start + 0.5)
    del first
    assert (memory.now, memory.peak, memory.peak_at) == (5000, 6000, 0.5)
    assert memory.at_peak == {"a": 1000, "b": 5000}
    del second
    assert memory.now == 0


def test_the_curve_keeps_its_peaks_and_its_size_however_long_it_gets():
    memory = LiveMemory()
    for second in range(3000):
        kept = Storage(64 if second != 1234 else 6400)
        memory.watch(kept, "a", memory.start + second)
    memory.start -= 3000
    width, points = memory.curve()
    assert len(points) <= POINTS and width * len(points) >= 3000
    peak = points.index(max(points))
    assert max(points) == memory.peak
    assert peak * width <= 1234 <= (peak + 1) * width


# --- modules --------------------------------------------------------------------------------------


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 8)
        self.inner = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 4))

    def forward(self, x):
        return self.inner(self.first(x))


def watched(net, *inputs):
    recorder = Recorder()
    watch = ModuleWatch(recorder.per_thread)
    with recorder.recording(), watch.watching():
        for x in inputs:
            net(x).sum().backward()
    return recorder, watch


def test_modules_are_named_and_counted_with_their_children():
    net = Net()
    recorder, watch = watched(net, torch.ones(2, 4), torch.ones(3, 4))
    (root,) = watch.roots
    sums = by_module(recorder, root)
    assert [each.row.path for each in sums] == ["", "first", "inner", "inner.0", "inner.1"]
    assert [each.row.calls for each in sums] == [2] * 5
    assert [each.row.parameters for each in sums] == [148, 40, 108, 72, 36]
    assert sums[0].row.outputs[0][1].shape == (3, 4)
    assert sums[0].backward == pytest.approx(sums[1].backward + sums[2].backward)
    assert 0 < sums[3].backward < sums[2].backward
    assert sums[0].allocated == sum(each.allocated for each in sums[1:3])


def test_watching_leaves_no_hook_and_no_stack_after_a_failure():
    recorder = Recorder()
    watch = ModuleWatch(recorder.per_thread)
    with pytest.raises(RuntimeError, match="cannot be multiplied"), watch.watching():
        Net()(torch.ones(2, 5))
    assert not GLOBAL.forward and not GLOBAL.forward_pre and not GLOBAL.forward_always_called
    assert recorder.per_thread.modules == []


def test_a_second_model_of_a_class_is_a_root_of_its_own():
    recorder = Recorder()
    watch = ModuleWatch(recorder.per_thread)
    nets = [Net(), Net()]
    with recorder.recording(), watch.watching():
        for net in nets:
            net(torch.ones(1, 4))
    assert [root.label for root in watch.roots] == ["Net", "Net #2"]


def test_tied_parameters_count_once():
    net = Net()
    net.inner[1].weight = net.first.weight
    found = held(net.named_parameters(remove_duplicate=False))
    assert found.shared == (("first.weight", "inner.1.weight"),)
    assert found.elements == 148 - 32 and found.nbytes == 4 * (148 - 32) and found.tensors == 6
