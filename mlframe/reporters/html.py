"""One self-contained page about a run: no script, no address outside, legible on a phone and on paper."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from mlframe.charts.document import Answer, Code, Document, Fold, Heading, Pictures, Points, Section, Table, Written
from mlframe.contracts import Interval, Reporter, ReportInput
from mlframe.errors import ParameterError, StepError
from mlframe.reporters import risks, story

__all__ = ["HtmlReporter", "check_filename", "complete", "figures_table"]


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
        if rows < 1:
            raise ParameterError("html: rows must be 1 or more", value=rows, where="reporters.html.rows")
        self.rows = rows

    def report(self, material: ReportInput) -> Sequence[Path]:
        """Write the page.

        Raises:
            StepError: a part could not be written; the page is there and says which.
        """
        run = material.run
        parts: dict[str, tuple[str, Callable[[ReportInput], Iterator[Any]]]] = {
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
            [Section(key, title, partial(build, material)) for key, (title, build) in parts.items()],
        )
        path = material.folder / self.filename
        complete({path: document.html()})
        return [path]


def check_filename(reporter: str, filename: str) -> str:
    """Return a name of a page.

    Raises:
        ParameterError: it is no plain name ending in .html.
    """
    if Path(filename).name != filename or not filename.endswith(".html"):
        raise ParameterError(
            f"{reporter}: filename must be a plain name that ends in .html",
            value=filename,
            where=f"reporters.{reporter}.filename",
            hint="the folder is the run's own; see 'mlframe show'",
        )
    return filename


def complete(pages: dict[Path, Written]) -> None:
    """Write documents to files, and insist afterwards that nothing is missing in them.

    Raises:
        StepError: names every part that is missing.
    """
    for path, page in pages.items():
        path.write_text(page.text, encoding="utf-8")
    gaps = [(path, title, error) for path, page in pages.items() for title, error in page.missing]
    if gaps:
        told = "; ".join(
            f"{path.name} lacks a part of '{title}' ({type(error).__name__}: {error})" for path, title, error in gaps
        )
        raise StepError(told) from gaps[0][2]


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
    if material.promote:
        notes.append(f"To make it the champion: {material.promote}")
    yield Answer(said.kind, said.word, said.text, big, figure, notes)
    checks = list(material.gate.get("checks") or ())
    if checks:
        marks = {True: "✓ yes", False: "✗ no", None: "○ open"}
        columns = ("Met", "Condition", "Value", "Wanted", "Evidence")
        yield Table(
            columns,
            [(marks[c.get("passed")], c["name"], c.get("value"), c.get("wanted"), c.get("evidence")) for c in checks],
        )
    else:
        yield "No conditions were checked: the goal sets no targets and there is no champion to compare with."


def _money(material: ReportInput) -> Iterator[Any]:
    found = story.money(material)
    if found is None:
        yield "Not stated: goal.value gives no value per outcome, so nothing can be said about what the answer is worth."
        return
    yield found.sentence
    ways: list[tuple[str, Interval | None]] = [
        ("decide as the model says", found.model),
        ("do nothing", found.nothing),
        ("act on every case", found.all),
    ]
    unit = found.unit or "goal.currency is not stated"
    yield Table(("What to do", f"Value per 1,000 cases ({unit})"), [way for way in ways if way[1] is not None])
    yield {
        "value per outcome": story.plain(material.goal.get("value")),
        "cost of today's process": material.goal.get("process_cost"),
    }


def _risks(material: ReportInput) -> Iterator[Any]:
    found = risks.risks(material)
    if found:
        yield Points([(risk.severity, f"{risk.topic}: {risk.text}") for risk in found])
    else:
        yield "None of the checks that were made found a reason to be careful."
    missing = risks.unchecked(material)
    if missing:
        yield Heading("What was not looked at")
        yield Points([("", text) for text in missing])


def _pictures(material: ReportInput) -> Iterator[Any]:
    charts = material.evaluation.charts
    yield Pictures(charts) if charts else "None were drawn."


def _figures(material: ReportInput) -> Iterator[Any]:
    yield "In brackets the 95 % interval, from resampled rows. The holdout took no part in training or choosing."
    yield figures_table(material)


def figures_table(material: ReportInput) -> Any:
    """Return every figure with its interval in each part, the goal's metric first."""
    parts = [part for part in story.PARTS if material.figures.get(part)]
    names = list(dict.fromkeys(name for part in parts for name in material.figures[part]))
    # A figure that was declared and could not be computed is shown, so that nobody looks for it.
    names += [name for name in material.declared if name not in names and parts]
    names.sort(key=lambda name: name != material.goal.get("metric"))
    if not names:
        return "No figures were computed."
    rows = []
    for name in names:
        declared = material.declared.get(name)
        unit = f" (unit: {declared.unit})" if declared and declared.unit != "1" else ""
        measured = [material.figures[part].get(name, "not defined") for part in parts]
        rows.append(
            [name, *measured, declared.better if declared else "", (declared.summary if declared else "") + unit]
        )
    return Table(["Figure", *(story.PARTS[part] for part in parts), "Better", "What it says"], rows)


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
    if record.get("findings"):
        yield Heading("Findings")
        yield Points([(str(item["severity"]), str(item["text"])) for item in record["findings"]])
    if record.get("baselines"):
        yield Heading("Simple ways to the same answer")
        yield Table(
            ("Baseline", "Score"),
            [
                (item["name"], Interval(item["score"], item.get("low"), item.get("high")))
                for item in record["baselines"]
            ],
        )
    rest = {key: record[key] for key in ("curve", "noise", "smallest_effect") if record.get(key)}
    if rest:
        yield story.plain(rest)
    yield Pictures(story.charts_of(record))


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


def columns_table(records: Iterable[Any]) -> Table:
    """Return what each column is for."""
    keys = ("name", "role", "kind", "dtype", "tags")
    rows = [[", ".join(item) if isinstance(item, list) else item for item in map(r.get, keys)] for r in records]
    return Table([key.capitalize() for key in keys], rows)


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


def config_text(material: ReportInput) -> str:
    """Return the resolved config as YAML."""
    return yaml.safe_dump(story.plain(material.run.config), sort_keys=False, allow_unicode=True, width=100)
