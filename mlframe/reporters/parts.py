"""What several reporters write alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from mlframe.charts.document import Points, Section, Table, Written
from mlframe.contracts import Interval, ReportInput
from mlframe.errors import ParameterError, StepError
from mlframe.reporters import story
from mlframe.reporters.risks import risks

__all__ = [
    "Parts",
    "baselines_table",
    "check_filename",
    "check_rows",
    "checks_table",
    "columns_table",
    "complete",
    "config_text",
    "figures_table",
    "risk_points",
    "sections",
    "validation",
]

Parts: TypeAlias = Mapping[str, tuple[str, Callable[[ReportInput], Iterator[Any]]]]
"""The parts of a document about a run: anchor to heading and to what gives the blocks."""


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


def check_rows(reporter: str, rows: int) -> int:
    """Return how many rows a table shows at most.

    Raises:
        ParameterError: it is below 1.
    """
    if rows < 1:
        raise ParameterError(
            f"{reporter}: rows must be 1 or more",
            value=rows,
            where=f"reporters.{reporter}.rows",
            hint="longer tables are cut after so many rows",
        )
    return rows


def sections(material: ReportInput, parts: Parts) -> list[Section]:
    """Return the sections of a document about a run.

    Args:
        material: the run.
        parts: its parts in order.
    """
    return [Section(key, title, partial(build, material)) for key, (title, build) in parts.items()]


def complete(pages: Mapping[Path, Written]) -> None:
    """Write documents to files, and insist afterwards that nothing is missing in them.

    Raises:
        StepError: names every part that is missing.
    """
    for path, page in pages.items():
        path.write_text(page.text, encoding="utf-8")
    gaps = [(path, title, error) for path, page in pages.items() for title, error in page.missing]
    if gaps:
        told = (f"{path.name} lacks a part of '{title}' ({type(why).__name__}: {why})" for path, title, why in gaps)
        raise StepError("; ".join(dict.fromkeys(told))) from gaps[0][2]


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


def checks_table(material: ReportInput) -> Any:
    """Return the gate's conditions with answer and evidence."""
    checks = list(material.gate.get("checks") or ())
    if not checks:
        return "No conditions were checked: the goal sets no targets and there is no champion to compare with."
    marks = {True: "✓ yes", False: "✗ no", None: "○ open"}
    rows = [(marks[c.get("passed")], c["name"], c.get("value"), c.get("wanted"), c.get("evidence")) for c in checks]
    return Table(("Met", "Condition", "Value", "Wanted", "Evidence"), rows)


def baselines_table(record: Mapping[str, Any]) -> Table:
    """Return the baselines of a feasibility check."""
    rows = [
        (item["name"], Interval(item["score"], item.get("low"), item.get("high")), item.get("summary", ""))
        for item in record["baselines"]
    ]
    return Table(("Way", record.get("metric", "Score"), "What it does"), rows)


def risk_points(material: ReportInput) -> Any:
    """Return every reason to be careful, the worst first."""
    found = risks(material)
    if not found:
        return "None of the checks that were made found a reason to be careful."
    return Points([(risk.severity, f"{risk.topic}: {risk.text}") for risk in found])


def columns_table(records: Iterable[Any]) -> Table:
    """Return what each column is for."""
    keys = ("name", "role", "kind", "dtype", "tags")
    rows = [[", ".join(item) if isinstance(item, list | tuple) else item for item in map(r.get, keys)] for r in records]
    return Table([key.capitalize() for key in keys], rows)


def config_text(material: ReportInput) -> str:
    """Return the resolved config as YAML."""
    return yaml.safe_dump(story.plain(material.run.config), sort_keys=False, allow_unicode=True, width=100)


def validation(material: ReportInput) -> dict[str, Any]:
    """Return what each validator found, without the rows that it shows as examples."""
    found: Mapping[str, Any] = material.data.get("validators") or {}
    return {key: {name: item for name, item in entry.items() if name != "examples"} for key, entry in found.items()}
