"""Methods whose family is read when they are asked for, patched or overridden before that."""

from subprocesses import PYTHON, start

PATCHED = """
from unittest import mock
import pellucid as P
x = P.eye(2)
with mock.patch.object(P.Tensor, "logdet", lambda self: "patched"):
    print(x.logdet())
    print(P.linalg.det(x).item(), P.det(x).item(), P.Tensor.slogdet(x)[0].item())
    print(x.logdet())
print(x.logdet().item(), x.logdet().item(), P.Tensor.logdet(x).item())
"""
OVERRIDDEN = """
import pellucid as P
calls = []
class Mine(P.Tensor):
    def logdet(self):
        calls.append(1)
        return super().logdet()
print(P.eye(2).as_subclass(Mine).logdet().item(), len(calls))
"""


def output(program):
    done = start(PYTHON, "-c", program)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


def test_a_patch_stays_and_goes():
    assert output(PATCHED) == ["patched", "1.0 1.0 1.0", "patched", "0.0 0.0 0.0"]


def test_an_override_runs_once():
    assert output(OVERRIDDEN) == ["0.0 1"]
