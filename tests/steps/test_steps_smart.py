"""The five criteria: each key that is missing is named, and a whole goal is met."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from mlframe.steps.smart import smart

TODAY = date(2026, 6, 1)
WHOLE: dict[str, Any] = {
    "problem": "Customers leave",
    "pain_points": ["they are hard to win back"],
    "stakeholders": ["sales"],
    "owner": "head of sales",
    "systems": ["the customer database"],
    "process": "call everybody",
    "process_cost": 120_000.0,
    "volume": 50_000.0,
    "integration": "a list every Monday",
    "metric": "roc_auc",
    "targets": {"roc_auc": 0.8},
    "baseline": 0.7,
    "value": {"tp": 80.0, "fp": -10.0},
    "currency": "EUR",
    "deadline": "2026-12-31",
    "review": "2027-06-30",
}


def missing(**changes: Any) -> dict[str, tuple[str, ...]]:
    found = smart({**WHOLE, **changes}, {"roc_auc": 1, "recall": 1}, TODAY)
    return {item.name: item.missing for item in found if item.missing}


def test_a_whole_goal_is_met():
    assert missing() == {}


def test_an_empty_goal_is_open_everywhere():
    found = smart({}, {}, TODAY)
    assert [item.name[0] for item in found] == list("smart")
    assert all(item.missing for item in found)


@pytest.mark.parametrize(
    ("key", "criterion"),
    [
        ("problem", "specific"),
        ("pain_points", "specific"),
        ("stakeholders", "specific"),
        ("owner", "specific"),
        ("metric", "measurable"),
        ("targets", "measurable"),
        ("baseline", "achievable"),
        ("process", "achievable"),
        ("process_cost", "achievable"),
        ("volume", "achievable"),
        ("value", "relevant"),
        ("currency", "relevant"),
        ("integration", "relevant"),
        ("systems", "relevant"),
        ("deadline", "time-bound"),
        ("review", "time-bound"),
    ],
)
def test_what_is_missing_is_named_by_its_key(key: str, criterion: str):
    found = missing(**{key: None})
    assert list(found) == [criterion]
    assert any(text.startswith(f"goal.{key}: ") for text in found[criterion])


def test_what_cannot_be_measured_is_named():
    assert "no evaluator" in missing(targets={"speed": 1.0, "roc_auc": 0.8})["measurable"][0]
    assert "no evaluator" in missing(metric="gini", targets={"recall": 0.5})["measurable"][0]
    assert missing(targets={"recall": 0.5})["measurable"] == (
        "goal.targets.roc_auc: the figure that decides has no target",
    )
    assert "every outcome is worth 0" in missing(value={"tp": 0.0})["relevant"][0]


def test_days_that_have_passed_are_named():
    assert missing(deadline="2026-06-01")["time-bound"] == ("goal.deadline: the deadline 2026-06-01 has passed",)
    assert "has passed" in missing(review="2020-01-01")["time-bound"][0]
