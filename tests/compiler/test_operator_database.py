"""Every operator of PyTorch's database, compiled: what it gives for other numbers than those of the
call that was traced is what eager mode gives.
"""

import warnings

import numpy as np
import pytest
from torch.testing._internal.common_methods_invocations import op_db

import pellucid as torch
from pellucid.compiler.compiled import compile
from pellucid.compiler.trace import DataDependent
from tests.parity.bridge import build, is_tensor, leaves, map_tree, values
from tests.parity.checks import subject_side
from tests.parity.samples import SUITE, op_cases

SAMPLES = 2
UNLIKE = {
    "empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided",
    "resize_", "resize_as_",
}  # fmt: skip
"""Results of any numbers, and a change of a tensor's size in place, which is refused."""


def draws(op, case):
    """Whether a call draws random numbers: the database sets the seed inside of it."""
    before = torch.get_rng_state()
    torch.manual_seed(1)
    op(case)
    one = torch.get_rng_state()
    torch.set_rng_state(before)
    torch.manual_seed(1)
    return not torch.equal(one, torch.get_rng_state())


def shuffled(tree):
    """The same call with the elements of its float32 tensors in another order."""
    random = np.random.default_rng(0)

    def shuffle(item):
        if is_tensor(item) and item.dtype == torch.float32 and item.numel() > 1:
            array = item.numpy().copy()
            mixed = random.permutation(array.reshape(-1)).reshape(array.shape)
            with torch.no_grad():
                item.copy_(torch.from_numpy(mixed))
        return item

    return map_tree(shuffle, tree)


def agree(wanted, found):
    for (_, a), (_, b) in zip(leaves(wanted), leaves(found), strict=True):
        if not is_tensor(a):
            assert a == b or a != a
            continue
        assert (a.shape, a.dtype, a.stride()) == (b.shape, b.dtype, b.stride())
        x, y = np.asarray(values(a)), np.asarray(values(b))
        if x.dtype.kind in "fc":
            sizes = np.abs(x[np.isfinite(x)])
            scale = max(float(sizes.max()) if sizes.size else 0.0, 1e-6)
            np.testing.assert_allclose(y, x, rtol=1e-4, atol=1e-5 * scale)
        else:
            np.testing.assert_array_equal(y, x)


def cases_of(op):
    found = (case for case in op_cases(op, SUITE, "float32") if case.error is None)
    return [case for case, _ in zip(found, range(SAMPLES), strict=False)]


OPERATORS = [op for op in op_db if op.name not in UNLIKE and not isinstance(
    subject_side(op, torch).function, Exception)]  # fmt: skip
PARTS = 24


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.filterwarnings("ignore")
def test_compiled_for_other_numbers(part):
    wrong, checked = [], 0
    for op in OPERATORS[part::PARTS]:
        function = subject_side(op, torch).function
        call = lambda item, function=function: function(item[0], *item[1], **item[2])
        for case in cases_of(op):
            fresh = lambda case=case: build(case.call, torch, requires_grad=False)
            with torch.no_grad(), warnings.catch_warnings():
                try:
                    wanted, second = call(fresh()), call(shuffled(fresh()))
                    if draws(call, fresh()):
                        continue
                except Exception:  # not an input for these numbers
                    continue
                compiled = compile(call)
                checked += 1
                try:
                    agree(wanted, compiled(fresh()))
                    agree(second, compiled(shuffled(fresh())))
                except DataDependent:
                    continue
                except TypeError as error:
                    if "a compiled function cannot take" not in str(error):
                        wrong.append(f"{op.name} {case.label}: {error!r}")
                except Exception as error:
                    wrong.append(f"{op.name} {case.label}: {error!r}"[:400])
    assert not wrong, "\n".join(wrong)
    assert checked >= 25
