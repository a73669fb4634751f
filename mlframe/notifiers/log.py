"""Tells people through Python's log, or a file of lines."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from datetime import UTC, datetime

from mlframe.contracts import Notice, Notifier
from mlframe.errors import UserError

__all__ = ["LogNotifier"]

LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "problem": logging.ERROR}

_LOG = logging.getLogger("mlframe.alarms")


class LogNotifier(Notifier):
    """Writes a line for each notice.

    Args:
        file: file to which JSON lines are added; None logs to `mlframe.alarms`, which the command line shows on
            standard error.
    """

    def __init__(self, file: str | None = None) -> None:
        self.file = file

    def notify(self, notices: Sequence[Notice]) -> None:
        """Write them."""
        if self.file is None:
            for notice in notices:
                level = LEVELS[notice.severity] if notice.kind != "over" else logging.INFO
                _LOG.log(level, "%s: %s", notice.kind, notice.title)
            return
        now = datetime.now(UTC).isoformat(timespec="seconds")
        lines = [
            json.dumps(
                {
                    "time": now,
                    "model": n.name,
                    "version": n.version,
                    "kind": n.kind,
                    "severity": n.severity,
                    "title": n.title,
                    "record": dict(n.record),
                },
                ensure_ascii=False,
                default=str,
            )
            for n in notices
        ]
        try:
            with open(self.file, "a", encoding="utf-8") as file:
                file.write("".join(f"{line}\n" for line in lines))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            hint = "name a file in a folder that is there and may be written"
            raise UserError(
                f"The file of alarms cannot be written: {error.strerror or error}",
                value=self.file,
                where="notifiers.log.file",
                hint=hint,
            ) from error
