"""How long the search for the worst slices takes: 100,000 rows by 30 columns, a planted one among them.

python benchmarks/slices.py
"""

from __future__ import annotations

import time

import numpy as np
import polars as pl

from mlframe.contracts import Judged, Predictions
from mlframe.evaluators.slices import SlicesEvaluator
from mlframe.table import ROW, Table, describe_columns

ROWS = 100_000
GOAL = 10.0


def judged(seed: int = 0) -> Judged:
    """Make 20 numbers, 8 categories of 2 to 40 values, a text and a time; rows with cat_3 = 'v1' and num_5 > 1 are bad."""
    rng = np.random.default_rng(seed)
    columns = {f"num_{k}": rng.normal(size=ROWS) for k in range(20)}
    columns |= {f"cat_{k}": rng.integers(0, 2 + 5 * k, ROWS).astype(str) for k in range(8)}
    frame = pl.DataFrame(columns).with_columns(
        pl.Series("text", np.array(["word " * n for n in range(4, 60)])[rng.integers(0, 56, ROWS)]),
        pl.Series("at", np.datetime64("2024-01-01") + rng.integers(0, 700, ROWS).astype("timedelta64[D]")),
    )
    kinds = {"text": {"kind": "text"}}
    y = rng.random(ROWS) < 0.3
    bad = ((frame["cat_3"] == "1") & (frame["num_5"] > 1)).to_numpy()
    p = np.clip(np.where(y, 0.7, 0.2) + rng.normal(0, 0.1, ROWS) - 0.25 * bad * np.where(y, 1, -1), 0.01, 0.99)
    said = pl.DataFrame(
        {
            "row_id": np.arange(ROWS, dtype=np.uint32),
            "fold": np.zeros(ROWS, dtype=np.int32),
            "y": np.where(y, "yes", "no"),
            "y_pred": np.where(p > 0.5, "yes", "no"),
            "p_no": 1 - p,
            "p_yes": p,
            "weight": rng.uniform(0.5, 2.0, ROWS),
        }
    )
    predictions = Predictions(said, "binary", ("no", "yes"), "folds")
    table = Table(frame.with_row_index(ROW), describe_columns(frame, kinds))
    return Judged(predictions, oof=predictions, oof_table=table)


def main() -> None:
    given = judged()
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        found = SlicesEvaluator().evaluate(given)
        seconds.append(time.perf_counter() - began)
    for item in found.findings:
        print(item.text)
    print(f"{ROWS:,} rows x 30 columns: {sorted(seconds)[1]:.2f} s (goal: below {GOAL:g} s)")


if __name__ == "__main__":
    main()
