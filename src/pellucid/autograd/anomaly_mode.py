"""Anomaly mode under PyTorch's module name."""

from pellucid.autograd.anomaly import detect_anomaly as detect_anomaly
from pellucid.autograd.anomaly import set_detect_anomaly as set_detect_anomaly

__all__ = ["detect_anomaly", "set_detect_anomaly"]
