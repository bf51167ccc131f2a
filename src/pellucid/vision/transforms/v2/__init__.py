"""torchvision's transforms, second edition: samples of images, boxes, masks and labels.

All parts go through together, `transform(image, target)`; `tv_tensors` say what each of them is.
"""

from pellucid.vision.transforms.base import Transform as Transform
from pellucid.vision.transforms.chance import ColorJitter as ColorJitter
from pellucid.vision.transforms.chance import GaussianBlur as GaussianBlur
from pellucid.vision.transforms.chance import RandomAdjustSharpness as RandomAdjustSharpness
from pellucid.vision.transforms.chance import RandomEqualize as RandomEqualize
from pellucid.vision.transforms.chance import RandomErasing as RandomErasing
from pellucid.vision.transforms.chance import RandomGrayscale as RandomGrayscale
from pellucid.vision.transforms.chance import RandomHorizontalFlip as RandomHorizontalFlip
from pellucid.vision.transforms.chance import RandomInvert as RandomInvert
from pellucid.vision.transforms.chance import RandomPosterize as RandomPosterize
from pellucid.vision.transforms.chance import RandomSolarize as RandomSolarize
from pellucid.vision.transforms.chance import RandomVerticalFlip as RandomVerticalFlip
from pellucid.vision.transforms.chance_geometry import ElasticTransform as ElasticTransform
from pellucid.vision.transforms.chance_geometry import RandomAffine as RandomAffine
from pellucid.vision.transforms.chance_geometry import RandomPerspective as RandomPerspective
from pellucid.vision.transforms.chance_geometry import RandomResizedCrop as RandomResizedCrop
from pellucid.vision.transforms.chance_geometry import RandomRotation as RandomRotation
from pellucid.vision.transforms.interpolation import InterpolationMode as InterpolationMode
from pellucid.vision.transforms.policies import AutoAugmentPolicy as AutoAugmentPolicy
from pellucid.vision.transforms.transforms import CenterCrop as CenterCrop
from pellucid.vision.transforms.transforms import ConvertImageDtype as ConvertImageDtype
from pellucid.vision.transforms.transforms import FiveCrop as FiveCrop
from pellucid.vision.transforms.transforms import Grayscale as Grayscale
from pellucid.vision.transforms.transforms import Identity as Identity
from pellucid.vision.transforms.transforms import LinearTransformation as LinearTransformation
from pellucid.vision.transforms.transforms import Normalize as Normalize
from pellucid.vision.transforms.transforms import Pad as Pad
from pellucid.vision.transforms.transforms import PILToTensor as PILToTensor
from pellucid.vision.transforms.transforms import Resize as Resize
from pellucid.vision.transforms.transforms import TenCrop as TenCrop
from pellucid.vision.transforms.transforms import ToImage as ToImage
from pellucid.vision.transforms.transforms import ToPILImage as ToPILImage
from pellucid.vision.transforms.transforms import ToTensor as ToTensor
from pellucid.vision.transforms.v2 import functional as functional
from pellucid.vision.transforms.v2.colour import JPEG as JPEG
from pellucid.vision.transforms.v2.colour import RGB as RGB
from pellucid.vision.transforms.v2.colour import GaussianNoise as GaussianNoise
from pellucid.vision.transforms.v2.colour import RandomAutocontrast as RandomAutocontrast
from pellucid.vision.transforms.v2.colour import (
    RandomChannelPermutation as RandomChannelPermutation,
)
from pellucid.vision.transforms.v2.colour import (
    RandomPhotometricDistort as RandomPhotometricDistort,
)
from pellucid.vision.transforms.v2.common import Compose as Compose
from pellucid.vision.transforms.v2.common import Lambda as Lambda
from pellucid.vision.transforms.v2.common import RandomApply as RandomApply
from pellucid.vision.transforms.v2.common import RandomChoice as RandomChoice
from pellucid.vision.transforms.v2.common import RandomCrop as RandomCrop
from pellucid.vision.transforms.v2.common import RandomOrder as RandomOrder
from pellucid.vision.transforms.v2.common import ToDtype as ToDtype
from pellucid.vision.transforms.v2.common import ToPureTensor as ToPureTensor
from pellucid.vision.transforms.v2.common import (
    UniformTemporalSubsample as UniformTemporalSubsample,
)
from pellucid.vision.transforms.v2.detection import ClampBoundingBoxes as ClampBoundingBoxes
from pellucid.vision.transforms.v2.detection import (
    ConvertBoundingBoxFormat as ConvertBoundingBoxFormat,
)
from pellucid.vision.transforms.v2.detection import RandomIoUCrop as RandomIoUCrop
from pellucid.vision.transforms.v2.detection import RandomResize as RandomResize
from pellucid.vision.transforms.v2.detection import RandomShortestSize as RandomShortestSize
from pellucid.vision.transforms.v2.detection import RandomZoomOut as RandomZoomOut
from pellucid.vision.transforms.v2.detection import SanitizeBoundingBoxes as SanitizeBoundingBoxes
from pellucid.vision.transforms.v2.detection import ScaleJitter as ScaleJitter
from pellucid.vision.transforms.v2.detection import SetClampingMode as SetClampingMode
from pellucid.vision.transforms.v2.mixing import CutMix as CutMix
from pellucid.vision.transforms.v2.mixing import MixUp as MixUp
from pellucid.vision.transforms.v2.policies import AugMix as AugMix
from pellucid.vision.transforms.v2.policies import AutoAugment as AutoAugment
from pellucid.vision.transforms.v2.policies import RandAugment as RandAugment
from pellucid.vision.transforms.v2.policies import TrivialAugmentWide as TrivialAugmentWide
