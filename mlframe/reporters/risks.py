"""Reasons to be careful with a model, and what nobody has looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlframe.charts.svg import number
from mlframe.contracts import ReportInput
from mlframe.reporters.story import headline, money, tagged, title_of

__all__ = ["Risk", "risks", "unchecked"]

SMALL_HOLDOUT = 200
SMALL_CLASS = 30
RARE_CLASS = 0.10
MOVED = 0.10
ORDER = {"problem": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class Risk:
    """A reason to be careful.

    Args:
        severity: problem | warning | info.
        topic: what it is about, in a word or two.
        text: one or two sentences with the numbers.
    """

    severity: str
    topic: str
    text: str


def risks(material: ReportInput) -> list[Risk]:
    """Return every reason to be careful that the run knows of, the worst first; equal texts once."""
    found = dict.fromkeys((*_findings(material), *_measuring(material), *_data(material), *_making(material)))
    return sorted(found, key=lambda risk: ORDER.get(risk.severity, 1))


def _findings(material: ReportInput) -> Iterator[Risk]:
    assessment = material.assessment or {}
    for finding in assessment.get("findings") or ():
        if finding.get("severity") != "info":
            advice = (("To mend it", finding.get("remedy")), ("If it is no leak", finding.get("accept")))
            parts = [str(finding["text"]), *(f"{start}: {text}" for start, text in advice if text)]
            yield Risk(str(finding["severity"]), title_of(str(finding.get("check", "leak"))), ". ".join(parts))
    said = assessment.get("verdict") or {}
    if said.get("word") not in (None, "go"):
        reasons = "; ".join(map(str, said.get("reasons") or ()))
        yield Risk("warning", "Feasibility", f"The feasibility check says {said['word']}: {reasons}")
    for topic, source in (("Model", material.evaluation), ("Data", material.exploration)):
        for item in source.findings if source else ():
            if item.severity != "info":
                yield Risk(item.severity, topic, item.text)


def _measuring(material: ReportInput) -> Iterator[Risk]:
    """How far the figures can be trusted."""
    shown = headline(material)
    targets: Mapping[str, Any] = material.goal.get("targets") or {}
    for name, wanted in targets.items():
        found = material.figures.get("holdout", {}).get(name)
        if found is None or found.low is None or found.high is None or not isinstance(wanted, int | float):
            continue
        if found.low < wanted < found.high:
            ends = f"{number(found.low)} to {number(found.high)}"
            text = f"The interval of {name} ({ends}) holds its target {wanted:g}: chance alone could turn yes into no."
            yield Risk("warning", "Uncertain", text)
    if shown and shown[1] != "holdout":
        yield Risk("warning", "No holdout", "The figures are of rows that took part in choosing; there was no holdout.")
    uses = int(material.history.get("holdout_uses") or 0)
    if uses > 1:
        text = f"{uses} runs have read this holdout; figures chosen on it grow optimistic. Keep fresh rows aside."
        yield Risk("warning", "Holdout reused", text)
    for text in (material.data.get("fitting") or {}).get("warnings") or ():
        yield Risk("warning", "Calibration", f"{text[0].upper()}{text[1:]}.")
    for check in material.gate.get("checks") or ():
        if check.get("passed") is None:
            yield Risk("warning", "Not judged", f"{check['name']}: {check.get('evidence')}")
    worth = money(material)
    if worth and worth.gain.low is not None and worth.gain.low < 0:
        text = f"The model may be worth less than {worth.rival}: the interval of its gain begins below zero."
        if worth.gain.high is not None and worth.gain.high < 0:
            text = f"The model is worth less than {worth.rival}: the interval of its gain lies below zero."
        yield Risk("problem" if worth.gain.value < 0 else "warning", "Money", text)


def _data(material: ReportInput) -> Iterator[Risk]:
    """What the rows cannot tell."""
    data = material.data
    held = data.get("holdout")
    if isinstance(held, int) and 0 < held < SMALL_HOLDOUT:
        yield Risk("warning", "Few rows", f"The holdout has {held} rows; small differences cannot be seen on it.")
    yield from _classes(data, held)
    period: Mapping[str, Any] = data.get("period") or {}
    if period:
        text = (
            f"The rows end at {period.get('holdout', period.get('development'))[1]} ({period['column']}). What comes later "
            "is an extrapolation: watch the figures on new rows."
        )
        yield Risk("info", "Time", text)
    elif data.get("columns"):
        yield Risk("info", "Time", "The rows carry no date: how fast the model ages is not known.")
    rows, kept = data.get("rows"), data.get("kept")
    if isinstance(rows, int) and isinstance(kept, int) and kept < rows:
        text = f"{rows - kept:,} of {rows:,} rows were left out (failed checks, or no target); the model knows nothing of them."
        yield Risk("warning" if kept < 0.95 * rows else "info", "Rows left out", text)
    private = tagged(material).get("pii")
    if private:
        yield Risk("warning", "Personal data", f"These columns are tagged pii: {', '.join(private)}.")


def _classes(data: Mapping[str, Any], held: Any) -> Iterator[Risk]:
    """What rare classes and classes whose share has changed mean for the figures."""
    parts: Mapping[str, Mapping[str, float]] = data.get("shares") or {}
    learned, judged = parts.get("development") or {}, parts.get("holdout") or {}
    if not learned:
        return
    rare = min(learned, key=lambda name: learned[name])
    if learned[rare] < RARE_CLASS:
        text = f"Class {rare!r} is {100 * learned[rare]:.1f} % of the rows; accuracy says little, look at recall and precision."
        yield Risk("warning", "Imbalanced", text)
    if not judged or not isinstance(held, int):
        return
    few = min(learned, key=lambda name: judged.get(name, 0.0))
    count = held * judged.get(few, 0.0)
    if count < SMALL_CLASS:
        text = f"{count:.0f} rows of class {few!r} are in the holdout; its figures rest on few cases."
        yield Risk("warning", "Few rows", text)
    for name, share in learned.items():
        there = judged.get(name, 0.0)
        if abs(share - there) > MOVED and (len(learned) > 2 or name == rare):
            text = (
                f"Class {name!r} is {100 * share:.1f} % of the development rows and {100 * there:.1f} % of the holdout: "
                "probabilities and thresholds learned on the one may not suit the other."
            )
            yield Risk("warning", "Shares moved", text)


def _making(material: ReportInput) -> Iterator[Risk]:
    code = material.run.facts.get("code") or {}
    if isinstance(code, Mapping) and code.get("dirty"):
        text = "The code had uncommitted changes; the commit alone does not give this model again."
        yield Risk("info", "Code", text)


def unchecked(material: ReportInput) -> list[str]:
    """Return what nobody looked at, and how to have it looked at."""
    tables_ = material.evaluation.tables
    protected = tagged(material).get("protected")
    missing = []
    assessment = material.assessment or {}
    if "findings" not in assessment:
        missing.append("Leaks: the task has no step assess.")
    if "verdict" not in assessment:
        missing.append(
            "Feasibility (simple ways to the same answer, more rows, doubtful labels): python -m mlframe assess."
        )
    if not _has(tables_, "slices"):
        missing.append("Groups of rows on which the model is worse: no table of slices; add the evaluator slices.")
    if not _has(tables_, "fairness"):
        who = f"protected columns {', '.join(protected)}" if protected else "no column is tagged protected"
        missing.append(f"Fairness: groups were not compared ({who}).")
    if not _has(tables_, "robustness"):
        missing.append("Robustness against missing or damaged input: add the evaluator robustness.")
    if money(material) is None:
        missing.append("Money: goal.value states no value per outcome.")
    return missing


def _has(tables_: Mapping[str, Any], word: str) -> bool:
    return any(word in name for name in tables_)
