"""Parity: PyTorch's own operator database, asked of Pellucid.

`scope` chooses the operators, `samples` draws their inputs, `bridge` builds each input twice from
one frozen recipe, `translate` finds Pellucid's counterpart of a PyTorch callable, `compare` looks
at what came back, `checks` puts these together for one sample, and `run` sweeps and prints.
"""
