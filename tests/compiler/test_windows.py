"""PELLUCID_DEBUG's windows into kernels and plans."""

import subprocess
import sys

import pytest

PROGRAM = """
import pellucid as torch
m = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU()).eval()
with torch.no_grad():
    torch.compile(m)(torch.ones(2, 4))
"""


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ("graph", ["-- traced", "linear(x0", "-- fuse epilogues", "activation='relu'"]),
        ("plan", ["linear + relu", "2x3x4", "arena"]),
        ("loops", ["gemm(args: ptr, thread: i64", "for k"]),
        ("passes", ["-- gemm: share equal values"]),
        ("llvm", ["define void @gemm(ptr %args", "phi"]),
        ("asm", ["gemm:"]),
        ("jit", ["pellucid jit: gemm"]),
    ],
)
def test_a_window_shows(window, words, monkeypatch):
    monkeypatch.setenv("PELLUCID_DEBUG", window)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    for each in words:
        assert each in done.stderr
