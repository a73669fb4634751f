"""One side of `drift.py`: compares two files, in its own environment, and prints what that took as JSON.

    python benchmarks/drift_side.py mlframe|evidently|nannyml reference.parquet window.parquet

Files are read before the clock starts; what is learned of the reference is timed apart where a side keeps it.
"""

import json
import resource
import sys
import time


def mlframe(reference: str, window: str) -> dict:
    """Sketch the window on the reference's grids and compare: five statistics, effect and p-value a column."""
    import polars as pl

    from mlframe import stats

    before = pl.read_parquet(reference)
    stats.movement(*(stats.sketch(before[name][:10], "numeric") for name in before.columns[:1] * 2))  # imports scipy
    began = time.perf_counter()
    base = {name: stats.sketch(before[name], "numeric") for name in before.columns}
    learned = time.perf_counter() - began
    del before
    now = pl.read_parquet(window)
    began = time.perf_counter()
    found = {
        name: stats.movement(known, stats.sketch(now[name], "numeric", like=known)) for name, known in base.items()
    }
    seconds = time.perf_counter() - began
    q = stats.benjamini_yekutieli(pl.Series([item.p for item in found.values()]).to_numpy())
    over = [name for (name, item), value in zip(found.items(), q, strict=True) if item.effect >= 0.1 and value <= 0.05]
    return {"seconds": seconds, "learned": learned, "moved": over}


def exact(reference: str, window: str) -> dict:
    """Compute the exact statistics of both files."""
    import polars as pl

    from mlframe import stats

    before, now = pl.read_parquet(reference), pl.read_parquet(window)
    began = time.perf_counter()
    for name in before.columns:
        one, other = before[name].to_numpy(), now[name].to_numpy()
        stats.kolmogorov_smirnov(one, other)
        stats.wasserstein(one, other)
    return {"seconds": time.perf_counter() - began, "learned": None, "moved": []}


def evidently(reference: str, window: str) -> dict:
    """Run the preset as it comes."""
    import pandas as pd
    from evidently import Report
    from evidently.presets import DataDriftPreset

    before, now = pd.read_parquet(reference), pd.read_parquet(window)
    began = time.perf_counter()
    made = Report([DataDriftPreset()]).run(now, before)
    said = made.dict()
    seconds = time.perf_counter() - began
    values = {metric["metric_name"]: metric["value"] for metric in said["metrics"]}
    counted = next(value for name, value in values.items() if name.startswith("DriftedColumnsCount"))
    return {"seconds": seconds, "learned": None, "moved": [f"{counted['count']:.0f} columns"]}


def nannyml(reference: str, window: str) -> dict:
    """Run the univariate calculator with its default (Jensen-Shannon), the window as one chunk."""
    import nannyml as nml
    import pandas as pd

    before, now = pd.read_parquet(reference), pd.read_parquet(window)
    began = time.perf_counter()
    calculator = nml.UnivariateDriftCalculator(column_names=list(before.columns), chunk_number=1)
    calculator.fit(before)
    learned = time.perf_counter() - began
    began = time.perf_counter()
    found = calculator.calculate(now).to_df()
    seconds = time.perf_counter() - began
    alerts = found.loc[:, found.columns.get_level_values(-1) == "alert"]
    last = alerts.iloc[-1]
    return {"seconds": seconds, "learned": learned, "moved": [name[0] for name, value in last.items() if value]}


if __name__ == "__main__":
    side, reference, window = sys.argv[1:]
    result = globals()[side](reference, window)
    result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(result))
