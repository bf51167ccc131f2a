"""What every test starts from: one thread for each numeric library.

Two test workers with two threads each would fight over two cores, and a sum taken by one thread is
taken in the same order every time. The variables must be set before NumPy or PyTorch is imported.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
