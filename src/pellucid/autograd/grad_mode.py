"""The grad modes under PyTorch's module name."""

from pellucid.autograd.modes import enable_grad as enable_grad
from pellucid.autograd.modes import inference_mode as inference_mode
from pellucid.autograd.modes import no_grad as no_grad
from pellucid.autograd.modes import set_grad_enabled as set_grad_enabled
from pellucid.autograd.modes import set_multithreading_enabled as set_multithreading_enabled

__all__ = [
    "enable_grad",
    "inference_mode",
    "no_grad",
    "set_grad_enabled",
    "set_multithreading_enabled",
]
