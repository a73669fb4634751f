"""Conformance of an evaluator (hook `mlframe_evaluators`)."""

# ruff: noqa: D102 (a test's name is its documentation)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlframe.contracts import TASKS, Evaluation, Evaluator, Figure, Finding, Judged
from mlframe.registry import Registered, Registry
from mlframe.testing.checks import SNAKE, check_charts
from mlframe.testing.data import make_judged, make_predictions
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
            declared = [figure for figure in evaluator.declares() if task in figure.tasks]
            whole = make_judged(task)
            alone = {figure.name for figure in declared if not figure.holdout_only}
            assert set(_figures(evaluator, Judged(whole.predictions))) == alone, (
                f"{task}: 200 ordinary predictions must give every declared figure that is not holdout_only, and no other"
            )
            found = _figures(evaluator, whole)
            assert set(found) == {figure.name for figure in declared}, (
                f"{task}: with rows and pipeline every declared figure must be there, and no other"
            )
            ranges = {figure.name: figure for figure in declared}
            for name, interval in found.items():
                assert np.isfinite(interval.value), name
                assert ranges[name].holds(interval.value), f"{name} is declared {ranges[name].range}: {interval}"
                if interval.low is not None and interval.high is not None:
                    assert interval.low <= interval.value <= interval.high, f"{name}: {interval}"
                    assert interval.low < interval.high, f"{name}: an interval of no width claims certainty"

    def test_nothing_beats_perfect_predictions(self, evaluator: Evaluator) -> None:
        for task in evaluator.tasks:
            perfect = _steady(evaluator, make_judged(task, noise=0))
            poor = _steady(evaluator, make_judged(task, noise=3.0))
            for figure in evaluator.declares():
                if figure.name in perfect:
                    sign = 1 if figure.better == "higher" else -1
                    assert sign * perfect[figure.name].value > sign * poor[figure.name].value, figure.name

    def test_order_of_rows_does_not_matter(self, evaluator: Evaluator) -> None:
        for task in evaluator.tasks:
            judged = make_judged(task)
            assert judged.table is not None
            turned = replace(
                judged,
                predictions=replace(judged.predictions, frame=judged.predictions.frame.reverse()),
                table=judged.table.with_frame(judged.table.frame.reverse()),
            )
            left, right = _steady(evaluator, judged), _steady(evaluator, turned)
            for name, interval in left.items():
                assert interval.value == pytest.approx(right[name].value, rel=1e-9, abs=1e-12), name

    def test_judging_twice_gives_equal_figures(self, evaluator: Evaluator, make: Callable[[], Evaluator]) -> None:
        for task in evaluator.tasks:
            judged = make_judged(task)
            assert _steady(evaluator, judged) == _steady(evaluator, judged) == _steady(make(), judged)

    def test_input_is_not_changed(self, evaluator: Evaluator) -> None:
        for task in evaluator.tasks:
            judged, same = make_judged(task), make_judged(task)
            evaluator.evaluate(judged)
            assert judged.table is not None
            assert same.table is not None
            assert judged.predictions.frame.equals(same.predictions.frame)
            assert judged.table.frame.equals(same.table.frame)

    def test_pictures_only_when_wanted(self, evaluator: Evaluator) -> None:
        for task in evaluator.tasks:
            for judged in (make_judged(task), Judged(make_predictions(task))):
                plain = evaluator.evaluate(replace(judged, pictures=False))
                assert not plain.charts
                full = evaluator.evaluate(judged)
                check_charts(full.charts)
                assert all(name.strip() for name in full.tables)
                for finding in full.findings:
                    assert isinstance(finding, Finding)
                    assert finding.severity in ("info", "warning", "problem")
                    assert finding.text.strip()

    def test_one_class_alone_is_no_exception(self, evaluator: Evaluator) -> None:
        for task in evaluator.tasks:
            judged = make_judged(task)
            assert judged.table is not None
            alone = judged.predictions.frame["y"] == judged.predictions.frame["y"][0]
            few = replace(
                judged,
                predictions=replace(judged.predictions, frame=judged.predictions.frame.filter(alone)),
                table=judged.table.with_frame(judged.table.frame.filter(alone)),
            )
            evaluator.evaluate(few)
            for interval in _figures(evaluator, few).values():
                assert np.isfinite(interval.value), "leave out a figure that cannot be computed"


def _figures(evaluator: Evaluator, judged: Judged) -> dict[str, Any]:
    evaluation = evaluator.evaluate(replace(judged, pictures=False))
    assert isinstance(evaluation, Evaluation)
    return dict(evaluation.figures)


def _steady(evaluator: Evaluator, judged: Judged) -> dict[str, Any]:
    """Return the figures that are not measured on the pipeline at work: those need not repeat."""
    measured = {figure.name for figure in evaluator.declares() if figure.measured}
    return {name: found for name, found in _figures(evaluator, judged).items() if name not in measured}
