"""What is special about each ensembler: against scikit-learn where it has the same, and known answers elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import AdaBoostClassifier
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from mlframe.contracts import MemberOutputs, Trainer
from mlframe.ensemblers.bagging import BaggingEnsembler
from mlframe.ensemblers.boosting import BoostingEnsembler
from mlframe.ensemblers.greedy import GreedyEnsembler
from mlframe.ensemblers.voting import VotingEnsembler
from mlframe.errors import ConfigError
from mlframe.pipeline import combined

ROWS = 300


class Stumps(Trainer):
    """Trees of one split on a problem that needs several."""

    takes_weight, model, weight = True, "stump", None

    def __init__(self, classes: int, depth: int = 1) -> None:
        rng = np.random.default_rng(0)
        self.matrix = rng.normal(size=(ROWS, 3))
        signal = self.matrix.sum(axis=1) + rng.normal(0, 0.3, ROWS)
        self.classes, self.width, self.depth = classes, 3, depth
        self.task = "regression" if not classes else "binary" if classes == 2 else "multiclass"
        cuts = np.quantile(signal, np.arange(1, classes) / max(classes, 1))
        self.target = np.digitize(signal, cuts).astype(np.intp) if classes else signal
        self.models: list[Any] = []
        self.rows: list[Any] = []
        self.columns: list[Any] = []

    def fit(self, *, rows: Any = None, weight: Any = None, columns: Any = None, seed: int | None = None) -> int:
        chosen = np.arange(ROWS) if rows is None else rows
        kept = np.arange(3) if columns is None else columns
        build = DecisionTreeClassifier if self.classes else DecisionTreeRegressor
        tree = build(max_depth=self.depth, random_state=0)
        tree.fit(self.matrix[chosen][:, kept], self.target[chosen], None if weight is None else weight[chosen])
        self.models.append((tree, kept))
        self.rows.append(rows)
        self.columns.append(columns)
        return len(self.models) - 1

    def outputs(self, part: int) -> Any:
        tree, kept = self.models[part]
        return tree.predict_proba(self.matrix[:, kept]) if self.classes else tree.predict(self.matrix[:, kept])

    def together(self, combination: Any) -> Any:
        given = [self.outputs(part) for part in range(len(self.models))]
        return combined(combination.rule, given, combination.weights, self.classes)


@pytest.mark.parametrize("classes", [2, 3])
def test_boosting_of_classes_is_scikit_learns_adaboost(classes: int):
    trainer = Stumps(classes)
    together = trainer.together(BoostingEnsembler(models=12).wrap(trainer))
    stump = DecisionTreeClassifier(max_depth=1, random_state=0)
    theirs = AdaBoostClassifier(stump, n_estimators=12).fit(trainer.matrix, trainer.target)
    np.testing.assert_array_equal(together.argmax(axis=1), theirs.predict(trainer.matrix))
    accuracy = (together.argmax(axis=1) == trainer.target).mean()
    assert accuracy > (trainer.outputs(0).argmax(axis=1) == trainer.target).mean() + 0.05


@pytest.mark.parametrize("loss", ["linear", "square", "exponential"])
def test_boosting_of_values_lowers_the_error(loss: Any):
    trainer = Stumps(0, depth=2)
    together = trainer.together(BoostingEnsembler(models=15, loss=loss).wrap(trainer))
    one = np.abs(trainer.outputs(0) - trainer.target).mean()
    assert np.abs(together - trainer.target).mean() < 0.9 * one


def test_a_perfect_model_ends_the_boosting():
    for classes in (2, 0):
        trainer = Stumps(classes, depth=30)
        combination = BoostingEnsembler(models=10).wrap(trainer)
        assert len(trainer.models) == 1
        assert combination.weights is not None
        assert combination.weights[0] > 0


def test_bagging_draws_rows_inside_classes_and_features():
    trainer = Stumps(3)
    BaggingEnsembler(models=5, rows=0.5, replacement=False, features=0.67).wrap(trainer)
    for rows, columns in zip(trainer.rows, trainer.columns, strict=True):
        assert len(np.unique(rows)) == len(rows)
        np.testing.assert_array_equal(np.bincount(trainer.target[rows]), np.bincount(trainer.target) // 2)
        assert len(columns) == 2
    assert not np.array_equal(trainer.rows[0], trainer.rows[1])
    trainer = Stumps(2)
    BaggingEnsembler(models=1).wrap(trainer)
    assert len(np.unique(trainer.rows[0])) < ROWS  # with replacement


def panel(noises: tuple[float, ...], seed: int = 0) -> MemberOutputs:
    """Return members that say the truth plus noise of their own."""
    rng = np.random.default_rng(seed)
    target = rng.normal(0, 1, ROWS)
    outputs = np.stack([target + rng.normal(0, noise, ROWS) for noise in noises])
    names = tuple(f"m{number}" for number in range(len(noises)))

    def score(given: Any) -> float:
        return -float(np.sqrt(((given - target) ** 2).mean()))

    return MemberOutputs(names, outputs, target, np.ones(ROWS), np.arange(ROWS) % 3, "regression", score)


def test_greedy_mixes_equals_and_leaves_the_hopeless_out():
    given = panel((0.5, 0.5, 8.0))
    weights = GreedyEnsembler().combine(given).weights
    assert weights is not None
    assert weights[2] == 0
    assert weights[0] == pytest.approx(weights[1], abs=0.15)
    mixed = given.score(np.tensordot(np.array(weights), given.outputs, axes=1))
    assert mixed >= max(given.score(outputs) for outputs in given.outputs)


def test_greedy_in_bags_is_a_mean_of_selections():
    weights = GreedyEnsembler(bags=8, share=0.5).combine(panel((0.5, 0.6, 0.7, 0.8))).weights
    assert weights is not None
    assert sum(weights) == pytest.approx(1)
    assert sum(weight > 0 for weight in weights) >= 3


def test_greedy_begins_with_the_best_of_the_start():
    weights = GreedyEnsembler(rounds=1, start=2).combine(panel((0.5, 3.0, 0.5))).weights
    assert weights is not None
    assert weights[1] == 0
    assert min(weights[0], weights[2]) > 0


def test_voting_weighs_those_that_are_named():
    given = panel((1.0, 1.0))
    assert VotingEnsembler(weights={"m1": 3}).combine(given).weights == (1.0, 3.0)
    assert VotingEnsembler().combine(given).weights is None
    with pytest.raises(ConfigError, match="Values cannot be voted for"):
        VotingEnsembler(vote="hard").combine(given)
