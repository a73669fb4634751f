"""What a run means to people who did not make it: the answer and the money. Every reporter tells the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlframe.charts.svg import number
from mlframe.contracts import Chart, Figure, Interval, ReportInput

__all__ = [
    "PARTS",
    "ROWS",
    "Money",
    "Verdict",
    "baselines",
    "charts_of",
    "code_text",
    "headline",
    "interval_of",
    "libraries",
    "money",
    "plain",
    "stated",
    "tables",
    "tagged",
    "title_of",
    "verdict",
]

PARTS = {"holdout": "Holdout", "folds": "Folds (out-of-fold)", "live": "Live"}
TITLES = {
    "thresholds": "Decision thresholds",
    "confusion": "Confusion matrix",
    "slices": "Worst slices",
    "fairness": "Fairness by protected group",
    "rows/mistakes": "Worst mistakes",
    "rows/label_suspects": "Labels that may be wrong",
}
LIBRARIES = ("mlframe", "scikit-learn", "lightgbm", "xgboost", "catboost", "river", "polars", "numpy", "scipy", "skops")
WAYS = {
    "per_1000": "the model",
    "nothing": "doing nothing",
    "all": "acting on all",
    "usual": "always saying the median",
}
ROWS = "rows/"
"""Tables that begin with this hold single rows of the data and stay in the run's own page."""


@dataclass(frozen=True)
class Verdict:
    """The gate's answer for people.

    Args:
        kind: good | bad | none.
        word: in a word or two.
        text: in a sentence.
    """

    kind: str
    word: str
    text: str


def verdict(material: ReportInput) -> Verdict:
    """Return what the gate said, in a sentence that needs no knowledge of models."""
    gate = material.gate
    checks = list(gate.get("checks") or ())
    what = material.version or f"the model of run {material.run.id}"
    if gate.get("passed") is None:
        return Verdict("none", "Not judged", f"Nobody asked whether {what} is good enough: no gate was run.")
    failed = [check for check in checks if check.get("passed") is False]
    open_ones = [check for check in checks if check.get("passed") is None]
    if not gate["passed"]:
        names = "; ".join(f"{check['name']} ({_measured(check)})" for check in failed)
        text = f"{what} misses {len(failed)} of {len(checks)} conditions: {names}." if failed else "The gate says no."
        return Verdict("bad", "No, not good enough", text)
    if not checks:
        text = f"No condition was set that {what} could miss (goal.targets is empty), so this says little."
        return Verdict("none", "Nothing stands against it", text)
    met = len(checks) - len(open_ones)
    text = f"{what} meets {_all(met)} that {'was' if met == 1 else 'were'} set."
    if open_ones:
        text += f" {len(open_ones)} could not be judged: {', '.join(str(check['name']) for check in open_ones)}."
    return Verdict("good", "Yes, good enough", text)


def _all(count: int) -> str:
    return "the one condition" if count == 1 else f"all {count} conditions"


def _measured(check: Mapping[str, Any]) -> str:
    if check.get("value") is None or check.get("wanted") is None:
        return str(check.get("evidence") or "not measured")
    word = "at most" if check.get("better") == "lower" else "at least"
    return f"{_text(check['value'])} instead of {word} {_text(check['wanted'])}"


def _text(item: Any) -> str:
    return number(item) if isinstance(item, int | float) and not isinstance(item, bool) else str(item)


def headline(material: ReportInput) -> tuple[str, str, Interval, Figure | None] | None:
    """Return name, part, value and declaration of the goal's metric: on the holdout, else on the folds."""
    name = str(material.goal.get("metric") or "")
    for part in ("holdout", "folds"):
        found = material.figures.get(part, {}).get(name)
        if found is not None:
            return name, part, found, material.declared.get(name)
    return None


@dataclass(frozen=True)
class Money:
    """What decisions are worth per 1,000 rows.

    Args:
        unit: currency.
        ways: what to do (`the model` first) to what it is worth.
        rival: the best way without a model.
        gain: how much more the model is worth than its rival.
        per_year: the gain of a year, None when the goal states no volume.
        rows: rows that it was measured on.
    """

    unit: str
    ways: Mapping[str, Interval]
    rival: str
    gain: Interval
    per_year: float | None
    rows: int

    @property
    def sentence(self) -> str:
        """The money in a sentence."""
        word = "more" if self.gain.value >= 0 else "LESS"
        said = (
            f"Per 1,000 cases, deciding as the model says is worth {number(abs(self.gain.value))} {self.unit} {word} than "
            f"{self.rival}, the best way without a model"
        )
        if self.gain.low is not None and self.gain.high is not None:
            said += f" (95 % interval of the difference {number(self.gain.low)} to {number(self.gain.high)})"
        year = "" if self.per_year is None else f" In a year that makes {number(self.per_year)} {self.unit}."
        return f"{said}.{year}"


def money(material: ReportInput) -> Money | None:
    """Return the gate's record of value, None when the goal states no value per outcome."""
    record = material.gate.get("value")
    if not record:
        return None
    ways = {name: interval_of(record[key]) for key, name in WAYS.items() if record.get(key)}
    gain, rows = interval_of(record["gain"]), int(record["rows"])
    return Money(str(record["currency"]), ways, str(record["rival"]), gain, record.get("per_year"), rows)


def interval_of(item: Mapping[str, Any]) -> Interval:
    """Return a record with value, low and high as an interval; what is certain has no ends."""
    if item.get("low") == item.get("high"):
        return Interval(item["value"])
    return Interval(item["value"], item.get("low"), item.get("high"))


def baselines(material: ReportInput, metric: str) -> list[str]:
    """Return what simpler ways reach, in a sentence each; empty without a feasibility check."""
    record = material.assessment or {}
    scored = ", ".join(f"{item['name']} {number(item['score'])}" for item in record.get("baselines") or ())
    found = [f"Simple ways reach, on the folds ({metric}): {scored}."] if scored else []
    if material.goal.get("baseline") not in (None, "", {}):
        found.append(f"To beat: {stated(material, 'baseline')} (goal.baseline).")
    return found


def charts_of(record: Mapping[str, Any]) -> list[Chart]:
    """Return the charts of a feasibility check."""
    return [
        Chart(**{key: chart[key] for key in ("name", "title", "alt", "svg")}) for chart in record.get("charts") or ()
    ]


def tables(material: ReportInput, *, rows: bool) -> dict[str, Any]:
    """Return the evaluators' tables by title; `rows` says whether those that hold single rows of the data are wanted."""
    return {
        title_of(name): frame for name, frame in material.evaluation.tables.items() if rows or not name.startswith(ROWS)
    }


def title_of(name: str) -> str:
    """Return a registered name as a heading."""
    return TITLES.get(name, name.removeprefix(ROWS).replace("_", " ").replace("/", ": ").capitalize())


def stated(material: ReportInput, key: str) -> str:
    """Return a value of the goal as text, or that it is not stated."""
    item = plain(material.goal.get(key))
    if item in (None, "", [], {}):
        return f"not stated: goal.{key}"
    if isinstance(item, Mapping):
        return ", ".join(f"{name} {_text(inner)}" for name, inner in item.items())
    return ", ".join(map(str, item)) if isinstance(item, list) else str(item)


def tagged(material: ReportInput) -> dict[str, list[str]]:
    """Return the names of the columns by tag and by role."""
    found: dict[str, list[str]] = {}
    for column in material.data.get("columns") or ():
        for word in (*(column.get("tags") or ()), column.get("role")):
            found.setdefault(str(word), []).append(str(column["name"]))
    return found


def code_text(code: Any) -> str:
    """Return the commit of a run's code, and whether there was more than the commit."""
    if not isinstance(code, Mapping) or not code.get("commit"):
        return "not recorded: no git checkout"
    return f"commit {code['commit']}" + (", with uncommitted changes" if code.get("dirty") else "")


def libraries(facts: Mapping[str, Any]) -> str:
    """Return the versions of Python and of the libraries that make a model."""
    packages: Mapping[str, str] = facts.get("packages") or {}
    python = (facts.get("machine") or {}).get("python")
    found = [f"{name} {packages[name]}" for name in LIBRARIES if name in packages]
    return ", ".join([*([f"Python {python}"] if python else []), *found]) or "not recorded"


def plain(item: Any) -> Any:
    """Return plain dictionaries, lists, numbers and texts."""
    if isinstance(item, Mapping):
        return {str(key): plain(inner) for key, inner in item.items()}
    if isinstance(item, Sequence) and not isinstance(item, str | bytes):
        return [plain(inner) for inner in item]
    return item if item is None or isinstance(item, bool | int | float | str) else str(item)
