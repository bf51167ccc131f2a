"""Elementwise operators, one table a family. The machinery they share is `ops/pointwise.py`."""
