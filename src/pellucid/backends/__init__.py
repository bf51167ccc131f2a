"""`torch.backends`: libraries that PyTorch may compute with. None of them is here; NumPy and its
BLAS compute.

Flags can be set, as programs do (`torch.backends.cudnn.benchmark = True`), and read back; they
change
nothing.
"""

from __future__ import annotations

from pellucid.backends import cpu as cpu
from pellucid.backends import cuda as cuda
from pellucid.backends import cudnn as cudnn
from pellucid.backends import mha as mha
from pellucid.backends import mkl as mkl
from pellucid.backends import mkldnn as mkldnn
from pellucid.backends import mps as mps
from pellucid.backends import openmp as openmp
from pellucid.backends import opt_einsum as opt_einsum

fp32_precision = "none"


def disable_global_flags() -> None:
    """PyTorch then refuses to set flags outside their context managers; here they change
    nothing.
    """
