"""A folder that an auditor can read: a page in the order of Annex IV of the EU AI Act, the facts as files, a manifest.

Regulation (EU) 2024/1689, Annex IV, lists what the technical documentation of a high-risk system holds, in nine sections.
A run knows a part of that; what it does not know is named as such, so that the page can be completed by hand.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from mlframe.charts.document import Document, Heading, Links, Pictures, Points, Table
from mlframe.charts.page import is_drawing
from mlframe.contracts import Reporter, ReportInput
from mlframe.reporters import risks, story
from mlframe.reporters.parts import (
    Parts,
    baselines_table,
    checks_table,
    columns_table,
    complete,
    config_text,
    figures_table,
    risk_points,
    sections,
    validation,
)

__all__ = ["DossierReporter"]

ROWS = 100
GAP = "Not covered by mlframe: "


class DossierReporter(Reporter):
    """Write a dossier: `index.html`, the facts behind it as files, and `manifest.json` with the SHA-256 of each file.

    No file holds rows of the data: tables of single rows and examples of failed checks stay in the run's own page.
    """

    def report(self, material: ReportInput) -> Sequence[Path]:
        """Write the folder.

        Raises:
            StepError: a part of the page could not be written; the page is there and says which.
        """
        listed, failed = _write(material)
        parts: Parts = {
            "s1": ("1. What the system is", _general),
            "s2": ("2. How it was made", _making),
            "s3": ("3. How it works, its limits and its control", _limits),
            "s4": ("4. Why these measures", _measures),
            "s5": ("5. Risks and how they are handled", _risks),
            "s6": ("6. Changes through its life", _changes),
            "s7": ("7. Standards", _standards),
            "s8": ("8. Declaration of conformity", _declaration),
            "s9": ("9. Watching it once it is in use", _watching),
            "files": ("Files of this dossier", partial(_files, listed, failed)),
        }
        index = material.folder / "index.html"
        document = Document(
            f"Technical dossier: {material.version or material.run.name}",
            f"written by mlframe from run {material.run.id}; in the order of Annex IV of Regulation (EU) 2024/1689",
            sections(material, parts),
            lead="What the run knows is stated; what it cannot know is marked, and is for the provider to complete.",
        )
        try:
            complete({index: document.html()})
        finally:
            manifest = _manifest(material)
        return [index, *(material.folder / name for name, _ in listed), manifest]


def _write(material: ReportInput) -> tuple[list[tuple[str, str]], list[tuple[str, Exception]]]:
    """Write the files behind the page.

    Returns:
        Name of each file and what it holds; name and error of each that could not be made.
    """
    listed: list[tuple[str, str]] = []
    failed: list[tuple[str, Exception]] = []
    for name, what, make in _files_of(material):
        try:
            text = make()
        except Exception as error:
            failed.append((name, error))
            continue
        path = material.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        listed.append((name, what))
    return sorted(listed), failed


def _files_of(material: ReportInput) -> Iterator[tuple[str, str, Callable[[], str]]]:
    """Give the name of each file, what it holds, and what makes its text."""
    facts = material.run.facts
    environment = {key: facts.get(key) for key in ("packages", "machine", "seed", "command")}
    records: dict[str, tuple[str, Callable[[], Any]]] = {
        "data/lineage.json": ("source, fingerprint, columns, split, validators", lambda: _lineage(material)),
        "goal.json": ("the goal as stated", lambda: material.goal),
        "gate.json": ("conditions, answers, evidence, value", lambda: material.gate),
        "figures.json": ("figures with 95 % intervals", lambda: _figures(material)),
        "assessment.json": ("leak checks, baselines, feasibility", lambda: _without_charts(material.assessment)),
        "risks.json": ("reasons to be careful", lambda: [vars(risk) for risk in risks.risks(material)]),
        "environment.json": ("packages, machine, seed, command", lambda: environment),
        "code.json": (
            "commit and uncommitted files; 'mlframe show RUN --diff' prints the changes",
            lambda: _code(facts),
        ),
        "decisions.json": ("moves of the aliases, uses of the holdout", lambda: material.history),
    }
    for name, (what, make) in records.items():
        yield name, what, partial(_json, make)
    yield "config.yaml", "the resolved config; secrets stay names of variables", partial(config_text, material)
    if material.data.get("columns"):
        yield "data/columns.csv", "columns with role, kind, type and tags", partial(_columns, material)
    for name, frame in material.evaluation.tables.items():
        if not name.startswith(story.ROWS):
            yield f"tables/{_file(name)}.csv", story.title_of(name), lambda frame=frame: _flat(frame).write_csv()  # type: ignore[misc]
    for chart in filter(lambda chart: is_drawing(chart.svg), material.evaluation.charts):  # a file of SVG can run code
        yield f"charts/{_file(chart.name)}.svg", chart.title, lambda chart=chart: chart.svg  # type: ignore[misc]


def _json(make: Callable[[], Any]) -> str:
    return json.dumps(story.plain(make()), ensure_ascii=False, indent=1)


def _figures(material: ReportInput) -> dict[str, Any]:
    return {part: {name: vars(item) for name, item in named.items()} for part, named in material.figures.items()}


def _code(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of the code, without the uncommitted lines themselves: they may hold anything."""
    code = facts.get("code")
    return {key: item for key, item in code.items() if key != "diff"} if isinstance(code, Mapping) else {}


def _columns(material: ReportInput) -> str:
    table = columns_table(material.data["columns"])
    return pl.DataFrame([dict(zip(table.columns, map(str, row), strict=True)) for row in table.rows]).write_csv()


def _file(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame that CSV can hold: nested values become text."""
    nested = [name for name, dtype in frame.schema.items() if dtype.is_nested()]
    return frame.with_columns(pl.Series(name, [str(item) for item in frame[name]]) for name in nested)


def _manifest(material: ReportInput) -> Path:
    path = material.folder / "manifest.json"
    files = sorted(file for file in material.folder.rglob("*") if file.is_file() and file != path)
    listed = {
        file.relative_to(material.folder).as_posix(): {
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "size": file.stat().st_size,
        }
        for file in files
    }
    record = {"format": 1, "run": material.run.id, "version": material.version, "files": listed}
    path.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return path


def _lineage(material: ReportInput) -> dict[str, Any]:
    kept = {key: item for key, item in material.data.items() if key not in ("validators", "fitting")}
    return {**kept, "validators": validation(material)}


def _without_charts(record: Mapping[str, Any] | None) -> Any:
    return {key: item for key, item in (record or {}).items() if key != "charts"}


def _general(material: ReportInput) -> Iterator[Any]:
    facts, config = material.run.facts, material.run.config
    yield {
        "intended purpose": story.stated(material, "problem"),
        "provider": story.stated(material, "owner"),
        "version": material.version or "not registered",
        "people concerned": story.stated(material, "stakeholders"),
        "other systems": story.stated(material, "systems"),
        "how it is built in": story.stated(material, "integration"),
        "libraries": story.libraries(facts),
        "made on": story.plain(facts.get("machine")) or "not recorded",
        "task": config.get("task", {}).get("name") if isinstance(config.get("task"), Mapping) else material.run.task,
    }
    yield Points(
        [
            ("", GAP + "the form in which the system is put on the market, and hardware that it is meant to run on."),
            ("", GAP + "the user interface, and instructions for use for deployers."),
        ]
    )


def _making(material: ReportInput) -> Iterator[Any]:
    facts, config, data = material.run.facts, material.run.config, material.data
    yield Heading("Method and design")
    groups = ("featurizer", "model", "ensembler", "splitter", "labeler", "fit")
    yield {group: story.plain(config.get(group)) or f"not stated: {group}" for group in groups}
    yield {"code": story.code_text(facts.get("code")), "command": story.plain(facts.get("command"))}
    yield {"fitting": story.plain(data.get("fitting"))}
    yield Heading("Data")
    yield story.plain({key: item for key, item in _lineage(material).items() if key != "columns"})
    if data.get("columns"):
        yield columns_table(data["columns"])
    dropped = (data.get("rows") or 0) - (data.get("kept") or 0) if {"rows", "kept"} <= set(data) else None
    yield {"rows left out": dropped if dropped is not None else "not recorded"}
    yield Heading("Tests")
    yield partial(checks_table, material)
    yield partial(figures_table, material)
    yield Points(
        [
            ("", GAP + "how the data were collected and labelled before they reached the source."),
            ("", GAP + "the assessment of human oversight, and changes determined beforehand."),
            (
                "",
                GAP
                + "cybersecurity of the system around the model. The model's files carry digests and are read without pickle.",
            ),
            ("", GAP + "signatures under the tests."),
        ]
    )


def _limits(material: ReportInput) -> Iterator[Any]:
    said = story.verdict(material)
    yield f"{said.word}. {said.text}"
    found = story.tables(material, rows=False)
    for title, frame in found.items():
        yield Heading(title)
        yield Table.of(frame, ROWS)
    yield Points([("", text) for text in risks.unchecked(material)])
    if material.evaluation.charts:
        yield Pictures(material.evaluation.charts)
    yield GAP + "which people oversee the answers, and by which technical means they can correct or stop them."


def _measures(material: ReportInput) -> Iterator[Any]:
    shown = story.headline(material)
    if shown and shown[3]:
        yield f"{shown[0]} decides ({shown[3].better} is better): {shown[3].summary}"
    yield {
        "metric": story.stated(material, "metric"),
        "targets": story.stated(material, "targets"),
        "value per outcome": story.stated(material, "value"),
        "baseline": story.stated(material, "baseline"),
    }
    worth = story.money(material)
    yield worth.sentence if worth else "What decisions are worth was not measured."
    assessment = material.assessment or {}
    if assessment.get("baselines"):
        yield partial(baselines_table, assessment)
    yield GAP + "the reasons for which these measures suit the purpose."


def _risks(material: ReportInput) -> Iterator[Any]:
    yield partial(risk_points, material)
    yield GAP + "the risk management system: harms to people, their likelihood, and what is done about them."


def _changes(material: ReportInput) -> Iterator[Any]:
    moves = material.history.get("aliases") or ()
    if moves:
        keys = ("when", "who", "action", "alias", "from", "to", "why")
        yield Table([key.capitalize() for key in keys], [[move.get(key) for key in keys] for move in moves])
    else:
        yield "No alias of this name has been moved yet."
    uses = material.history.get("holdout_uses")
    yield {"runs that have read this holdout": uses if uses is not None else "not recorded"}
    yield "Later versions write a dossier of their own; 'python -m mlframe compare' shows what differs between two."


def _standards(material: ReportInput) -> Iterator[Any]:
    yield (
        GAP + "harmonised standards and common specifications that were applied, or the solutions taken in their place."
    )


def _declaration(material: ReportInput) -> Iterator[Any]:
    yield GAP + "the EU declaration of conformity."


def _watching(material: ReportInput) -> Iterator[Any]:
    yield {
        "owner": story.stated(material, "owner"),
        "review": story.stated(material, "review"),
        "deadline": story.stated(material, "deadline"),
    }
    yield "The version's bundle holds a description of each input column as it was in training, for checks of drift."
    yield GAP + "the plan for watching the system after it is put on the market, and how incidents are reported."


def _files(
    listed: Sequence[tuple[str, str]], failed: Sequence[tuple[str, Exception]], material: ReportInput
) -> Iterator[Any]:
    yield "manifest.json holds the SHA-256 of every file, this page too."
    yield Links([*listed, ("manifest.json", "digests of all files")])
    if failed:
        yield Points([("missing", f"{name}: {type(error).__name__}: {error}") for name, error in failed])
        raise failed[0][1]
