"""Measures `experiment=best` against LightGBM's defaults and FLAML with the same time; all read the same files.

    python benchmarks/best.py                                 # six data sets, 120 s and two threads a side
    python benchmarks/best.py --budget 20 --only churn --skip flaml

A fifth of the rows, the latest where rows have a time, is cut off before anyone learns; one function scores what each side
says of them. FLAML lives in an environment of its own, made once in a temporary folder.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

HERE = Path(__file__).resolve().parent
DATA = HERE.parent / "mlframe" / "datasets"
FLAML = Path(tempfile.gettempdir()) / "mlframe-bench-flaml"
"""The environment of the other side."""
SIDES = ("mlframe", "lightgbm", "flaml")
TEST = 0.2
OVERHEAD = 0.2
"""Share of the time that mlframe keeps for everything but fitting members: start, judging, gate, version, report."""


@dataclass(frozen=True)
class Case:
    """One data set.

    Args:
        task: binary, multiclass or regression.
        target: its column.
        drop: columns that no side sees.
        time: column that orders the rows; no side learns from it.
    """

    task: str
    target: str
    drop: tuple[str, ...] = ()
    time: str | None = None

    def read(self, name: str) -> pl.DataFrame:
        """Return the rows, in the order of time where there is one; the target is called `target`."""
        if name in ("digits", "diabetes"):
            from sklearn import datasets

            found = getattr(datasets, f"load_{name}")()
            names = [f"f{index}" for index in range(found.data.shape[1])]
            rows = pl.DataFrame(found.data, schema=names).with_columns(pl.Series("target", found.target))
        else:
            rows = pl.read_parquet(DATA / name / "data.parquet").drop(self.drop).rename({self.target: "target"})
        if self.time:
            rows = rows.sort(self.time)
        texts = [column for column, kind in rows.schema.items() if kind in (pl.Categorical, pl.Enum)]
        rows = rows.with_columns(pl.col(texts).cast(pl.String))
        return rows if self.task == "regression" else rows.with_columns(pl.col("target").cast(pl.String))


CASES: Mapping[str, Case] = {
    "churn": Case("binary", "churn"),
    "spambase": Case("binary", "type"),
    "electricity": Case("binary", "class", drop=("step",), time="timestamp"),
    "digits": Case("multiclass", "target"),
    "diamonds": Case("regression", "price"),
    "diabetes": Case("regression", "target"),
}
"""Small and large, numeric and mixed, by chance and in time; scikit-learn's need no network."""


@dataclass
class Score:
    """What a side reached on a data set: the figure, the seconds it took, what it says of itself."""

    value: float
    seconds: float
    said: str = ""


@dataclass
class Result:
    """The scores of one data set."""

    name: str
    task: str
    scores: dict[str, Score] = field(default_factory=dict)


def cut(rows: pl.DataFrame, ordered: bool, seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return train and test rows."""
    count = round(TEST * len(rows))
    order = np.arange(len(rows)) if ordered else np.random.default_rng(seed).permutation(len(rows))
    return rows[np.sort(order[:-count])], rows[np.sort(order[-count:])]


def score(task: str, target: pl.Series, said: pl.DataFrame) -> float:
    """Return ROC AUC (binary), log loss (multiclass) or RMSE (regression).

    Args:
        task: binary, multiclass or regression.
        target: of the test rows, shape (rows,).
        said: `y_pred`, or one `p_<class>` a class; the last class in sorted order is the positive one.
    """
    from sklearn import metrics

    if task == "regression":
        return float(metrics.root_mean_squared_error(target.to_numpy(), said["y_pred"].to_numpy()))
    classes = sorted(column[2:] for column in said.columns if column.startswith("p_"))
    proba = said.select([f"p_{name}" for name in classes]).to_numpy()
    if task == "binary":
        return float(metrics.roc_auc_score(target.to_numpy() == classes[-1], proba[:, 1]))
    return float(metrics.log_loss(target.to_list(), proba / proba.sum(axis=1, keepdims=True), labels=classes))


def ranks(results: Sequence[Result]) -> dict[str, float]:
    """Return each side's mean rank; 1 is best, equal scores share their ranks."""
    found: dict[str, list[float]] = {}
    for result in results:
        sign = -1 if result.task == "binary" else 1
        values = {side: sign * item.value for side, item in result.scores.items()}
        for side, value in values.items():
            better = sum(other < value for other in values.values())
            equal = sum(other == value for other in values.values())
            found.setdefault(side, []).append(better + (equal + 1) / 2)
    return {side: float(np.mean(places)) for side, places in found.items()}


# -------------------------------------------------------------------------------------------------- the three sides


def mlframe(case: Case, folder: Path, seconds: float, threads: int) -> str:
    """Train and predict through the command line; return what the ensemble is made of."""
    roles = ["data.columns.target.role=target"]
    if case.time:
        roles += ["splitter=time", f"data.columns.{case.time}.role=time"]
    command = [sys.executable, "-m", "mlframe"]
    train = [
        "experiment=best",
        "data=parquet",
        f"data.source.path={folder / 'train.parquet'}",
        *roles,
        f"goal.task={case.task}",
        "name=best",
        "splitter.holdout=0",
        f"ensembler.seconds={(1 - OVERHEAD) * seconds:g}",
        f"resources.threads={threads}",
        "trackers=[]",
    ]
    printed = call([*command, *train], folder)
    files = [f"input={folder / 'test.parquet'}", f"output={folder / 'mlframe.parquet'}"]
    call([*command, "predict", *train[1:5], "name=best", "version=best/1", "trackers=[]", *files], folder)
    lines = [line.split(": ", 1)[-1].strip() for line in printed.splitlines() if " out of fold" in line]
    left_out = [line.split()[0] for line in printed.splitlines() if "is left out" in line]
    return "; ".join(lines[-1:] + ([f"no time for {', '.join(left_out)}"] if left_out else []))


def lightgbm(case: Case, folder: Path, seconds: float, threads: int) -> str:
    """Fit LightGBM as it comes, text columns as categories."""
    import lightgbm as lgb

    train, test = (pl.read_parquet(folder / f"{part}.parquet") for part in ("train", "test"))
    names = [name for name in train.columns if name not in ("target", case.time)]
    texts = [name for name in names if train[name].dtype == pl.String]
    kept = {name: pl.Enum(train[name].drop_nulls().unique().sort()) for name in texts}

    def matrix(rows: pl.DataFrame) -> np.ndarray:
        coded = [pl.col(name).cast(kind, strict=False).to_physical() for name, kind in kept.items()]
        return rows.select(names).with_columns(coded).cast(pl.Float64).to_numpy()

    kind = lgb.LGBMRegressor if case.task == "regression" else lgb.LGBMClassifier
    model = kind(n_jobs=threads, random_state=0, verbosity=-1)
    model.fit(matrix(train), train["target"].to_numpy(), categorical_feature=[names.index(name) for name in texts])
    if case.task == "regression":
        said = pl.DataFrame({"y_pred": model.predict(matrix(test))})
    else:
        proba = model.predict_proba(matrix(test))
        said = pl.DataFrame({f"p_{name}": proba[:, index] for index, name in enumerate(model.classes_)})
    said.write_parquet(folder / "lightgbm.parquet")
    return "defaults"


def flaml(case: Case, folder: Path, seconds: float, threads: int) -> str:
    """Run FLAML in its own environment; return the learner that it chose."""
    for part in ("train", "test"):
        rows = pl.read_parquet(folder / f"{part}.parquet")
        rows.drop([case.time] if case.time else []).write_parquet(folder / f"flaml_{part}.parquet")
    files = [str(folder / f"{name}.parquet") for name in ("flaml_train", "flaml_test", "flaml")]
    command = [str(environment()), str(HERE / "flaml_side.py"), *files, case.task, str(seconds), str(threads)]
    printed = call([*command, *(["--ordered"] if case.time else [])], folder)
    return printed.splitlines()[-1].split('"')[-2]


def environment() -> Path:
    """Return the interpreter of FLAML's environment; make it where there is none."""
    python = FLAML / "bin" / "python"
    ready = FLAML / "ready"
    if not ready.exists():
        print("making an environment for FLAML", file=sys.stderr)
        venv.create(FLAML, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "flaml[automl]", "lightgbm", "polars"], check=True)
        ready.touch()
    return python


def call(command: Sequence[str], folder: Path) -> str:
    """Run a command in a folder and return what it printed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=dict(os.environ))
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


# -------------------------------------------------------------------------------------------------- the comparison


def compare(names: Sequence[str], sides: Sequence[str], seconds: float, threads: int) -> list[Result]:
    """Let each side learn and predict each data set, one after the other."""
    results = []
    run = {"mlframe": mlframe, "lightgbm": lightgbm, "flaml": flaml}
    if "flaml" in sides:
        environment()
    for name in names:
        case, result = CASES[name], Result(name, CASES[name].task)
        train, test = cut(case.read(name), case.time is not None)
        for side in sides:
            with tempfile.TemporaryDirectory() as place:
                folder = Path(place)
                train.write_parquet(folder / "train.parquet")
                test.drop("target").write_parquet(folder / "test.parquet")
                began = time.perf_counter()
                said = run[side](case, folder, seconds, threads)
                took = time.perf_counter() - began
                value = score(case.task, test["target"], pl.read_parquet(folder / f"{side}.parquet"))
            result.scores[side] = Score(value, took, said)
            print(f"{name:12s} {side:9s} {value:10.4f} {took:6.1f} s  {said}", file=sys.stderr, flush=True)
        results.append(result)
    return results


FIGURES = {"binary": "ROC AUC", "multiclass": "log loss", "regression": "RMSE"}


def table(results: Sequence[Result]) -> str:
    """Return the scores as Markdown, the best of a row in bold, and the mean ranks."""
    sides = list(results[0].scores)
    lines = [f"| data | figure | {' | '.join(sides)} | mlframe took |", "| --- " * (len(sides) + 3) + "|"]
    for result in results:
        values = {side: item.value for side, item in result.scores.items()}
        best = (max if result.task == "binary" else min)(values.values())
        cells = [f"**{value:.4f}**" if value == best else f"{value:.4f}" for value in values.values()]
        took = f"{result.scores['mlframe'].seconds:.0f} s" if "mlframe" in sides else "-"
        lines.append(f"| {result.name} | {FIGURES[result.task]} | {' | '.join(cells)} | {took} |")
    places = ranks(results)
    lines.append(f"| mean rank | 1 is best | {' | '.join(f'{places[side]:.2f}' for side in sides)} | |")
    return "\n".join(lines)


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", type=float, default=120, help="seconds a side has for a data set (default 120)")
    parser.add_argument("--threads", type=int, default=2, help="threads a side has (default 2)")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), help="some data sets")
    parser.add_argument("--skip", nargs="+", choices=SIDES, default=[], help="leave sides out")
    arguments = parser.parse_args()
    sides = [side for side in SIDES if side not in arguments.skip]
    print(table(compare(arguments.only, sides, arguments.budget, arguments.threads)))


if __name__ == "__main__":
    main()
