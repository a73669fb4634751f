"""Measures drift: time and memory beside Evidently's DataDriftPreset and NannyML, false alarms, power.

    python benchmarks/drift.py                              # 50 float columns of 100,000 and 1,000,000 rows, then the rates
    python benchmarks/drift.py --rows 100000 --skip evidently --windows 100

The other sides live in environments of their own, made once in a temporary folder. Each comparison is one process; files are
read before its clock starts. Reference and window have the same number of rows; one column has moved.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

HERE = Path(__file__).resolve().parent
COLUMNS = 50
SHIFT = 0.5
SIDES = {
    "mlframe": None,
    "exact": None,
    "nannyml": ("nannyml", "statsmodels", "pandas<3", "pyarrow"),
    "evidently": ("evidently", "pandas<3", "pyarrow"),
}
"""Side to what its environment holds; None is this one. Evidently does not import with pandas 3, NannyML not without statsmodels."""
SINCE = datetime(2026, 1, 5, tzinfo=UTC)


def environment(side: str) -> Path:
    """Return the interpreter of a side; make its environment where there is none."""
    packages = SIDES[side]
    if packages is None:
        return Path(sys.executable)
    folder = Path(tempfile.gettempdir()) / f"mlframe-bench-{side}"
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        print(f"making an environment for {side}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
        ready.touch()
    return python


def table(rows: int, seed: int, shift: float = 0.0) -> pl.DataFrame:
    """Return 50 normal columns; the first is shifted by so many standard deviations."""
    rng = np.random.default_rng(seed)
    return pl.DataFrame({f"x{k}": rng.normal(shift if k == 0 else 0.0, 1.0, rows) for k in range(COLUMNS)})


def measure(side: str, folder: Path) -> dict:
    """Let a side compare the two files of a folder."""
    command = [str(environment(side)), str(HERE / "drift_side.py"), side]
    command += [str(folder / f"{name}.parquet") for name in ("reference", "window")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def speed(rows: Sequence[int], sides: Sequence[str]) -> str:
    """Return times and memory as Markdown."""
    lines = [
        "| rows | side | the window | of it, processor | the reference, once | peak memory | of the window | times as long as mlframe |",
        "| --- " * 8 + "|",
    ]
    for count in rows:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            table(count, 0).write_parquet(folder / "reference.parquet")
            table(count, 1, SHIFT).write_parquet(folder / "window.parquet")
            size = count * COLUMNS * 8 / 2**20
            ours = None
            for side in sides:
                found = measure(side, folder)
                print(f"{count:,} {side}: {found}", file=sys.stderr, flush=True)
                ours = found["seconds"] if side == "mlframe" else ours
                learned = "-" if found["learned"] is None else f"{found['learned']:.2f} s"
                ratio = f"{found['seconds'] / ours:,.1f}" if ours else "-"
                lines.append(
                    f"| {count:,} | {side} | **{found['seconds']:.2f} s** | {found['worked']:.2f} s | {learned} | {found['peak_mb']:,.0f} MB "
                    f"| {found['peak_mb'] / size:.2f} | {ratio} |"
                )
    return "\n".join(lines)


# -------------------------------------------------------------------------------------------------- rates


def made_reference(rows: pl.DataFrame, said: pl.DataFrame, columns: Sequence[dict], folder: Path):
    """Return what a monitor knows of a version that was made from these rows."""
    from mlframe import stats
    from mlframe.contracts import Reference
    from mlframe.steps.baseline import column_sketches, prediction_sketches

    baseline = {
        "format": 2,
        "rows": len(rows),
        "columns": column_sketches(rows, columns),
        "predictions": {"part": "holdout", "rows": len(said), "columns": prediction_sketches(said, "binary")},
        "importance": {},
    }
    drawn = rows[np.random.default_rng(0).choice(len(rows), min(1000, len(rows)), replace=False)]
    stats.comparable(drawn, columns).write_ipc(folder / "sample.arrow")
    return Reference(
        "x/1",
        folder,
        SINCE,
        "binary",
        ("no", "yes"),
        "yes",
        columns,
        baseline,
        {},
        {},
        {"metric": "roc_auc"},
        beside={"sample.arrow": folder / "sample.arrow"},
    )


def made_window(rows: pl.DataFrame):
    """Return rows as a day of a version's answers."""
    from mlframe.contracts import Window

    until = SINCE + timedelta(days=1)
    frame = rows.with_columns(
        version=pl.lit("x/1"), role=pl.lit("champion"), time=pl.lit(None, pl.Datetime("us", "UTC"))
    )
    return Window("x", SINCE, until, until, len(rows), frame.lazy(), frame.head(0).lazy())


def data(name: str) -> tuple[pl.DataFrame, list[dict]]:
    """Return a bundled table in random order with scores of rows that their model has not seen, and its input columns."""
    import yaml
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import cross_val_predict

    from mlframe.sources.bundled import BundledSource
    from mlframe.table import describe_columns

    rows = BundledSource(name).read()
    declared = yaml.safe_load((HERE.parent / "conf" / "data" / f"{name}.yaml").read_text())["data"]["columns"]
    kinds = describe_columns(rows, declared)
    columns = [
        {"name": column.name, "kind": column.kind, "tags": column.tags} for column in kinds if column.role == "feature"
    ]
    target = next(column.name for column in kinds if column.role == "target")
    numbers = rows.select(pl.col(c["name"]).cast(pl.Float64) for c in columns if c["kind"] == "numeric").to_numpy()
    score = cross_val_predict(
        HistGradientBoostingClassifier(max_iter=30), numbers, rows[target].to_numpy(), method="predict_proba"
    )[:, 1]
    said = pl.DataFrame({"y_pred": np.where(score > 0.5, "yes", "no"), "p_no": 1 - score, "p_yes": score})
    return rows.select(column["name"] for column in columns).hstack(said), columns


def false_alarms(name: str, windows: int, rows: int = 1000) -> str:
    """Cut reference and window anew out of one shuffled table, and count windows with any alarm at all."""
    from mlframe.monitors.drift import DriftMonitor

    whole, columns = data(name)
    monitor = DriftMonitor()
    rng = np.random.default_rng(0)
    alarmed: dict[str, int] = {}
    loud = 0
    began = time.perf_counter()
    for number in range(windows):
        order = rng.permutation(len(whole))
        with tempfile.TemporaryDirectory() as place:
            reference = made_reference(whole[order[rows:]], whole[order[rows : rows + 1000]], columns, Path(place))
            found = monitor.observe(replace(reference), made_window(whole[order[:rows]]))
        loud += bool(found.alarms)
        for alarm in found.alarms:
            alarmed[alarm.key] = alarmed.get(alarm.key, 0) + 1
        if number % 50 == 49:
            print(f"{name}: {loud} of {number + 1} alarmed {alarmed}", file=sys.stderr, flush=True)
    seconds = (time.perf_counter() - began) / windows
    return f"| {name} | {windows:,} | {rows:,} | {len(columns)} | {loud} | **{loud / windows:.1%}** | {seconds:.2f} s |"


def power(windows: int, rows: int, shift: float, known: int = 20_000) -> str:
    """Count windows in which the one column of fifty that moved is found, and those in which another is named."""
    from mlframe.monitors.drift import DriftMonitor

    columns = [{"name": f"x{k}", "kind": "numeric", "tags": ()} for k in range(COLUMNS)]
    monitor = DriftMonitor(sample=0)
    nobody = pl.DataFrame({"y_pred": ["no"], "p_no": [0.5], "p_yes": [0.5]})
    hit = wrong = 0
    with tempfile.TemporaryDirectory() as place:
        reference = made_reference(table(known, 0), nobody, columns, Path(place))
        for number in range(windows):
            found = monitor.observe(reference, made_window(table(rows, number + 1, shift)))
            keys = {alarm.key for alarm in found.alarms}
            hit += "drift/column/x0" in keys
            wrong += bool(keys - {"drift/column/x0"})
    return f"| {shift:g} | {rows:,} | {windows:,} | **{hit / windows:.1%}** | {wrong / windows:.1%} |"


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="*", default=[100_000, 1_000_000], help="rows of both files")
    parser.add_argument("--skip", nargs="+", choices=SIDES, default=[], help="leave sides out")
    parser.add_argument("--windows", type=int, default=1000, help="windows for the rates; 0 for none (default 1000)")
    arguments = parser.parse_args()
    if arguments.rows:
        print(speed(arguments.rows, [side for side in SIDES if side not in arguments.skip]))
    if arguments.windows:
        print("\n| data | windows | rows | columns | with an alarm | share | a window took |")
        print("| --- " * 7 + "|")
        for name, rows in (("churn", 1000), ("email", 1000), ("churn", 100)):
            print(false_alarms(name, arguments.windows, rows), flush=True)
        print("\n| shift, standard deviations | rows | windows | found | with another column named |")
        print("| --- " * 5 + "|")
        for shift, rows in ((0.5, 1000), (0.5, 300), (0.25, 1000), (0.0, 1000)):
            print(power(arguments.windows, rows, shift), flush=True)


if __name__ == "__main__":
    main()
