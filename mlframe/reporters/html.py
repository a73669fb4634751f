"""One self-contained page about a run: no script, no address outside, legible on a phone and on paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from jinja2 import Template

from mlframe.charts.page import environment
from mlframe.contracts import Figure, Interval, Reporter, ReportInput
from mlframe.errors import ParameterError

__all__ = ["HtmlReporter"]

PARTS = {"holdout": "Holdout", "folds": "Folds (out-of-fold)", "live": "Live"}
TABLES = {"thresholds": "Decision thresholds", "confusion": "Confusion matrix", "importance": "Importance"}


class HtmlReporter(Reporter):
    """Write one HTML page: goal and verdict first, then figures, pictures, data and run details.

    Args:
        filename: name of the page, ending in .html, without a folder.
        rows: rows that a table shows at most.

    Raises:
        ParameterError: `filename` is no plain name ending in .html, or `rows` is below 1.
    """

    def __init__(self, filename: str = "report.html", rows: int = 50) -> None:
        if Path(filename).name != filename or not filename.endswith(".html"):
            raise ParameterError(
                "html: filename must be a plain name that ends in .html",
                value=filename,
                where="reporters.html.filename",
                hint="the folder is the run's own; see 'mlframe show'",
            )
        if rows < 1:
            raise ParameterError("html: rows must be 1 or more", value=rows, where="reporters.html.rows")
        self.filename = filename
        self.rows = rows

    def report(self, material: ReportInput) -> Sequence[Path]:
        """Write the page."""
        run, found = material.run, material.exploration
        facts = dict(material.data)
        columns = facts.pop("columns", None)
        page = _template().render(
            run=run,
            goal=_plain({key: value for key, value in material.goal.items() if value not in (None, [], {}, "")}),
            verdict=_verdict(material.gate),
            checks=list(material.gate.get("checks", ())),
            version=material.version,
            promote=material.promote,
            metric=_metric(material),
            figures=_figures(material),
            data=_plain(facts),
            columns=_columns(columns, found.tables.get("columns") if found else None),
            findings=found.findings if found else (),
            data_charts=found.charts if found else (),
            data_tables={k: v for k, v in found.tables.items() if k != "columns"} if found else {},
            charts=material.evaluation.charts,
            tables={_title(name): frame for name, frame in material.evaluation.tables.items()},
            facts=_plain(run.facts),
            config=yaml.safe_dump(_plain(run.config), sort_keys=False, allow_unicode=True, width=100),
            rows=self.rows,
        )
        path = material.folder / self.filename
        path.write_text(page, encoding="utf-8")
        return [path]


@cache
def _template() -> Template:
    return environment(Path(__file__).parent / "templates").get_template("report.html")


def _verdict(gate: Mapping[str, Any]) -> dict[str, str]:
    passed, checks = gate.get("passed"), gate.get("checks") or ()
    if passed is None:
        return {"word": "Not judged", "mark": "○", "kind": "none", "text": "No gate was asked about this run."}
    failed = [str(check["name"]) for check in checks if check.get("passed") is False]
    if passed:
        return {"word": "Passed", "mark": "✓", "kind": "good", "text": f"All {len(checks)} checks of the gate are met."}
    text = f"Not met: {', '.join(failed)}." if failed else "The gate says no."
    return {"word": "Not passed", "mark": "✗", "kind": "bad", "text": text}


def _metric(material: ReportInput) -> dict[str, Any] | None:
    """Return the goal's metric on the holdout, else on the folds."""
    name = str(material.goal.get("metric") or "")
    for part in ("holdout", "folds"):
        found = material.figures.get(part, {}).get(name)
        if found is not None:
            return {"name": name, "part": PARTS[part], "interval": found, "figure": material.declared.get(name)}
    return None


def _figures(material: ReportInput) -> dict[str, Any]:
    """Return the parts and one row a figure: name, declaration, one interval or None a part."""
    parts = [part for part in PARTS if material.figures.get(part)]
    names = list(dict.fromkeys(name for part in parts for name in material.figures[part]))
    # A figure that was declared and could not be computed is shown, so that nobody looks for it.
    names += [name for name in material.declared if name not in names and parts]
    metric = material.goal.get("metric")
    names.sort(key=lambda name: name != metric)
    rows: list[tuple[str, Figure | None, list[Interval | None]]] = [
        (name, material.declared.get(name), [material.figures[part].get(name) for part in parts]) for name in names
    ]
    return {"parts": [PARTS[part] for part in parts], "rows": rows, "metric": metric}


def _columns(records: Sequence[Mapping[str, Any]] | None, profiled: pl.DataFrame | None) -> pl.DataFrame | None:
    if profiled is not None:
        return profiled
    if not records:
        return None
    keys = [key for key in ("name", "role", "kind", "dtype") if key in records[0]]
    return pl.DataFrame([{key: str(record.get(key, "")) for key in keys} for record in records])


def _title(name: str) -> str:
    return TABLES.get(name, name.replace("_", " ").capitalize())


def _plain(item: Any) -> Any:
    """Return plain dictionaries, lists, numbers and texts."""
    if isinstance(item, Mapping):
        return {str(key): _plain(value) for key, value in item.items()}
    if isinstance(item, list | tuple | set | frozenset):
        return [_plain(value) for value in item]
    return item if item is None or isinstance(item, str | bool | int | float) else str(item)
