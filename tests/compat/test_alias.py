"""`import torch` under the alias: the same objects, real specs, and nothing for anybody else."""

import json
import subprocess
import sys

import pytest
from subprocesses import PELLUCID, PYTHON, start, under_alias

SAME = """
import importlib.util, sys
import torch
import torch.nn.functional as F
import torch.nn as x
from torch import nn
from torch.utils.data import DataLoader
import pellucid, pellucid.nn.functional, pellucid.utils.data
assert torch is pellucid and torch.nn is pellucid.nn is x is nn
assert F is pellucid.nn.functional is torch.nn.functional
assert DataLoader is pellucid.utils.data.DataLoader
assert sys.modules["torch.nn"] is sys.modules["pellucid.nn"]
assert torch.__name__ == torch.__spec__.name == "pellucid"
assert F.__spec__.name == F.__name__ == "pellucid.nn.functional"
assert pellucid.nn.__spec__.loader is pellucid.nn.__loader__
"""


def test_modules_are_the_same_objects_and_keep_their_own_specs(tmp_path):
    under_alias(tmp_path, SAME)


def test_specs_can_be_asked_for_without_importing(tmp_path):
    under_alias(
        tmp_path,
        """
import importlib.util, sys
for name in ("torch", "torchvision", "torch.nn.functional", "torch.utils.data", "torch.onnx"):
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.loader is not None, name
for name in ("torch.nonsense", "torchaudio"):
    assert importlib.util.find_spec(name) is None, name
""",
    )


def test_versions_in_every_way_that_programs_ask(tmp_path):
    under_alias(
        tmp_path,
        """
import importlib.metadata as metadata
assert metadata.version("torch") == "2.13.0+pellucid"
assert metadata.version("torchvision").startswith("0.28.0")
assert metadata.distribution("torch").metadata["Name"] == "torch"
assert metadata.version("numpy")[0].isdigit()
names = [found.metadata["Name"] for found in metadata.distributions()]
assert "torch" in names and "numpy" in names
assert "torch" in metadata.packages_distributions()["torch"]
import torch
assert torch.__version__ == "2.13.0+pellucid" and isinstance(torch.__version__, str)
assert torch.__version__ >= "2.6" and torch.__version__ >= (2, 9) and torch.__version__ < "3"
assert torch.version.cuda is None and torch.version.__version__ == torch.__version__
from torch.torch_version import TorchVersion
assert isinstance(torch.__version__, TorchVersion)
""",
    )


def test_a_program_computes_with_it(tmp_path):
    out = under_alias(
        tmp_path,
        """
import torch
x = torch.tensor([1.0, 2.0], requires_grad=True)
(x * x).sum().backward()
print(x.grad.tolist())
""",
    )
    assert out == "[2.0, 4.0]\n"


WORKERS = """
import multiprocessing, sys
import torch

def work(n):
    import torch
    return n, torch.__version__, torch.__name__, __name__

if __name__ == "__main__":
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        print(sorted(pool.map(work, range(3))))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("as_module", [False, True])
def test_workers_of_the_program_have_the_alias_too(tmp_path, method, as_module):
    (tmp_path / "program.py").write_text(WORKERS)
    how = ("-m", "program") if as_module else ("program.py",)
    done = start(PELLUCID, "run", *how, method, cwd=tmp_path)
    main = "__mp_main__" if method != "fork" else "__main__"
    wanted = [(n, "2.13.0+pellucid", "pellucid", main) for n in range(3)]
    assert done.stdout == f"{wanted}\n", done.stderr


def test_other_processes_do_not_inherit_it(tmp_path):
    child = "import importlib.util as u; s = u.find_spec('torch'); print(s and s.origin)"
    program = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])"
    assert under_alias(tmp_path, program) == start((*PYTHON, "-c", child)).stdout


def test_a_process_that_asks_gets_it():
    program = "import pellucid.compat; pellucid.compat.install(); import torch; print(torch)"
    assert "pellucid" in start((*PYTHON, "-c", program)).stdout


def test_installing_twice_is_once_and_too_late_is_refused(tmp_path):
    (tmp_path / "torch.py").write_text("")
    program = """
import sys
import pellucid.compat as compat
assert compat.install() is compat.install()
assert sum(type(f).__name__ == "AliasFinder" for f in sys.meta_path) == 1
sys.meta_path[:] = [f for f in sys.meta_path if type(f).__name__ != "AliasFinder"]
import torch
try:
    compat.install()
except RuntimeError as error:
    print(error)
"""
    done = start((*PYTHON, "-c", program), cwd=tmp_path)
    assert "torch is already imported in this process" in done.stdout, done.stderr


def test_import_pellucid_alone_installs_nothing():
    program = (
        "import sys, pellucid, pellucid.compat\n"
        "print([f for f in sys.meta_path if 'pellucid' in type(f).__module__])"
    )
    assert start((*PYTHON, "-c", program)).stdout == "[]\n"


TOY = {
    "toy/__init__.py": "from toy import nn\ndef __getattr__(name):\n"
    "    if name == 'linalg':\n        import toy.linalg\n        return toy.linalg\n"
    "    raise AttributeError(name)\n",
    "toy/nn/__init__.py": "from toy.nn import functional\n",
    "toy/nn/functional.py": "def relu(x):\n    return max(x, 0)\n",
    "toy/linalg.py": "def inv(x):\n    return 1 / x\n",
}


def test_the_machinery_on_a_package_with_lazy_and_plain_modules(tmp_path):
    for name, text in TOY.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    program = """
import json, sys
from pellucid.compat import aliases, install
aliases.ALIASES.update(torch="toy", torchvision="toy.vision")
install()
import torch.nn.functional as F, torch.linalg, toy
facts = dict(
    same=torch is toy and F is toy.nn.functional and torch.linalg is toy.linalg,
    works=[F.relu(-3), torch.linalg.inv(4.0)],
    missing=[hasattr(F, "gelu"), hasattr(torch.linalg, "det"), hasattr(torch, "nn")],
    stubs=[repr(F.gelu), repr(torch.linalg.det), repr(torch.optim)],
    package=list(torch.linalg.__path__),
)
print(json.dumps(facts))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert json.loads(done.stdout) == {
        "same": True,
        "works": [0, 0.25],
        "missing": [False, False, True],
        "stubs": [
            "<function torch.nn.functional.gelu: in PyTorch, not in Pellucid>",
            "<function torch.linalg.det: in PyTorch, not in Pellucid>",
            "<module 'torch.optim': in PyTorch, not in Pellucid>",
        ],
        "package": [],
    }, done.stderr
