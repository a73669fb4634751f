"""A table of 300,000 rows and 40 columns as a data scientist would write it by hand: the yardstick for big tables.

Read Parquet, check with Pandera, cut stratified folds and a holdout, then for each fold featurize, fit LightGBM with
early stopping on a share of the train rows, and judge; fit again, judge on the holdout, save. No mlframe.

    python benchmarks/handwritten_table.py TABLE_PARQUET OUT_FOLDER [--folds 5] [--rounds 200] [--wandb]
"""

import argparse
import json
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandera.polars as pa
import polars as pl
from handwritten_parts import FIGURES, LGBM, Tracker, category_codes, fit_categories, judge, save_booster
from sklearn.model_selection import StratifiedKFold, train_test_split


def schema(frame: pl.DataFrame) -> pa.DataFrameSchema:
    """Return the checks of `run.py`'s schema."""
    columns = {
        name: pa.Column(pl.Float64, nullable=True, checks=pa.Check(lambda data: finite(data)))
        if name.startswith("num_")
        else pa.Column(pl.String, nullable=True)
        for name in frame.columns
        if name != "target"
    }
    return pa.DataFrameSchema({**columns, "target": pa.Column(pl.Int64, pa.Check.isin([0, 1]))}, strict=True)


def finite(data: pa.PolarsData) -> pl.LazyFrame:
    """Check that there is no infinity."""
    return data.lazyframe.select(pl.col(data.key).is_finite())


class Features:
    """Numbers as they are, category codes; a dense matrix in float32."""

    def fit_transform(self, rows: pl.DataFrame) -> np.ndarray:
        """Learn from train rows and return them as numbers."""
        self.numbers = [name for name in rows.columns if name.startswith("num_")]
        self.categories = fit_categories(rows, [name for name in rows.columns if name.startswith("cat_")])
        self.categorical = list(range(len(self.numbers), len(self.numbers) + len(self.categories)))
        return self.transform(rows)

    def transform(self, rows: pl.DataFrame) -> np.ndarray:
        """Return rows as numbers."""
        numbers = rows.select(pl.col(self.numbers).cast(pl.Float32)).to_numpy()
        return np.hstack([numbers, category_codes(rows, self.categories)])


def main() -> None:
    """Run every step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--wandb", action="store_true")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    frame = pl.read_parquet(arguments.data)
    schema(frame).validate(frame, lazy=True)
    y = frame["target"].to_numpy()
    rows = np.arange(len(frame))
    development, held = train_test_split(rows, test_size=0.2, stratify=y, random_state=0)
    parameters = LGBM | {"n_estimators": arguments.rounds}
    folds = StratifiedKFold(arguments.folds, shuffle=True, random_state=0)

    with Tracker(arguments.wandb, arguments.out, {**parameters, "folds": arguments.folds}) as tracker:
        rounds, judged = [], []
        for train, valid in folds.split(development, y[development]):
            learn, stop = train_test_split(
                development[train], test_size=0.15, stratify=y[development[train]], random_state=0
            )
            features = Features()
            matrix = features.fit_transform(frame[learn])
            model = lgb.LGBMClassifier(**parameters)
            model.fit(
                matrix,
                y[learn],
                categorical_feature=features.categorical,
                eval_X=features.transform(frame[stop]),
                eval_y=y[stop],
                callbacks=[lgb.early_stopping(50, verbose=False)],
            )
            said = model.predict_proba(features.transform(frame[development[valid]]))[:, 1]
            rounds.append(model.best_iteration_)
            judged.append(judge(y[development[valid]], said))
        scores = {name: float(np.mean([fold[name] for fold in judged])) for name in FIGURES}
        features = Features()
        matrix = features.fit_transform(frame[development])
        model = lgb.LGBMClassifier(**parameters | {"n_estimators": round(np.median(rounds))})
        model.fit(matrix, y[development], categorical_feature=features.categorical)
        holdout = judge(y[held], model.predict_proba(features.transform(frame[held]))[:, 1])
        (arguments.out / "features.json").write_text(json.dumps(features.categories))
        save_booster(model, arguments.out)
        (arguments.out / "figures.json").write_text(json.dumps({"folds": scores, "holdout": holdout}))
        tracker.figures(scores, holdout)
    print(json.dumps({"rounds": rounds, "folds": scores["roc_auc"], "holdout": holdout["roc_auc"]}))


if __name__ == "__main__":
    main()
