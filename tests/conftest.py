"""What every test starts from: this checkout's source, and one thread for each numeric library.

Two test workers with two threads each would fight over two cores, and a sum taken by one thread is
taken in the same order every time. The variables must be set before NumPy or PyTorch is imported;
processes that tests start inherit them.
"""

import os
from pathlib import Path

from hypothesis import settings

SOURCE = str(Path(__file__).resolve().parents[1] / "src")

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [SOURCE, os.environ.get("PYTHONPATH")]))

if os.environ.get("CI"):  # the same examples each time; elsewhere new ones are tried in each run
    settings.register_profile("ci", derandomize=True)
    settings.load_profile("ci")
