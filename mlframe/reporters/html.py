"""One self-contained page about a run: no script, no address outside, legible on a phone and on paper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mlframe.charts.document import Answer, Code, Document, Fold, Heading, Pictures, Points, Table
from mlframe.contracts import Reporter, ReportInput
from mlframe.reporters import risks, story
from mlframe.reporters.parts import (
    Parts,
    baselines_table,
    check_filename,
    check_rows,
    checks_table,
    columns_table,
    complete,
    config_text,
    figures_table,
    risk_points,
    sections,
)

__all__ = ["HtmlReporter"]


class HtmlReporter(Reporter):
    """Write one HTML page for those who decide: problem, answer, money, risks, pictures, then every detail.

    Args:
        filename: name of the page, ending in .html, without a folder.
        rows: rows that a table shows at most.

    Raises:
        ParameterError: `filename` is no plain name ending in .html, or `rows` is below 1.
    """

    def __init__(self, filename: str = "report.html", rows: int = 50) -> None:
        self.filename = check_filename("html", filename)
        self.rows = check_rows("html", rows)

    def report(self, material: ReportInput) -> Sequence[Path]:
        """Write the page.

        Raises:
            StepError: a part could not be written; the page is there and says which.
        """
        run = material.run
        parts: Parts = {
            "problem": ("The problem", _problem),
            "answer": ("The answer", _answer),
            "money": ("The money", _money),
            "risks": ("Risks and limits", _risks),
            "pictures": ("Pictures", _pictures),
            "figures": ("Figures", _figures),
            "groups": ("Tables", partial(_tables, rows=self.rows)),
            "feasibility": ("Feasibility", _feasibility),
            "data": ("Data", partial(_data, rows=self.rows)),
            "run": ("Run", _run),
        }
        document = Document(
            material.version or run.name,
            f"mlframe report: {run.task} run {run.id}",
            sections(material, parts),
        )
        path = material.folder / self.filename
        complete({path: document.html()})
        return [path]


def _problem(material: ReportInput) -> Iterator[Any]:
    yield story.stated(material, "problem")
    keys = ("pain_points", "stakeholders", "owner", "deadline", "review")
    known = {key.replace("_", " "): material.goal.get(key) for key in keys}
    yield story.plain(known)
    process = {
        key.replace("_", " "): material.goal.get(key) for key in ("process", "process_cost", "systems", "integration")
    }
    if any(process.values()):
        yield Heading("What there is today")
        yield story.plain(process)


def _answer(material: ReportInput) -> Iterator[Any]:
    said, shown = story.verdict(material), story.headline(material)
    notes, big, figure = [], "", None
    if shown:
        name, part, figure, declared = shown
        ends = ", with its 95 % interval" if figure.low is not None else ""
        better = f"; {declared.better} is better. {declared.summary}" if declared else ""
        big = name
        notes.append(f"{story.PARTS[part]}{ends}{better}")
        notes += story.baselines(material, name)
    notes.append(f"Registered as {material.version}." if material.version else "Nothing was registered.")
    if material.fast:
        notes.append(f"Fast path of the server: {material.fast}.")
    if material.promote:
        notes.append(f"To make it the champion: {material.promote}")
    yield Answer(said.kind, said.word, said.text, big, figure, notes)
    yield partial(checks_table, material)


def _money(material: ReportInput) -> Iterator[Any]:
    found = story.money(material)
    if found is None:
        yield "Not stated: goal.value gives no value per outcome, so nothing can be said about what the answer is worth."
        return
    yield found.sentence
    yield Table(("What decides", f"Worth per 1,000 cases ({found.unit})"), list(found.ways.items()))
    yield {
        "measured on": f"{found.rows:,} rows",
        "value per outcome": story.plain(material.goal.get("value")),
        "cost of today's process": material.goal.get("process_cost"),
        "cases a year": material.goal.get("volume"),
    }


def _risks(material: ReportInput) -> Iterator[Any]:
    yield partial(risk_points, material)
    missing = risks.unchecked(material)
    if missing:
        yield Heading("What was not looked at")
        yield Points([("", text) for text in missing])


def _pictures(material: ReportInput) -> Iterator[Any]:
    charts = material.evaluation.charts
    yield Pictures(charts) if charts else "None were drawn."


def _figures(material: ReportInput) -> Iterator[Any]:
    yield "In brackets the 95 % interval, from resampled rows. The holdout took no part in training or choosing."
    yield partial(figures_table, material)
    if material.evaluation.findings:
        yield Heading("What the evaluators found")
        yield Points([(item.severity, item.text) for item in material.evaluation.findings])


def _tables(material: ReportInput, rows: int) -> Iterator[Any]:
    found = story.tables(material, rows=True)
    if not found:
        yield "The evaluators gave no tables."
    for title, frame in found.items():
        yield Fold(title, [Table.of(frame, rows)])


def _feasibility(material: ReportInput) -> Iterator[Any]:
    record = material.assessment
    if record is None:
        yield "Not looked at: the task has no step assess."
        return
    said = record.get("verdict") or {}
    if said:
        yield f"Verdict: {said.get('word')}."
        yield Points([("", str(reason)) for reason in said.get("reasons") or ()])
    if "findings" in record:
        yield Heading("Leaks")
        yield (
            "No leak was found."
            if not record["findings"]
            else Points([(str(item["severity"]), str(item["text"])) for item in record["findings"]])
        )
    if record.get("baselines"):
        yield Heading("Simple ways to the same answer")
        yield partial(baselines_table, record)
    words = {"curve": "more rows", "noise": "doubtful labels", "smallest_effect": "smallest effect", "value": "money"}
    yield {word: story.plain(_said(record[key])) for key, word in words.items() if record.get(key)}
    yield Pictures(story.charts_of(record))


def _said(found: Any) -> Any:
    """Return a finding's own words, else all that it holds."""
    return found["text"] if isinstance(found, Mapping) and found.get("text") else found


def _data(material: ReportInput, rows: int) -> Iterator[Any]:
    found = material.exploration
    facts = dict(material.data)
    columns = facts.pop("columns", None)
    yield story.plain(facts)
    if found and found.findings:
        yield Heading("Findings in the development rows")
        yield Points([(item.severity, item.text) for item in found.findings])
    if found and "columns" in found.tables:
        yield Heading("Columns")
        yield Table.of(found.tables["columns"], rows)
    elif columns:
        yield Heading("Columns")
        yield columns_table(columns)
    for name, frame in found.tables.items() if found else ():
        if name != "columns":
            yield Fold(story.title_of(name), [Table.of(frame, rows)])
    if found and found.charts:
        yield Heading("Pictures of the development rows")
        yield Pictures(found.charts)


def _run(material: ReportInput) -> Iterator[Any]:
    run = material.run
    yield {"id": run.id, "task": run.task, "multirun": run.group}
    yield story.plain(run.facts)
    yield Heading("The goal as stated")
    yield story.plain(material.goal)
    if material.history:
        yield Heading("Decisions so far")
        yield story.plain(material.history)
    yield Fold("Resolved config", [Code(config_text(material))])
