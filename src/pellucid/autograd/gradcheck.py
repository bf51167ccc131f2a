"""`torch.autograd.gradcheck`, the function, which is a module of that name too: whichever way it is
imported, `torch.autograd.gradcheck(...)` can be called and `from torch.autograd.gradcheck import
gradgradcheck` works, as in PyTorch.
"""

from __future__ import annotations

import sys

from pellucid.autograd import gradchecking
from pellucid.autograd.gradchecking import GradcheckError, gradcheck, gradgradcheck

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]

for _name in ("GradcheckError", "gradcheck", "gradgradcheck"):
    setattr(gradcheck, _name, getattr(gradchecking, _name))
sys.modules[__name__] = gradcheck  # type: ignore[assignment]
