"""What monitors saw of the served model, for `/metrics`, the status page and `GET /monitor`.

It is read from the store, in a thread, at most every fifteen seconds. A request for metrics never waits for the store but
for the first time: it gets what was read last, and starts the next look. When the store is away the last look is shown,
and `mlframe_monitor_up` is 0.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING, Any

from mlframe.serving.messages import Reply, Request
from mlframe.serving.metrics import Labels, line

if TYPE_CHECKING:
    from mlframe.charts.monitoring import Health
    from mlframe.serving.app import Told
    from mlframe.store import Store

__all__ = ["HELP", "Look", "Watched", "text"]

log = logging.getLogger("mlframe.serving")

GOOD = 15.0
"""Seconds for which a look at the store is good."""
PATIENCE = 2.0
"""Seconds that the first request for metrics waits for the first look."""
FIGURES = 200
"""Most figures of a version that are exported; more would be a burden for whoever collects them."""
NEWEST, ALARMS, WINDOWS, DECISIONS = 20, 1000, 500, 500
SEVERITIES, LIVE = ("info", "warning", "problem"), ("open", "acknowledged")
LEVELS = {"ok": 0, "warning": 1, "problem": 2}

HELP = {
    "mlframe_monitor_up": ("gauge", "Whether the store could be asked for what monitors saw: 1 or 0."),
    "mlframe_monitor_figure": ("gauge", "A monitor's figure in the newest window that has it, by version."),
    "mlframe_monitor_figure_reference": ("gauge", "The figure when the version was made, where it is known."),
    "mlframe_monitor_health": ("gauge", "The newest window of a version: 0 ok, 1 warning, 2 problem."),
    "mlframe_monitor_rows": ("gauge", "Predictions in the newest window of a version."),
    "mlframe_monitor_window_end_seconds": ("gauge", "End of the newest window, seconds since 1970."),
    "mlframe_monitor_looked_seconds": ("gauge", "When a monitor last looked, seconds since 1970."),
    "mlframe_alarms": ("gauge", "Alarms that are not over, by monitor, severity and status."),
    "mlframe_decision_seconds": ("gauge", "When a decision of a kind was last made, seconds since 1970."),
}


@dataclass(slots=True)
class Look:
    """What was found in the store.

    Args:
        windows: the newest window of each version that the newest time has.
        alarms: alarms that are not over.
        decisions: kind to the moment of the last one.
        up: whether the store answered.
    """

    windows: Sequence[Mapping[str, Any]] = ()
    alarms: Sequence[Mapping[str, Any]] = ()
    decisions: Mapping[str, datetime] = field(default_factory=dict)
    up: bool = False

    def health(self) -> Health:
        """Say how the model is."""
        from mlframe.charts.monitoring import health

        return health(self.windows, self.alarms, datetime.now(UTC))


class Watched:
    """Looks into the store and keeps what it saw for a while.

    Args:
        store: the open store.
        name: the model's name.
    """

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._name = store, name
        self._look = Look()
        self._looked = -math.inf
        self._task: asyncio.Task[None] | None = None
        self._page: Reply | None = None
        self._paged = -math.inf
        self._lock = asyncio.Lock()

    async def metrics(self) -> bytes:
        """Return what was seen in Prometheus' text format."""
        if self._task is None and time.monotonic() - self._looked > GOOD:
            self._task = asyncio.create_task(self._again())
            if self._looked < 0:
                await asyncio.wait([self._task], timeout=PATIENCE)
        return text(self._look)

    async def _again(self) -> None:
        try:
            await asyncio.to_thread(self.look)
        finally:
            self._task = None

    def look(self) -> Look:
        """Return what the store has, asked for at most every fifteen seconds; call it in a thread."""
        if time.monotonic() - self._looked <= GOOD:
            return self._look
        try:
            found = self._read()
        except Exception as error:  # the store is away: what was seen last is better than nothing
            log.warning("Nobody could read what monitors saw: %s: %s", type(error).__name__, error)
            found = Look(self._look.windows, self._look.alarms, self._look.decisions, up=False)
        self._look, self._looked = found, time.monotonic()
        return found

    def _read(self) -> Look:
        windows = self._store.windows.many(self._name, limit=NEWEST)
        last = max((window["until"] for window in windows), default=None)
        newest = {window["version"]: window for window in windows if window["until"] == last}
        for window in reversed(windows):
            if window["version"] in newest:
                _fill(newest[window["version"]]["record"], window["record"])
        alarms = self._store.alarms.many(self._name, status=LIVE, limit=ALARMS)
        decisions: dict[str, datetime] = {}
        for decision in self._store.decisions.many(self._name, limit=DECISIONS):
            decisions.setdefault(decision["kind"], decision["when"])
        return Look(list(newest.values()), alarms, decisions, up=True)

    async def page(self, request: Request, told: Told) -> Reply:
        """Return the page of the model at work, made at most every fifteen seconds."""
        async with self._lock:
            if self._page is None or time.monotonic() - self._paged > GOOD:
                self._page = await asyncio.to_thread(self._write)
                self._paged = time.monotonic()
            return Reply(self._page.status, self._page.body, list(self._page.headers))

    def _write(self) -> Reply:
        from mlframe.charts.monitoring import document

        store, name = self._store, self._name
        page = document(
            name,
            store.windows.many(name, limit=WINDOWS),
            store.alarms.many(name, limit=ALARMS),
            store.decisions.many(name, limit=DECISIONS),
            store.history(name),
            others=store.windows.others(name),
        )
        return Reply(
            200,
            page.html().text.encode(),
            [("content-type", "text/html; charset=utf-8"), ("cache-control", "no-store"), ("x-frame-options", "DENY")],
        )


def text(look: Look) -> bytes:
    """Return a look in Prometheus' text format."""
    values: dict[str, list[tuple[Labels, float]]] = {name: [] for name in HELP}
    values["mlframe_monitor_up"].append(((), float(look.up)))
    for window in look.windows:
        version: Labels = (("version", str(window["version"])),)
        record = window["record"]
        for figure, entry in list((record.get("figures") or {}).items())[:FIGURES]:
            labels = (*version, ("monitor", _monitor_of(record, figure)), ("figure", str(figure)))
            _add(values["mlframe_monitor_figure"], labels, entry.get("value"))
            _add(values["mlframe_monitor_figure_reference"], labels, entry.get("reference"))
        _add(values["mlframe_monitor_health"], version, LEVELS.get(str(record.get("health"))))
        _add(values["mlframe_monitor_rows"], version, window["rows"])
    if look.windows:
        values["mlframe_monitor_window_end_seconds"].append(((), look.windows[0]["until"].timestamp()))
        observed = max(window["observed"] for window in look.windows)
        values["mlframe_monitor_looked_seconds"].append(((), observed.timestamp()))
    if look.up:
        counts = Counter((_monitor(alarm), alarm["severity"], alarm["status"]) for alarm in look.alarms)
        for key in product(_monitors(look), SEVERITIES, LIVE):
            named = tuple(zip(("monitor", "severity", "status"), key, strict=True))
            values["mlframe_alarms"].append((named, counts[key]))
    for kind, when in sorted(look.decisions.items()):
        values["mlframe_decision_seconds"].append(((("kind", kind),), when.timestamp()))
    return "".join(_written(values)).encode()


def _fill(record: dict[str, Any], earlier: Mapping[str, Any]) -> None:
    """Add the figures of an earlier window that a newer one has no value of, such as those whose labels are late."""
    figures, declared = record.setdefault("figures", {}), record.setdefault("declared", {})
    for figure, entry in (earlier.get("figures") or {}).items():
        if (figures.get(figure) or {}).get("value") is None:
            figures[figure] = entry
            declared[figure] = (earlier.get("declared") or {}).get(figure)


def _monitor_of(record: Mapping[str, Any], figure: str) -> str:
    """Return the monitor that gave a figure, empty where the window does not say."""
    return str(((record.get("declared") or {}).get(figure) or {}).get("monitor") or "")


def _monitor(alarm: Mapping[str, Any]) -> str:
    return str(alarm["key"]).partition("/")[0]


def _monitors(look: Look) -> list[str]:
    """Return the monitors that are known of: each gets a count, also where it is 0, so that a rise can be told."""
    records = [window["record"] for window in look.windows]
    named = {_monitor_of(record, figure) for record in records for figure in record.get("figures") or {}} - {""}
    return sorted(named | {_monitor(alarm) for alarm in look.alarms})


def _written(values: Mapping[str, Sequence[tuple[Labels, float]]]) -> Iterable[str]:
    for name, (kind, help_text) in HELP.items():
        yield f"# HELP {name} {help_text}\n# TYPE {name} {kind}\n"
        for labels, value in values[name]:
            yield line(name, labels, value)


def _add(values: list[tuple[Labels, float]], labels: Labels, value: Any) -> None:
    """Add a number; what is none, such as a figure that could not be computed, is left out."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        values.append((labels, float(value)))
