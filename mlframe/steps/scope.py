"""Asks whether the goal says enough to be met, and puts it on a page; reads no data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from mlframe.config.goal import declared_by
from mlframe.contracts import Step
from mlframe.steps.smart import Criterion, smart

__all__ = ["Scope"]

WORDS = {
    "pain_points": "What hurts today",
    "stakeholders": "Stakeholders",
    "owner": "Owner",
    "systems": "Existing systems",
    "process": "How it is done today",
    "process_cost": "What that costs a year",
    "volume": "Rows decided a year",
    "integration": "How an answer becomes an action",
    "task": "Learning task",
    "positive": "Positive class",
    "metric": "Figure that decides",
    "targets": "Targets",
    "baseline": "To beat",
    "value": "Value of an outcome",
    "currency": "Currency",
    "deadline": "Deadline",
    "review": "Review",
}


class Scope(Step):
    """Gives `scope`: the five criteria, and the page."""

    summary = "asks whether the goal says enough to be met"
    reads = ("goal", "evaluators")
    gives = {"scope": "value"}
    cached = False

    def run(self, context: Any, **inputs: Any) -> Mapping[str, Any]:
        """Check the goal, print what is open, write the page."""
        goal = context.config["goal"]
        declared = declared_by(context.plugins, context.config, goal.get("task"))
        criteria = smart(goal, declared, date.today())
        path = context.run.folder / "scope.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(context, criteria), encoding="utf-8")
        lines = [
            (item.name if at == 0 else "", ("open: " if item.missing else "yes") + text)
            for item in criteria
            for at, text in enumerate(item.missing or ("",))
        ]
        met = sum(not item.missing for item in criteria)
        context.say(f"{met} of {len(criteria)} criteria are met")
        context.summary["lines"] = [("problem", goal.get("problem") or "not stated"), *lines, ("page", str(path))]
        record = [{"name": item.name, "met": not item.missing, "missing": list(item.missing)} for item in criteria]
        return {"scope": {"criteria": record, "page": str(path)}}


def page(context: Any, criteria: list[Criterion]) -> str:
    """Return the goal as one self-contained page; values from the environment stay unresolved."""
    from mlframe.charts.document import Answer, Document, Points, Section, Table

    goal = context.unresolved["goal"]
    open_ones = [item.name for item in criteria if item.missing]

    def answer() -> Iterator[Any]:
        if open_ones:
            text = (
                f"{len(criteria) - len(open_ones)} of {len(criteria)} criteria are met. Open: {', '.join(open_ones)}."
            )
            yield Answer("bad", "Not yet", text)
        else:
            yield Answer("good", "Yes", "The goal is specific, measurable, achievable, relevant and time-bound.")
        marks = {True: "✗ open", False: "✓ yes"}
        yield Table(("Met", "Criterion", "Question"), [(marks[bool(c.missing)], c.name, c.question) for c in criteria])

    def gaps() -> Iterator[Any]:
        missing = [(item.name, text) for item in criteria for text in item.missing]
        yield Points(missing) if missing else "Nothing."

    def stated() -> Iterator[Any]:
        yield {word: goal.get(key) for key, word in WORDS.items()}
        yield "Whether it can be reached is asked by the task assess, which looks at the data."

    sections = [
        Section("answer", "Does the goal say enough?", answer),
        Section("open", "What is open", gaps),
        Section("goal", "The goal as stated", stated),
    ]
    name = str(context.config["name"] or "unnamed")
    lead = str(goal.get("problem") or "The problem is not stated.")
    return Document(name, "mlframe: scope of the goal", sections, lead).html().text
