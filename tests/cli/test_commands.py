"""`pellucid --version`, `env`, and the options in front of a command."""

import json
import re

import pytest
from subprocesses import PELLUCID, start

from pellucid.cli.run import Program, execute
from pellucid.instrument import PermissionDenied
from pellucid.version import PELLUCID as VERSION


def test_version():
    done = start(PELLUCID, "--version")
    assert (done.stdout, done.returncode) == (f"pellucid {VERSION}\n", 0)


def test_env_says_versions_and_settings():
    done = start(PELLUCID, "env", "--json", PELLUCID_DEBUG="ops", PELLUCID_CACHE_MB="7")
    facts = json.loads(done.stdout)
    assert facts["pellucid"] == VERSION and facts["debug windows"] == "ops"
    assert facts["PELLUCID_CACHE_MB"] == "7"
    assert {"python", "numpy", "platform", "cpus", "typer"} <= facts.keys()
    assert re.search(rf"^pellucid +{re.escape(VERSION)}$", start(PELLUCID, "env").stdout, re.M)


def test_timings_and_verbose_show_the_command_itself(tmp_path):
    (tmp_path / "program.py").write_text("print('hello')")
    done = start(PELLUCID, "--timings", "--verbose", "check", "program.py", cwd=tmp_path)
    assert "-> read_program(script=PosixPath('program.py'))" in done.stderr
    assert "read_program" in done.stderr and "p95" in done.stderr
    quiet = start(PELLUCID, "check", "program.py", cwd=tmp_path)
    assert quiet.stderr == "" and quiet.stdout == done.stdout


def test_the_commands_own_logging_stays_out_of_the_program(tmp_path):
    (tmp_path / "program.py").write_text(
        "import logging; logging.basicConfig(level=0); logging.info('mine')"
    )
    assert start(PELLUCID, "run", "program.py", cwd=tmp_path).stderr == "INFO:root:mine\n"


def test_only_the_run_command_may_execute_a_program(tmp_path):
    with pytest.raises(PermissionDenied, match="execute requires 'program:execute'"):
        execute(Program(str(tmp_path / "program.py"), None, ()))
