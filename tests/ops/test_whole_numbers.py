"""Numbers that come as tensors or NumPy scalars, where no operator of the database has one."""

from typing import Any

import numpy as np
import pytest
import torch

import pellucid
from tests.ops.sides import agree, numbers

SNIPPETS = """
f.UntypedStorage(n(3)).nbytes()
f.UntypedStorage(f.tensor(3)).nbytes()
f.UntypedStorage(4).resize_(2.0)
f.UntypedStorage(4).resize_(f.tensor(8))
f.Size((f.tensor(2), n(3)))
t.size(n(1))
t.size(f.tensor(1))
t.size(True)
t.size(1.0)
t.stride(f.tensor([1]))
t.stride("a")
f.Tensor(f.tensor(2), 2).shape
f.Tensor(n(2), 2).shape
f.FloatTensor(f.tensor(2), 2).shape
t.new(f.tensor(2), 2).shape
t[f.tensor(1):]
t[n(1):]
t[[0, f.tensor(1)]]
t[[[0, f.tensor(1)], [1, 2]]]
f.nn.functional.max_pool2d(t[None], n(2), stride=n(1))
f.nn.functional.conv2d(t[None, None], t[None, None, :1, :1], stride=n(2), padding=f.tensor(1))
f.nn.Conv2d(n(1), f.tensor(2), (n(3), f.tensor(1)))(t[None, None].float()).shape
f.nn.Embedding(n(4), f.tensor(3)).weight.shape
f.diag(t[0], f.tensor(1))
t.view(f.tensor(2), n(6))
t.view([f.tensor(2), n(6)])
t.reshape(n(-1))
f.roll(t, f.tensor([1]))
f.randperm(f.tensor(3)).sum()
f.add(t, t, alpha=f.tensor(2))
f.add(t, t, alpha=f.tensor([2]))
f.add(t, t, alpha=True)
f.add(t.long(), t.long(), alpha=1.0)
f.full((f.tensor(2),), n(3))
f.tensor_split(t, f.tensor(2))
f.tensor_split(t, 2**62)
f.split(t, f.tensor([2]))
f.unravel_index(f.tensor(5), (2, n(3)))
""".strip().splitlines()


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_numbers_are_read_alike(snippet: str) -> None:
    def call(f: Any, t: Any) -> Any:
        return eval(snippet, {"f": f, "t": t, "n": np.int64})

    agree(call, numbers(3, 4))


def test_what_is_known_of_one_tensor_says_nothing_of_another() -> None:
    x = pellucid.ones(3, 4)
    assert x.cumsum(pellucid.tensor(1)).shape == (3, 4)
    for wrong in (pellucid.tensor([1]), pellucid.tensor(1.0), pellucid.tensor(True)):
        with pytest.raises(
            TypeError, match=r"argument 'dim' \(position 1\) must be int, not Tensor"
        ):
            x.cumsum(wrong)
    other = torch.ones(3, 4)
    assert tuple(other.max(torch.tensor(2.0)).shape) == x.max(pellucid.tensor(2.0)).shape


def test_sizes_of_results_are_plain_ints() -> None:
    made = [
        pellucid.zeros(pellucid.tensor(2), np.int64(3)),
        pellucid.arange(6.0).view(pellucid.tensor(2), 3),
        pellucid.arange(6.0).as_strided((pellucid.tensor(2),), (np.int64(2),), pellucid.tensor(1)),
        pellucid.arange(6.0).diag(pellucid.tensor(1)),
        pellucid.arange(6.0).expand(pellucid.tensor(2), 6),
    ]
    for tensor in made:
        layout = tensor._layout
        assert {type(n) for n in (*layout.shape, *layout.strides, layout.offset)} == {int}
        assert type(tensor.untyped_storage().nbytes()) is int
