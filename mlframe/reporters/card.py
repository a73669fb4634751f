"""A model card: nine sections of what a model is for, what it was made of and how far to trust it.

The sections are those of Mitchell et al. (2019), Model Cards for Model Reporting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mlframe.charts.document import Document, Heading, Pictures, Points, Table
from mlframe.contracts import Reporter, ReportInput, models_of
from mlframe.reporters import risks, story
from mlframe.reporters.parts import (
    Parts,
    check_filename,
    check_rows,
    checks_table,
    columns_table,
    complete,
    figures_table,
    risk_points,
    sections,
    validation,
)

__all__ = ["CardReporter"]


class CardReporter(Reporter):
    """Write a model card as a page and as Markdown; what the config does not say is written as not stated.

    Args:
        filename: name of the page, ending in .html, without a folder; the Markdown has the same name ending in .md.
        rows: rows that a table shows at most.

    Raises:
        ParameterError: `filename` is no plain name ending in .html, or `rows` is below 1.
    """

    def __init__(self, filename: str = "card.html", rows: int = 30) -> None:
        self.filename = check_filename("card", filename)
        self.rows = check_rows("card", rows)

    def report(self, material: ReportInput) -> Sequence[Path]:
        """Write the card twice.

        Raises:
            StepError: a part could not be written; the files are there and say which.
        """
        parts: Parts = {
            "details": ("Model details", _details),
            "use": ("Intended use", _use),
            "factors": ("Factors", _factors),
            "metrics": ("Metrics", _metrics),
            "evaluation": ("Evaluation data", _evaluation),
            "training": ("Training data", _training),
            "analyses": ("Quantitative analyses", partial(_analyses, rows=self.rows)),
            "ethics": ("Ethical considerations", _ethics),
            "caveats": ("Caveats and recommendations", _caveats),
        }
        document = Document(
            f"Model card: {material.version or material.run.name}",
            f"written by mlframe from run {material.run.id}; sections after Mitchell et al. (2019)",
            sections(material, parts),
            lead=story.verdict(material).text,
        )
        page = material.folder / self.filename
        text = page.with_suffix(".md")
        complete({page: document.html(), text: document.markdown()})
        return [page, text]


def _details(material: ReportInput) -> Iterator[Any]:
    facts, config = material.run.facts, material.run.config
    code = facts.get("code")
    yield {
        "who answers for it": story.stated(material, "owner"),
        "version": material.version or "not registered",
        "date": facts.get("started") or "not recorded",
        "learning task": material.goal.get("task") or "not recorded",
        "model": ", ".join(models_of(config)) or "not stated: model",
        "featurizer": _name(config, "featurizer"),
        "ensembler": _name(config, "ensembler"),
        "calibration of probabilities": _fit(config, "calibration"),
        "decision threshold": _fit(config, "threshold"),
        "what is deployed": _refit(config),
        "code": story.code_text(code),
        "libraries": story.libraries(facts),
        "licence": "not stated: no key of the config holds a licence",
    }


def _name(config: Mapping[str, Any], key: str) -> str:
    node = config.get(key)
    return str(node.get("name")) if isinstance(node, Mapping) and node.get("name") else f"not stated: {key}"


def _fit(config: Mapping[str, Any], key: str) -> Any:
    how = (config.get("fit") or {}).get(key)
    return f"not stated: fit.{key}" if how is None else how


def _refit(config: Mapping[str, Any]) -> str:
    how = (config.get("fit") or {}).get("refit")
    said = {
        "full": "one pipeline, fitted again on all development rows",
        "folds": "the mean of the folds' pipelines",
        "auto": "the mean of the folds' pipelines where folds grow along time, else one that is fitted again on all development rows",
    }
    return said.get(str(how), "not stated: fit.refit")


def _use(material: ReportInput) -> Iterator[Any]:
    yield {
        "what it is for": story.stated(material, "problem"),
        "who uses it or is concerned": story.stated(material, "stakeholders"),
        "how the answer is used": story.stated(material, "integration"),
        "uses that it is not for": "not stated: no key of the config holds them. Rows that the schema refuses are refused.",
    }


def _factors(material: ReportInput) -> Iterator[Any]:
    columns = story.tagged(material)
    yield {
        "protected groups": ", ".join(columns.get("protected", ())) or "none declared: data.columns.<name>.tags",
        "groups of rows": ", ".join(columns.get("group", ())) or "no column has the role group",
        "time": ", ".join(columns.get("time", ())) or "no column has the role time",
        "groups that were looked at": ", ".join(_grouped(material)) or "none: no evaluator gave a table of groups",
    }


def _grouped(material: ReportInput) -> list[str]:
    return [title for title in story.tables(material, rows=False) if any(w in title.lower() for w in ("slice", "fair"))]


def _metrics(material: ReportInput) -> Iterator[Any]:
    shown = story.headline(material)
    yield {
        "decides": f"{shown[0]}: {shown[3].summary}" if shown and shown[3] else story.stated(material, "metric"),
        "targets": story.stated(material, "targets"),
        "uncertainty": "95 % intervals from resampled rows (percentile bootstrap)",
        "value per outcome": story.stated(material, "value"),
    }
    yield partial(checks_table, material)


def _evaluation(material: ReportInput) -> Iterator[Any]:
    data, splitter = material.data, material.run.config.get("splitter")
    uses = material.history.get("holdout_uses")
    yield {
        "rows": data.get("holdout", "not recorded"),
        "how they were chosen": f"splitter {splitter['name']}" if isinstance(splitter, Mapping) else "not recorded",
        "period": " to ".join((data.get("period") or {}).get("holdout", ())) or "no column has the role time",
        "runs that have read them": uses if uses is not None else "not recorded",
        "share of each class": story.plain((data.get("shares") or {}).get("holdout")),
        "folds": data.get("folds"),
    }


def _training(material: ReportInput) -> Iterator[Any]:
    data = material.data
    yield {
        "source": story.plain(data.get("source")),
        "fingerprint": data.get("fingerprint"),
        "rows": data.get("development", data.get("rows")),
        "period": " to ".join((data.get("period") or {}).get("development", ())) or "no column has the role time",
        "share of each class": story.plain((data.get("shares") or {}).get("development")),
        "validators": story.plain(validation(material)),
    }
    if data.get("columns"):
        yield columns_table(data["columns"])


def _analyses(material: ReportInput, rows: int) -> Iterator[Any]:
    yield partial(figures_table, material)
    for title, frame in story.tables(material, rows=False).items():
        yield Heading(title)
        yield Table.of(frame, rows)
    if material.evaluation.charts:
        yield Heading("Pictures")
        yield Pictures(material.evaluation.charts)


def _ethics(material: ReportInput) -> Iterator[Any]:
    columns = story.tagged(material)
    features = [str(c["name"]) for c in material.data.get("columns") or () if c.get("role") == "feature"]
    used = [name for name in columns.get("protected", ()) if name in features]
    yield {
        "protected columns that the model reads": ", ".join(used) or "none is declared",
        "personal data": ", ".join(columns.get("pii", ())) or "no column is tagged pii",
        "fairness": "see the table above" if "Fairness by protected group" in _grouped(material) else "not measured",
        "harms that were thought of": "not stated: no key of the config holds them",
    }


def _caveats(material: ReportInput) -> Iterator[Any]:
    yield partial(risk_points, material)
    missing = risks.unchecked(material)
    if missing:
        yield Heading("Not looked at")
        yield Points([("", text) for text in missing])
    yield {"to be looked at again": story.stated(material, "review")}
