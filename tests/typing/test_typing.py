"""A user's program type-checks against the package, and its mistakes are found."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("user_program.py")


def check(program: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    """What mypy says of `program` when the package stands on its path."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")),
            *("--cache-dir", str(cache), "--follow-imports", "silent", str(program)),
        ],
        cwd=program.parent,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "MYPYPATH": str(ROOT / "src"), "COLUMNS": "200"},
    )


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One cache for the checks of this file: the package is read once."""
    return tmp_path_factory.mktemp("mypy")


def test_a_users_program_has_no_type_errors(cache):
    done = check(PROGRAM, cache)
    assert done.returncode == 0, done.stdout + done.stderr


MISTAKES = {
    "y: int = torch.add(torch.ones(2), 1)": "assignment",
    "y: str = torch.ones(2).relu()": "assignment",
    "y = torch.float23": "attr-defined",
    "y = torch.nn.functional.rleu(torch.ones(2))": "attr-defined",
    "y = torch.linalg.nrom(torch.ones(2))": "attr-defined",
    "y = torch.nn.functional.softmax(torch.ones(2), axes=0)": "call-arg",
    "y = torch.optim.SGD()": "call-arg",
}


def test_planted_type_errors_are_found(cache, tmp_path):
    program = tmp_path / "mistakes.py"
    lines = [mistake.replace("y", f"y{n}", 1) for n, mistake in enumerate(MISTAKES)]
    program.write_text("import pellucid as torch\n\n" + "\n".join(lines) + "\n")
    done = check(program, cache)
    assert done.returncode == 1, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    for number, (mistake, code) in enumerate(MISTAKES.items(), 3):
        found = [line for line in lines if f":{number}: error:" in line and f"[{code}]" in line]
        assert found, f"{mistake}\n{done.stdout}"


def test_the_package_itself_type_checks(cache):
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(cache / "package")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
