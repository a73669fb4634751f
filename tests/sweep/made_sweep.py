"""Made-up records of a sweep, in the shape in which the store keeps them."""

from __future__ import annotations

from typing import Any

import numpy as np


def sweep(**changes: Any) -> dict[str, Any]:
    return {
        "id": "sweep-20261124-225501-1f",
        "name": "churn",
        "status": "finished",
        "started": "2026-11-24T22:55:01+00:00",
        "finished": "2026-11-24T23:01:44+00:00",
        "command": ["-m", "model=lgbm,linear,forest", "data=churn", "sweep=bayes", "sweep.trials=40"],
        "sampler": "bayes",
        "closing": None,
        **changes,
    }


def job(number: int, values: dict[str, Any], per_fold: list[float] | None, **changes: Any) -> dict[str, Any]:
    """Give one job; without fold scores it failed."""
    made = {
        "number": number,
        "trial": number,
        "repeat": 0,
        "overrides": [f"{key}={value}" for key, value in values.items()],
        "values": values,
        "status": "failed" if per_fold is None else "finished",
        "metric": None if per_fold is None else "roc_auc",
        "better": None if per_fold is None else "higher",
        "score": None if per_fold is None else float(np.mean(per_fold)),
        "per_fold": per_fold or [],
        "test_share": 0.2,
        "seconds": 6.0,
        "fit_seconds": 5.0,
        "latency_ms": 2.0,
        "size_bytes": 800_000,
        "error": "ValueError: it broke" if per_fold is None else None,
        "run": f"20261124-2255{number:02d}-aaaa",
    }
    return {**made, **changes}


def many(trials: int = 40, folds: int = 5, repeats: int = 1, seed: int = 0) -> list[dict[str, Any]]:
    """Give jobs of three models with conditional values: boosting best, linear nearly as good and much quicker."""
    rng = np.random.default_rng(seed)
    hard = rng.normal(0, 0.012, (repeats, folds))
    jobs: list[dict[str, Any]] = []
    for trial in range(trials):
        model = ("lgbm", "linear", "forest")[trial % 3 if trial < 12 else int(rng.choice(3, p=[0.7, 0.2, 0.1]))]
        values: dict[str, Any] = {"model": model, "featurizer": str(rng.choice(["auto", "tree"]))}
        if model == "lgbm":
            rate, leaves = float(10 ** rng.uniform(-2.3, -0.3)), int(2 ** rng.uniform(2, 7))
            values |= {"model.learning_rate": rate, "model.num_leaves": leaves}
            level = 0.848 - 0.012 * abs(np.log10(rate) + 1.3) - 0.004 * abs(np.log2(leaves) - 4)
            costs = (1.2 + leaves / 25, 2.0 + leaves / 10, 60_000 + leaves * 9_000)
        elif model == "linear":
            c = float(10 ** rng.uniform(-3, 3))
            values |= {"model.C": c}
            level = 0.842 - 0.004 * abs(np.log10(c))
            costs = (0.7, 0.4, 9_000)
        else:
            trees = int(rng.integers(50, 500))
            values |= {"model.n_estimators": trees}
            level = 0.829 + trees * 8e-6
            costs = (9 + trees / 20, 3 + trees / 60, 40_000 * trees)
        for repeat in range(repeats):
            scores = level + hard[repeat] + rng.normal(0, 0.003, folds)
            made = job(len(jobs), values, [float(score) for score in scores], trial=trial, repeat=repeat)
            noise = rng.uniform(0.95, 1.05, 3)
            made |= {
                "latency_ms": float(costs[0] * noise[0]),
                "fit_seconds": float(costs[1] * noise[1]),
                "size_bytes": int(costs[2] * noise[2]),
            }
            jobs.append(made)
    return jobs
