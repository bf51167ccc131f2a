"""The stubs in the tree are those that the operators' descriptions give today."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_stubs_are_up_to_date():
    done = subprocess.run(
        [sys.executable, "tools/write_stubs.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert done.returncode == 0, f"run: python tools/write_stubs.py\n{done.stdout}{done.stderr}"
