"""Elementwise operators, one table a family. What they share stands in `pointwise.py`."""
