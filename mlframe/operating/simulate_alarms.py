"""What raises alarms in a simulation: the error rate, and the columns, each against what the model began with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from mlframe import stats
from mlframe.stats.adwin import Adwin

__all__ = ["Watch"]

EFFECT, STRONG = 0.1, 0.25
"""Distances from which a column has moved, and has moved far: those of the monitor `drift`."""
ENOUGH, TRIES = 50, 5
"""Labels after which a model is judged that was trained after a change, and how often it is trained again for that."""
DISCOVERY = 0.001
"""Highest expected share of false alarms at a look; stricter than in a monitor, since a simulation has hundreds of looks."""


class Watch:
    """Looks at errors and columns since the model was trained.

    Args:
        columns: records of the input columns: name, kind, tags.
        delta: chance of a false alarm at a check of the error rate (ADWIN).
        rows: the newest rows, of which columns are compared with what the model learned from; 0 compares no column.
        on: whether to look where no policy asks.
    """

    def __init__(self, columns: Sequence[Mapping[str, Any]], *, delta: float, rows: int, on: bool = True) -> None:
        self.columns, self.delta, self.rows, self.on = columns, delta, rows, on
        self.level: float | None = None
        """Mean error before the latest change; None where there was none, or where it was reached again or given up."""
        self.tries = 0
        self.count, self.total = 0, 0.0
        self.begin(None)

    def begin(self, frame: pl.DataFrame | None) -> None:
        """Begin anew with a model that learned from these rows."""
        self.errors = Adwin(self.delta)
        self.past = self.total / self.count if self.count >= ENOUGH else None  # mean error of the model before
        self.count, self.total = 0, 0.0
        self.concept: dict[str, Any] | None = None
        self.moved: dict[str, datetime] = {}
        self.recent: pl.DataFrame | None = None
        self.before = {}
        if frame is not None and self.rows:
            for column in self.columns:
                private = "pii" in column["tags"]
                self.before[column["name"]] = stats.sketch(frame[column["name"]], column["kind"], private=private)

    def look(self, errors: Any, frame: pl.DataFrame, now: datetime, version: str) -> list[dict[str, Any]]:
        """Return the alarms that live, as the store keeps them.

        Args:
            errors: errors of the model (0 to 1) that have become known since the last look, the oldest first.
            frame: rows that have come since then.
            now: the moment.
            version: of the model.
        """
        alarms = []
        for error in errors:
            if self.errors.update(float(error)) and (self.errors.before or 0.0) < self.errors.mean:
                was, is_now = self.errors.before or 0.0, self.errors.mean
                text = f"the mean error rose from {was:.3f} to {is_now:.3f}"
                severity = "problem" if is_now - was >= 0.05 else "warning"
                self.concept = _alarm("concept/error_rate", severity, text, now, {"was": was, "is": is_now})
                self.level, self.tries = (was if self.level is None else self.level), 0
        self._still_high(errors, now)
        if self.concept is not None:
            alarms.append({**self.concept, "last": now} if self.concept["first"] == now else self.concept)
        return alarms + self._columns(frame, now)

    def _still_high(self, errors: Any, now: datetime) -> None:
        """Raise an alarm when a model that was trained after a change still errs more than the one before the change did.

        A model that learned from rows of both worlds errs as much on each day: nothing changes any more, and nothing is good.
        """
        self.count, self.total = self.count + len(errors), self.total + float(np.sum(errors))
        if self.level is None or self.concept is not None or self.count < ENOUGH:
            return
        mean = self.total / self.count
        chance = 2.58 * (max(mean * (1 - mean), 1e-9) / self.count) ** 0.5
        if self.past is not None and mean - chance > self.past:
            self.tries, self.past = 0, None  # worse than the model before: something has changed once more
        if mean - chance > self.level and self.tries < TRIES:
            self.tries += 1
            text = f"the mean error is still {mean:.3f}, and was {self.level:.3f} before it rose"
            severity = "problem" if mean - self.level >= 0.05 else "warning"
            self.concept = _alarm("concept/error_rate", severity, text, now, {"was": self.level, "is": mean})
        elif mean <= self.level or self.tries >= TRIES:
            self.level = None

    def _columns(self, frame: pl.DataFrame, now: datetime) -> list[dict[str, Any]]:
        if not self.before or not len(frame):
            return []
        self.recent = frame if self.recent is None else pl.concat([self.recent, frame]).tail(self.rows)
        if len(self.recent) < self.rows:
            return []
        names = list(self.before)
        found = [
            stats.movement(old, stats.sketch(self.recent[name], "numeric", like=old))
            for name, old in self.before.items()
        ]
        q = stats.benjamini_yekutieli(np.array([item.p for item in found]))
        alarms = []
        for name, item, chance in zip(names, found, q, strict=True):
            if item.effect < EFFECT or chance > DISCOVERY:
                self.moved.pop(name, None)
                continue
            severity = "problem" if item.effect >= STRONG else "warning"
            text = f"{name} has moved by {item.effect:.2f} (Jensen-Shannon distance)"
            first = self.moved.setdefault(name, now)
            alarms.append(
                {**_alarm(f"drift/column/{name}", severity, text, first, {"effect": item.effect}), "last": now}
            )
        return alarms


def _alarm(key: str, severity: str, text: str, first: datetime, evidence: Mapping[str, Any]) -> dict[str, Any]:
    record = {"text": text, "evidence": dict(evidence)}
    return {"key": key, "severity": severity, "status": "open", "first": first, "last": first, "record": record}
