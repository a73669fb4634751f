"""Where something comes from: a prediction, its version, the run that made it, the config and the data of that run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlframe.charts.document import Code, Document, Fold, Form, Heading, Section, Table
from mlframe.charts.page import Link
from mlframe.contracts import Interval
from mlframe.viewing.pages import PLACES, moves_of, place, run_link, version_link, when

if TYPE_CHECKING:
    from mlframe.store import Store

__all__ = ["Lineage"]

ROWS = 20
"""So many rows of one request are shown."""


class Lineage:
    """Makes the pages.

    Args:
        store: the open store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def run(self, reference: str) -> Document:
        """Return the page of a run."""
        run = self._store.run(reference)
        facts, summary = run.get("facts") or {}, run.get("summary") or {}

        def told() -> Iterable[Any]:
            code = facts.get("code") or {}
            yield {
                "status": run["status"],
                "task": run["task"],
                "model": Link(run["name"], place("models", run["name"])) if run["name"] else None,
                "version": self._made(summary),
                "started": when(run["started"]),
                "finished": when(run["finished"]),
                "command": f"python -m mlframe {' '.join(facts.get('command') or ())}",
                "code": f"{code['commit'][:12]}{' with changes' if code.get('dirty') else ''}" if code else None,
                "seed": facts.get("seed"),
                "machine": run["host"],
                "data": _data(summary),
                "error": summary.get("error"),
            }
            figures = summary.get("figures") or {}
            for part, found in figures.items():
                if isinstance(found, Mapping) and found:
                    yield Heading(f"Figures ({part})")
                    yield _figures(found)

        def steps() -> Iterable[Any]:
            rows = [
                [
                    step["step"],
                    step["status"],
                    step["seconds"],
                    step["cached"],
                    (step["peak_memory"] or 0) / 1e6,
                    step["error"],
                ]
                for step in self._store.steps(run["id"])
            ]
            yield Table(["step", "status", "seconds", "cached", "peak memory, MB", "error"], rows)

        def config() -> Iterable[Any]:
            yield Fold("The whole config, resolved", [Code(_json(run["config"]))])
            packages = facts.get("packages")
            if packages:
                yield Fold(f"{len(packages)} packages", [Code(_json(packages))])

        sections = [
            Section("run", "What was asked, what came out", told),
            Section("steps", "Steps", steps),
            Section("config", "Config and packages", config),
        ]
        return Document(f"Run {run['id']}", "mlframe · run", sections, places=PLACES)

    def version(self, name: str, number: str) -> Document:
        """Return the page of a version."""
        version = self._store.version(f"{name}/{number}")

        def told() -> Iterable[Any]:
            yield {
                "model": Link(name, place("models", name)),
                "aliases": ", ".join(version["aliases"]) or "none",
                "registered": when(version["created"]),
                "run": run_link(version["run_id"]),
                "gate": {True: "passed", False: "not passed"}.get(version["facts"].get("passed")),
                "bytes": sum(item["size"] for item in version["files"].values()),
            }
            for part, found in version["figures"].items():
                if isinstance(found, Mapping) and found:
                    yield Heading(f"Figures ({part})")
                    yield _figures(found)

        def learned() -> Iterable[Any]:
            yield from self._learned(version)

        def moved() -> Iterable[Any]:
            yield from moves_of(self._store.browsing.moves(name, 50, number=version["number"]))

        def files() -> Iterable[Any]:
            rows = [[file, item["size"], item["sha256"]] for file, item in sorted(version["files"].items())]
            yield Fold(f"{len(rows)} files", [Table(["file", "bytes", "SHA-256"], rows)])

        sections = [
            Section("version", "What it is", told),
            Section("learned", "What it learned from", learned),
            Section("moved", "What served when", moved),
            Section("files", "Files", files),
        ]
        return Document(version["reference"], "mlframe · version", sections, places=PLACES)

    def prediction(self, query: Mapping[str, str]) -> Document:
        """Return the page that finds a prediction by its request id."""
        wanted, model, day = (query.get(key, "").strip() for key in ("id", "model", "day"))
        names = [item["name"] for item in self._store.browsing.models()]
        fields = [
            ("id", "Request id", wanted),
            ("model", "Model (empty: all)", model),
            ("day", "Day (UTC, empty: all)", day),
        ]

        def ask() -> Iterable[Any]:
            yield Form("/predictions", fields, "Find")
            yield "The request id is in every answer of the server. A day makes the search in a long log quick."

        sections = [Section("ask", "Which prediction", ask)]
        if wanted:
            found = [hit for name in names if not model or name == model for hit in self._find(name, wanted, _day(day))]
            if not found:
                text = f"No prediction {wanted!r} is in the log{f' of {model}' if model else ''}."
                sections.append(Section("none", "Not found", lambda: [text]))
            for name, row, known in found[:ROWS]:
                sections.append(self._of(name, row, known))
        return Document("Where a prediction comes from", "mlframe · lineage", sections, places=PLACES)

    def _of(self, name: str, row: Mapping[str, Any], known: list[dict[str, Any]]) -> Section:
        """Return the section of one predicted row: the answer, what turned out, version, run and data."""
        answer = {key: value for key, value in row.items() if key in ANSWER or key.startswith("p_")}

        def told() -> Iterable[Any]:
            yield {**answer, "time": when(row["time"])}
            inputs = {key: value for key, value in row.items() if key not in answer and value is not None}
            yield Fold("The row that was asked, as it is logged", [inputs])
            if known:
                yield Heading("What became known of it")
                yield Table(["time", "label", "outcome"], [[when(k["time"]), k["label"], k["outcome"]] for k in known])
            else:
                yield "Nothing became known of it yet: no feedback has come."
            yield Heading(f"Made by {row['version']}")
            version = self._store.version(str(row["version"]))
            yield {"version": version_link(version["reference"]), "run": run_link(version["run_id"])}
            yield from self._learned(version)

        number = row.get("row")
        return Section(f"row_{number}", f"{name}: row {number} of the request", told)

    def _find(
        self, name: str, wanted: str, day: datetime | None
    ) -> list[tuple[str, dict[str, Any], list[dict[str, Any]]]]:
        """Return the logged rows of a request, each with the feedback on it."""
        import polars as pl

        from mlframe.store.predictions import scan_feedback, scan_predictions

        since, until = (day, day + timedelta(days=1)) if day else (None, None)
        mine = pl.col("request_id") == wanted
        rows = scan_predictions(self._store, name, since, until).filter(mine).head(ROWS).collect(engine="streaming")
        if not rows.height:
            return []
        told = scan_feedback(self._store, name).filter(mine).collect(engine="streaming").sort("time").to_dicts()
        return [
            (name, row, [item for item in told if item["row"] == row["row"]]) for row in rows.sort("row").to_dicts()
        ]

    def _learned(self, version: Mapping[str, Any]) -> Iterable[Any]:
        """Give the data that a version learned from, and the config that says where it is."""
        folder = self._store.open_bundle(version["reference"])
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        data = manifest.get("data") or {}
        learning = manifest.get("learning") or {}
        threshold = json.loads((folder / "pipeline/pipeline.json").read_text(encoding="utf-8")).get("threshold")
        decides = {} if threshold is None else {"decides": f"{learning['classes'][1]} from p {threshold:.4g} on"}
        yield {
            "rows": data.get("rows"),
            "fingerprint of the data": data.get("key"),
            "source": (config.get("data") or {}).get("source"),
            "target": learning.get("target"),
            "task": learning.get("task"),
            **decides,
            "made with": ", ".join(f"{item['package']} {item['version']}" for item in manifest.get("plugins") or ()),
        }
        yield Fold("The config", [Code(_json(config))])

    def _made(self, summary: Mapping[str, Any]) -> Any:
        reference = summary.get("version")
        return version_link(reference) if isinstance(reference, str) and "/" in reference else reference


ANSWER = ("request_id", "row", "time", "version", "role", "caller", "latency_ms", "y_pred")


def _data(summary: Mapping[str, Any]) -> Any:
    found = summary.get("data")
    return (
        {key: value for key, value in found.items() if not isinstance(value, list)}
        if isinstance(found, dict)
        else found
    )


def _figures(found: Mapping[str, Any]) -> Table:
    rows = [
        [name, Interval(item["value"], item.get("low"), item.get("high"))]
        for name, item in found.items()
        if isinstance(item, Mapping) and item.get("value") is not None
    ]
    return Table(["figure", "value"], rows)


def _day(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text[:10]).replace(tzinfo=UTC) if text else None
    except ValueError:
        return None


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
