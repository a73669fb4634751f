"""Pages over lists: all models, one model, its monitoring, its decisions, the runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from mlframe.charts import monitoring
from mlframe.charts.document import Document, Fold, Form, Section, Table
from mlframe.charts.page import Link
from mlframe.contracts.monitoring import LOG
from mlframe.errors import UnknownNameError

if TYPE_CHECKING:
    from mlframe.store import Store

__all__ = ["PLACES", "Pages", "figure", "place", "run_link", "version_link", "when"]

PAGE = 50
"""Rows of a page."""
WINDOWS, ALARMS = 200, 500
PLACES = (Link("All models", "/"), Link("Runs", "/runs"), Link("Find a prediction", "/predictions"))
DEPLOYING = ("serve", "deploy")


class Pages:
    """Makes the pages; each is asked of the store anew.

    Args:
        store: the open store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def overview(self, query: Mapping[str, str]) -> Document:
        """Return the page of all models."""
        found = self._store.browsing.models()
        shown, pager = _page(found, query, "/")

        def models() -> Iterable[Any]:
            if not found:
                yield "No version is registered yet: 'python -m mlframe data=email' trains and registers one."
                return
            rows = []
            for item in shown:
                name, health = item["name"], self._health(item["name"])
                champion = f"{name}/{item['champion']}" if item["champion"] else None
                address = place("models", name)
                rows.append(
                    [
                        Link(name, address),
                        Link(health.word, f"{address}/monitor"),
                        version_link(champion) if champion else "none",
                        item["versions"],
                        when(item["newest"]),
                        len(self._store.browsing.servers(name)),
                    ]
                )
            yield Table(["model", "health", "champion", "versions", "newest version", "servers"], rows)
            yield from pager

        def newest() -> Iterable[Any]:
            yield from self._runs(self._store.browsing.runs(10))
            yield Link("All runs", "/runs")

        sections = [Section("models", "Models", models), Section("newest", "The newest runs", newest)]
        return Document("What is in the store", "mlframe", sections, lead=self._store.where, places=PLACES)

    def model(self, name: str, query: Mapping[str, str]) -> Document:
        """Return the page of one model."""
        self._known(name)
        browsing, address = self._store.browsing, place("models", name)
        start = _start(query)
        versions = browsing.versions(name, PAGE + 1, start)

        def state() -> Iterable[Any]:
            yield self._health(name).answer()
            yield Link("Timelines, alarms and events", f"{address}/monitor")
            yield Link("Decisions and what they rest on", f"{address}/decisions")
            held = self._store.operations.get(name)
            acting = held["holder"] and held["until"] and held["until"] > datetime.now(UTC).isoformat()
            yield {"operated by": f"{held['holder']} (until {when(held['until'])})" if acting else "nobody now"}
            yield Form("/predictions", [("id", "Request id of a prediction", ""), ("model", "model", name)], "Find")

        def served() -> Iterable[Any]:
            running = browsing.servers(name)
            if running:
                rows = [
                    [
                        server.get("address"),
                        ", ".join(server.get("versions") or ()),
                        server["host"],
                        when(server["started"]),
                    ]
                    for server in running
                ]
                yield Table(["server now", "versions", "machine", "since"], rows)
            else:
                yield "No server runs."
            yield from moves_of(browsing.moves(name, PAGE + 1))
            runs = browsing.runs(PAGE, name=name, tasks=DEPLOYING)
            if runs:
                yield Fold(f"Deployments ({f'{PAGE} newest' if len(runs) == PAGE else len(runs)})", [*self._runs(runs)])

        def registered() -> Iterable[Any]:
            rows = [
                [
                    version_link(version["reference"]),
                    ", ".join(version["aliases"]),
                    when(version["created"]),
                    f"{version['facts'].get('metric') or ''} {figure(version)}".strip(),
                    {True: "yes", False: "no"}.get(version["facts"].get("passed"), ""),
                    run_link(version["run_id"]),
                ]
                for version in versions[:PAGE]
            ]
            yield Table(["version", "aliases", "registered", "figure", "gate", "run"], rows)
            yield from _pager(address, {}, start, len(versions) > PAGE)

        sections = [
            Section("state", "How it is", state),
            Section("served", "What served when", served),
            Section("versions", "Versions", registered),
        ]
        return Document(name, "mlframe · model", sections, places=PLACES)

    def monitor(self, name: str, query: Mapping[str, str]) -> Document:
        """Return the page of a model at work; `before` shows windows that began before it, `source` those of a file."""
        self._known(name)
        before, source = _moment(query.get("before")), query.get("source") or LOG
        windows = self._store.windows.many(name, source=source, until=before, limit=WINDOWS)
        alarms = self._store.alarms.many(name, source=source, limit=ALARMS)
        decisions = self._store.browsing.decisions(name, ALARMS)
        moves = self._store.browsing.moves(name, ALARMS)[::-1]
        notes = [f"Windows that began before {when(before)}."] if before else []
        address, other = f"{place('models', name)}/monitor", source != LOG
        others = () if other else self._store.windows.others(name)
        found = monitoring.document(
            name, windows, alarms, decisions, moves, notes, source=source, others=others, address=address
        )

        def more() -> Iterable[Any]:
            mine = {"source": source} if other else {}
            if len(windows) == WINDOWS:
                asked = {**mine, "before": windows[0]["since"].isoformat()}
                yield Link("Older windows", f"{address}?{urlencode(asked)}")
            if before:
                yield Link("The newest windows", f"{address}?{urlencode(mine)}" if mine else address)
            if other:
                yield Link("The prediction log", address)
            yield Link(f"All of {name}", place("models", name))

        sections = [*found.sections, Section("more", "More", more)]
        return Document(found.title, found.kicker, sections, lead=found.lead, places=PLACES)

    def decisions(self, name: str, query: Mapping[str, str]) -> Document:
        """Return the page of decisions with their evidence."""
        self._known(name)
        start, address = _start(query), f"{place('models', name)}/decisions"
        found = self._store.browsing.decisions(name, PAGE + 1, start)

        def told() -> Iterable[Any]:
            yield Link(f"The model {name}", place("models", name))
            if not found:
                yield "Nothing was decided here; 'python -m mlframe operate' decides and keeps why."
            for item in found[:PAGE]:
                record = dict(item["record"])
                title = f"{when(item['when'])} {item['kind'].replace('_', ' ')}: {record.pop('text', '')}".rstrip(": ")
                yield Fold(title, [record]) if record else title
            yield from _pager(address, {}, start, len(found) > PAGE)

        return Document(f"Decisions about {name}", "mlframe", [Section("decisions", "Decisions", told)], places=PLACES)

    def runs(self, query: Mapping[str, str]) -> Document:
        """Return the page of runs, of one model with `name`."""
        name, start = query.get("name") or None, _start(query)
        found = self._store.browsing.runs(PAGE + 1, start, name=name)

        def listed() -> Iterable[Any]:
            yield Form("/runs", [("name", "Of the model", name or "")], "Show")
            yield from self._runs(found[:PAGE])
            yield from _pager("/runs", {"name": name} if name else {}, start, len(found) > PAGE)

        return Document("Runs", "mlframe", [Section("runs", "Runs, the newest first", listed)], places=PLACES)

    def _runs(self, runs: Sequence[Mapping[str, Any]]) -> Iterable[Any]:
        if not runs:
            yield "No run is here."
            return
        rows = [
            [run_link(run["id"]), run["task"], Link(run["name"], place("models", run["name"])) if run["name"] else "",
             run["status"], when(run["started"]), run["host"]]
            for run in runs
        ]  # fmt: skip
        yield Table(["run", "task", "model", "status", "started", "machine"], rows)

    def _health(self, name: str) -> monitoring.Health:
        windows = self._store.windows.many(name, limit=1)
        live = self._store.alarms.many(name, status=("open", "acknowledged"), limit=ALARMS)
        return monitoring.health(windows, live, datetime.now(UTC))

    def _known(self, name: str) -> None:
        names = [item["name"] for item in self._store.browsing.models()]
        if name not in names:
            raise UnknownNameError.from_name("model", name, names, where=self._store.where)


def moves_of(moves: Sequence[Mapping[str, Any]]) -> Iterable[Any]:
    """Give the moves of aliases as a table."""
    if not moves:
        yield "No alias was ever moved."
        return
    rows = [
        [when(move["when"]), move["alias"], move["action"], version_link(move["from"]) if move["from"] else "",
         version_link(move["to"]), move["who"], move["why"]]
        for move in moves[:PAGE]
    ]  # fmt: skip
    note = f"The {PAGE} newest are shown; 'python -m mlframe history' has all." if len(moves) > PAGE else ""
    yield Table(["when", "alias", "what", "from", "to", "who", "why"], rows, note)


def place(*words: str) -> str:
    """Return the path that words name, quoted."""
    return "/" + "/".join(quote(word, safe="") for word in words)


def version_link(reference: str) -> Link:
    """Return a link to a version's page."""
    name, _, number = reference.rpartition("/")
    return Link(reference, place("versions", name, number))


def run_link(run_id: str) -> Link:
    """Return a link to a run's page."""
    return Link(run_id, place("runs", run_id))


def when(moment: Any) -> str:
    """Return a moment in UTC to the second."""
    if not moment:
        return ""
    found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return str(found.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"))


def figure(version: Mapping[str, Any]) -> str:
    """Return the figure that a version was judged by."""
    name = version["facts"].get("metric")
    for part in ("holdout", "folds"):
        found = (version["figures"].get(part) or {}).get(name)
        if found:
            return f"{found['value']:.4f} ({part})"
    return ""


def _moment(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)


def _start(query: Mapping[str, str]) -> int:
    text = query.get("start", "0")
    return int(text) if text.isdecimal() and len(text) < 9 else 0


def _page(items: Sequence[Any], query: Mapping[str, str], address: str) -> tuple[Sequence[Any], list[Link]]:
    """Return the part of a list that a query asks for, with links to what is before and after it."""
    start = _start(query)
    return items[start : start + PAGE], list(_pager(address, {}, start, len(items) > start + PAGE))


def _pager(address: str, query: Mapping[str, str], start: int, more: bool) -> Iterable[Link]:
    if more:
        yield Link("Older", f"{address}?{urlencode({**query, 'start': start + PAGE})}")
    if start:
        yield Link("Newer", f"{address}?{urlencode({**query, 'start': max(0, start - PAGE)})}")
