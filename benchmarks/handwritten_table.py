"""A table of 300,000 rows and 40 columns as a data scientist would write it by hand: the yardstick for big tables.

Read Parquet, check with Pandera, cut stratified folds and a holdout, then for each fold featurize, fit LightGBM with
early stopping on a share of the train rows, and judge; fit again, judge on the holdout, save. No mlframe.

    python benchmarks/handwritten_table.py TABLE_PARQUET OUT_FOLDER [--folds 5] [--rounds 1000] [--wandb]
"""

import argparse
import json
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandera.polars as pa
import polars as pl
from handwritten_parts import FIGURES, LGBM, Tracker, category_codes, fit_categories, judge, save


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


def shuffled(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Order rows by class, at random inside each."""
    return np.lexsort((rng.permutation(len(y)), y))


def draw(rows: np.ndarray, y: np.ndarray, share: float, salt: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut rows in two, the second a share of every class: the rule of mlframe's splitter, so that both fit the same."""
    rng = np.random.default_rng([0, salt])
    order, count = shuffled(y[rows], rng), len(rows)
    steps = np.floor((np.arange(count + 1) * round(count * share) + rng.integers(count)) / count)
    mask = np.zeros(count, dtype=bool)
    mask[order] = np.diff(steps) > 0
    return rows[~mask], rows[mask]


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
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--wandb", action="store_true")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    frame = pl.read_parquet(arguments.data)
    schema(frame).validate(frame, lazy=True)
    y = frame["target"].to_numpy()
    development, held = draw(np.arange(len(frame)), y, 0.2, 0)
    fold = np.empty(len(development), dtype=int)
    fold[shuffled(y[development], np.random.default_rng([0, 1]))] = np.arange(len(development)) % arguments.folds
    parameters = LGBM | {"n_estimators": arguments.rounds}

    with Tracker(arguments.wandb, arguments.out, {**parameters, "folds": arguments.folds}) as tracker:
        rounds, judged = [], []
        for number in range(arguments.folds):
            valid = development[fold == number]
            learn, stop = draw(development[fold != number], y, 0.15, 2)
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
            said = model.predict_proba(features.transform(frame[valid]))[:, 1]
            rounds.append(model.best_iteration_)
            judged.append(judge(y[valid], said))
        scores = {name: float(np.mean([fold[name] for fold in judged])) for name in FIGURES}
        features = Features()
        matrix = features.fit_transform(frame[development])
        model = lgb.LGBMClassifier(**parameters | {"n_estimators": round(np.median(rounds))})
        model.fit(matrix, y[development], categorical_feature=features.categorical)
        holdout = judge(y[held], model.predict_proba(features.transform(frame[held]))[:, 1])
        save(features, model, arguments.out)
        (arguments.out / "figures.json").write_text(json.dumps({"folds": scores, "holdout": holdout}))
        tracker.figures(scores, holdout)
    print(json.dumps({"rounds": rounds, "folds": scores["roc_auc"], "holdout": holdout["roc_auc"]}))


if __name__ == "__main__":
    main()
