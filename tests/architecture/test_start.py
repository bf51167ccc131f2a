"""`import pellucid` brings what a tensor needs, and no more."""

import subprocess
import sys

import pytest

NOT_NEEDED = [
    "torch",
    "llvmlite",
    "typer",
    "rich",
    "matplotlib",
    "PIL",
    "tokenizers",
    "pellucid.cli",
]


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
