"""examples/moco_fashion.py: the same numbers under both engines, resumed or not; bad options."""

import re

import pytest

from tests.programs.test_programs import EXAMPLES
from tests.subprocesses import PELLUCID, PYTHON, start

PROGRAM = EXAMPLES / "moco_fashion.py"
SMALL = ("--limit", "128", "--width", "2", "--queue", "64", "--dim", "8", "--batch-size", "32")
RUN = (*PELLUCID, "run")


def losses(output):
    return [float(value) for value in re.findall(r"loss (\S+)", output)]


@pytest.mark.slow
def test_both_engines_begin_alike_and_a_resumed_run_goes_on(tmp_path):
    whole = start(RUN, PROGRAM, *SMALL, "--epochs", "2", "--checkpoint", "a.pt", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    theirs = start(PYTHON, PROGRAM, *SMALL, "--epochs", "1", "--checkpoint", "b.pt", cwd=tmp_path)
    assert theirs.returncode == 0, theirs.stderr
    # Four steps: rounding of two engines has hardly grown, and the first epoch's rate is the same.
    assert losses(whole.stdout)[0] == pytest.approx(losses(theirs.stdout)[0], rel=1e-3)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert len(re.findall(r"^(?:un)?trained .*probe .*neighbours", whole.stdout, re.M)) == 3

    first = tmp_path / "interrupted.py"
    first.write_text(
        f"import sys\nsys.path.insert(0, {str(EXAMPLES)!r})\n"
        "import moco_fashion as program\n"
        "train, epochs = program.train_epoch, []\n"
        "def train_epoch(*arguments):\n"
        "    epochs.append(1)\n"
        "    if len(epochs) == 2: raise KeyboardInterrupt\n"
        "    return train(*arguments)\n"
        "program.train_epoch = train_epoch\n"
        "try: program.main()\n"
        "except KeyboardInterrupt: print('stopped')\n"
    )
    options = (*SMALL, "--epochs", "2", "--checkpoint", "c.pt")
    part = start(RUN, first, *options, cwd=tmp_path)
    assert part.stdout.endswith("stopped\n"), part.stderr
    rest = start(RUN, PROGRAM, *options, "--resume", cwd=tmp_path)
    assert rest.returncode == 0, rest.stderr
    assert losses(part.stdout) + losses(rest.stdout) == losses(whole.stdout)
    assert rest.stdout.splitlines()[-2] == whole.stdout.splitlines()[-2]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--resume", "--checkpoint", "none.pt"), "there is no checkpoint none.pt"),
        (("--batch-size", "5000"), "there are only 128 images"),
        (("--queue", "8"), "at least --batch-size keys"),
        (("--data", "nowhere"), "nowhere"),
    ],
)
def test_options_that_cannot_be_are_told(tmp_path, options, words):
    done = start(RUN, PROGRAM, *SMALL, *options, cwd=tmp_path)
    assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr
