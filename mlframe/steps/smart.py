"""Is the goal specific, measurable, achievable, relevant and time-bound? Asked of the config alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

__all__ = ["Criterion", "smart"]


@dataclass(frozen=True)
class Criterion:
    """One of the five criteria.

    Args:
        name: specific, measurable, achievable, relevant or time-bound.
        question: what it asks.
        missing: what is not said or cannot be measured, each a sentence with the config key; empty when it is met.
    """

    name: str
    question: str
    missing: tuple[str, ...]


def smart(goal: Mapping[str, Any], declared: Mapping[str, Any], today: date) -> list[Criterion]:
    """Say criterion by criterion what a goal leaves open.

    Args:
        goal: the config's goal.
        declared: figures that the run's evaluators declare, by name.
        today: the day on which it is asked.

    Source: G. Doran (1981), There's a S.M.A.R.T. way to write management's goals and objectives.
    """
    asked: dict[str, tuple[str, Callable[..., list[str]]]] = {
        "specific": ("What is the problem, whose is it, who answers for it?", _specific),
        "measurable": ("Which figure decides, and how much is enough?", _measurable),
        "achievable": ("What is reached today, by what process?", _achievable),
        "relevant": ("What is it worth, and how does the answer become an action?", _relevant),
        "time-bound": ("By when, and when is it looked at again?", _timed),
    }
    return [Criterion(name, question, tuple(ask(goal, declared, today))) for name, (question, ask) in asked.items()]


def _absent(goal: Mapping[str, Any], wanted: Mapping[str, str]) -> list[str]:
    return [f"goal.{key}: {text}" for key, text in wanted.items() if goal.get(key) in (None, "", [], {})]


def _specific(goal: Mapping[str, Any], declared: Mapping[str, Any], today: date) -> list[str]:
    return _absent(
        goal,
        {
            "problem": "the problem is not stated; write the sentence that its stakeholders would sign",
            "pain_points": "nobody says what hurts today",
            "stakeholders": "nobody is named who is affected or decides",
            "owner": "nobody answers for it; name a person or a role",
        },
    )


def _measurable(goal: Mapping[str, Any], declared: Mapping[str, Any], today: date) -> list[str]:
    missing = _absent(
        goal,
        {
            "metric": "no figure decides; the task's usual one is taken",
            "targets": "no figure has a value that is enough, so every model passes",
        },
    )
    targets: Mapping[str, float] = goal.get("targets") or {}
    metric = goal.get("metric")
    missing += [
        f"goal.targets.{name}: no evaluator of this config measures it" for name in targets if name not in declared
    ]
    if metric and metric not in declared:
        missing.append(f"goal.metric: no evaluator of this config measures {metric!r}")
    elif metric and targets and metric not in targets:
        missing.append(f"goal.targets.{metric}: the figure that decides has no target")
    return missing


def _achievable(goal: Mapping[str, Any], declared: Mapping[str, Any], today: date) -> list[str]:
    missing = _absent(
        goal,
        {
            "baseline": "what is reached today is not stated, so nobody can say whether a model is better",
            "process": "how it is done today is not stated",
        },
    )
    if goal.get("process"):
        missing += _absent(
            goal,
            {
                "process_cost": "what the process costs in a year is not stated",
                "volume": "how many rows are decided in a year is not stated",
            },
        )
    return missing


def _relevant(goal: Mapping[str, Any], declared: Mapping[str, Any], today: date) -> list[str]:
    missing = _absent(
        goal,
        {
            "value": "no outcome has a value in money, so nobody can say what a model is worth",
            "integration": "how an answer becomes an action is not stated",
            "systems": "the systems that data comes from and answers go to are not named",
        },
    )
    value = goal.get("value")
    if value and not any(value.values()):
        missing.append("goal.value: every outcome is worth 0")
    return missing + (_absent(goal, {"currency": "the amounts have no currency"}) if value else [])


def _timed(goal: Mapping[str, Any], declared: Mapping[str, Any], today: date) -> list[str]:
    missing = _absent(
        goal, {"deadline": "there is no day by which it must work", "review": "nobody has a day to look at it again"}
    )
    for key, word in (("deadline", "the deadline"), ("review", "the review")):
        if goal.get(key) and date.fromisoformat(goal[key]) <= today:
            missing.append(f"goal.{key}: {word} {goal[key]} has passed")
    return missing
