"""Starting programs the way a user does: in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

PELLUCID = (sys.executable, "-m", "pellucid.cli")
PYTHON = (sys.executable,)


def start(command, *arguments, cwd=None, stdin="", **variables):
    """Run `command` with `arguments` in `cwd` and return the completed process, output as text."""
    environment = {key: value for key, value in os.environ.items() if key != "PELLUCID_DEBUG"}
    return subprocess.run(
        [*command, *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        env={**environment, "COLUMNS": "200", **variables},
    )


def under_alias(folder: Path, program: str, **options):
    """Run `program` (text) under `pellucid run` and return its stdout; it must end well."""
    script = folder / "program.py"
    script.write_text(program)
    done = start(PELLUCID, "run", script.name, cwd=folder, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout
