"""Conformance of an evaluator (hook `mlframe_evaluators`)."""

# ruff: noqa: D102 (a test's name is its documentation)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlframe.contracts import TASKS, Evaluation, Evaluator, Figure, Judged
from mlframe.registry import Registered, Registry
from mlframe.testing.checks import SNAKE, check_charts
from mlframe.testing.data import make_predictions
from mlframe.testing.suite import Suite

__all__ = ["EvaluatorSuite"]


class EvaluatorSuite(Suite):
    """An evaluator gives the figures that it declares, and calls nothing better than a perfect prediction.

    Override `component`.
    """

    group = "evaluators"

    @pytest.fixture
    def make(self, registry: Registry, item: Registered, node: dict[str, Any]) -> Callable[[], Evaluator]:
        """Give a function that builds the evaluator anew."""
        return lambda: registry.create(self.group, node)

    @pytest.fixture
    def evaluator(self, make: Callable[[], Evaluator]) -> Evaluator:
        """Give the evaluator."""
        made = make()
        assert isinstance(made, Evaluator)
        return made

    def test_declarations(self, evaluator: Evaluator, make: Callable[[], Evaluator]) -> None:
        assert evaluator.tasks
        assert set(evaluator.tasks) <= set(TASKS)
        declared = list(evaluator.declares())
        assert declared == list(make().declares())
        names = [figure.name for figure in declared]
        assert len(set(names)) == len(names)
        for figure in declared:
            assert isinstance(figure, Figure)
            assert SNAKE.match(figure.name)
            assert figure.better in ("higher", "lower")
            assert set(figure.tasks) & set(evaluator.tasks), f"{figure.name} is for no task of the evaluator"
            assert figure.summary.strip(), f"{figure.name} has no summary for a stakeholder"

    def test_figures_are_declared_finite_and_within_their_interval(self, evaluator: Evaluator) -> None:
        for task in evaluator.tasks:
            wanted = {figure.name for figure in evaluator.declares() if task in figure.tasks}
            found = _figures(evaluator, Judged(make_predictions(task)))
            assert set(found) == wanted, f"{task}: 200 ordinary rows must give every declared figure, and no other"
            for name, interval in found.items():
                assert np.isfinite(interval.value), name
                if interval.low is not None and interval.high is not None:
                    assert interval.low <= interval.value <= interval.high, f"{name}: {interval}"
                    assert interval.low < interval.high, f"{name}: an interval of no width claims certainty"

    def test_nothing_beats_perfect_predictions(self, evaluator: Evaluator) -> None:
        for task in evaluator.tasks:
            perfect = _figures(evaluator, Judged(make_predictions(task, noise=0)))
            poor = _figures(evaluator, Judged(make_predictions(task, noise=3.0)))
            for figure in evaluator.declares():
                if task in figure.tasks:
                    sign = 1 if figure.better == "higher" else -1
                    assert sign * perfect[figure.name].value > sign * poor[figure.name].value, figure.name

    def test_order_of_rows_does_not_matter(self, evaluator: Evaluator) -> None:
        for task in evaluator.tasks:
            predictions = make_predictions(task)
            turned = replace(predictions, frame=predictions.frame.reverse())
            left, right = _figures(evaluator, Judged(predictions)), _figures(evaluator, Judged(turned))
            for name, interval in left.items():
                assert interval.value == pytest.approx(right[name].value, rel=1e-9, abs=1e-12), name

    def test_judging_twice_gives_equal_figures(self, evaluator: Evaluator, make: Callable[[], Evaluator]) -> None:
        for task in evaluator.tasks:
            judged = Judged(make_predictions(task))
            assert _figures(evaluator, judged) == _figures(evaluator, judged) == _figures(make(), judged)

    def test_input_is_not_changed(self, evaluator: Evaluator) -> None:
        for task in evaluator.tasks:
            predictions = make_predictions(task)
            before = predictions.frame.clone()
            evaluator.evaluate(Judged(predictions))
            assert predictions.frame.equals(before)

    def test_pictures_only_when_wanted(self, evaluator: Evaluator) -> None:
        for task in evaluator.tasks:
            plain = evaluator.evaluate(Judged(make_predictions(task), pictures=False))
            assert not plain.charts
            full = evaluator.evaluate(Judged(make_predictions(task), pictures=True))
            check_charts(full.charts)
            assert all(name.strip() for name in full.tables)

    def test_one_class_alone_is_no_exception(self, evaluator: Evaluator) -> None:
        for task in evaluator.tasks:
            predictions = make_predictions(task)
            first = predictions.frame["y"][0]
            alone = replace(predictions, frame=predictions.frame.filter(predictions.frame["y"] == first))
            for interval in _figures(evaluator, Judged(alone)).values():
                assert np.isfinite(interval.value), "leave out a figure that cannot be computed"


def _figures(evaluator: Evaluator, judged: Judged) -> dict[str, Any]:
    evaluation = evaluator.evaluate(replace(judged, pictures=False))
    assert isinstance(evaluation, Evaluation)
    return dict(evaluation.figures)
