"""Benchmarks: who folds challenge logs how fast, on one broker, from one input, in one run.

`python -m tests.bench` (or `make bench`). Each peer is one module of `tests.bench.peers`; see there
for what a peer has to be. Figures are printed and written down, never asserted: they move from
machine to machine, the ratios move less.
"""
