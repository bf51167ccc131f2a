"""`pellucid run` is `python` with another `import torch`: compared with Python itself."""

import os
import re
import signal
import subprocess
import sys
import time
import traceback
import zipfile
from pathlib import Path

import pytest
from subprocesses import PELLUCID, PYTHON, start

from pellucid.cli.app import parse
from pellucid.cli.run import program_of
from pellucid.cli.tracebacks import engine_frames
from pellucid.compat.ledger import ENGINE

WORLD = """
import sys
print(__name__, __file__, sys.argv, sys.path[0], __spec__ is None, __package__, __doc__)
print(sys.modules["__main__"].__dict__ is globals(), type(__loader__).__name__, sorted(globals()))
"""

PROGRAMS = {
    "world": WORLD,
    "exit code": "import sys; sys.exit(3)",
    "exit words": "raise SystemExit('words')",
    "exit none": "raise SystemExit",
    "exit true": "import sys; sys.exit(True)",
    "stdin": "print(input() + input('again? '))",
    "error": "def f():\n    return {}['key']\n\nf()",
    "chained": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ValueError('b') from e",
    "group": "raise ExceptionGroup('two', [ValueError('a'), KeyError('b')])",
    "syntax": "x = 1\nfor x in in:\n    pass\n",
    "bad import": "import not_a_module_of_anybody",
    "atexit": "import atexit; atexit.register(print, 'bye'); print('hello'); 1 / 0",
    "thread": "import threading, time\n"
    "threading.Thread(target=lambda: (time.sleep(.05), print('late'))).start()",
    "own hook": "import sys, traceback\n"
    "sys.excepthook = lambda t, e, tb: print('hook', t.__name__, len(traceback.extract_tb(tb)))\n"
    "1 / 0",
    "future": "from __future__ import annotations\ndef f(x: no): pass\nprint(f.__annotations__)",
    "annotations": "x: int = 1\nprint(__annotations__)",
    "encoding": "# -*- coding: latin-1 -*-\nprint('gr\xfc\xdfe')",
    "pickle": "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))) is A)",
    "warning": "import warnings; warnings.warn('careful', UserWarning)",
    "last": "import atexit, sys\natexit.register(lambda: print(repr(sys.last_value)))\n1 / 0",
    "unraisable": "import sys; sys.stdout.write('no newline'); sys.stdout.flush(); sys.exit(255)",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_prints_and_ends_as_under_python(tmp_path, name):
    encoding = "latin-1" if name == "encoding" else "utf-8"
    (tmp_path / "program.py").write_text(PROGRAMS[name], encoding=encoding)
    arguments = ("program.py", "x", "-m", "--", "--explain", "y", "--ledger", "-v")
    ours = start(PELLUCID, "run", *arguments, cwd=tmp_path, stdin="one\ntwo\n")
    pythons = start(PYTHON, *arguments, cwd=tmp_path, stdin="one\ntwo\n")
    assert ours.stdout == pythons.stdout
    assert ours.stderr == pythons.stderr
    assert ours.returncode == pythons.returncode


def test_a_program_on_standard_input(tmp_path):
    """`pellucid run -` is `python -`."""
    program = "import sys\nprint(__name__, sys.argv, sys.path[0] == '', __file__)\n"
    for text in (program, program + "1 / 0\n", "", "x = = 1\n"):
        ours = start(PELLUCID, "run", "-", "a", "-b", cwd=tmp_path, stdin=text)
        pythons = start(PYTHON, "-", "a", "-b", cwd=tmp_path, stdin=text)
        assert ours.stdout == pythons.stdout
        assert ours.stderr == pythons.stderr
        assert ours.returncode == pythons.returncode


@pytest.mark.parametrize(
    "source", [bytes(range(256)), b"print(1)\0\n", b"print('\xe9')", b"# coding: nobody's\n1\n"]
)
def test_what_is_no_text_is_a_syntax_error_that_names_the_file(tmp_path, source):
    (tmp_path / "program.py").write_bytes(source)
    run = start(PELLUCID, "run", "program.py", cwd=tmp_path)
    assert run.returncode == start(PYTHON, "program.py", cwd=tmp_path).returncode == 1
    assert "SyntaxError" in run.stderr
    assert f'File "{tmp_path / "program.py"}"' in run.stderr
    assert "Pellucid" not in run.stderr


@pytest.mark.parametrize(
    ("after", "arguments", "explain", "ledger"),
    [
        ("a --explain r.html --lr 1", "a --lr 1", "r.html", False),
        ("--explain=r.html --ledger", "", "r.html", True),
        ("-- --explain r.html --ledger --", "--explain r.html --ledger --", None, False),
        ("a --ledger -- --explain x", "a -- --explain x", None, True),
        ("--explain r.html -- --ledger", "-- --ledger", "r.html", False),
        ("--explained --ledger=1", "--explained --ledger=1", None, False),
    ],
)
@pytest.mark.parametrize("program", [["p.py"], ["-m", "p"]], ids=["script", "module"])
def test_pellucids_options_stand_after_the_program_too(program, after, arguments, explain, ledger):
    found = program_of(["run", *program, *after.split()])
    assert found.name == program[-1]
    assert found.arguments == tuple(arguments.split())
    assert found.explain == (Path(explain) if explain else None)
    assert found.ledger is ledger
    assert parse(["--verbose", "run", *program, *after.split()]) == found


def test_the_last_of_two_reports_is_the_one_written():
    found = program_of(["run", "--explain", "before.html", "p.py", "--explain", "after.html"])
    assert found.explain == Path("after.html")


@pytest.mark.parametrize("option", ["--explain", "--explain="])
def test_explain_after_the_program_needs_a_file(tmp_path, option):
    (tmp_path / "program.py").write_text("print('ran')")
    done = start(PELLUCID, "run", "program.py", option, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert "--explain needs a file" in done.stderr


def test_the_package_itself_runs_as_the_command(tmp_path):
    (tmp_path / "program.py").write_text("import sys; print(sys.argv, __name__); sys.exit(6)")
    done = start((*PYTHON, "-m", "pellucid"), "run", "program.py", "x", cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("['program.py', 'x'] __main__\n", 6)


def test_endless_recursion_is_reported_as_under_python(tmp_path):
    (tmp_path / "program.py").write_text("def f(): f()\nf()")
    ours = start(PELLUCID, "run", "program.py", cwd=tmp_path)
    pythons = start(PYTHON, "program.py", cwd=tmp_path)
    repeated = r"repeated (\d+) more times"
    assert re.sub(repeated, "", ours.stderr) == re.sub(repeated, "", pythons.stderr)
    depths = [int(re.search(repeated, done.stderr)[1]) for done in (ours, pythons)]
    assert 0 <= depths[1] - depths[0] < 20  # what stands below the program on the stack


def test_modules_packages_folders_and_archives_run_as_under_python(tmp_path):
    package = tmp_path / "tool"
    (package / "sub").mkdir(parents=True)
    (package / "__init__.py").write_text("print('init')")
    (package / "__main__.py").write_text(WORLD.replace("__spec__ is None", "__spec__.name"))
    (package / "sub" / "__init__.py").write_text("")
    (package / "sub" / "job.py").write_text(
        "import sys; from tool import sub; print(sys.argv[1:], __package__); sys.exit(4)"
    )
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        archive.writestr("__main__.py", "import sys; print(sys.argv, sys.path[0]); sys.exit(5)")
    for arguments in (
        ("-m", "tool", "--lr", "-m", "3", "--"),
        ("-m", "tool.sub.job", "--lr", "--", "--ledger"),
        ("-m", "not_there"),
        ("tool", "x"),
        ("app.zip", "x", "--", "--explain"),
        ("missing.py",),
    ):
        ours = start(PELLUCID, "run", *arguments, cwd=tmp_path)
        parsed = start(PELLUCID, "--verbose", "run", *arguments, cwd=tmp_path)
        pythons = start(PYTHON, *arguments, cwd=tmp_path)
        wanted = (pythons.stdout, pythons.returncode)
        assert (ours.stdout, ours.returncode) == wanted, arguments
        assert (parsed.stdout, parsed.returncode) == wanted, arguments


def test_a_program_finds_nothing_of_the_command_line_in_its_process(tmp_path):
    (tmp_path / "program.py").write_text(
        "import sys; print(sorted({'typer', 'rich', 'click', 'pydantic'} & sys.modules.keys()))"
    )
    assert start(PELLUCID, "run", "program.py", cwd=tmp_path).stdout == "[]\n"


def test_a_script_elsewhere_finds_the_modules_beside_it(tmp_path):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "beside.py").write_text("word = 'found'")
    (tmp_path / "project" / "main.py").write_text("import beside; print(beside.word)")
    (tmp_path / "link.py").symlink_to(tmp_path / "project" / "main.py")
    for script in ("project/main.py", "link.py"):
        assert start(PELLUCID, "run", script, cwd=tmp_path).stdout == "found\n"


def test_ctrl_c_ends_as_under_python_and_gives_130_in_a_shell(tmp_path):
    program = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nimport time; time.sleep(30)"
    (tmp_path / "program.py").write_text(program)
    ours = start(PELLUCID, "run", "program.py", cwd=tmp_path)
    pythons = start(PYTHON, "program.py", cwd=tmp_path)
    assert ours.returncode == pythons.returncode == -signal.SIGINT
    assert ours.stderr == pythons.stderr
    assert ours.stderr.rstrip().endswith("KeyboardInterrupt")
    line = " ".join([*PELLUCID, "run", "program.py"])
    shell = start(("sh", "-c", f"{line}; echo $?"), cwd=tmp_path)
    assert shell.stdout == "130\n"


def test_a_program_that_catches_ctrl_c_goes_on(tmp_path):
    program = (
        "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\n"
        "    import time; time.sleep(30)\nexcept KeyboardInterrupt:\n    print('caught')\n"
    )
    (tmp_path / "program.py").write_text(program)
    done = start(PELLUCID, "run", "program.py", cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("caught\n", 0)


def test_output_is_not_held_back(tmp_path):
    (tmp_path / "program.py").write_text("print('first', flush=True); input()")
    command = [*PELLUCID, "run", "program.py"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, **pipes) as running:
        assert running.stdout.readline() == "first\n"
        assert running.poll() is None
        running.communicate("\n", timeout=60)
    assert running.returncode == 0


ENGINE_ERROR = """
import torch

def step(x):
    return x.view(4, 4)

step(torch.zeros(3))
"""


def test_engine_frames_are_folded_and_a_note_says_how_to_see_them(tmp_path):
    (tmp_path / "program.py").write_text(ENGINE_ERROR)
    folded = start(PELLUCID, "run", "program.py", cwd=tmp_path)
    assert folded.returncode == 1
    assert "program.py" in folded.stderr and "x.view(4, 4)" in folded.stderr
    assert "inside Pellucid; PELLUCID_DEBUG=traceback shows them]" in folded.stderr
    assert f"{os.sep}pellucid{os.sep}" not in folded.stderr
    assert "RuntimeError: shape '[4, 4]' is invalid for input of size 3" in folded.stderr
    opened = start(PELLUCID, "run", "program.py", cwd=tmp_path, PELLUCID_DEBUG="traceback")
    assert f"{os.sep}pellucid{os.sep}" in opened.stderr and "inside Pellucid" not in opened.stderr
    assert f"{os.sep}cli{os.sep}" not in opened.stderr


def test_which_frames_are_the_engines():
    numpy = "/x/site-packages/numpy/core.py"
    engine = f"{ENGINE}/nn/module.py"
    frozen = "<frozen importlib._bootstrap>"
    files = ["p.py", engine, numpy, traceback.__file__, "p.py", numpy, frozen, engine, "q.py"]
    assert engine_frames(files) == [False, True, True, True, False, False, True, True, False]
    assert engine_frames([]) == []


def test_user_frames_between_engine_frames_stay(tmp_path):
    (tmp_path / "program.py").write_text(
        "import torch\nfrom torch import nn\n"
        "class Net(nn.Module):\n    def forward(self, x):\n        return x.view(4, 4)\n"
        "Net()(torch.zeros(3))\n"
    )
    done = start(PELLUCID, "run", "program.py", cwd=tmp_path)
    order = [done.stderr.index(part) for part in ("Net()(", "inside Pellucid", "x.view(4, 4)")]
    assert order == sorted(order) and done.stderr.count("inside Pellucid") == 2


def test_the_error_for_a_missing_name_says_where_it_came_from(tmp_path):
    (tmp_path / "program.py").write_text(
        "from torch.distributed.rpc import init_rpc\n\ndef go():\n    init_rpc('me')\n\ngo()\n"
    )
    done = start(PELLUCID, "run", "--ledger", "program.py", cwd=tmp_path)
    place = tmp_path / "program.py"
    for words in (
        "torch.distributed.rpc.init_rpc is a function of PyTorch that Pellucid does not have",
        f"imported {place}:1    from torch.distributed.rpc import init_rpc",
        f"used     {place}:4    init_rpc('me')",
        f"init_rpc (function): used at {place}:4; taken at {place}:1",
    ):
        assert words in done.stderr
    assert done.returncode == 1


def test_a_missing_tensor_method_is_noted_as_pytorchs(tmp_path):
    (tmp_path / "program.py").write_text("import torch\ntorch.zeros(2).to_mkldnn()\n")
    done = start(PELLUCID, "run", "program.py", cwd=tmp_path)
    assert "AttributeError" in done.stderr
    assert "note: PyTorch has torch.Tensor.to_mkldnn; Pellucid does not have it" in done.stderr


def test_the_ledger_of_a_program_that_misses_nothing(tmp_path):
    (tmp_path / "program.py").write_text("import torch\nprint(hasattr(torch, 'onnx'))\n")
    done = start(PELLUCID, "run", "--ledger", "program.py", cwd=tmp_path)
    assert done.stdout == "False\n"
    assert done.stderr == "ledger: no missing name was touched\n"


SESSION = """
import contextlib, json

@contextlib.contextmanager
def session(report_path, script, argv):
    ended = "well"
    try:
        yield
    except BaseException as error:
        ended = repr(error)
        raise
    finally:
        with open(report_path, "w") as file:
            json.dump([str(script), argv, ended], file)
"""


@pytest.mark.parametrize(
    ("program", "ended"),
    [
        ("print(1)", "well"),
        ("raise ValueError('x')", "ValueError('x')"),
        ("raise SystemExit(7)", "SystemExit(7)"),
        ("import os; os.kill(os.getpid(), 2); import time; time.sleep(9)", "KeyboardInterrupt()"),
    ],
)
def test_explain_opens_the_session_and_closes_it_however_the_program_ends(tmp_path, program, ended):
    (tmp_path / "program.py").write_text(program)
    (tmp_path / "stand_in.py").write_text(SESSION)
    start_up = (
        "import sys, types\n"
        "sys.path.insert(0, '.')\n"
        "import stand_in, importlib.machinery\n"
        "stand_in.__spec__ = importlib.machinery.ModuleSpec('pellucid.explain', None)\n"
        "sys.modules['pellucid.explain'] = stand_in\n"
        "from pellucid.cli import main\n"
        "main(['run', '--explain', 'report.json', 'program.py', 'a'])\n"
    )
    alone = start(PYTHON, "program.py", cwd=tmp_path)
    done = start((*PYTHON, "-c", start_up), cwd=tmp_path)
    assert done.returncode == alone.returncode
    report = (tmp_path / "report.json").read_text()
    assert ended.replace('"', '\\"') in report and '"program.py", ["a"]' in report


def test_what_is_not_a_command_or_not_given_is_refused_with_2(tmp_path):
    for arguments in (("run",), ("walk",), ("run", "--no-such-option", "x.py"), ("check",)):
        assert start(PELLUCID, *arguments, cwd=tmp_path).returncode == 2


def test_a_signal_from_outside_ends_the_program(tmp_path):
    (tmp_path / "program.py").write_text("print('up', flush=True)\nimport time; time.sleep(60)")
    command = [*PELLUCID, "run", "program.py"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, **pipes) as running:
        assert running.stdout.readline() == "up\n"
        time.sleep(0.05)
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=60)
    assert running.returncode == -signal.SIGTERM
    assert sys.platform != "win32"
