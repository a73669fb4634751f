"""FLAML's side of `benchmarks/best.py`; it runs in an environment of its own.

    python benchmarks/flaml_side.py TRAIN.parquet TEST.parquet OUT.parquet TASK SECONDS THREADS [--ordered]

FLAML (https://microsoft.github.io/FLAML) is left at its defaults but for time, metric, threads and seed.
"""

import argparse
import json

import numpy as np
import pandas as pd
import polars as pl
from flaml import AutoML

METRICS = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}


def frame(path: str, categories: dict[str, list[str]]) -> tuple[pd.DataFrame, np.ndarray | None]:
    """Return features, text as categories of the train rows, and the target where there is one."""
    rows = pl.read_parquet(path)
    columns = {}
    for name in rows.columns:
        if name == "target":
            continue
        if rows[name].dtype == pl.String:
            kept = categories.setdefault(name, rows[name].drop_nulls().unique().sort().to_list())
            columns[name] = pd.Categorical(rows[name].to_list(), categories=kept)
        else:
            columns[name] = rows[name].cast(pl.Float64).to_numpy()
    return pd.DataFrame(columns), rows["target"].to_numpy() if "target" in rows.columns else None


def main() -> None:
    """Fit, predict, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("out")
    parser.add_argument("task", choices=METRICS)
    parser.add_argument("seconds", type=float)
    parser.add_argument("threads", type=int)
    parser.add_argument("--ordered", action="store_true", help="rows are in the order of time")
    arguments = parser.parse_args()
    categories: dict[str, list[str]] = {}
    features, target = frame(arguments.train, categories)
    automl = AutoML()
    automl.fit(
        features,
        target,
        task="regression" if arguments.task == "regression" else "classification",
        metric=METRICS[arguments.task],
        time_budget=arguments.seconds,
        n_jobs=arguments.threads,
        seed=0,
        verbose=0,
        **({"split_type": "time"} if arguments.ordered else {}),
    )
    rows, _ = frame(arguments.test, categories)
    if arguments.task == "regression":
        said = pl.DataFrame({"y_pred": np.asarray(automl.predict(rows), dtype=float)})
    else:
        proba = automl.predict_proba(rows)
        said = pl.DataFrame({f"p_{name}": proba[:, index] for index, name in enumerate(automl.classes_)})
    said.write_parquet(arguments.out)
    print(json.dumps({"best": automl.best_estimator}))


if __name__ == "__main__":
    main()
