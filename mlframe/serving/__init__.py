"""The prediction server: one loaded version, asked over HTTP.

A request is read by a protocol (`mlframe.serving.protocols`) into columns that the bundle's schema has checked, scored,
and written back by the same protocol. Nothing here imports steps, sweeps, config, Hydra, Pandera, Weights & Biases or
pandas: a serving process holds what a bundle needs and no more.
"""
