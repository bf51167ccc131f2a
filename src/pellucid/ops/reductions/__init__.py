"""Reductions and running results."""
