"""Keeps a model good until it is told to end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from mlframe.contracts import Step
from mlframe.errors import ConfigError

__all__ = ["Operate", "check_named"]


class Operate(Step):
    """Gives nothing: what it does is in the store."""

    summary = "monitors, updates and watches, round after round"
    reads = ("name", "update", "model", "evaluators", "notifiers")
    cached = False

    def run(self, context: Any, **inputs: Any) -> Mapping[str, Any]:
        """Do rounds until an interrupt, or one with `update.once`."""
        from mlframe.operating.loop import Operator

        check_named(context)
        context = replace(context, say=_say)  # it runs for days: a line is shown when it is said
        try:
            Operator(context).run()
        except KeyboardInterrupt:  # how it is meant to end
            context.say("ended; what was begun goes on with the next start")
        return {}


def _say(text: str) -> None:
    print(f"  {datetime.now():%Y-%m-%d %H:%M:%S}  {text}", flush=True)


def check_named(context: Any) -> None:
    """Refuse to operate what has no name or no data.

    Raises:
        ConfigError: no data is picked.
    """
    if not context.config["name"] or not (context.config.get("data") or {}).get("source"):
        raise ConfigError(
            "No data is picked", where="data", hint="pick data=…: updates learn from it, such as data=email"
        )
