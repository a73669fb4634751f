"""Writes files for people, and hands figures and pictures to the trackers."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from mlframe.contracts import Evaluation, Exploration, Figure, ReportInput, Split, Step
from mlframe.errors import MlframeError, StepError, UnknownNameError
from mlframe.steps.records import figures_by_part, unpack_evaluation, unpack_exploration
from mlframe.steps.split import unpack
from mlframe.table import Table


class Report(Step):
    """Gives `report`: the files that reporters wrote, by reporter."""

    summary = "writes files for people"
    reads = ("reporters", "goal")
    needs = ("scores", "learning", "labelled", "labels", "split")
    needs_if_present = ("exploration", "evaluation", "verdict", "version", "verification", "fitting", "assessment")
    gives = {"report": "value"}
    cached = False

    def run(self, context: Any, **inputs: Any) -> Mapping[str, Any]:
        """Ask each reporter; one that fails does not take the others' files."""
        evaluation = unpack_evaluation(inputs["evaluation"]) if inputs["evaluation"] else Evaluation()
        exploration = unpack_exploration(inputs["exploration"]) if inputs["exploration"] else None
        declared = {
            name: Figure(**{**figure, "tasks": tuple(figure["tasks"])})
            for name, figure in inputs["scores"]["declared"].items()
        }
        figures = figures_by_part(inputs["scores"], inputs["evaluation"])
        self._track(context, evaluation)
        past = history(context)
        context.summary["warnings"] = warnings(evaluation, exploration, inputs["assessment"])
        files: dict[str, list[str]] = {}
        failed: list[tuple[str, Exception]] = []
        for key, reporter in context.components("reporters"):
            folder = context.run.folder / "report" / key
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            material = ReportInput(
                run=context.run,
                goal={
                    **context.unresolved["goal"],  # as recorded: a report is passed on and must hold no secret
                    "metric": inputs["scores"]["metric"],
                    "task": inputs["learning"]["task"],
                },
                data=describe_data(context, inputs),
                figures=figures,
                declared=declared,
                exploration=exploration,
                evaluation=evaluation,
                gate=inputs["verdict"] or {"passed": None, "checks": []},
                version=inputs["version"],
                promote=context.summary.get("promote"),
                folder=folder,
                assessment=inputs["assessment"],
                history=past,
                fast=context.summary.get("fast"),
            )
            try:
                files[key] = [str(path) for path in reporter.report(material)]
            except Exception as error:
                failed.append((key, error))
                there = [path for path in folder.rglob("*") if path.is_file()]
                files[key] = [str(path) for path in sorted(there, key=lambda path: (path.suffix != ".html", path))]
        context.summary["report"] = {key: paths for key, paths in files.items() if paths}
        if failed:
            raise failure(failed, files) from failed[0][1]
        return {"report": files}

    @staticmethod
    def _track(context: Any, evaluation: Evaluation) -> None:
        # The explorer's pictures and tables of rows stay here: they show values of single rows.
        for tracker in context.trackers:
            for chart in evaluation.charts:
                tracker.chart(chart)
            for name, table in evaluation.tables.items():
                if not name.startswith("rows/"):
                    tracker.table(name, table)


def failure(failed: Sequence[tuple[str, Exception]], files: Mapping[str, Sequence[str]]) -> StepError:
    """Return one error that names every reporter that failed, why, and what is there of its report."""
    lines = []
    for key, cause in failed:
        why = cause.what if isinstance(cause, MlframeError) else f"{type(cause).__name__}: {cause}"
        rest = f"; the rest of its report is in {files[key][0]}" if files[key] else "; it wrote nothing"
        lines.append(f"The reporter {key} failed: {why}{rest}")
    whole = [key for key, paths in files.items() if paths and key not in dict(failed)]
    return StepError(
        "\n  ".join(lines),
        where=", ".join(f"reporters.{key}" for key, _ in failed),
        hint="everything before it is done and kept"
        + (f", so are the reports of {', '.join(whole)}" if whole else "")
        + "; run the same command again once it is mended",
    )


def history(context: Any) -> dict[str, Any]:
    """Return the moves of the name's aliases and the uses of the holdout, as far as the store knows them."""
    past: dict[str, Any] = {"aliases": []}
    if "split" in context.keys:
        past["holdout_uses"] = context.store.holdout_uses(context.keys["split"])
    with contextlib.suppress(UnknownNameError):  # nothing is registered under this name yet
        past["aliases"] = context.store.history(context.config["name"])
    return past


def warnings(evaluation: Evaluation, exploration: Exploration | None, assessment: Any) -> list[str]:
    """Return the texts of all findings that are more than information: the run's record keeps them."""
    found = [
        (item.severity, item.text) for item in (*evaluation.findings, *(exploration.findings if exploration else ()))
    ]
    found += [(item["severity"], item["text"]) for item in (assessment or {}).get("findings") or ()]
    return list(dict.fromkeys(text for severity, text in found if severity != "info"))


def describe_data(context: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a report says of the data."""
    table: Table = inputs["labelled"]
    cut = unpack(inputs["split"])
    verification = inputs["verification"] or {}
    return {
        "source": context.unresolved["data"]["source"],
        "fingerprint": context.keys["rows"][:16],
        "rows": verification.get("rows", len(table)),
        "kept": len(table),
        "columns": table.column_records(),
        "target": inputs["learning"]["target"],
        "classes": inputs["learning"]["classes"],
        "shares": {
            part: shares(inputs["labels"]["target"][rows])
            for part, rows in (("development", cut.development), ("holdout", cut.holdout))
            if inputs["learning"]["classes"] and len(rows)
        },
        "period": period(table, cut),
        "folds": f"{len(cut.folds)}: "
        + ", ".join(f"{len(train):,} train and {len(valid):,} valid" for train, valid in cut.folds),
        "development": len(cut.development),
        "holdout": len(cut.holdout),
        "validators": verification.get("validators", {}),
        "fitting": inputs["fitting"],
    }


def shares(target: pl.Series) -> dict[str, float]:
    """Return each class's share of some rows, the most frequent first."""
    counted = target.cast(pl.String).alias("value").value_counts(normalize=True, name="share")
    return dict(sorted(counted.iter_rows(), key=lambda item: (-item[1], item[0])))


def period(table: Table, cut: Split) -> dict[str, Any]:
    """Return first and last moment of the development rows and of the holdout; empty without a column of role time."""
    name = table.one("time")
    if name is None:
        return {}
    times = table.frame[name]
    parts = {"development": times[cut.development], "holdout": times[cut.holdout]}
    return {
        "column": name,
        **{part: [str(rows.min()), str(rows.max())] for part, rows in parts.items() if rows.drop_nulls().len()},
    }
