"""Writes files for people, and hands figures and pictures to the trackers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlframe.contracts import Evaluation, Figure, ReportInput, Step
from mlframe.errors import StepError
from mlframe.steps.records import figures_of, unpack_evaluation, unpack_exploration
from mlframe.steps.split import unpack
from mlframe.table import Table


class Report(Step):
    """Gives `report`: the files that reporters wrote, by reporter."""

    summary = "writes files for people"
    reads = ("reporters", "goal")
    needs = ("scores", "learning", "labelled", "split")
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
        figures = {"folds": figures_of(inputs["scores"]["figures"]), "holdout": dict(evaluation.figures)}
        self._track(context, evaluation)
        files: dict[str, list[str]] = {}
        failed: list[tuple[str, Exception]] = []
        for key, reporter in context.components("reporters"):
            folder = context.run.folder / "report" / key
            folder.mkdir(parents=True, exist_ok=True)
            for stale in folder.iterdir():
                stale.unlink()
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
            )
            try:
                files[key] = [str(path) for path in reporter.report(material)]
            except Exception as error:
                failed.append((key, error))
        context.summary["report"] = files
        if failed:
            key, cause = failed[0]
            names = ", ".join(name for name, _ in failed)
            raise StepError(
                f"The reporter {names} failed: {type(cause).__name__}: {cause}",
                where=f"reporters.{key}",
                hint="everything before it is done and kept; run the same command again once it is mended",
            ) from cause
        return {"report": files}

    @staticmethod
    def _track(context: Any, evaluation: Evaluation) -> None:
        # The explorer's pictures stay here: they can show values of single rows.
        for tracker in context.trackers:
            for chart in evaluation.charts:
                tracker.chart(chart)
            for name, table in evaluation.tables.items():
                tracker.table(name, table)


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
        "folds": f"{len(cut.folds)}: "
        + ", ".join(f"{len(train):,} train and {len(valid):,} valid" for train, valid in cut.folds),
        "development": len(cut.development),
        "holdout": len(cut.holdout),
        "validators": verification.get("validators", {}),
        "fitting": inputs["fitting"],
    }
