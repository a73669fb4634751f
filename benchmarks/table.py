"""Writes the generated table: 300,000 rows, 40 columns, some of them categorical, some values missing; seeded.

python benchmarks/table.py OUT.parquet [--rows 300000]
"""

import argparse
from pathlib import Path

import numpy as np
import polars as pl

NUMBERS = 31
CATEGORIES = 8
WIDTHS = (3, 5, 8, 12, 20, 50, 100, 400)
"""Number of values of each categorical column."""


def table(rows: int, seed: int = 0) -> pl.DataFrame:
    """Return 31 numeric and 8 categorical columns and a binary target that a third of them tell something about."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, NUMBERS)).astype(np.float64)
    codes = {f"cat_{i}": rng.zipf(1.5, rows) % WIDTHS[i] for i in range(CATEGORIES)}
    logit = numbers[:, :8] @ rng.normal(size=8) * 0.5 + np.sin(2 * numbers[:, 8]) + numbers[:, 9] * numbers[:, 10]
    for name in ("cat_2", "cat_4", "cat_6"):
        logit += rng.normal(size=400)[codes[name]] * 0.5
    target = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.int64)
    columns: dict[str, pl.Series] = {}
    for i in range(NUMBERS):
        values = numbers[:, i]
        if i % 4 == 0:  # a tenth of every fourth column is missing
            columns[f"num_{i}"] = pl.Series(np.where(rng.random(rows) < 0.1, np.nan, values)).fill_nan(None)
        else:
            columns[f"num_{i}"] = pl.Series(values)
    for i, (name, code) in enumerate(codes.items()):
        text = pl.Series(code).cast(pl.String)
        columns[name] = pl.select(
            pl.when(pl.Series(rng.random(rows) < (0.05 if i % 2 else 0.0))).then(None).otherwise("v" + text)
        ).to_series()
    columns["target"] = pl.Series(target)
    return pl.DataFrame(columns)


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", type=int, default=300_000)
    arguments = parser.parse_args()
    table(arguments.rows).write_parquet(arguments.out)


if __name__ == "__main__":
    main()
