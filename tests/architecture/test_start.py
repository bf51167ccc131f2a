"""`import pellucid` brings what a tensor needs, and no more."""

import subprocess
import sys

import pytest

from pellucid.ops import FAMILIES, LATE

NOT_NEEDED = [
    "torch",
    "llvmlite",
    "typer",
    "rich",
    "matplotlib",
    "PIL",
    "tokenizers",
    "pellucid.cli",
    "pathlib",
    "tempfile",
    "importlib.resources",
    "numpy.random",
]
MOST_MODULES = 180
"""How many modules `import pellucid` may bring beside NumPy's."""


def loaded_after(code: str) -> set[str]:
    """The modules that a fresh interpreter holds after `code`."""
    script = f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.fixture(scope="module")
def modules():
    return loaded_after("import pellucid")


def test_the_import_brings_numpy_and_itself(modules):
    assert {"pellucid", "numpy", "pellucid.tensor.tensor"} <= modules


def test_the_import_leaves_out_what_numpy_loads_late(modules):
    late = {"numpy.random", "secrets"} - loaded_after("import numpy")
    assert not late & modules


@pytest.mark.parametrize("name", NOT_NEEDED)
def test_the_import_leaves_out(modules, name):
    assert name not in modules


def test_a_network_and_its_training_need_no_other_library():
    modules = loaded_after("import pellucid.nn, pellucid.optim, pellucid.utils.data")
    assert {"torch", "matplotlib", "PIL", "tokenizers"} & modules == set()


def test_the_import_reads_few_modules(modules):
    assert len(modules - loaded_after("import numpy")) < MOST_MODULES


def test_families_that_a_plain_program_does_not_need_are_read_late(modules):
    assert {f"pellucid.ops.{family}" for family in FAMILIES} <= modules
    assert {f"pellucid.ops.{family}" for family in LATE} & modules == set()


def test_a_network_reads_the_families_it_uses():
    modules = loaded_after(
        "import pellucid as t\nt.nn.Sequential(t.nn.Linear(2, 2), t.nn.ReLU())(t.ones(1, 2))"
    )
    assert "pellucid.ops.nn.losses_ctc" not in modules
    assert "pellucid.ops.fourier.transforms" not in modules


SEEN = """
import pellucid as t, pellucid.nn.functional as f
from pellucid.ops.spec import registry
homes = {"torch": t, "Tensor": t.Tensor, "nn.functional": f, "linalg": t.linalg,
         "special": t.special, "fft": t.fft}
before = {place: set(dir(home)) for place, home in homes.items()}
listed = {place: registry.names(place) for place in homes}
alls = [t.linalg.__all__, t.special.__all__, t.fft.__all__]
registry.read_all()
for place, home in homes.items():
    assert before[place] >= set(registry.ready(place)), place
    assert listed[place] == registry.names(place) == sorted(registry.ready(place)), place
    for name in listed[place]:
        found = home.__dict__.get(name) if place == "Tensor" else getattr(home, name)
        assert callable(found), (place, name)
assert t.fft.__all__ == alls[2] and "svd" in alls[0]
assert t.stft is registry.find("torch", "stft") and t.Tensor.stft is t.Tensor.__dict__["stft"]
"""


def test_what_is_read_late_is_seen_from_the_start():
    loaded_after(SEEN)


@pytest.mark.parametrize(
    "code",
    [
        "t.Tensor.det(t.ones(2, 2))",
        "t.ones(2, 2).det()",
        "hasattr(t.Tensor, 'lu_solve') or 1 / 0",
        "t.nn.functional.ctc_loss.spec",
        "t.i0_(t.ones(2))",
        "from pellucid import stft, conv2d",
        "from pellucid.linalg import *; svd(t.ones(2, 2))",
        "import pickle; pickle.loads(pickle.dumps(t.fft.fft))",
        "t.ops.conv2d",
        "t.vmap(t.linalg.det)(t.ones(2, 3, 3))",
    ],
)
def test_late_names_are_found_however_they_are_asked_for(code):
    loaded_after(f"import pellucid as t\n{code}")


def test_a_name_that_nobody_has_is_refused():
    with pytest.raises(AssertionError, match="no attribute 'such_a_name'"):
        loaded_after("import pellucid as t\nt.such_a_name")
