"""Tensors from sizes and from data."""
