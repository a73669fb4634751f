"""Measures batch scoring beside a loop of polars and the bare pipeline; the numbers are in docs/deploying.md.

    python benchmarks/batch.py                       # 10,000,000 rows, 10 numbers and 4 categories, 200 trees
    python benchmarks/batch.py --rows 1000000

Both sides are whole processes that read the same Parquet file in parts of the same size, score with the same registered
pipeline, and write Parquet. The loop asks the bare pipeline. mlframe asks it on the fast path, flushes each part, keeps a
manifest with digests and could go on after a kill; the loop does none of that.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from serving import DATA, family, table
from serving_peers import CATEGORIES, NUMBERS
from soak import environment, run

PART = 100_000
LOOP = """
import sys
from pathlib import Path
import polars as pl
from mlframe.pipeline.opening import open_pipeline
from mlframe.plugins import load_plugins
from mlframe.store.store import Store
from mlframe.table import ROW
rows, store, out, size = sys.argv[1:]
with Store.open(store) as opened:
    bundle = opened.open_bundle("table/1")
pipeline = open_pipeline(bundle, load_plugins((), None, Path.cwd()).registry, where="table/1").pipeline
for number, batch in enumerate(pl.scan_parquet(rows).collect_batches(chunk_size=int(size), maintain_order=True)):
    pl.concat([batch, pipeline.score(batch.with_row_index(ROW), "rows")], how="horizontal").write_parquet(f"{out}/part-{number:06d}.parquet")
"""


def write_rows(path: Path, rows: int) -> None:
    """Write rows to score, a million at a time."""
    random = np.random.default_rng(1)
    folder = path.with_suffix("")
    folder.mkdir()
    for start in range(0, rows, 1_000_000):
        count = min(1_000_000, rows - start)
        columns = {name: random.normal(size=count).round(6) for name in NUMBERS}
        columns |= {
            name: pl.Series(random.integers(0, width, count)).cast(pl.String).str.replace("^", "v")
            for name, width in zip(CATEGORIES, (3, 8, 20, 50), strict=True)
        }
        pl.DataFrame({"id": np.arange(start, start + count), **columns}).write_parquet(folder / f"{start:09d}.parquet")
    pl.scan_parquet(folder / "*.parquet").sink_parquet(path)


def measure(command: list[str], folder: Path) -> tuple[float, float]:
    """Run a command; return seconds and peak memory in MB, of all its processes."""
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=folder, env=environment(), stdout=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        for one in family(process.pid):
            try:
                lines = Path(f"/proc/{one}/status").read_text().splitlines()
            except OSError:
                continue
            peak = max(peak, *(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)
        time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return time.monotonic() - began, peak


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        table().write_csv(folder / "rows.csv")
        (folder / "conf" / "data").mkdir(parents=True)
        (folder / "conf" / "data" / "table.yaml").write_text(DATA.format(path=folder / "rows.csv"))
        words = ["data=table", "model=lgbm", "model.n_estimators=200", "fit.early_stopping=none", "trackers=[]"]
        run(folder, *words, "~task.steps.explore", "reporters=[]", "splitter=holdout")
        run(folder, "promote", "table/1", "--force")
        rows = folder / "big.parquet"
        write_rows(rows, arguments.rows)
        times: dict[str, list[float]] = {"mlframe": [], "loop": []}
        peaks: dict[str, float] = {}
        for number in range(arguments.repeats):
            for side in times:
                out = folder / f"{side}-{number}"
                if side == "loop":
                    out.mkdir()
                    command = [sys.executable, "-c", LOOP, str(rows), str(folder / ".mlframe"), str(out), str(PART)]
                else:
                    command = [sys.executable, "-m", "mlframe", "deploy", "data=table", "deployer=batch", "trackers=[]"]
                    command += [f"deployer.rows={PART}", f"input={rows}", f"output={out}"]
                seconds, peaks[side] = measure(command, folder)
                times[side].append(seconds)
        sides = [pl.scan_parquet(folder / f"{side}-0" / "*.parquet").select("p_1") for side in times]
        apart = pl.concat([sides[0].rename({"p_1": "a"}), sides[1].rename({"p_1": "b"})], how="horizontal")
        worst = apart.select((pl.col("a") - pl.col("b")).abs().max()).collect(engine="streaming").item()
        if worst is None or worst > 1e-12:
            raise SystemExit(f"The sides score differently: up to {worst}")
    print(f"| {arguments.rows:,} rows | seconds | rows/s | peak memory |\n| --- | --- | --- | --- |")
    for side, taken in times.items():
        middle = statistics.median(taken)
        print(f"| {side} | {middle:.1f} | {arguments.rows / middle:,.0f} | {peaks[side]:,.0f} MB |")
    print(
        f"\nSpeed ratio, loop to mlframe: {statistics.median(times['loop']) / statistics.median(times['mlframe']):.2f}"
    )


if __name__ == "__main__":
    main()
