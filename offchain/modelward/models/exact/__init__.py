"""Exact models: integer programs that every machine, and the chain, runs to the same bytes.

`compile` turns a fitted estimator into a `program`. `reference` says with big integers what a
program computes; `single` and `batch` compute the same faster, for one row and for many.
"""
