"""Measures multiruns: a Bayesian search against a hand-written Optuna loop, and what a job costs beside its fitting.

    python benchmarks/sweep.py                        # 100 trials, 50 jobs
    python benchmarks/sweep.py --trials 10 --jobs 20 --only bayes

100 jobs that do nothing, against plain Hydra, are a case of benchmarks/run.py.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHURN = HERE.parent / "mlframe" / "datasets" / "churn" / "data.parquet"
MLFRAME = [sys.executable, "-m", "mlframe"]
SHARED = ("ingest", "verify", "label", "split")
"""Steps that jobs which differ in the model only have in common."""


def timed(command: Sequence[str], folder: Path) -> tuple[float, str]:
    """Run a command in a folder; return seconds and what it printed."""
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return seconds, done.stdout


def scores_of(printed: str) -> list[str]:
    """Return the score of each job as a multirun prints it."""
    return re.findall(r"^  roc_auc (\d\.\d{4}),", printed, re.MULTILINE)


def bayes(trials: int, threads: int, runs: int) -> str:
    """Compare the search with the loop; both must have scored the same trials alike."""
    words = ["-m", "sweep=bayes", f"sweep.trials={trials}", "sweep.prune=none", "sweep.close=false", "model=lgbm"]
    words.append("fit.threshold=none")  # the loop does not learn one either
    ours = [*MLFRAME, *words, "data=churn", "trackers=[]", f"resources.threads={threads}"]
    theirs = [sys.executable, str(HERE / "handwritten_sweep.py"), str(CHURN), str(trials), str(threads)]
    ratios, mine, others = [], [], []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as place:
            took, printed = timed(ours, Path(place))
            other, said = timed(theirs, Path(place))
        wanted = [f"{float(value):.4f}" for value in re.findall(r"\d\.\d+(?:e-\d+)?", said)]
        if scores_of(printed) != wanted:
            raise SystemExit(f"The sides did different work: {scores_of(printed)} here, {wanted} by hand")
        ratios.append(took / other)
        mine.append(took)
        others.append(other)
    return (
        f"- {trials} trials of LightGBM on churn, Bayesian search, equal scores on both sides: mlframe "
        f"**{statistics.median(mine):.1f} s**, a hand-written Optuna loop {statistics.median(others):.1f} s, ratio "
        f"**{statistics.median(ratios):.2f}** (goal: at most 1.15)"
    )


@dataclass(frozen=True)
class JobCost:
    """What one job cost, in seconds.

    Args:
        whole: from its beginning to that of the next one.
        fitting: fitting the folds and predicting them; features come from the cache.
        keeping: the rest of the step `fit`: keeping the folds' models for later, timing a prediction.
        judging: the step `score`.
        cached: steps that the cache answered.
    """

    whole: float
    fitting: float
    keeping: float
    judging: float
    cached: tuple[str, ...]

    @property
    def bookkeeping(self) -> float:
        """Seconds for everything else: asking for the next job, composing, checking, recording, telling."""
        return self.whole - self.fitting - self.keeping - self.judging


def costs(folder: Path) -> list[JobCost]:
    """Return what the jobs of the last multirun in a workspace cost, by the store's own record.

    A worker gets its next job when the end of the last one is in the ledger, so the distance of two beginnings is all
    that a job took: a clock that no part of the bookkeeping escapes. The last job has no successor and is left out.
    """
    from mlframe.store import Store

    with Store.open(str(folder / ".mlframe"), create=False) as store:
        jobs = store.sweep_jobs(store.sweep("last")["id"])
        runs = {job["number"]: store.run(job["run"]) for job in jobs}
        steps = {job["number"]: {step["step"]: step for step in store.steps(job["run"])} for job in jobs}
    began = [datetime.fromisoformat(runs[job["number"]]["started"]).timestamp() for job in jobs]
    found = []
    for index, job in enumerate(jobs[:-1]):
        mine = steps[job["number"]]
        cached = tuple(name for name, step in mine.items() if step["cached"])
        told = runs[job["number"]]["summary"]["fitting"]
        whole, fitting = began[index + 1] - began[index], told["seconds"] - told["featurize_seconds"]
        keeping = mine["fit"]["seconds"] - fitting
        found.append(JobCost(whole, fitting, keeping, mine["score"]["seconds"], cached))
    return found


def overhead(jobs: int) -> str:
    """Run jobs that differ in a value of the model, and tell what was shared and what each cost beside fitting."""
    import polars as pl
    from sklearn.datasets import load_breast_cancer

    values = ",".join(f"{0.01 * (number + 1):g}" for number in range(jobs))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        found = load_breast_cancer()
        rows = pl.DataFrame(found.data, schema=[f"f{index}" for index in range(found.data.shape[1])])
        rows.with_columns(pl.Series("target", found.target)).write_parquet(folder / "table.parquet")
        data = ["data=parquet", "data.source.path=table.parquet", "data.columns.target.role=target"]
        job = ["model=linear", f"model.classification.C={values}", "resources.threads=1", "trackers=[]"]
        _, printed = timed([*MLFRAME, "-m", *data, *job], folder)
        paid = costs(folder)
    later = paid[1:]
    again = sorted({step for cost in later for step in SHARED if step not in cost.cached})
    if again:
        raise SystemExit(f"These steps were done again: {', '.join(again)}\n{printed}")
    rest = sorted(1000 * cost.bookkeeping for cost in later)
    fitting, keeping, judging = (
        1000 * statistics.median(getattr(cost, what) for cost in later) for what in ("fitting", "keeping", "judging")
    )
    return (
        f"- {jobs} jobs that differ in a value of the model (569 rows, logistic regression): {', '.join(SHARED)} and the "
        f"featurized folds were made once; beside fitting ({fitting:.0f} ms), judging ({judging:.0f} ms) and keeping the folds' models "
        f"({keeping:.0f} ms) a job costs "
        f"**{statistics.median(rest):.0f} ms** (median; nine of ten below {rest[int(0.9 * len(rest))]:.0f} ms; goal: "
        "under 30 ms)"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100, help="trials of the search (default 100)")
    parser.add_argument("--jobs", type=int, default=50, help="jobs of the multirun (default 50)")
    parser.add_argument("--runs", type=int, default=1, help="how often the search is run a side (default 1)")
    parser.add_argument("--threads", type=int, default=1, help="threads of the search (default 1)")
    parser.add_argument("--only", choices=["bayes", "overhead"], help="one case")
    arguments = parser.parse_args()
    if arguments.only != "overhead":
        print(bayes(arguments.trials, arguments.threads, arguments.runs), flush=True)
    if arguments.only != "bayes":
        print(overhead(arguments.jobs), flush=True)


if __name__ == "__main__":
    main()
