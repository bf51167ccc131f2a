"""What a frozen sample keeps: layout, sharing, identity, bits; built here for PyTorch itself."""

import pytest
import torch

from tests.parity.bridge import (
    CannotFreeze,
    build,
    dtype_name,
    freeze,
    is_tensor,
    leaves,
    storage_key,
    values,
)
from tests.parity.records import OpReport
from tests.parity.report import page


def rebuilt(tree):
    return build(freeze(tree), torch)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(6.0).reshape(2, 3).t(),
        torch.arange(24.0)[3:].as_strided((2, 3), (7, 2), 4),
        torch.ones(1, 3).expand(4, 3),
        torch.zeros(2, 0, 3),
        torch.tensor(5, dtype=torch.int8),
        torch.arange(6).to(torch.bfloat16)[::2],
        torch.arange(4.0).reshape(2, 2).to(torch.complex64),
        torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        torch.ones((1,) * 65),
    ],
    ids=lambda t: f"{dtype_name(t.dtype)}{list(t.shape)[:5]}",
)
def test_layout_and_values_survive(tensor: torch.Tensor) -> None:
    again = rebuilt(tensor)
    assert torch.equal(again, tensor)
    assert again.dtype == tensor.dtype
    assert (again.stride(), again.storage_offset()) == (tensor.stride(), tensor.storage_offset())
    assert not again._is_view()


def test_conjugate_and_negative_bits_are_resolved() -> None:
    tensor = torch.tensor([1 + 2j]).conj()
    again = rebuilt([tensor, tensor.imag])
    assert not again[0].is_conj()
    assert not again[1].is_neg()
    assert [x.item() for x in again] == [1 - 2j, -2.0]


def test_tensors_share_storage_and_identity_as_in_the_sample() -> None:
    base = torch.arange(6.0)
    first, second, same = rebuilt((base[:4], {"a": base[2:]}, base[2:]))
    assert storage_key(first) == storage_key(second["a"])
    first[2] = 7
    assert second["a"][0] == 7
    tensor = torch.ones(2, requires_grad=True)
    one, two = rebuilt([tensor, tensor])
    assert one is two
    assert one.requires_grad and one.is_leaf
    assert same is not second["a"]


def test_every_build_is_fresh() -> None:
    recipe = freeze(torch.zeros(3))
    build(recipe, torch).fill_(1)
    assert values(build(recipe, torch)).tolist() == [0, 0, 0]


def test_other_leaves_keep_their_form() -> None:
    tree = (slice(None, torch.tensor(2)), [None, ..., torch.float32], torch.Size([2]))
    found = rebuilt(tree)
    assert found[0].start is None and is_tensor(found[0].stop)
    assert found[1:] == (tree[1], tree[2])
    assert [path for path, _ in leaves({"a": [1, (2,)]})] == ["['a'][0]", "['a'][1][0]"]


def test_what_strided_memory_cannot_say_is_refused() -> None:
    with pytest.raises(CannotFreeze, match=r"a torch.sparse_coo tensor"):
        freeze(torch.eye(2).to_sparse())
    with pytest.raises(CannotFreeze, match="on meta"):
        freeze([torch.empty(2, device="meta")])


def test_a_report_survives_json_and_fills_the_page() -> None:
    report = OpReport("transpose", "views")
    report.add("float32", "sample 0", "(float32[2])", {"value": None, "strides": "differ"})
    report.add("float64", "sample 0", "(float64[2])", {"value": None, "strides": None})
    report.add("float64", "sample 1", "(float64[2])", {})
    again = OpReport.from_dict(report.as_dict())
    assert again == report
    assert (again.cases, again.passed, again.rate) == (2, 1, 0.5)
    text = page([again], [])
    assert "**1 of 2 samples agree (50.00%); 0 of 1 entirely.**" in text
    assert "| `transpose` | 1/2 | 2/2 |" in text
