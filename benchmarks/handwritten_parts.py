"""What the two handwritten scripts share: parameters, figures, category codes, saving, W&B."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn import metrics

LGBM = {
    "learning_rate": 0.05,
    "num_leaves": 31,
    "colsample_bytree": 0.5,
    "random_state": 0,
    "n_jobs": -1,
    "deterministic": True,
    "force_col_wise": True,
    "verbosity": -1,
}
"""The parameters of `conf/model/lgbm.yaml` that differ from LightGBM's defaults."""

FIGURES = ("roc_auc", "average_precision", "log_loss", "brier", "f1", "precision", "recall", "mcc", "accuracy")


def judge(y: np.ndarray, said: np.ndarray) -> dict[str, float]:
    """Return the figures of mlframe's evaluator `classification`."""
    called = (said > 0.5).astype(int)
    return {
        "roc_auc": metrics.roc_auc_score(y, said),
        "average_precision": metrics.average_precision_score(y, said),
        "log_loss": metrics.log_loss(y, said),
        "brier": metrics.brier_score_loss(y, said),
        "f1": metrics.f1_score(y, called),
        "precision": metrics.precision_score(y, called),
        "recall": metrics.recall_score(y, called),
        "mcc": metrics.matthews_corrcoef(y, called),
        "accuracy": metrics.accuracy_score(y, called),
    }


def fit_categories(rows: pl.DataFrame, names: list[str]) -> dict[str, list[str]]:
    """Return each column's values that five rows or more have, most frequent first, at most 249."""
    kept = {}
    for name in names:
        counts = rows[name].drop_nulls().value_counts().filter(pl.col("count") >= 5)
        kept[name] = counts.sort(["count", name], descending=[True, False]).head(249)[name].to_list()
    return kept


def category_codes(rows: pl.DataFrame, categories: dict[str, list[str]]) -> np.ndarray:
    """Return codes; other values share one more, missing is NaN."""
    columns = []
    for name, values in categories.items():
        code = pl.col(name).cast(pl.Enum(values), strict=False).to_physical().cast(pl.Float32)
        other = code.is_null() & pl.col(name).is_not_null()
        columns.append(pl.when(other).then(float(len(values))).otherwise(code).alias(name))
    return rows.select(columns).to_numpy()


def save(features: Any, model: Any, folder: Path) -> None:
    """Write what predicts without a pickle: LightGBM's own text, and skops for the rest."""
    import skops.io

    skops.io.dump(features, folder / "features.skops")
    model.booster_.save_model(folder / "model.txt")


class Tracker:
    """W&B offline, or nothing.

    Args:
        wanted: whether to record.
        folder: where W&B writes.
        config: what was chosen.
    """

    def __init__(self, wanted: bool, folder: Path, config: dict[str, Any]) -> None:
        self.wanted, self.folder, self.config = wanted, folder, config
        self.run: Any = None

    def __enter__(self) -> "Tracker":
        if self.wanted:
            import wandb

            self.run = wandb.init(project="benchmark", mode="offline", dir=str(self.folder), config=self.config)
        return self

    def figures(self, folds: dict[str, float], holdout: dict[str, float]) -> None:
        """Log the figures of both parts."""
        if self.run is not None:
            parts = {"folds": folds, "holdout": holdout}
            self.run.log({f"{part}/{name}": value for part, found in parts.items() for name, value in found.items()})

    def __exit__(self, *_: object) -> None:
        if self.run is not None:
            self.run.finish()
