"""Transforms of one image with given parameters: nothing here is random."""

from pellucid.vision.transforms.colour import adjust_brightness as adjust_brightness
from pellucid.vision.transforms.colour import adjust_contrast as adjust_contrast
from pellucid.vision.transforms.colour import adjust_gamma as adjust_gamma
from pellucid.vision.transforms.colour import adjust_hue as adjust_hue
from pellucid.vision.transforms.colour import adjust_saturation as adjust_saturation
from pellucid.vision.transforms.colour import adjust_sharpness as adjust_sharpness
from pellucid.vision.transforms.colour import autocontrast as autocontrast
from pellucid.vision.transforms.colour import equalize as equalize
from pellucid.vision.transforms.colour import erase as erase
from pellucid.vision.transforms.colour import gaussian_blur as gaussian_blur
from pellucid.vision.transforms.colour import invert as invert
from pellucid.vision.transforms.colour import normalize as normalize
from pellucid.vision.transforms.colour import posterize as posterize
from pellucid.vision.transforms.colour import rgb_to_grayscale as rgb_to_grayscale
from pellucid.vision.transforms.colour import solarize as solarize
from pellucid.vision.transforms.colour import to_grayscale as to_grayscale
from pellucid.vision.transforms.conversion import convert_image_dtype as convert_image_dtype
from pellucid.vision.transforms.conversion import get_dimensions as get_dimensions
from pellucid.vision.transforms.conversion import get_image_num_channels as get_image_num_channels
from pellucid.vision.transforms.conversion import get_image_size as get_image_size
from pellucid.vision.transforms.conversion import pil_to_tensor as pil_to_tensor
from pellucid.vision.transforms.conversion import to_pil_image as to_pil_image
from pellucid.vision.transforms.conversion import to_tensor as to_tensor
from pellucid.vision.transforms.geometry import affine as affine
from pellucid.vision.transforms.geometry import center_crop as center_crop
from pellucid.vision.transforms.geometry import crop as crop
from pellucid.vision.transforms.geometry import five_crop as five_crop
from pellucid.vision.transforms.geometry import hflip as hflip
from pellucid.vision.transforms.geometry import pad as pad
from pellucid.vision.transforms.geometry import resize as resize
from pellucid.vision.transforms.geometry import resized_crop as resized_crop
from pellucid.vision.transforms.geometry import rotate as rotate
from pellucid.vision.transforms.geometry import ten_crop as ten_crop
from pellucid.vision.transforms.geometry import vflip as vflip
from pellucid.vision.transforms.interpolation import InterpolationMode as InterpolationMode
from pellucid.vision.transforms.warp import elastic
from pellucid.vision.transforms.warp import perspective as perspective

elastic_transform = elastic
"""Its name in the first edition."""
