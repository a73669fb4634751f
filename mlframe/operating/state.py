"""What a process that operates a model has written down before it does anything, so that another can go on from there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mlframe.config.monitor import watched
from mlframe.contracts import Notice
from mlframe.contracts.monitoring import LOG
from mlframe.operating.telling import send, tell_alarms
from mlframe.store.operations import LeaseLost

__all__ = ["State"]

LOOKED = 500
"""How many decisions are looked through for one that was written already."""


class State:
    """The row of a model in `store.operations`, its decisions, and whom to tell.

    Args:
        context: the run.
        holder: who acts, unique to the process.
        lease: seconds without a word after which another may act.
    """

    def __init__(self, context: Any, holder: str, lease: float) -> None:
        self.context, self.store = context, context.store
        self.name: str = context.config["name"]
        self.holder, self.lease = holder, lease
        self.notifiers = dict(context.components("notifiers"))
        self.watched = watched(context.config)

    def hold(self) -> bool:
        """Take or renew the right to act; False where another process has it."""
        return bool(self.store.operations.acquire(self.name, self.holder, self.lease))

    def beat(self) -> None:
        """Renew the right to act.

        Raises:
            LeaseLost: another process acts now.
        """
        if not self.hold():
            raise LeaseLost(f"Another process operates {self.name!r} now", hint="this one waits; one is enough")

    def release(self) -> None:
        """Give the right to act back."""
        self.store.operations.release(self.name, self.holder)

    def read(self) -> dict[str, Any]:
        """Return the record as it is now."""
        return dict(self.store.operations.get(self.name)["record"])

    def set(self, **fields: Any) -> dict[str, Any]:
        """Write fields of the record, all or none.

        Raises:
            LeaseLost: another process acts now.
        """
        return dict(self.store.operations.update(self.name, self.holder, fields))

    def decide(self, kind: str, key: str, text: str, **evidence: Any) -> dict[str, Any]:
        """Keep a decision with its evidence, once: one of the same key that is there stays as it is.

        Args:
            kind: lower snake case, such as `promote`.
            key: what it is about, the same when this is done again after a kill.
            text: one sentence.
            **evidence: plain JSON values.
        """
        for before in self.store.decisions.many(self.name, kinds=[kind], limit=LOOKED):
            if before["record"].get("key") == key:
                return dict(before)
        made = self.store.decisions.add(self.name, kind, {"key": key, "text": text, **evidence})
        self.context.say(f"{kind.replace('_', ' ')}: {text}")
        self.tell("problem" if kind in ("roll_back", "fail") else "info", f"{self.name}: {text}", evidence)
        return dict(made)

    def alarm(self, key: str, severity: str | None = None, record: Mapping[str, Any] | None = None) -> None:
        """Raise an alarm of this process, or say that it is over.

        Args:
            key: its key, such as `update/failed`; the first part is this one's alone.
            severity: how bad it is; None where it is over.
            record: text, cause, action and evidence.
        """
        if severity is None and not any(row["key"] == key for row in self.live()):
            return
        seen = {} if severity is None else {key: (severity, dict(record or {}))}
        moment = datetime.now(UTC)
        self.store.alarms.see(self.name, seen, scope=[key.partition("/")[0]], since=moment, until=moment)
        tell_alarms(self.store, self.name, self.notifiers, self.context.say)

    def live(self) -> list[dict[str, Any]]:
        """Return the alarms that are not over: of this process, and of the rows that it has monitored."""
        found = self.store.alarms.many(self.name, source=None, status=["open", "acknowledged"])
        return [row for row in found if row["source"] in (LOG, self.watched)]

    def tell(self, severity: Any, title: str, record: Mapping[str, Any]) -> None:
        """Tell people of a decision; a notifier that cannot is named, and nothing else fails."""
        text = "\n".join(f"{key}: {value}" for key, value in record.items() if isinstance(value, str | int | float))
        notice = Notice(self.name, self.store.holder(self.name), "decision", severity, title, text, dict(record))
        for key, notifier in self.notifiers.items():
            error = send(key, notifier, [notice])
            if error is not None:
                self.context.say(f"{key}: could not tell of a decision: {error}")
