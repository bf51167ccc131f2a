"""The page that tells how to add an operator is a program, and it runs."""

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "ADD_AN_OP.md"


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_blocks_of_the_page_run_in_order() -> None:
    assert len(blocks()) == 3
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks())], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_a_wrong_gradient_on_the_page_would_be_found() -> None:
    program = "\n".join(blocks()).replace(
        "F.sqrt(input * input + b)) / 2", "F.sqrt(input * input + b)) / 2.002"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    assert done.returncode != 0
