"""Conformance of an ensembler (hook `mlframe_ensemblers`)."""

# ruff: noqa: D102 (a test's name is its documentation)

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from mlframe.contracts import TASKS, Combination, Combiner, Ensembler, MemberOutputs, Trainer, Wrapper
from mlframe.errors import UserError
from mlframe.pipeline import combined
from mlframe.plugins import Plugins
from mlframe.registry import Registered, Registry
from mlframe.testing.data import CLASSES
from mlframe.testing.suite import Suite, build_node

__all__ = ["EnsemblerSuite"]

HELD = {"members": {"good": {"name": "linear"}, "bad": {"name": "dummy"}}, "final": {"name": "linear"}}
"""What stands in the parameters that hold models, unless `component` says otherwise."""
ROWS = 90
RULES = {"mean", "vote", "samme", "median", "stack"}


class EnsemblerSuite(Suite):
    """An ensembler fits the model as often as it likes, or says how members are combined. Override `component`."""

    group = "ensembler"

    @pytest.fixture
    def node(self, plugins: Plugins, item: Registered, component: str | Mapping[str, Any]) -> dict[str, Any]:
        given = {} if isinstance(component, str) else dict(component)
        held = {name: HELD[name] for name in item.component.holds if name in HELD}
        return build_node(plugins, item, {**held, **given})

    @pytest.fixture
    def ensembler(self, registry: Registry, node: dict[str, Any]) -> Ensembler:
        """Give the ensembler."""
        made: Ensembler = registry.create(self.group, node)
        return made

    def test_is_a_wrapper_or_a_combiner(self, ensembler: Ensembler, item: Registered) -> None:
        assert isinstance(ensembler, Wrapper) != isinstance(ensembler, Combiner)
        if isinstance(ensembler, Combiner):
            assert item.component.holds.get("members") == "model", "name it: Component(…, holds={'members': 'model'})"
            assert len(ensembler.members) >= 1

    @pytest.mark.parametrize("task", TASKS)
    def test_parts_are_combined_by_a_rule_of_the_task(self, ensembler: Ensembler, task: str) -> None:
        combination, trainer = _ask(ensembler, task)
        parts = len(_members(task).names) if trainer is None else len(trainer.fits)
        assert combination.rule in RULES
        assert combination.rule not in ({"vote", "samme"} if task == "regression" else {"median"})
        if combination.weights is not None:
            assert len(combination.weights) == parts
            assert np.isfinite(combination.weights).all()
            assert min(combination.weights) >= 0
            assert max(combination.weights) > 0, "every part is left out"
        if combination.rule == "stack":
            assert combination.final, "a stack needs the node of its final model"
        elif trainer is not None:
            outputs = [trainer.outputs(part) for part in range(parts)]
            together = combined(combination.rule, outputs, combination.weights, trainer.classes)
            assert together.shape == outputs[0].shape
            assert np.isfinite(together).all()

    @pytest.mark.parametrize("task", TASKS)
    def test_asked_twice_it_does_the_same(self, ensembler: Ensembler, task: str) -> None:
        (first, one), (second, two) = _ask(ensembler, task), _ask(ensembler, task)
        assert first == second
        if one is not None and two is not None:
            assert repr(one.fits) == repr(two.fits)

    @pytest.mark.parametrize("task", TASKS)
    def test_samples_lie_inside_the_rows(self, ensembler: Ensembler, task: str) -> None:
        _, trainer = _ask(ensembler, task)
        if trainer is None:
            return
        for fit in trainer.fits:
            if fit["rows"] is not None:
                assert 0 <= fit["rows"].min() <= fit["rows"].max() < ROWS
                if task != "regression":
                    assert len(np.unique(trainer.target[fit["rows"]])) == trainer.classes, "a model misses a class"
            if fit["columns"] is not None:
                assert len(np.unique(fit["columns"])) == len(fit["columns"]) <= trainer.width
            if fit["weight"] is not None:
                assert fit["weight"].shape == (ROWS,)
                assert (fit["weight"] >= 0).all()

    def test_a_model_without_row_weights_is_served_or_refused_in_words(self, ensembler: Ensembler) -> None:
        if isinstance(ensembler, Wrapper):
            trainer = _RealTrainer("binary", takes_weight=False)
            assert trainer.model in _refusal(ensembler, trainer)
            assert all(fit["weight"] is None for fit in trainer.fits)

    def test_outputs_are_not_changed(self, ensembler: Ensembler) -> None:
        if isinstance(ensembler, Combiner):
            given = _members("multiclass")
            before = given.outputs.copy()
            given.outputs.flags.writeable = False
            ensembler.combine(given)
            np.testing.assert_array_equal(given.outputs, before)

    def test_what_learns_from_outputs_is_crossfitted(self, ensembler: Ensembler) -> None:
        if isinstance(ensembler, Combiner) and not ensembler.crossfit:
            assert ensembler.combine(_members("binary", 0)) == ensembler.combine(_members("binary", 1))


class _RealTrainer(Trainer):
    """Fits linear models on a small problem and remembers what it was asked."""

    def __init__(self, task: str, *, takes_weight: bool = True) -> None:
        rng = np.random.default_rng(5)
        self.matrix = rng.normal(size=(ROWS, 4))
        signal = self.matrix[:, 0] + rng.normal(0, 0.5, ROWS)
        self.task, self.model, self.takes_weight = task, "plain", takes_weight
        self.classes, self.width, self.weight = len(CLASSES[task]), 4, None
        cuts = np.quantile(signal, np.arange(1, self.classes) / max(self.classes, 1))
        self.target = np.digitize(signal, cuts).astype(np.intp) if self.classes else signal
        self.fits: list[dict[str, Any]] = []
        self._models: list[tuple[Any, Any]] = []

    def fit(self, *, rows: Any = None, weight: Any = None, columns: Any = None, seed: int | None = None) -> int:
        from sklearn.linear_model import LogisticRegression, Ridge

        self.fits.append({"rows": rows, "weight": None if weight is None else weight.copy(), "columns": columns})
        chosen = np.arange(ROWS) if rows is None else rows
        kept = np.arange(self.width) if columns is None else columns
        model = LogisticRegression() if self.classes else Ridge()
        model.fit(self.matrix[chosen][:, kept], self.target[chosen], None if weight is None else weight[chosen])
        self._models.append((model, kept))
        return len(self._models) - 1

    def outputs(self, part: int) -> Any:
        model, kept = self._models[part]
        return model.predict_proba(self.matrix[:, kept]) if self.classes else model.predict(self.matrix[:, kept])


def _refusal(ensembler: Wrapper, trainer: _RealTrainer) -> str:
    """Return the text with which a trainer is refused, the model's name when it is served."""
    try:
        ensembler.wrap(trainer)
    except UserError as error:
        return str(error)
    return trainer.model


def _members(task: str, seed: int = 0) -> MemberOutputs:
    """Return what a good and a bad member say."""
    rng = np.random.default_rng(seed)
    classes = len(CLASSES[task])
    target = rng.permutation(np.arange(ROWS) % classes) if classes else rng.normal(0, 1, ROWS)
    if classes:
        raised = np.stack([2 * np.eye(classes)[target], np.zeros((ROWS, classes))]) + rng.normal(
            0, 1, (2, ROWS, classes)
        )
        outputs = np.exp(raised) / np.exp(raised).sum(axis=2, keepdims=True)
    else:
        outputs = np.stack([target + rng.normal(0, 0.3, ROWS), rng.normal(0, 1, ROWS)])
    truth = np.eye(classes)[target] if classes else target

    def score(given: Any) -> float:
        return -float(((given - truth) ** 2).mean())

    return MemberOutputs(("good", "bad"), outputs, target, np.ones(ROWS), np.arange(ROWS) % 3, task, score)


def _ask(ensembler: Ensembler, task: str) -> tuple[Combination, _RealTrainer | None]:
    if isinstance(ensembler, Combiner):
        return ensembler.combine(_members(task)), None
    assert isinstance(ensembler, Wrapper)
    trainer = _RealTrainer(task)
    return ensembler.wrap(trainer), trainer
