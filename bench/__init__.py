"""Benchmarks: Pellucid beside its peers in one run. `python -m bench` prints a table of ratios."""
