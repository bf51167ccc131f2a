"""`nn.utils.prune` beside PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch as reference
import torch.nn.utils.prune

import pellucid as torch
import pellucid.nn.utils.prune


def layer(library: Any) -> Any:
    """A linear layer with the same weights in both libraries."""
    module = library.nn.Linear(5, 4)
    values = np.random.default_rng(3).normal(size=(4, 5)).astype(np.float32)
    with library.no_grad():
        module.weight.copy_(library.from_numpy(values))
        module.bias.zero_()
    return module


def chained(prune: Any, module: Any) -> None:
    prune.l1_unstructured(module, "weight", amount=4)
    prune.ln_structured(module, "weight", amount=0.25, n=1, dim=0)
    prune.l1_unstructured(module, "weight", amount=0.5)


WAYS = {
    "identity": lambda prune, m: prune.identity(m, "weight"),
    "share": lambda prune, m: prune.l1_unstructured(m, "weight", amount=0.3),
    "count": lambda prune, m: prune.l1_unstructured(m, "weight", amount=3),
    "rows": lambda prune, m: prune.ln_structured(m, "weight", amount=0.5, n=2, dim=0),
    "columns": lambda prune, m: prune.ln_structured(m, "weight", 2, float("inf"), -1),
    "random": lambda prune, m: prune.random_unstructured(m, "weight", amount=0.4),
    "random rows": lambda prune, m: prune.random_structured(m, "weight", amount=2, dim=0),
    "chained": chained,
    "global": lambda prune, m: prune.global_unstructured(
        [(m, "weight"), (m, "bias")], pruning_method=prune.L1Unstructured, amount=0.4
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_masks_outputs_and_gradients(way: str) -> None:
    """The same entries go, in values, state and gradients, and for good after `remove`."""
    found = []
    for library in (reference, torch):
        prune = library.nn.utils.prune
        module = layer(library)
        library.manual_seed(5)
        WAYS[way](prune, module)
        assert prune.is_pruned(module)
        module(library.ones(2, 5)).square().sum().backward()
        answers = {name: value.numpy() for name, value in module.state_dict().items()}
        answers["grad"] = module.weight_orig.grad.numpy()
        prune.remove(module, "weight")
        answers["removed"] = module.weight.detach().numpy()
        assert [name for name, _ in module.named_parameters()][-1] == "weight"
        found.append(answers)
    assert list(found[0]) == list(found[1])
    for name, want in found[0].items():
        np.testing.assert_allclose(found[1][name], want, rtol=1e-5, atol=1e-6, err_msg=name)


REFUSED = {
    "type": (TypeError, lambda p, m: p.l1_unstructured(m, "weight", amount="all")),
    "share": (ValueError, lambda p, m: p.l1_unstructured(m, "weight", amount=1.5)),
    "count": (ValueError, lambda p, m: p.l1_unstructured(m, "weight", amount=21)),
    "vector": (ValueError, lambda p, m: p.ln_structured(m, "bias", amount=1, n=2, dim=0)),
    "dim": (IndexError, lambda p, m: p.ln_structured(m, "weight", amount=1, n=2, dim=2)),
    "not pruned": (ValueError, lambda p, m: p.remove(m, "weight")),
    "channels": (
        TypeError,
        lambda p, m: p.global_unstructured([(m, "weight")], p.LnStructured, amount=1, n=2),
    ),
}
WORDS = {
    "type": "Invalid type for amount: all",
    "share": "amount=1.5 should either be a float in the range",
    "count": "amount=21 should be smaller than the number of parameters to prune=20",
    "vector": "Structured pruning can only be applied to multidimensional tensors",
    "dim": "Invalid index 2 for tensor of size",
    "not pruned": "Parameter 'weight' of module",
    "channels": 'Only "unstructured" PRUNING_TYPE supported',
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_refusals_leave_the_module_whole(case: str) -> None:
    """PyTorch's type and words, and no half-pruned module behind."""
    kind, call = REFUSED[case]
    for library in (reference, torch):
        module = layer(library)
        with pytest.raises(kind, match=WORDS[case]):
            call(library.nn.utils.prune, module)
        assert sorted(name for name, _ in module.named_parameters()) == ["bias", "weight"]
