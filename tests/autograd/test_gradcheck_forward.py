"""`gradcheck` of derivatives along directions, beside PyTorch."""

import pytest
import torch

import pellucid
from tests.autograd.test_checks_and_products import bad_square, double

FORWARD = {
    "product": lambda lib: lambda a, b: (a * b).exp() + a.sin(),
    "matrix": lambda lib: lambda a, b: (lib.linalg.inv(a @ b.mT + 4 * lib.eye(2)), a.sum()),
    "constant": lambda lib: lambda a, b: (b * 2, a * 0 + 1),
    "magnitude": lambda lib: lambda a, b: (a * (1 + 2j) * b).abs(),
    "complex": lambda lib: lambda a, b: (lib.fft.fft(a), lib.view_as_complex(b[:, :2].clone())),
}


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("name", FORWARD)
def test_forward_mode_is_checked(name, fast):
    for library in (torch, pellucid):
        inputs = double(library, 2, 3), double(library, 2, 3)
        found = library.autograd.gradcheck(
            FORWARD[name](library), inputs, check_forward_ad=True, check_batched_grad=True,
            check_batched_forward_grad=True, fast_mode=fast,
        )  # fmt: skip
        assert found is True


@pytest.mark.parametrize("fast", [False, True])
def test_forward_mode_of_complex_inputs(fast):
    for library in (torch, pellucid):
        x = double(library, 3).detach()
        z = library.complex(x, 2 * x + 1).requires_grad_()
        for f in (lambda a: a * a.conj(), lambda a: (a.sin() * a, a.abs()), lambda a: a.real):
            assert library.autograd.gradcheck(f, z, check_forward_ad=True, fast_mode=fast)


@pytest.mark.parametrize("fast", [False, True])
def test_a_small_mistake_is_found_in_forward_mode(fast):
    x = double(pellucid, 2, 3)
    wrong = {"check_forward_ad": True, "check_backward_ad": False, "fast_mode": fast}
    with pytest.raises(
        pellucid.autograd.GradcheckError,
        match="Jacobian computed with forward mode mismatch for output 0 with respect to input 0",
    ):
        pellucid.autograd.gradcheck(bad_square(pellucid, 2.006), x, **wrong)
    assert not pellucid.autograd.gradcheck(
        bad_square(pellucid, 2.006), x, raise_exception=False, **wrong
    )
    assert pellucid.autograd.gradcheck(bad_square(pellucid, 2.0), x, **wrong)


def test_forward_over_reverse():
    for library in (torch, pellucid):
        x = double(library, 2, 3)
        assert library.autograd.gradgradcheck(
            lambda a: a.sin() * a, x, check_fwd_over_rev=True, check_batched_grad=True
        )
        assert library.autograd.gradgradcheck(
            lambda a: a.sin() * a, x, check_fwd_over_rev=True, check_rev_over_rev=False,
            check_undefined_grad=False,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"check_backward_ad": False}, "check_forward_ad or check_backward_ad"),
        ({"check_batched_forward_grad": True}, "requires check_forward_ad"),
        (
            {"check_backward_ad": False, "check_forward_ad": True, "check_batched_grad": True},
            "requires check_backward_ad",
        ),
    ],
)
def test_checks_that_need_each_other(flags, words):
    for library in (torch, pellucid):
        with pytest.raises(AssertionError, match=words):
            library.autograd.gradcheck(lambda a: a, double(library, 2), **flags)
