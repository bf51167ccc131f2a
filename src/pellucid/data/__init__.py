"""Data sets, samplers and the loader: `torch.utils.data`."""

from pellucid.data.collate import default_collate as default_collate
from pellucid.data.collate import default_convert as default_convert
from pellucid.data.dataloader import DataLoader as DataLoader
from pellucid.data.dataset import ChainDataset as ChainDataset
from pellucid.data.dataset import ConcatDataset as ConcatDataset
from pellucid.data.dataset import Dataset as Dataset
from pellucid.data.dataset import IterableDataset as IterableDataset
from pellucid.data.dataset import StackDataset as StackDataset
from pellucid.data.dataset import Subset as Subset
from pellucid.data.dataset import TensorDataset as TensorDataset
from pellucid.data.dataset import random_split as random_split
from pellucid.data.sampler import BatchSampler as BatchSampler
from pellucid.data.sampler import DistributedSampler as DistributedSampler
from pellucid.data.sampler import RandomSampler as RandomSampler
from pellucid.data.sampler import Sampler as Sampler
from pellucid.data.sampler import SequentialSampler as SequentialSampler
from pellucid.data.sampler import SubsetRandomSampler as SubsetRandomSampler
from pellucid.data.sampler import WeightedRandomSampler as WeightedRandomSampler
from pellucid.data.worker import WorkerInfo as WorkerInfo
from pellucid.data.worker import get_worker_info as get_worker_info

__all__ = [
    "BatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "DistributedSampler",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "WorkerInfo",
    "default_collate",
    "default_convert",
    "get_worker_info",
    "random_split",
]
