"""Views: layouts, aliasing, gradients, refusals; each program run by PyTorch and by Pellucid."""

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from ops.sides import agree, drawn, numbers, with_gradients

import pellucid
from pellucid.tensor.events import Event, listening

# --- every view, on several layouts ---------------------------------------------------------------

VIEWS = {
    "view": lambda lib, x: x.view(4, 6),
    "view -1": lambda lib, x: x.view(-1, 2, 3),
    "view list": lambda lib, x: x.view([6, 4]),
    "view size=": lambda lib, x: x.view(size=(6, 4)),
    "reshape": lambda lib, x: x.reshape(3, 8),
    "reshape shape=": lambda lib, x: lib.reshape(x, shape=(3, 8)),
    "flatten": lambda lib, x: x.flatten(),
    "flatten part": lambda lib, x: x.flatten(1, 2),
    "flatten nothing": lambda lib, x: x.flatten(1, 1),
    "unflatten": lambda lib, x: x.unflatten(2, (2, -1)),
    "ravel": lambda lib, x: x.ravel(),
    "permute": lambda lib, x: x.permute(2, 0, 1),
    "transpose": lambda lib, x: x.transpose(0, -1),
    "swapaxes": lambda lib, x: x.swapaxes(0, 1),
    "movedim": lambda lib, x: x.movedim((0, 1), (2, 0)),
    "mT": lambda lib, x: x.mT,
    "squeeze": lambda lib, x: x[:, :1].squeeze(1),
    "squeeze all": lambda lib, x: x[:1, :1].squeeze(),
    "unsqueeze": lambda lib, x: x.unsqueeze(-2),
    "expand": lambda lib, x: x[:, :1].expand(5, -1, 3, -1),
    "broadcast_to": lambda lib, x: lib.broadcast_to(x, (2, *x.shape)),
    "narrow": lambda lib, x: x.narrow(1, -2, 2),
    "select": lambda lib, x: x.select(-1, 1),
    "split": lambda lib, x: x.split(2, 1),
    "split sizes": lambda lib, x: lib.split(x, [1, 2], 1),
    "chunk": lambda lib, x: x.chunk(3, 2),
    "tensor_split": lambda lib, x: x.tensor_split(3, 2),
    "tensor_split at": lambda lib, x: x.tensor_split((1, 3), 2),
    "hsplit": lambda lib, x: x.hsplit(3),
    "unbind": lambda lib, x: x.unbind(1),
    "diagonal": lambda lib, x: x.diagonal(1, 0, 2),
    "unfold": lambda lib, x: x.unfold(2, 2, 1),
    "as_strided": lambda lib, x: x.as_strided((3, 3), (2, 1), 1),
    "atleast_3d": lambda lib, x: lib.atleast_3d(x[0, 0]),
    "meshgrid": lambda lib, x: lib.meshgrid(x[0, 0], x[0, :, 0], indexing="xy"),
}
LAYOUTS = {
    "row-major": lambda x: x,
    "transposed": lambda x: x.transpose(0, 2).contiguous().transpose(0, 2),
    "strided": lambda x: x.repeat_interleave(2, 2)[..., ::2],
    "offset": lambda x: x.new_zeros(3, 3, 4).index_copy(0, _rows(x), x)[1:],
}


def _rows(x):
    library = torch if isinstance(x, torch.Tensor) else pellucid
    return library.tensor([1, 2])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", VIEWS)
def test_each_view_has_pytorchs_layout_and_gradient(name: str, layout: str):
    def program(library, x):
        return VIEWS[name](library, LAYOUTS[layout](x))

    agree(program, numbers(2, 3, 4))
    agree(with_gradients(program, order=2), numbers(2, 3, 4), grad=True)


_ALIASES = sorted(set(VIEWS) - {"unfold", "as_strided", "expand", "broadcast_to", "meshgrid"})
"""Views that show no element twice: what a write to such does is not defined."""


@pytest.mark.parametrize("name", _ALIASES)
def test_writes_through_a_view_reach_the_base_and_the_tape(name: str):
    def program(library, x):
        base = x * 1
        part = VIEWS[name](library, base)
        if isinstance(part, (list, tuple)):
            part = part[0]
        part.mul_(3)
        return base, base.grad_fn.name() if base.grad_fn is not None else None

    agree(with_gradients(lambda lib, x: program(lib, x)[0]), numbers(2, 3, 4), grad=True)
    agree(program, numbers(2, 3, 4))


_STEPS = {
    "transpose": lambda x, a, b: x.transpose(a % max(x.dim(), 1), b % max(x.dim(), 1)),
    "slice": lambda x, a, b: x[a % 3 :: 1 + b % 2],
    "last": lambda x, a, b: x[..., a % 2 :],
    "unsqueeze": lambda x, a, b: x.unsqueeze(a % (x.dim() + 1)),
    "select": lambda x, a, b: x.select(b % x.dim(), 0) if x.dim() else x,
    "flip back": lambda x, a, b: x.permute(tuple(reversed(range(x.dim())))),
    "expand": lambda x, a, b: x.unsqueeze(0).expand(2, *x.shape),
    "reshape": lambda x, a, b: x.reshape(-1),
    "view": lambda x, a, b: x.view(-1),
}


@drawn(
    st.lists(
        st.tuples(st.sampled_from(sorted(_STEPS)), st.integers(0, 5), st.integers(0, 5)), max_size=5
    ),
    examples=200,
)
def test_chains_of_views_end_where_pytorchs_do(steps):
    def program(library, x):
        for name, a, b in steps:
            x = _STEPS[name](x, a, b)
        return x

    agree(program, numbers(2, 3, 4))


# --- what a view keeps ----------------------------------------------------------------------------


def test_a_view_keeps_shapes_and_not_its_input():
    """A later write to the input is no obstacle: gradients of views need no values."""

    def program(library, x):
        whole = x * 1
        parts = [whole[0], whole.view(-1), whole.t(), whole.unsqueeze(0).expand(2, 3, 3)]
        total = sum(part.sum() for part in parts)
        whole.mul_(2)
        total.backward()
        return x.grad

    agree(program, numbers(3, 3), grad=True)


def test_basic_indices_make_one_view_and_no_copy():
    heard: list[Event] = []
    x = pellucid.zeros(2, 3, 4)
    with listening(heard.append):
        part = x[0, None, :, 1:]
    assert [event.kind for event in heard] == ["view"]
    assert part.shape == (1, 3, 3) and part._base is x and part.data_ptr() == x.data_ptr() + 4


def test_reshape_says_why_it_copied():
    heard: list[Event] = []
    x = pellucid.zeros(2, 3)
    with listening(heard.append):
        x.t().reshape(6)
        x.reshape(3, 2)
    copies = [event for event in heard if event.kind == "copy" and event.name == "clone"]
    assert len(copies) == 1
    assert "axes 0 and 1 cannot merge, because stride[0] = 1 is not" in copies[0].reason
    assert copies[0].nbytes == 24


def test_as_strided_adds_up_where_an_element_shows_twice():
    def windows(library, x):
        return x.as_strided((4, 3), (1, 1))

    agree(with_gradients(windows, order=2), numbers(6), grad=True)

    def of_expanded(library, x):
        return x.expand(3, 4).as_strided((2, 2), (0, 1), 1)

    agree(with_gradients(of_expanded, order=2), numbers(4), grad=True)


def test_dtype_views_read_the_same_bytes():
    for program in (
        lambda lib, x: x.view(lib.int16),
        lambda lib, x: x.view(lib.float64),
        lambda lib, x: x[:, 2:].view(lib.float64),
        lambda lib, x: x.view(dtype=lib.int32),
        lambda lib, x: x.view(lib.complex64),
        lambda lib, x: x[:, :3].view(lib.float64),
        lambda lib, x: x.t().view(lib.int8),
        lambda lib, x: x[:, 1:3].view(lib.float64),
        lambda lib, x: x[0, 0].view(lib.int8),
    ):
        agree(program, numbers(3, 4, dtype="float32"))


def test_complex_tensors_and_their_parts_share_memory():
    values = numbers(2, 3) + 1j * numbers(2, 3, seed=1)

    def program(library, z):
        w = z * 1
        w.real[0] = 5.0
        w.imag = library.ones(2, 3, dtype=library.float64)
        return w, library.view_as_real(w), library.view_as_complex(library.view_as_real(w))

    agree(program, values)
    agree(with_gradients(lambda lib, z: [z.real, z.imag], order=2), values, grad=True)
    agree(with_gradients(lambda lib, z: lib.view_as_real(z)[..., 0], order=2), values, grad=True)


# --- in place -------------------------------------------------------------------------------------

IN_PLACE = {
    "t_": lambda x: x.t_(),
    "transpose_": lambda x: x.transpose_(0, 1),
    "swapaxes_": lambda x: x.swapaxes_(0, 1),
    "unsqueeze_": lambda x: x.unsqueeze_(1),
    "squeeze_": lambda x: x.unsqueeze_(1).squeeze_(),
    "squeeze_ dim": lambda x: x.unsqueeze_(1).squeeze_(1),
    "as_strided_": lambda x: x.as_strided_((2, 2), (1, 2)),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_views_change_the_tensor_itself(name: str):
    def program(library, x):
        y = x * 2
        returned = IN_PLACE[name](y)
        return y, returned is y, y._version

    agree(program, numbers(2, 3))
    agree(with_gradients(lambda lib, x: program(lib, x)[0], order=2), numbers(2, 3), grad=True)
    agree(lambda lib, x: IN_PLACE[name](x), numbers(2, 3), grad=True)


# --- rearranging, joining -------------------------------------------------------------------------

REARRANGED = {
    "flip": lambda lib, x: x.flip(0, 2),
    "flip dims=": lambda lib, x: lib.flip(x, dims=(1,)),
    "rot90": lambda lib, x: x.rot90(1, (0, 2)),
    "rot90 3": lambda lib, x: x.rot90(3, (1, 2)),
    "rot90 2": lambda lib, x: x.rot90(2),
    "roll": lambda lib, x: x.roll(2),
    "roll dims": lambda lib, x: x.roll((1, -2), (0, 2)),
    "roll twice": lambda lib, x: x.roll((1, 1), (2, 2)),
    "repeat": lambda lib, x: x.repeat(2, 1, 2, 1),
    "repeat none": lambda lib, x: x.repeat(1, 0, 1),
    "tile": lambda lib, x: x.tile(2, 2),
    "repeat_interleave": lambda lib, x: x.repeat_interleave(2, 1),
    "repeat_interleave each": lambda lib, x: x.repeat_interleave(lib.tensor([1, 0, 2]), 1),
    "tril": lambda lib, x: x.tril(-1),
    "triu": lambda lib, x: x.triu(1),
    "diag": lambda lib, x: [x[0].diag(1), x[0, 0].diag(-1)],
    "diag_embed": lambda lib, x: x.diag_embed(1, 0, 2),
    "diagflat": lambda lib, x: x[0].diagflat(1),
    "cat": lambda lib, x: lib.cat([x, x[:, :1], x.new_zeros(0)], 1),
    "cat last": lambda lib, x: lib.cat((x, x * 2), dim=-1),
    "stack": lambda lib, x: lib.stack([x, x + 1], 2),
    "hstack": lambda lib, x: lib.hstack([x[0, 0], x[1, 1]]),
    "vstack": lambda lib, x: lib.vstack([x[0, 0], x[1]]),
    "dstack": lambda lib, x: lib.dstack([x[0], x[1]]),
    "column_stack": lambda lib, x: lib.column_stack([x[0, :, 0], x[0]]),
    "block_diag": lambda lib, x: lib.block_diag(x[0], x[0, 0], x[0, 0, 0]),
    "cartesian_prod": lambda lib, x: lib.cartesian_prod(x[0, 0], x[0, 1]),
    "combinations": lambda lib, x: lib.combinations(x[0, 0], 2, True),
    "select_scatter": lambda lib, x: x.select_scatter(x[:, 0], 1, 2),
    "slice_scatter": lambda lib, x: x.slice_scatter(x[:, :2], 1, 1),
    "diagonal_scatter": lambda lib, x: x[0].diagonal_scatter(x[0, 0, :3]),
}


@pytest.mark.parametrize("name", REARRANGED)
def test_rearranged_tensors_and_their_gradients_are_pytorchs(name: str):
    for layout in ("row-major", "transposed"):

        def program(library, x, layout=layout):
            return REARRANGED[name](library, LAYOUTS[layout](x))

        agree(program, numbers(2, 3, 4))
        agree(with_gradients(program, order=2), numbers(2, 3, 4), grad=True)


def test_joining_promotes_and_keeps_channels_last():
    agree(lambda lib, x, y: lib.cat([x, y]), numbers(2, 3), numbers(1, 3, dtype="int64"))
    agree(lambda lib, x, y: lib.stack([x, y]), numbers(3, dtype="bool"), numbers(3, dtype="int64"))

    def nhwc(library, x):
        x = x.contiguous(memory_format=library.channels_last)
        return library.cat([x, x], 1)

    agree(nhwc, numbers(2, 3, 4, 5))


# --- refusals -------------------------------------------------------------------------------------

REFUSED = {
    "view of a transpose": (lambda lib, x: x.t().view(6), "cannot merge"),
    "view of another size": (
        lambda lib, x: x.view(4, 2),
        r"\[-1, 2\] would fit: it means \[3, 2\]",
    ),
    "no size fits": (lambda lib, x: x.view(4, 5), "must multiply up to 6"),
    "two unknown": (lambda lib, x: x.view(-1, -1), "only one dimension can be inferred"),
    "reshape": (lambda lib, x: x.reshape(5), "is invalid for input of size 6"),
    "expand": (lambda lib, x: x.expand(2, 4), "non-singleton dimension 1"),
    "too few sizes": (lambda lib, x: x.expand(3), "torch.DoubleTensor"),
    "permute twice": (lambda lib, x: x.permute(0, 0), "duplicate dims are not allowed"),
    "permute short": (lambda lib, x: x.permute(0), "does not match the length"),
    "select": (lambda lib, x: x.select(0, 2), "out of range"),
    "narrow": (lambda lib, x: x.narrow(0, 1, 2), "exceeds dimension size"),
    "split sizes": (lambda lib, x: x.split([1, 2], 1)[0].split([1, 1], 1), "They sum to 2"),
    "chunk": (lambda lib, x: x.chunk(0), "greater than 0"),
    "t of 3-d": (lambda lib, x: x[None].t(), "<= 2 dimensions"),
    "unbind": (lambda lib, x: x[0, 0].unbind(), "has no dimensions"),
    "diagonal": (lambda lib, x: x.diagonal(0, 1, 1), "cannot be identical"),
    "as_strided": (lambda lib, x: x.as_strided((9,), (1,)), "the last element asked for is 8"),
    "cat": (lambda lib, x: lib.cat([x, x.t()]), r"tensors\[1\] is float64 of shape \(3, 2\)"),
    "cat of numbers": (lambda lib, x: lib.cat([x[0, 0], x[0, 0]]), "torch.stack joins them"),
    "cat of a tensor": (lambda lib, x: lib.cat(x), "must be tuple of Tensors, not Tensor"),
    "cat nothing": (lambda lib, x: lib.cat([]), "expected a non-empty list of Tensors"),
    "cat ranks": (lambda lib, x: lib.cat([x, x[0]]), r"tensors\[1\] is float64 of shape \(3,\)"),
    "stack": (lambda lib, x: lib.stack([x, x.t()]), "it should fit"),
    "movedim": (lambda lib, x: x.movedim((0, 1), (0,)), "same number of dims"),
    "wrong type": (lambda lib, x: x.transpose("a", 1), "must be int, not str"),
    "flip twice": (lambda lib, x: x.flip(0, 0), "appears multiple times"),
    "roll": (lambda lib, x: x.roll((1, 2), 0), "must align"),
    "repeat": (lambda lib, x: x.repeat(2), "can not be smaller"),
    "tril": (lambda lib, x: x[0].tril(), "at least 2 dimensions"),
    "diag": (lambda lib, x: x[None].diag(), "Supports 1D or 2D tensors"),
    "leaf": (lambda lib, x: x.requires_grad_().t_(), "a leaf Variable that requires grad"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_begin_with_pytorchs_sentence_and_go_on(name: str):
    program, words = REFUSED[name]
    agree(program, numbers(2, 3))
    with pytest.raises(Exception, match=words):
        program(pellucid, pellucid.from_numpy(numbers(2, 3)))


def test_the_way_out_of_a_refused_view_works_and_costs_what_it_says():
    x = pellucid.from_numpy(numbers(2, 3)).t()
    with pytest.raises(RuntimeError, match=r"\.reshape\(6\) gives it with a copy of 48 bytes"):
        x.view(6)
    assert np.array_equal(x.reshape(6).numpy(), x.contiguous().view(6).numpy())
