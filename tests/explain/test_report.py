"""The report: written however a run ends, whole, self-contained, and true."""

import os
import re
import signal
from html.parser import HTMLParser

import pytest
from subprocesses import PELLUCID, start

import pellucid as torch
from pellucid import explain
from pellucid.explain.session import ending
from pellucid.tensor.events import listeners

VOID = {"meta", "link", "br", "img", "input", "hr", "line", "polygon", "polyline"}


class Checker(HTMLParser):
    """Reads a page: are tags closed in order, is anything loaded, what text is there."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.loaded = []
        self.text = []

    def handle_starttag(self, tag, attributes):
        self.loaded += [value for name, value in attributes if name in ("src", "href", "srcset")]
        if tag == "script":
            self.loaded.append("script")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data):
        self.text.append(data)


def read(path):
    page = path.read_text(encoding="utf-8")
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert not checker.open and not checker.loaded
    assert "url(" not in page and "@import" not in page
    return re.sub(r"\s+", " ", " ".join(checker.text))


def test_a_session_writes_a_page_about_its_block(tmp_path):
    report = tmp_path / "report.html"
    with explain.session(report, "train.py", ["--lr", "1"]):
        x = torch.ones(64, 64, requires_grad=True)
        y = (x @ x).t().reshape(-1)
        y.sum().backward()
    text = read(report)
    assert "train.py --lr 1" in text and "ended by" not in text
    for words in (
        "Worth a look",
        "reshape copied",
        "Memory over time",
        "Line by line",
        "Operators",
    ):
        assert words in text
    assert "y = (x @ x).t().reshape(-1)" in text and "test_report.py" in text
    assert os.listdir(tmp_path) == ["report.html"] and not listeners


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("a < b"), "ValueError: a < b"),
        (SystemExit(3), "exit code 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (SystemExit(0), ""),
        (SystemExit(None), ""),
        (SystemExit("words"), "exit: words"),
    ],
    ids=repr,
)
def test_a_run_that_ends_badly_is_reported_too(tmp_path, error, words):
    report = tmp_path / "report.html"
    with (
        pytest.raises(type(error), match=re.escape(str(error)) or r"^$"),
        explain.session(report, "x.py", []),
    ):
        torch.ones(3) + 1
        raise error
    text = read(report)
    assert ending(error) == words
    assert (f"ended by {words}" in text) if words else ("ended by" not in text)


def test_a_run_without_operators_has_a_page(tmp_path):
    with explain.session(tmp_path / "r.html", "x.py"):
        pass
    assert "No operator ran." in read(tmp_path / "r.html")


def test_a_place_that_cannot_be_written_is_refused_before_the_program_runs(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        explain.session(tmp_path / "no" / "r.html")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        explain.session(tmp_path)
    assert not listeners


PROGRAM = """
import os, sys
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(8, 16)
        self.two = nn.Linear(16, 1)

    def forward(self, x):
        return self.two(self.one(x).relu())

net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for step in range(4):
    optimizer.zero_grad()
    loss = net(torch.ones(32, 8)).square().mean()
    loss.backward()
    optimizer.step()
os.chdir("/")
print("<done>", sys.argv[1:])
"""


def test_the_command_of_the_readme(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    done = start(PELLUCID, "run", "program.py", "--explain", "r.html", "a", cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("<done> ['a']\n", 0), done.stderr
    text = read(tmp_path / "r.html")
    assert "program.py a" in text
    for words in ("Net", "Linear", "of optimisers", "4 parameter tensors, 161 elements, 644 B"):
        assert words in text
    assert re.search(r"two\s+Linear\s+in_features=16, out_features=1", text)


def test_ctrl_c_leaves_a_page_and_ends_as_always(tmp_path):
    program = PROGRAM + "os.kill(os.getpid(), 2)\nimport time; time.sleep(30)"
    (tmp_path / "program.py").write_text(program)
    done = start(PELLUCID, "run", "program.py", "--explain", "r.html", cwd=tmp_path)
    assert done.returncode == -signal.SIGINT
    assert "ended by KeyboardInterrupt" in read(tmp_path / "r.html")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_does_not_write_the_page(tmp_path):
    program = (
        "import os, sys, torch\n"
        "if os.fork() == 0:\n    torch.ones(3); sys.exit(0)\n"
        "os.wait(); print(os.path.exists(sys.argv[1]))"
    )
    (tmp_path / "program.py").write_text(program)
    report = str(tmp_path / "r.html")
    done = start(PELLUCID, "run", "program.py", report, "--explain", report, cwd=tmp_path)
    assert done.stdout == "False\n" and "program.py" in read(tmp_path / "r.html")


def test_a_report_that_cannot_be_written_says_so_and_runs_nothing(tmp_path):
    (tmp_path / "program.py").write_text("print('ran')")
    done = start(PELLUCID, "run", "program.py", "--explain", "no/r.html", cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == "" and "there is no folder" in done.stderr


def test_the_window_prints_each_operator(tmp_path):
    (tmp_path / "program.py").write_text(
        "import torch\nx = torch.ones(2, 3)\ny = x.t().reshape(-1)\ny += 1\n"
    )
    done = start(PELLUCID, "run", "program.py", cwd=tmp_path, PELLUCID_DEBUG="ops")
    printed = done.stderr.splitlines()
    assert printed[1].startswith("pellucid: t(float32[2, 3]) -> float32[3, 2] (1, 3)  view")
    assert "fresh 24 bytes" in printed[2] and "(reshape: shape (3, 2)" in printed[2]
    assert printed[-1].startswith("pellucid: add_(float32[6], 1)  in place")
    assert start(PELLUCID, "run", "program.py", cwd=tmp_path).stderr == ""
