"""Models, written to be read beside their papers. ResNets have torchvision's names."""

from pellucid.models import resnet as resnet
from pellucid.models.registry import get_model as get_model
from pellucid.models.registry import get_model_builder as get_model_builder
from pellucid.models.registry import get_model_weights as get_model_weights
from pellucid.models.registry import list_models as list_models
from pellucid.models.resnet import *  # noqa: F403
from pellucid.models.resnet_weights import *  # noqa: F403
