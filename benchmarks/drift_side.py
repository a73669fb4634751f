"""One side of `drift.py`: compares two files, in its own environment, and prints what that took as JSON.

    python benchmarks/drift_side.py mlframe|evidently|nannyml reference.parquet window.parquet

Files are read before the clock starts; what is learned of the reference is timed apart where a side keeps it.
"""

import json
import subprocess
import sys
import time
from pathlib import Path


def learn(reference: str, sketches: str) -> dict:
    """Sketch the reference, as a bundle keeps it."""
    import polars as pl

    from mlframe import stats

    before = pl.read_parquet(reference)
    began = time.perf_counter()
    record = {name: stats.sketch(before[name], "numeric").record() for name in before.columns}
    learned = time.perf_counter() - began
    Path(sketches).write_text(json.dumps(record))
    return {"learned": learned}


def mlframe(reference: str, window: str) -> dict:
    """Sketch the window on the reference's grids and compare: five statistics, effect and p-value a column.

    The reference is sketched by a process of its own: where a window is looked at, its rows are not.
    """
    import polars as pl

    from mlframe import stats

    sketches = Path(window).with_suffix(".json")
    command = [sys.executable, __file__, "learn", reference, str(sketches)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    learned = json.loads(done.stdout)["learned"]
    base = {name: stats.read_sketch(record) for name, record in json.loads(sketches.read_text()).items()}
    few = stats.sketch(pl.Series([1.0, 2.0]), "numeric")
    stats.movement(few, few)  # imports scipy
    now = pl.read_parquet(window)
    began, worked = time.perf_counter(), time.process_time()
    found = {}
    for name, known in base.items():
        found[name] = stats.movement(known, stats.sketch(now[name], "numeric", like=known))
    seconds, worked = time.perf_counter() - began, time.process_time() - worked
    q = stats.benjamini_yekutieli(pl.Series([item.p for item in found.values()]).to_numpy())
    over = [name for (name, item), value in zip(found.items(), q, strict=True) if item.effect >= 0.1 and value <= 0.05]
    return {"seconds": seconds, "worked": worked, "learned": learned, "moved": over}


def exact(reference: str, window: str) -> dict:
    """Compute the exact statistics of both files."""
    import polars as pl

    from mlframe import stats

    before, now = pl.read_parquet(reference), pl.read_parquet(window)
    began, worked = time.perf_counter(), time.process_time()
    for name in before.columns:
        one, other = before[name].to_numpy(), now[name].to_numpy()
        stats.kolmogorov_smirnov(one, other)
        stats.wasserstein(one, other)
    seconds, worked = time.perf_counter() - began, time.process_time() - worked
    return {"seconds": seconds, "worked": worked, "learned": None, "moved": []}


def evidently(reference: str, window: str) -> dict:
    """Run the preset as it comes."""
    import pandas as pd
    from evidently import Report
    from evidently.presets import DataDriftPreset

    before, now = pd.read_parquet(reference), pd.read_parquet(window)
    began, worked = time.perf_counter(), time.process_time()
    made = Report([DataDriftPreset()]).run(now, before)
    said = made.dict()
    seconds, worked = time.perf_counter() - began, time.process_time() - worked
    values = {metric["metric_name"]: metric["value"] for metric in said["metrics"]}
    counted = next(value for name, value in values.items() if name.startswith("DriftedColumnsCount"))
    return {"seconds": seconds, "worked": worked, "learned": None, "moved": [f"{counted['count']:.0f} columns"]}


def nannyml(reference: str, window: str) -> dict:
    """Run the univariate calculator as it comes: Jensen-Shannon, ten chunks."""
    import nannyml as nml
    import pandas as pd

    before, now = pd.read_parquet(reference), pd.read_parquet(window)
    began = time.perf_counter()
    calculator = nml.UnivariateDriftCalculator(column_names=list(before.columns))
    calculator.fit(before)
    learned = time.perf_counter() - began
    began, worked = time.perf_counter(), time.process_time()
    found = calculator.calculate(now).to_df()
    seconds, worked = time.perf_counter() - began, time.process_time() - worked
    alerts = found.loc[:, found.columns.get_level_values(-1) == "alert"]
    last = alerts.iloc[-1]
    return {
        "seconds": seconds,
        "worked": worked,
        "learned": learned,
        "moved": [name[0] for name, value in last.items() if value],
    }


if __name__ == "__main__":
    side, reference, window = sys.argv[1:]
    result = globals()[side](reference, window)
    # Not ru_maxrss: a process begins with what its parent held when it was started.
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    result["peak_mb"] = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    print(json.dumps(result))
