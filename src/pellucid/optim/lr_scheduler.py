"""The names of `torch.optim.lr_scheduler`."""

from pellucid.optim.schedule_base import LRScheduler as LRScheduler
from pellucid.optim.schedule_combined import ChainedScheduler as ChainedScheduler
from pellucid.optim.schedule_combined import ReduceLROnPlateau as ReduceLROnPlateau
from pellucid.optim.schedule_combined import SequentialLR as SequentialLR
from pellucid.optim.schedule_cycles import CyclicLR as CyclicLR
from pellucid.optim.schedule_cycles import OneCycleLR as OneCycleLR
from pellucid.optim.schedule_epochs import ConstantLR as ConstantLR
from pellucid.optim.schedule_epochs import CosineAnnealingLR as CosineAnnealingLR
from pellucid.optim.schedule_epochs import (
    CosineAnnealingWarmRestarts as CosineAnnealingWarmRestarts,
)
from pellucid.optim.schedule_epochs import ExponentialLR as ExponentialLR
from pellucid.optim.schedule_epochs import LambdaLR as LambdaLR
from pellucid.optim.schedule_epochs import LinearLR as LinearLR
from pellucid.optim.schedule_epochs import MultiplicativeLR as MultiplicativeLR
from pellucid.optim.schedule_epochs import MultiStepLR as MultiStepLR
from pellucid.optim.schedule_epochs import PolynomialLR as PolynomialLR
from pellucid.optim.schedule_epochs import StepLR as StepLR

_LRScheduler = LRScheduler

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
