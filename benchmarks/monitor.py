"""Ten million logged predictions, looked at by every monitor that there is: seconds, memory, and the share of each monitor.

    python benchmarks/monitor.py                       # 10,000,000 predictions of one day, a tenth of them with labels and outcomes
    python benchmarks/monitor.py --rows 1000000 --window 1h

The log is a real one: segments as the server writes them, mixed columns (numbers, categories, text, dates, truth values),
ids of 32 characters. Training and the log are made first and not counted; the figure is that of the whole command, from
its start to its end. One look is made at all windows, and a second one that finds nothing new.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

DATA = ["data=csv", "data.source.path=rows.csv", "data.columns.label.role=target", "name=made"]
SEGMENT = 500_000


def make_log(folder: Path, rows: int, labelled: float, days: int) -> None:
    """Write segments of predictions and feedback."""
    import numpy as np
    import polars as pl

    from mlframe.plugins import load_plugins
    from mlframe.store import Store
    from mlframe.store.segments import layout_of
    from mlframe.testing.data import make_table

    with Store.open(str(folder / ".mlframe"), create=False) as store:
        bundle = store.open_bundle("made/1")
        from mlframe.pipeline import Pipeline

        pipeline = Pipeline.load(bundle / "pipeline", load_plugins().registry)
    pool = make_table(50_000, seed=1).frame
    # As a file would hold them; the model has learned from a file.
    pool = pool.with_columns(
        pl.col("ordered", "at").dt.to_string("%Y-%m-%dT%H:%M:%S.%6f"), id=1000 + pl.col("id") % 300
    )
    said = pool.select(pipeline.inputs).hstack(pipeline.predict(pool))
    truth = pool["label"]
    revenue = pl.Series([f'{{"revenue": {cents / 100}}}' for cents in range(1000)])
    rng = np.random.default_rng(0)
    end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    span = timedelta(days=days) / timedelta(microseconds=1)
    first = int((end - timedelta(days=days)).timestamp() * 1e6)
    made = 0
    while made < rows:
        count = min(SEGMENT, rows - made)
        at = rng.integers(0, len(pool), count)
        micros = first + np.sort((made + rng.random(count) * count) * (span / rows)).astype(np.int64)
        ids = pl.select(pl.arange(made, made + count, dtype=pl.UInt64).alias("n"))["n"]
        request = pl.DataFrame({"a": ids.hash(1), "b": ids.hash(2)}).select(
            pl.format("{}-{}", pl.col("a"), pl.col("b")).str.slice(0, 32).alias("request_id")
        )["request_id"]
        moment = pl.Series("time", micros).cast(pl.Datetime("us", "UTC"))
        constant = {"version": "made/1", "role": "champion"}
        frame = pl.DataFrame(
            [
                request,
                pl.Series("row", np.zeros(count, dtype=np.uint32)),
                moment,
                *(pl.Series(name, [value]).new_from_index(0, count) for name, value in constant.items()),
                pl.Series("caller", [None], dtype=pl.String).new_from_index(0, count),
                pl.Series("latency_ms", rng.gamma(2.0, 0.8, count).astype(np.float32)),
            ]
        ).hstack(said[at])
        told = rng.random(count) < labelled
        feedback = (
            frame.filter(pl.Series(told))
            .select("request_id", "row", "time")
            .with_columns(
                (pl.col("time") + pl.duration(seconds=1)).alias("time"),
                truth.gather(at).filter(pl.Series(told)).alias("label"),
                pl.Series("outcome", revenue.gather(rng.integers(0, len(revenue), int(told.sum())))),
                pl.lit(None, dtype=pl.String).alias("caller"),
            )
        )
        for kind, part in (("predictions", frame), ("feedback", feedback)):
            layout = layout_of(part)
            for (day,), inner in part.group_by(pl.col("time").dt.date().alias("day"), maintain_order=True):
                place = folder / ".mlframe" / kind / "made" / str(day)
                place.mkdir(parents=True, exist_ok=True)
                began = inner["time"][0]
                inner.write_parquet(place / f"{began:%Y-%m-%dT%H%M%S}-bench-{layout}-{made:08x}.parquet")
        made += count


def look(folder: Path, words: list[str]) -> tuple[float, float, float]:
    """Run the command; return seconds, seconds of processor time and the peak of its memory in MB."""
    command = [sys.executable, "-m", "mlframe", "monitor", *DATA, *words]
    began = time.perf_counter()
    child = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert child.stdout is not None
    out = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - began
    if status:
        raise SystemExit(out)
    print(out)
    scale = 1 if sys.platform == "darwin" else 1024
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * scale / (1 << 20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--labelled", type=float, default=0.1)
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--window", default="1d")
    parser.add_argument("--folder", type=Path, help="keep the log here, and use the one that is there")
    parser.add_argument("words", nargs="*", help="overrides, such as 'monitors=[quality]'")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        if not (folder / ".mlframe").is_dir():
            from mlframe.testing.data import make_deployment

            folder.mkdir(parents=True, exist_ok=True)
            make_deployment(folder)
            make_log(folder, arguments.rows, arguments.labelled, arguments.days)
        words = [f"monitor.window={arguments.window}", *arguments.words]
        seconds, processor, memory = look(folder, [*words, "cache=refresh"])
        again, _, _ = look(folder, words)
        from mlframe.store import Store

        with Store.open(str(folder / ".mlframe"), create=False) as store:
            windows = [row for row in store.windows.many("made") if row["record"]["window"] != ""]
        parts: dict[str, float] = {}
        for row in windows:
            for key, took in row["record"]["seconds"].items():
                parts[key] = parts.get(key, 0.0) + took
    total = sum(row["rows"] for row in windows)
    print(
        json.dumps(
            {
                "rows": total,
                "windows": len(windows),
                "seconds": round(seconds, 1),
                "processor_seconds": round(processor, 1),
                "peak_mb": round(memory),
                "again_seconds": round(again, 1),
            }
        )
    )
    for key, took in sorted(parts.items(), key=lambda item: -item[1]):
        print(f"  {key:<12} {took:6.1f} s")
    print(f"this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


if __name__ == "__main__":
    main()
