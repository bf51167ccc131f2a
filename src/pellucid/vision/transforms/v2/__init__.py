"""torchvision's transforms, second edition: the same, and samples of several parts too.

Pictures and labels go through together: `transform(image, label)`.
"""

from pellucid.vision.transforms.chance import ColorJitter as ColorJitter
from pellucid.vision.transforms.chance import GaussianBlur as GaussianBlur
from pellucid.vision.transforms.chance import RandomAdjustSharpness as RandomAdjustSharpness
from pellucid.vision.transforms.chance import RandomAutocontrast as RandomAutocontrast
from pellucid.vision.transforms.chance import RandomEqualize as RandomEqualize
from pellucid.vision.transforms.chance import RandomErasing as RandomErasing
from pellucid.vision.transforms.chance import RandomGrayscale as RandomGrayscale
from pellucid.vision.transforms.chance import RandomHorizontalFlip as RandomHorizontalFlip
from pellucid.vision.transforms.chance import RandomInvert as RandomInvert
from pellucid.vision.transforms.chance import RandomPosterize as RandomPosterize
from pellucid.vision.transforms.chance import RandomSolarize as RandomSolarize
from pellucid.vision.transforms.chance import RandomVerticalFlip as RandomVerticalFlip
from pellucid.vision.transforms.chance_geometry import RandomAffine as RandomAffine
from pellucid.vision.transforms.chance_geometry import RandomCrop as RandomCrop
from pellucid.vision.transforms.chance_geometry import RandomResizedCrop as RandomResizedCrop
from pellucid.vision.transforms.chance_geometry import RandomRotation as RandomRotation
from pellucid.vision.transforms.interpolation import InterpolationMode as InterpolationMode
from pellucid.vision.transforms.transforms import CenterCrop as CenterCrop
from pellucid.vision.transforms.transforms import Compose as Compose
from pellucid.vision.transforms.transforms import ConvertImageDtype as ConvertImageDtype
from pellucid.vision.transforms.transforms import FiveCrop as FiveCrop
from pellucid.vision.transforms.transforms import Grayscale as Grayscale
from pellucid.vision.transforms.transforms import Identity as Identity
from pellucid.vision.transforms.transforms import Lambda as Lambda
from pellucid.vision.transforms.transforms import LinearTransformation as LinearTransformation
from pellucid.vision.transforms.transforms import Normalize as Normalize
from pellucid.vision.transforms.transforms import Pad as Pad
from pellucid.vision.transforms.transforms import PILToTensor as PILToTensor
from pellucid.vision.transforms.transforms import RandomApply as RandomApply
from pellucid.vision.transforms.transforms import RandomChoice as RandomChoice
from pellucid.vision.transforms.transforms import RandomOrder as RandomOrder
from pellucid.vision.transforms.transforms import Resize as Resize
from pellucid.vision.transforms.transforms import TenCrop as TenCrop
from pellucid.vision.transforms.transforms import ToDtype as ToDtype
from pellucid.vision.transforms.transforms import ToImage as ToImage
from pellucid.vision.transforms.transforms import ToPILImage as ToPILImage
from pellucid.vision.transforms.transforms import ToPureTensor as ToPureTensor
from pellucid.vision.transforms.transforms import ToTensor as ToTensor
from pellucid.vision.transforms.v2 import functional as functional
