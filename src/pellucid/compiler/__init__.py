"""Compiled functions: a Module or a function of tensors as one native call.

`trace` runs it once and writes down its operators, `passes` change the graph, `lower` chooses a
kernel and a layout for each node, `plan` lays out memory and arguments, `compiled` keeps a plan for
each kind of input and checks that it still fits.
"""
