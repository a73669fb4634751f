"""A Bayesian search as a data scientist would write it by hand: the yardstick for mlframe's.

Read, cut the same folds, featurize each of them once, then let Optuna draw parameters of LightGBM, fit every fold with
early stopping on a share of its train rows, and score. No mlframe. The space is that of conf/sweep/space/lgbm.yaml.

    python benchmarks/handwritten_sweep.py CHURN_PARQUET TRIALS THREADS
"""

import argparse
import json
import warnings

import lightgbm as lgb
import numpy as np
import optuna
import polars as pl
from handwritten_parts import LGBM, category_codes, fit_categories
from handwritten_table import draw, shuffled
from sklearn.metrics import roc_auc_score

TARGET = "churn"


def suggest(trial: optuna.Trial) -> dict[str, float]:
    """Draw one point; floats have six digits, as mlframe's, so that a person can type them."""
    drawn = {
        "model.num_leaves": trial.suggest_int("model.num_leaves", 7, 127, log=True),
        "model.learning_rate": trial.suggest_float("model.learning_rate", 0.02, 0.2, log=True),
        "model.min_child_samples": trial.suggest_int("model.min_child_samples", 5, 100, log=True),
        "model.colsample_bytree": trial.suggest_float("model.colsample_bytree", 0.3, 1.0),
        "model.reg_lambda": trial.suggest_float("model.reg_lambda", 0.001, 30.0, log=True),
    }
    return {key.removeprefix("model."): float(f"{v:.6g}") if isinstance(v, float) else v for key, v in drawn.items()}


def main() -> None:
    """Search."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("trials", type=int)
    parser.add_argument("threads", type=int)
    arguments = parser.parse_args()
    frame = pl.read_parquet(arguments.data)
    y = (frame[TARGET].cast(pl.String) == "Yes").to_numpy().astype(int)
    names = [name for name in frame.columns if name != TARGET]
    texts = [name for name in names if frame[name].dtype in (pl.String, pl.Categorical, pl.Enum)]
    frame = frame.with_columns(pl.col(texts).cast(pl.String))
    numbers = [name for name in names if name not in texts]
    development, _ = draw(np.arange(len(frame)), y, 0.2, 0)
    fold = np.empty(len(development), dtype=int)
    fold[shuffled(y[development], np.random.default_rng([0, 1]))] = np.arange(len(development)) % 5
    parts = []
    for number in range(5):
        valid = development[fold == number]
        learn, stop = draw(development[fold != number], y, 0.15, 2)
        categories = fit_categories(frame[learn], texts)
        matrices = [
            np.hstack([frame[rows].select(pl.col(numbers).cast(pl.Float32)).to_numpy(),
                       category_codes(frame[rows], categories)])
            for rows in (learn, stop, valid)
        ]  # fmt: skip
        parts.append((matrices, y[learn], y[stop], y[valid]))
    categorical = list(range(len(numbers), len(names)))

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    study = optuna.create_study()
    scores = []
    for number in range(arguments.trials):
        study.sampler = optuna.samplers.TPESampler(seed=number, multivariate=True, group=True, constant_liar=True)
        trial = study.ask()
        parameters = LGBM | {"n_estimators": 1000, "n_jobs": arguments.threads} | suggest(trial)
        found = []
        for (learned, watched, judged), y_learn, y_stop, y_valid in parts:
            model = lgb.LGBMClassifier(**parameters)
            model.fit(
                learned,
                y_learn,
                categorical_feature=categorical,
                eval_X=watched,
                eval_y=y_stop,
                callbacks=[lgb.early_stopping(50, verbose=False)],
            )
            found.append(roc_auc_score(y_valid, model.predict_proba(judged)[:, 1]))
        scores.append(float(np.mean(found)))
        study.tell(trial, -scores[-1])
    print(json.dumps({"scores": scores}))


if __name__ == "__main__":
    main()
