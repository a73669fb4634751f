"""Looks for leaks before anything is believed, and asks whether the goal can be reached at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from mlframe.config.goal import check_value
from mlframe.contracts import Split, Step
from mlframe.errors import ParameterError, Problems, UnknownNameError
from mlframe.feasibility import CHECKS, Leak, column_leaks, split_leaks
from mlframe.pipeline import Learning
from mlframe.runner.keys import component_identity
from mlframe.steps.split import unpack
from mlframe.table import Table

__all__ = ["PARTS", "Assess"]

PARTS = ("leaks", "baselines", "curve", "noise", "effect")


class Assess(Step):
    """Gives `assessment`: findings of the leakage checks, and with more parts what can be reached, and a verdict.

    Args:
        parts: what is done: leaks, baselines, curve, noise, effect; all but leaks fit the models of `models`.
        models: name to model node (registered name and parameters): what is tried beside the rules of thumb.
        curve: name of the model whose learning curve is drawn and which looks for doubtful labels.
        sizes: numbers of rows on the learning curve, each half of the next.
    """

    summary = "looks for leaks, and for whether it can work"
    reads = ("assess", "goal", "featurizer", "splitter", "evaluators", "seed")
    needs = ("labelled", "labels", "learning", "split")
    gives = {"assessment": "json"}

    def __init__(
        self,
        parts: Sequence[str] = ("leaks",),
        models: Mapping[str, Any] | None = None,
        curve: str = "booster",
        sizes: int = 5,
    ) -> None:
        for part in parts:
            if part not in PARTS:
                raise UnknownNameError.from_name("part", str(part), PARTS, where="task.steps.assess.parts")
        self.parts, self.models, self.curve, self.sizes = tuple(parts), dict(models or {}), curve, sizes
        if set(parts) - {"leaks"} and curve not in self.models:
            raise UnknownNameError.from_name("model", curve, self.models, where="task.steps.assess.curve")
        if sizes < 2:
            raise ParameterError(
                "assess: sizes must be 2 or more",
                value=sizes,
                where="task.steps.assess.sizes",
                hint="5 sizes draw a curve",
            )

    def key(self, context: Any) -> Any:
        """Return the code of the models that are tried."""
        return [component_identity(context.plugins, "model", {"model": node}) for node in self.models.values()]

    def run(self, context: Any, **inputs: Any) -> Mapping[str, Any]:
        """Look for leaks; then, where wanted, try simple models and say what follows."""
        for error in check_value(context.config["goal"], inputs["learning"]["task"]):
            raise error  # before anything is fitted
        record: dict[str, Any] = {"parts": list(self.parts), "charts": []}
        if "leaks" in self.parts:
            record["findings"] = accepted(self._leaks(context, **inputs), context)
        if set(self.parts) - {"leaks"}:
            from mlframe.steps.feasible import feasibility

            self._check_models(context, inputs["learning"]["task"])
            record.update(feasibility(context, self, record.get("findings", []), **inputs))
        return {"assessment": record}

    def _leaks(self, context: Any, **inputs: Any) -> list[Leak]:
        table: Table = inputs["labelled"]
        learning = Learning.from_record(inputs["learning"])
        cut: Split = unpack(inputs["split"])
        target = learning.codes(inputs["labels"]["target"])
        found: list[Leak] = [*split_leaks(table, cut, target, learning.task)]
        seed = context.config["seed"]
        return [*found, *column_leaks(table, target, learning.task, cut.development, learning.classes, seed=seed)]

    def _check_models(self, context: Any, task: str) -> None:
        errors = [
            error
            for name, node in self.models.items()
            for error in context.plugins.registry.bind(
                "model", node, where=f"task.steps.assess.models.{name}", task=task
            )
        ]
        if errors:
            raise Problems(errors)


def accepted(leaks: Sequence[Leak], context: Any) -> list[dict[str, Any]]:
    """Say what was found, and turn what `assess.accept` names into information.

    Raises:
        UnknownNameError: `assess.accept` names a check that there is not.
    """
    known: list[str] = list(context.config["assess"]["accept"])
    for name in known:
        if name.partition(":")[0] not in CHECKS:
            raise UnknownNameError.from_name("leakage check", name.partition(":")[0], CHECKS, where="assess.accept")
    findings = []
    for leak in leaks:
        matching = [name for name in known if name in (leak.check, leak.key)]
        line = "assess.accept=[" + ",".join([*known, leak.key]) + "]"
        finding = {**asdict(leak), "accept": f"'{line}'", "accepted": bool(matching)}
        if matching:
            finding |= {"severity": "info", "text": f"{leak.text} (accepted by assess.accept)"}
        elif leak.severity != "info":
            mend = f"; to mend it: {leak.remedy}" if leak.remedy else ""
            context.say(f"{leak.severity}: {leak.text}{mend}; if it is no leak: '{line}'")
        findings.append(finding)
    named = {name for leak in leaks for name in (leak.check, leak.key)}
    for name in known:
        if name not in named:
            context.say(f"assess.accept names {name!r}, which was not found")
    if not findings:
        context.say("no leak found")
    return findings
