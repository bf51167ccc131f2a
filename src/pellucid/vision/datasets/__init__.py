"""torchvision's data sets of images. Nothing is downloaded: an error says which files go where."""

from pellucid.vision.datasets.cifar import CIFAR10 as CIFAR10
from pellucid.vision.datasets.cifar import CIFAR100 as CIFAR100
from pellucid.vision.datasets.fakedata import FakeData as FakeData
from pellucid.vision.datasets.folder import DatasetFolder as DatasetFolder
from pellucid.vision.datasets.folder import ImageFolder as ImageFolder
from pellucid.vision.datasets.mnist import EMNIST as EMNIST
from pellucid.vision.datasets.mnist import KMNIST as KMNIST
from pellucid.vision.datasets.mnist import MNIST as MNIST
from pellucid.vision.datasets.mnist import FashionMNIST as FashionMNIST
from pellucid.vision.datasets.vision import VisionDataset as VisionDataset
