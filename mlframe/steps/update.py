"""Updates a model once, by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlframe.contracts import Step
from mlframe.errors import StepError
from mlframe.steps.operate import check_named

__all__ = ["Update"]


class Update(Step):
    """Gives `decision`: what came of the challenger, with the evidence."""

    summary = "trains a challenger, compares it with the champion, acts"
    reads = ("name", "update", "model", "evaluators", "notifiers")
    gives = {"decision": "value"}
    cached = False

    def run(self, context: Any, **inputs: Any) -> Mapping[str, Any]:
        """Do one update.

        Raises:
            StepError: the training failed; the champion stays.
        """
        from mlframe.operating.loop import Operator

        check_named(context)
        decision = Operator(context).by_hand()
        record = decision["record"]
        if decision["kind"] == "fail":
            raise StepError(
                record["error"].splitlines()[0], where="update", hint=f"the champion stays; {record['text']}"
            )
        context.summary["decision"] = f"{decision['kind']}: {record['text']}"
        context.say(f"'mlframe decisions {context.config['name']} {decision['id']}' shows the evidence")
        return {"decision": decision}
