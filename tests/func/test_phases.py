"""Derivatives along a direction of what is determined up to a phase: eigenvectors, singular
vectors.
"""

import numpy as np
import pytest
import torch

import pellucid

RANDOM = np.random.default_rng(0)
SQUARE = RANDOM.standard_normal((2, 4, 4))
MOVE = RANDOM.standard_normal((2, 4, 4))
COMPLEX = SQUARE[0] + 1j * SQUARE[1]
COMPLEX_MOVE = MOVE[0] + 1j * MOVE[1]

FACTORS = {
    "eig": (lambda lib: lib.linalg.eig, SQUARE[0], MOVE[0]),
    "eig of complex": (lambda lib: lib.linalg.eig, COMPLEX, COMPLEX_MOVE),
    "eigh": (
        lambda lib: lib.linalg.eigh,
        COMPLEX + COMPLEX.conj().T,
        COMPLEX_MOVE + COMPLEX_MOVE.conj().T,
    ),
    "svd": (lambda lib: lib.linalg.svd, COMPLEX, COMPLEX_MOVE),
}


def tensor(library, array):
    array = np.asarray(array)
    dtype = library.complex128 if np.iscomplexobj(array) else library.float64
    return library.tensor(array.tolist(), dtype=dtype)


@pytest.mark.parametrize("name", FACTORS)
def test_phases_move_as_in_pytorch(name):
    """The product of factors with what LAPACK's choice of phases leaves: vectors times their own
    conjugates, and values.
    """
    make, array, move = FACTORS[name]
    found = []
    for library in (torch, pellucid):
        factor = make(library)

        def parts(a, library=library, factor=factor):
            results = factor(a)
            vectors = [r for r in results if r.dim() == 2]
            values = next(r for r in results if r.dim() == 1)
            # What does not depend on the phases: projections on each vector.
            outer = [v.mT.unsqueeze(-1) * v.mT.conj().unsqueeze(-2) for v in vectors[:1]]
            return (values, *outer)

        results, moved = library.func.jvp(
            parts, (tensor(library, array),), (tensor(library, move),)
        )
        raw = library.func.jvp(factor, (tensor(library, array),), (tensor(library, move),))[1]
        assert all(bool(r.abs().isfinite().all()) for r in raw)
        found.append([np.asarray(r.tolist()) for r in (*results, *moved)])
    for wanted, got in zip(*found, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-8, atol=1e-9)


def test_a_loss_that_depends_on_a_phase_is_still_refused():
    for library in (torch, pellucid):
        a = tensor(library, COMPLEX).requires_grad_()
        with pytest.raises(RuntimeError, match="ill-defined"):
            library.linalg.eig(a)[1].imag.sum().backward()
        # And after a derivative along a direction, and inside of one.
        library.func.jvp(library.linalg.eig, (a.detach(),), (tensor(library, COMPLEX_MOVE),))
        with pytest.raises(RuntimeError, match="ill-defined"):
            library.linalg.eig(a)[1].imag.sum().backward()
