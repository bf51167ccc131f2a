"""Optimisers and learning-rate schedules: `torch.optim`."""

import importlib
from typing import Any

from pellucid.optim import lr_scheduler as lr_scheduler
from pellucid.optim.adadelta import Adadelta as Adadelta
from pellucid.optim.adafactor import Adafactor as Adafactor
from pellucid.optim.adagrad import Adagrad as Adagrad
from pellucid.optim.adam import Adam as Adam
from pellucid.optim.adamax import Adamax as Adamax
from pellucid.optim.adamw import AdamW as AdamW
from pellucid.optim.asgd import ASGD as ASGD
from pellucid.optim.lbfgs import LBFGS as LBFGS
from pellucid.optim.muon import Muon as Muon
from pellucid.optim.nadam import NAdam as NAdam
from pellucid.optim.optimizer import Optimizer as Optimizer
from pellucid.optim.radam import RAdam as RAdam
from pellucid.optim.rmsprop import RMSprop as RMSprop
from pellucid.optim.rprop import Rprop as Rprop
from pellucid.optim.sgd import SGD as SGD
from pellucid.optim.sparse_adam import SparseAdam as SparseAdam

__all__ = [
    "ASGD",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SparseAdam",
    "lr_scheduler",
    "swa_utils",
]


def __getattr__(name: str) -> Any:
    if name == "swa_utils":  # averaged models are modules, and optimisers do without `pellucid.nn`
        return importlib.import_module("pellucid.optim.swa_utils")
    raise AttributeError(f"module 'pellucid.optim' has no attribute {name!r}")
