"""Looks at what a model answered, window by window; keeps figures and alarms, and tells people."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlframe.config.monitor import check_maturity, check_span, check_window, watched
from mlframe.contracts import Monitor as Watcher
from mlframe.contracts import Reference, Step
from mlframe.contracts.monitoring import LOG
from mlframe.errors import BundleError, ConfigError, MlframeError, StepError, UnknownNameError
from mlframe.steps.load import wanted_version

if TYPE_CHECKING:
    from mlframe.operating.arrivals import Arrivals
    from mlframe.operating.due import Due, Labels
    from mlframe.operating.observing import Look
    from mlframe.operating.windows import Span

HISTORY = ("window", "now", "partial", "mature", "alarms", "figures", "state")
"""What earlier windows are asked for: tables and declarations are most of a record, and nobody needs them again."""
KEPT = 10_000
"""Windows of the past that are known to a look."""

log = logging.getLogger("mlframe")


class Monitor(Step):
    """Gives `monitoring`: what was looked at, and what lives of alarms."""

    summary = "looks at what the model answered"
    reads = (
        "name",
        "version",
        "input",
        "monitor",
        "monitors",
        "notifiers",
        "goal",
        "resources.price_per_hour",
        "data.source",
    )
    gives = {"monitoring": "value"}
    cached = False

    def run(self, context: Any, **inputs: Any) -> Mapping[str, Any]:
        """Cut windows, look at those that are due, keep what they show, tell people."""
        from mlframe.operating.shown import show
        from mlframe.operating.telling import tell_alarms

        session = _Session(context)
        session.look()
        notifiers = dict(context.components("notifiers"))
        untold = tell_alarms(context.store, session.name, notifiers, context.say)
        given = session.outcome(untold)
        show(context, given, session.looks[-1] if session.looks else None)
        session.write_page()
        session.fail()
        return {"monitoring": given}


@dataclass
class _Session:
    """One look at all windows that are due."""

    context: Any
    looks: list[Look] = field(default_factory=list)
    failed: dict[str, Exception] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from mlframe.operating.observing import check_figures
        from mlframe.operating.windows import window_text

        context, config = self.context, self.context.config
        self.store, self.now = context.store, datetime.now(UTC)
        settings = config["monitor"]
        self.window, self.maturity = check_window(settings), check_maturity(settings)
        self.since, self.until = check_span(settings)
        self.monitors: dict[str, Watcher] = dict(context.components("monitors"))
        if not self.monitors:
            raise ConfigError(
                "No monitor is picked", where="monitors", hint="pick some, such as monitors=[quality,service]"
            )
        self.declared = check_figures(self.monitors)
        self.asked = wanted_version(config)
        self.name = self.asked.partition("/")[0].partition("@")[0]
        self._references: dict[str, Reference | None] = {}
        self.gone: dict[str, MlframeError] = {}
        self.arrivals = self._arrivals()
        self.text = window_text(self.window)
        self.skipped = self.late = 0
        self.labels: Labels | None = None
        self.spans: list[Span] = []

    # ------------------------------------------------------------------------------------------------ what there is

    def _arrivals(self) -> Arrivals:
        """Return where predictions come from."""
        from mlframe.operating.arrivals import LogArrivals

        config = self.context.config
        if watched(config) == LOG:
            if not (self.store.folder / "predictions" / self.name).is_dir():
                self.store.versions(self.name)  # a name that nothing has is a mistake
            return LogArrivals(self.store, self.name)
        return self._rows()

    def _rows(self) -> Arrivals:
        """Read rows of a file or of the data's source, and score them where they hold no prediction."""
        from mlframe.operating.arrivals import arrivals_of_rows
        from mlframe.operating.references import reference_of
        from mlframe.steps.ingest import number_rows
        from mlframe.steps.predict import read_file
        from mlframe.store.bundle import MANIFEST, read_json
        from mlframe.table import to_polars

        context, config = self.context, self.context.config
        reference = reference_of(self.store, context.plugins.registry, self.asked, self._goal())
        self._references[reference.reference] = reference
        declared = (config.get("data") or {}).get("columns") or {}
        moment = self.now
        if config["input"]:
            path = str(config["input"])
            frame, source = to_polars(read_file(context, path)), watched(config)
            if "://" not in path and Path(path).exists():
                moment = datetime.fromtimestamp(Path(path).stat().st_mtime, UTC)
        else:
            if not (config.get("data") or {}).get("source"):
                raise ConfigError("No data is picked", where="monitor.rows", hint="pick data=…, or give input=FILE")
            frame, source = to_polars(context.component("data/source").read()), watched(config)
        target = read_json(reference.bundle / MANIFEST)["learning"]["target"]
        time = next((name for name, spec in declared.items() if (spec or {}).get("role") == "time"), None)
        return arrivals_of_rows(
            number_rows(frame), reference, context.run.folder, source=source, target=target, time=time, moment=moment
        )

    def _goal(self) -> Mapping[str, Any] | None:
        """Return the goal of the picked data; None where none is, so that the version's own counts."""
        return self.context.config["goal"] if self.context.config.get("data") else None

    def reference(self, version: str) -> Reference | None:
        """Return what is known of a version, None where it cannot be opened any more."""
        from mlframe.operating.references import reference_of

        if version not in self._references:
            try:
                found = reference_of(self.store, self.context.plugins.registry, version, self._goal())
            except (UnknownNameError, BundleError) as error:
                found = None
                self.gone[version] = error
            self._references[version] = found
        return self._references[version]

    # ------------------------------------------------------------------------------------------------ the look

    def look(self) -> None:
        """Look at every window that is due, and keep what was seen at once."""
        from mlframe.operating.due import due_windows, new_labels
        from mlframe.operating.windows import cut

        rows = self.store.windows.many(self.name, source=self.arrivals.source, limit=KEPT, keys=HISTORY)
        self.history = [row for row in rows if row["record"].get("window") == self.text]
        recorded = {(row["version"], row["since"], row["until"]): row for row in self.history}
        since, until = self._aligned()
        edges = sorted({(row["since"], row["until"]) for row in self.history}) if isinstance(self.window, int) else []
        spans, self.late = cut(
            self.arrivals.predictions(since, until),
            self.window,
            now=self.now,
            closed=self.arrivals.closed,
            before=edges,
        )
        self.spans = [
            span
            for span in spans
            if (self.since is None or span.until > self.since) and (self.until is None or span.since < self.until)
        ]
        markers = [datetime.fromisoformat(row["record"]["now"]) for row in self.history]
        from_when = min(markers) - timedelta(seconds=60) if markers else None
        self.labels = new_labels(self.arrivals, self.spans, from_when, self.now)
        again = self.context.config["cache"] != "read" or self.arrivals.closed
        due = due_windows(self.spans, recorded, self.labels, now=self.now, maturity=self.maturity, again=again)
        self.skipped = sum(len(span.rows) for span in self.spans) - len(due)
        try:
            for number, one in enumerate(due):
                self.context.progress(number, len(due), f"window of {one.span.since:%Y-%m-%d %H:%M}")
                self._one(one, recorded.get((one.version, one.span.since, one.span.until)), last=number == len(due) - 1)
        finally:
            for name in ("known", "monitored", "monitored_feedback"):
                (self.context.run.folder / f"{name}.parquet").unlink(missing_ok=True)
        if not self.arrivals.closed:
            self._own_alarms()

    def _aligned(self) -> tuple[datetime | None, datetime | None]:
        """Return from where to where rows are read: whole windows of time, and for windows of rows all of them."""
        from mlframe.operating.windows import MONDAY

        if isinstance(self.window, int):
            return (None if self.history else self.since), None
        since, until = self.since, self.until
        if since is not None:
            since = MONDAY + (since - MONDAY) // self.window * self.window
        if until is not None:
            until = MONDAY - (MONDAY - until) // self.window * self.window
        return since, until

    def _one(self, due: Due, before: Mapping[str, Any] | None, *, last: bool) -> None:
        from mlframe.operating.observing import known_of, observe, window_of

        span, folder = due.span, self.context.run.folder
        reference = self.reference(due.version)
        if reference is None:
            return
        known = known_of(self.arrivals, span, self.now, folder / "known.parquet")
        window = window_of(self.arrivals, self.name, span, reference, self.now, known)
        earlier = [row for row in self.history if row["until"] <= span.since and not row["record"].get("partial")]
        charts = folder / "charts" if last else None
        look = observe(self.monitors, reference, window, span, earlier[-500:], self.declared, charts=charts)
        look.record |= {
            "source": self.arrivals.source,
            "window": self.text,
            "mature": self.now >= span.until + self.maturity,
            "why": due.why,
            "run": self.context.run.id,
        }
        self._keep(look, before)
        self.looks.append(look)
        self.failed |= look.failed

    def _keep(self, look: Look, before: Mapping[str, Any] | None) -> None:
        """Keep alarms, then the window: a process that is killed in between looks at the window once more."""
        span = look.span
        known = set((before or {}).get("record", {}).get("alarms") or ())
        live = {row["key"] for row in self._live()}
        newest = not any(row["until"] > span.until for row in self.history)
        # What an old window showed before is told already: labels that came since may only add to it.
        alarms = {key: one for key, one in look.alarms.items() if newest or key in live or key not in known}
        seen = {
            key: (
                alarm.severity,
                {
                    "text": alarm.text,
                    "evidence": dict(alarm.evidence),
                    "cause": alarm.cause,
                    "action": alarm.action,
                    "column": alarm.column,
                    "since": None if alarm.since is None else alarm.since.isoformat(),
                    "version": look.version,
                },
            )
            for key, alarm in alarms.items()
        }
        until = min(span.until, self.now)
        source, run = self.arrivals.source, self.context.run.id
        self.store.alarms.see(self.name, seen, scope=look.scope, since=span.since, until=until, source=source)
        self.store.windows.put(
            self.name, look.version, span.since, span.until, look.rows, run, look.record, source=source
        )
        same = (look.version, span.since, span.until)
        self.history = [row for row in self.history if (row["version"], row["since"], row["until"]) != same]
        row = {
            "version": look.version,
            "since": span.since,
            "until": span.until,
            "rows": look.rows,
            "record": look.record,
        }
        self.history = sorted([*self.history, row], key=lambda one: (one["since"], one["until"]))

    def _live(self) -> Sequence[Mapping[str, Any]]:
        """Return the alarms of these rows that are not over."""
        found = self.store.alarms.many(self.name, source=self.arrivals.source, status=("open", "acknowledged"))
        return list(found)

    # ------------------------------------------------------------------------------------------------ own alarms

    def _own_alarms(self) -> None:
        """Keep alarms about the watching itself: silence, versions that are gone, labels for nobody, clocks, failures."""
        from mlframe.operating.troubles import troubles

        found = troubles(
            spans=self.spans if self.since is None and self.until is None else [],
            window=self.window,
            now=self.now,
            late=self.late,
            labels=self.labels,
            gone=self.gone,
            failed=self.failed,
            refused=self._refused(),
        )
        start = min((span.since for span in self.spans), default=self.now)
        self.store.alarms.see(self.name, found, scope=("monitor",), since=min(start, self.now), until=self.now)

    def _refused(self) -> dict[int, int]:
        """Return status to requests that got no prediction after the last one that got one: no window tells of them."""
        import polars as pl

        last = max((span.last for span in self.spans if span.last is not None), default=None)
        found = None if last is None else self.arrivals.failures(last, self.now)
        if found is None:
            return {}
        counted = found.group_by("status").agg(pl.col("requests").sum()).collect(engine="streaming")
        return dict(zip(counted["status"].to_list(), counted["requests"].to_list(), strict=True))

    # ------------------------------------------------------------------------------------------------ outcome

    def outcome(self, untold: Mapping[str, str]) -> dict[str, Any]:
        """Return what the run says of it, and put it into the summary."""
        from mlframe.operating.observing import health_of

        live = self._live()
        given = {
            "name": self.name,
            "source": self.arrivals.source,
            "looked": len(self.looks),
            "known": self.skipped,
            "rows": sum(look.rows for look in self.looks),
            "health": health_of([row["severity"] for row in live]),
            "alarms": [
                {"id": row["id"], "key": row["key"], "severity": row["severity"], "status": row["status"]}
                for row in live
            ],
            "gone": sorted(self.gone),
            "untold": dict(untold),
            "failed": sorted(self.failed),
        }
        summary = self.context.summary
        summary["monitoring"] = given
        if self.looks:
            summary["figures"] = {"live": dict(self.looks[-1].record["figures"])}
        return given

    def write_page(self) -> None:
        """Write the page of the model at work into the run's folder."""
        from mlframe.charts.monitoring import document
        from mlframe.contracts import Chart

        store, name = self.store, self.name
        kept = self.looks[-1].record["charts"] if self.looks else ()
        charts = [
            Chart(f"{one['monitor']}_{one['name']}", one["title"], one["alt"], Path(one["file"]).read_text("utf-8"))
            for one in kept
        ]
        source = self.arrivals.source
        page = document(
            name,
            store.windows.many(name, source=source),
            store.alarms.many(name, source=source),
            store.decisions.many(name),
            store.history(name),
            [f"The monitor {key} failed: {error}" for key, error in self.failed.items()],
            charts=charts,
            source=source,
            others=() if self.arrivals.closed else store.windows.others(name),
        )
        file = self.context.run.folder / "monitor.html"
        file.write_text(page.html().text, encoding="utf-8")
        self.context.summary["lines"] = [*(self.context.summary.get("lines") or ()), ("page", str(file))]

    def fail(self) -> None:
        """End the step with the first error that a monitor raised; the others' figures are kept.

        Raises:
            MlframeError: a monitor failed.
        """
        for key, error in self.failed.items():
            if isinstance(error, MlframeError):
                raise error
            raise StepError(
                f"The monitor {key} failed: {type(error).__name__}: {error}",
                where=f"monitors.{key}",
                hint="the other monitors' figures are kept; leave it out with monitors." + key + "=null",
            ) from error
