"""Models, written to be read beside their papers.

ResNets have torchvision's names, BERTs Hugging Face's.
"""

from pellucid.models import detection as detection
from pellucid.models import resnet as resnet
from pellucid.models.bert import BertConfig as BertConfig
from pellucid.models.bert import BertForMaskedLM as BertForMaskedLM
from pellucid.models.bert import BertForSequenceClassification as BertForSequenceClassification
from pellucid.models.bert import BertModel as BertModel
from pellucid.models.moco import MoCo as MoCo
from pellucid.models.registry import get_model as get_model
from pellucid.models.registry import get_model_builder as get_model_builder
from pellucid.models.registry import get_model_weights as get_model_weights
from pellucid.models.registry import get_weight as get_weight
from pellucid.models.registry import list_models as list_models
from pellucid.models.resnet import *  # noqa: F403
from pellucid.models.resnet_weights import *  # noqa: F403
