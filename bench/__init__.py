"""Benchmarks: Pellucid beside its peers, in one run.

`python -m bench` runs them all and prints a table a group; `python -m bench overhead` one group,
`python -m bench "overhead/x + y"` one benchmark. `bench/frame/` is what all share: what a benchmark
is (`registry`), who takes part (`peers`), how time is taken (`timing`), what the machine can do at
this moment (`machine`), how far an answer is from float64's (`accuracy`), and how the outcome is
kept and shown (`results`, `table`, `picture`). The other files describe benchmarks; a new one is an
entry in `SUITES` of `bench/__main__.py` and a call of `enter`.
"""
