"""Operators know what they would give for tensors without data: as PyTorch's meta tensors do."""

import re

import pytest

from tests.parity.metas import run_meta
from tests.parity.run import subject
from tests.parity.scope import FAMILIES
from tests.parity.sweep import find_ops, full_name, sweep

REFUSED = {
    r"isin|(nan)?quantile": "Looks at numbers to choose its way.",
    r"(lin|log)space\.tensor_overload": "The ends are numbers in tensors, which are read.",
    r"as_strided\.partial_views": "What a tensor does not show of its storage stays behind.",
    r"native_batch_norm|nn\.functional\.(multilabel_margin_loss|rrelu|ctc_loss|embedding_bag)": (
        "Computes on arrays between operators."
    ),
    r"nn\.functional\.scaled_dot_product_attention": "Looks at a mask for rows without any key.",
    r"unravel_index": "Computes on arrays.",
    r"index_put": "A mask as a key is looked at: how many places it names is not known.",
    r"repeat_interleave": "Looks at the repeats even where the size of the result is given.",
}
"""What PyTorch infers and Pellucid refuses, with the reason."""
SEEN: set[str] = set()


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_results_without_data(family: str) -> None:
    names = FAMILIES[family]
    jobs = [(full_name(op), op) for op in find_ops(lambda op: op.name in names)]
    strange = []
    for report in sweep(jobs, run_meta, (subject(),)):
        for failure in report.failures:
            found = [p for p in REFUSED if re.fullmatch(p, report.name)]
            if found and list(failure.details) == ["crash"]:
                SEEN.update(found)
            else:
                strange.append(f"{report.name} {failure.label}: {failure.details}")
    assert strange == []


def test_every_refusal_of_the_table_is_seen() -> None:
    assert SEEN, "run the whole file: the families' tests collect what is seen"
    assert sorted(set(REFUSED) - SEEN) == []
