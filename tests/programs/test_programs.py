"""Ordinary PyTorch programs print the same numbers under PyTorch and under `pellucid run`.

Each program runs twice, in processes of its own. Their output is compared line by line: words and
whole numbers must be equal, decimal numbers must agree to a relative error of `rtol`.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.subprocesses import PELLUCID, PYTHON, start

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parents[1] / "examples"
NUMBER = re.compile(r"-?\d+\.\d+(?:e[-+]?\d+)?|-?\d+")


@dataclass(frozen=True)
class Run:
    """A program with arguments; `lines` is how many lines of its output are compared (None: all).

    Rounding differs between two engines in the last bit, and training multiplies it from step to
    step: a program that trains long is compared by its first steps only.
    """

    script: Path
    arguments: tuple[str, ...] = ()
    lines: int | None = None
    rtol: float = 1e-4

    def __str__(self) -> str:
        return " ".join([self.script.stem, *self.arguments])


RUNS = [
    Run(HERE / "mnist_cnn.py", ("--dropout", "0")),
    Run(HERE / "mnist_cnn.py", ("--epochs", "1")),
    Run(HERE / "vae.py"),
    Run(HERE / "word_lm.py", ("--dropout", "0")),
    Run(HERE / "word_lm.py", ("--epochs", "1")),
    Run(HERE / "char_gpt.py"),
    Run(HERE / "char_gpt.py", ("--attention", "masked_fill", "--steps", "10")),
    Run(HERE / "char_gpt.py", ("--dropout", "0.2", "--attention", "masked_fill", "--steps", "5")),
    Run(HERE / "moco.py", ("--epochs", "1"), lines=15),
    Run(HERE / "finetune.py"),
    Run(HERE / "reverse_seq2seq.py"),
    Run(HERE / "dcgan.py"),
    Run(HERE / "derivatives.py"),
    Run(HERE / "siamese.py"),
    Run(HERE / "lstm_crf.py"),
    Run(HERE / "maml.py"),
    Run(HERE / "neural_ode.py"),
    Run(EXAMPLES / "digits_resnet18.py", ("--losses", "--epochs", "1", "--lr", "0.02"), lines=22),
]


def differences(expected: str, actual: str, rtol: float, lines: int | None = None) -> list[str]:
    """The lines in which two outputs differ, each as `expected | actual`."""
    left, right = expected.splitlines()[:lines], actual.splitlines()[:lines]
    found = [f"{len(left)} lines | {len(right)} lines"] if len(left) != len(right) else []
    for one, other in zip(left, right, strict=False):
        words = NUMBER.sub("#", one) == NUMBER.sub("#", other)
        pairs = zip(NUMBER.findall(one), NUMBER.findall(other), strict=False)
        if not words or not all(close(a, b, rtol) for a, b in pairs):
            found.append(f"{one} | {other}")
    return found


def close(one: str, other: str, rtol: float) -> bool:
    if "." not in one:
        return one == other
    return abs(float(one) - float(other)) <= rtol * abs(float(one)) + 2e-6


@pytest.mark.parametrize("run", RUNS, ids=str)
def test_the_numbers_are_those_of_pytorch(run, tmp_path):
    expected = start(PYTHON, run.script, *run.arguments, cwd=tmp_path)
    assert expected.returncode == 0, expected.stderr
    actual = start(PELLUCID, "run", run.script, *run.arguments, cwd=tmp_path)
    assert actual.returncode == 0, actual.stderr
    assert expected.stdout.strip()
    found = differences(expected.stdout, actual.stdout, run.rtol, run.lines)
    assert not found, "PyTorch | Pellucid\n" + "\n".join(found)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_main_job_of_the_readme(tmp_path):
    """The command is the README's own, in another folder: it learns the digits and reports."""
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    (job,) = re.findall(r"pellucid (run examples\S+ --explain \S+)$", readme, re.MULTILINE)
    words = [str(EXAMPLES.parent / word) if word.endswith(".py") else word for word in job.split()]
    done = subprocess.run([*PELLUCID, *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (last,) = re.findall(r"reloaded from digits_resnet18.pt: test (\S+) %", done.stdout)
    assert float(last) >= 98
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "digits_resnet18.py" in page
    assert not re.search(r"""(?:src|href)=["']?https?://""", page), "the page needs a network"


@pytest.mark.parametrize("command", [PYTHON, PELLUCID], ids=["pytorch", "pellucid"])
def test_a_resumed_run_gives_the_numbers_of_an_uninterrupted_one(command, tmp_path):
    """Interrupted after the first of two epochs, as by Ctrl-C, then resumed from the checkpoint."""
    program = EXAMPLES / "digits_resnet18.py"
    run = command if command is PYTHON else (*command, "run")
    arguments = ("--epochs", "2", "--width", "4")
    whole = start(run, program, *arguments, "--checkpoint", "whole.pt", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr

    interrupted = tmp_path / "interrupted.py"
    interrupted.write_text(
        f"import sys\nsys.path.insert(0, {str(EXAMPLES)!r})\n"
        "import digits_resnet18 as program\n"
        "train, epochs = program.train_epoch, []\n"
        "def train_epoch(*arguments):\n"
        "    epochs.append(1)\n"
        "    if len(epochs) == 2: raise KeyboardInterrupt\n"
        "    return train(*arguments)\n"
        "program.train_epoch = train_epoch\n"
        "try: program.main()\n"
        "except KeyboardInterrupt: print('stopped')\n"
    )
    first = start(run, interrupted, *arguments, "--checkpoint", "part.pt", cwd=tmp_path)
    assert first.stdout.endswith("stopped\n"), first.stderr
    second = start(run, program, *arguments, "--checkpoint", "part.pt", "--resume", cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    epochs = [line for line in whole.stdout.splitlines() if line.startswith("epoch")]
    halves = first.stdout.splitlines() + second.stdout.splitlines()
    assert [line for line in halves if line.startswith("epoch")] == epochs
    assert not list(tmp_path.glob("*.tmp"))
    assert (tmp_path / "part.png").read_bytes().startswith(b"\x89PNG")

    (tmp_path / "half.pt").write_bytes((tmp_path / "whole.pt").read_bytes()[:3000])
    for options, words in (
        (("--checkpoint", "none.pt"), "there is no checkpoint none.pt"),
        (("--checkpoint", "half.pt"), "half.pt is no whole checkpoint of this program"),
        (("--checkpoint", "whole.pt", "--width", "8"), "was made with --width 4; say so again"),
    ):
        done = start(run, program, *arguments, *options, "--resume", cwd=tmp_path)
        assert done.returncode == 1 and words in done.stderr, done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "actual",
    ["step 1 loss 2.3457", "step 2 loss 2.345", "loss 1 step 2.345", "step 1 loss 2.345\nmore"],
)
def test_a_planted_difference_is_found(actual):
    expected = "step 1 loss 2.345"
    assert differences(expected, expected, 1e-4) == []
    assert differences(expected, "step 1 loss 2.34509", 1e-4) == []
    assert differences(expected, actual, 1e-4)
