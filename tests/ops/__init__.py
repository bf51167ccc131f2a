"""Operators, family by family."""
