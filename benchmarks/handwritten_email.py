"""Spam or ham as a data scientist would write it by hand: the yardstick for `data=email`.

Read, check with Pandera, cut along time, then for each fold featurize, fit LightGBM with early stopping on the latest
train rows, and judge; fit again on all development rows, judge on the holdout, save. No mlframe.

    python benchmarks/handwritten_email.py EMAIL_CSV_GZ OUT_FOLDER [--wandb]
"""

import argparse
import itertools
import json
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandera.polars as pa
import polars as pl
import scipy.sparse as sp
from handwritten_parts import FIGURES, LGBM, Tracker, category_codes, fit_categories, judge, save
from sklearn.feature_extraction.text import TfidfVectorizer

NUMBERS = ["n_to", "is_reply", "n_parts", "n_attachments", "has_html", "n_links", "n_chars"]
CATEGORIES = ["content_type", "charset", "mailer"]
TEXTS = ["subject", "body"]
FOLDS = 5


def schema() -> pa.DataFrameSchema:
    """Return the checks that `conf/data/email.yaml` makes."""
    count = {name: pa.Column(pl.Int64, pa.Check.ge(0)) for name in ("n_to", "n_parts", "n_attachments", "n_links")}
    flag = {name: pa.Column(pl.Int64, pa.Check.isin([0, 1])) for name in ("is_reply", "has_html")}
    return pa.DataFrameSchema(
        {
            "id": pa.Column(pl.Int64, pa.Check.ge(0), unique=True),
            "received": pa.Column(pl.Datetime("us"), pa.Check.ge(pl.datetime(2001, 1, 1))),
            "subject": pa.Column(pl.String, nullable=True),
            "body": pa.Column(pl.String, nullable=True),
            "content_type": pa.Column(pl.String),
            "charset": pa.Column(pl.String, nullable=True),
            "mailer": pa.Column(pl.String, nullable=True),
            **count,
            **flag,
            "n_chars": pa.Column(pl.Int64, pa.Check.ge(0)),
            "label": pa.Column(pl.String, pa.Check.isin(["ham", "spam"])),
        }
    )


def boundary(times: np.ndarray, at: int) -> int:
    """Move a cut to the nearer end of a run of equal times."""
    first, last = np.searchsorted(times, times[at], "left"), np.searchsorted(times, times[at], "right")
    return int(first if at - first <= last - at else last)


class Features:
    """Numbers as they are, category codes, tf-idf of the texts; CSR in float32."""

    def fit_transform(self, rows: pl.DataFrame) -> sp.csr_matrix:
        """Learn from train rows and return them as numbers."""
        self.categories = fit_categories(rows, CATEGORIES)
        self.texts = {
            name: TfidfVectorizer(min_df=5, max_features=2000, sublinear_tf=True, dtype=np.float64) for name in TEXTS
        }
        return self._join(rows, [self.texts[name].fit_transform(documents(rows, name)) for name in TEXTS])

    def transform(self, rows: pl.DataFrame) -> sp.csr_matrix:
        """Return rows as numbers."""
        return self._join(rows, [self.texts[name].transform(documents(rows, name)) for name in TEXTS])

    def _join(self, rows: pl.DataFrame, texts: list[sp.csr_matrix]) -> sp.csr_matrix:
        dense = np.hstack([rows.select(NUMBERS).to_numpy(), category_codes(rows, self.categories)]).astype(np.float32)
        # LightGBM reads an entry that is not stored as zero, so zeros need no place.
        return sp.hstack([sp.csr_matrix(dense), *texts], format="csr", dtype=np.float32)


def documents(rows: pl.DataFrame, name: str) -> list[str]:
    """Return a text column with missing texts as empty ones."""
    return rows[name].fill_null("").to_list()


def main() -> None:
    """Run every step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--wandb", action="store_true")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    frame = pl.read_csv(arguments.data, infer_schema_length=None).with_columns(
        pl.col("received").str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us")
    )
    schema().validate(frame, lazy=True)
    frame = frame.sort("received", maintain_order=True)
    y = (frame["label"] == "spam").to_numpy().astype(int)
    times = frame["received"].to_physical().to_numpy()
    development = boundary(times, len(frame) - round(len(frame) * 0.2))
    window = [round(development * (1 - left / (FOLDS + 1))) for left in range(FOLDS, 0, -1)]
    bounds = [*(boundary(times[:development], at) for at in window), development]
    parameters = LGBM | {"n_estimators": 1000}
    categorical = list(range(len(NUMBERS), len(NUMBERS) + len(CATEGORIES)))

    with Tracker(arguments.wandb, arguments.out, {**parameters, "folds": FOLDS}) as tracker:
        rounds, folds = [], []
        for start, end in itertools.pairwise(bounds):
            learn = boundary(times[:start], start - round(start * 0.15))
            features = Features()
            matrix = features.fit_transform(frame[:learn])
            model = lgb.LGBMClassifier(**parameters)
            model.fit(
                matrix,
                y[:learn],
                categorical_feature=categorical,
                eval_X=features.transform(frame[learn:start]),
                eval_y=y[learn:start],
                callbacks=[lgb.early_stopping(50, verbose=False)],
            )
            said = model.predict_proba(features.transform(frame[start:end]))[:, 1]
            rounds.append(model.best_iteration_)
            folds.append(judge(y[start:end], said))
        scores = {name: float(np.mean([fold[name] for fold in folds])) for name in FIGURES}
        features = Features()
        model = lgb.LGBMClassifier(**parameters | {"n_estimators": round(np.median(rounds))})
        model.fit(features.fit_transform(frame[:development]), y[:development], categorical_feature=categorical)
        holdout = judge(y[development:], model.predict_proba(features.transform(frame[development:]))[:, 1])
        save(features, model, arguments.out)
        (arguments.out / "figures.json").write_text(json.dumps({"folds": scores, "holdout": holdout}))
        tracker.figures(scores, holdout)
    print(json.dumps({"rounds": rounds, "folds": scores["roc_auc"], "holdout": holdout["roc_auc"]}))


if __name__ == "__main__":
    main()
