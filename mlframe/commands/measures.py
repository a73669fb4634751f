"""Shows how a model performs as a product: quality, speed, time to make and to keep, cost, documents. Reads the store only."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from mlframe.commands.shown import print_table, save_page, when
from mlframe.errors import ParameterError

SUMMARY = "show performance measures of a model: quality, speed, time, cost, documents"

ALL = 1_000_000
SPEED = ("latency", "throughput", "size")
DOCUMENTS = ("html", "card", "dossier")
NOT_STATED = "not stated"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the positionals and flags."""
    parser.add_argument("name", help="name of the model, such as email")
    parser.add_argument("--html", metavar="FILE", help="write the measures as a page, too")
    parser.add_argument(
        "--price-per-hour",
        type=float,
        metavar="PRICE",
        help="what an hour of the machine costs, in goal.currency; else resources.price_per_hour of the model's run",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the measures."""
    price = arguments.price_per_hour
    if price is not None and not 0 <= price < float("inf"):
        raise ParameterError(
            "A price cannot be negative or endless",
            value=price,
            where="--price-per-hour",
            hint="give what an hour of this machine costs, such as 0.5",
        )
    with arguments.door.open_store() as store:
        life = read(store, arguments.name)
    if price is None:
        price = ((life.run.get("config") or {}).get("resources") or {}).get("price_per_hour")
    groups = {
        "quality": quality(life),
        "latency, throughput, size": speed(life),
        "development and maintenance": time_spent(life),
        "use and cost": cost(life, price),
        "compliance": compliance(life),
    }
    for title, (columns, rows) in groups.items():
        print_table(columns, [[_text(cell) for cell in row] for row in rows], title=title)
    if arguments.html:
        save_page(_page(life, groups), arguments.html)
    return 0


@dataclass(frozen=True)
class Life:
    """All that the store knows of a model.

    Args:
        name: its name.
        versions: its versions, the first one first, each with `files` and `size`.
        runs: its runs, the first one first.
        moves: moves of its aliases, the first one first.
        uses: version's reference to the number of runs that have read its holdout.
    """

    name: str
    versions: list[dict[str, Any]]
    runs: list[dict[str, Any]]
    moves: list[dict[str, Any]]
    uses: Mapping[str, int]

    @property
    def shown(self) -> dict[str, Any]:
        """The champion, else the latest version."""
        champions = [version for version in self.versions if "champion" in version["aliases"]]
        return (champions or self.versions)[-1]

    @property
    def run(self) -> dict[str, Any]:
        """The run that made the shown version; empty when the store no longer has it."""
        return next((run for run in self.runs if run["id"] == self.shown["run_id"]), {})

    @property
    def promoted(self) -> datetime | None:
        """When a version was first promoted to champion."""
        found = [move["when"] for move in self.moves if move["action"] == "promote" and move["alias"] == "champion"]
        return _moment(found[0]) if found else None


def read(store: Any, name: str) -> Life:
    """Read a model's life from the store.

    Raises:
        UnknownNameError: no version has the name.
    """
    from mlframe.runner.keys import digest

    versions = [dict(version) for version in store.versions(name)]
    uses = {}
    for version in versions:
        files = store.version(version["reference"])["files"]
        version["size"] = sum(file["size"] for file in files.values())
        keys = {step["step"]: step["key"] for step in store.steps(version["run_id"])}
        split = keys.get("split")
        uses[version["reference"]] = store.holdout_uses(digest([split, "split"])) if split else 0
    runs = sorted(store.runs(limit=ALL, name=name), key=lambda run: str(run["id"]))
    return Life(name, versions, runs, store.history(name), uses)


Group = tuple[Sequence[str], list[Sequence[Any]]]


def quality(life: Life) -> Group:
    """Return the deciding figure of every version on the holdout, and the gate's answer."""
    rows: list[Sequence[Any]] = []
    for version in life.versions:
        metric, (part, found) = version["facts"].get("metric"), _figure(version, version["facts"].get("metric"))
        passed = {True: "yes", False: "no"}.get(version["facts"].get("passed"), "")
        aliases = ", ".join(version["aliases"])
        rows.append(
            (version["reference"], aliases, when(version["created"]), metric, found or "not measured", part, passed)
        )
    return ("version", "aliases", "created", "figure", "value", "part", "gate"), rows


def speed(life: Life) -> Group:
    """Return what is known of speed and size, version by version."""
    names = sorted(
        {
            name
            for version in life.versions
            for figures in version["figures"].values()
            for name in figures
            if name.startswith(SPEED)
        }
    )
    rows = [
        (v["reference"], *(_figure(v, name)[1] or "" for name in names), f"{v['size'] / 1e6:.2f} MB")
        for v in life.versions
    ]
    columns = (*names, "files of the version") if names else ("files of the version",)
    return ("version", *columns), [*rows] if names else [*rows, ("(no evaluator measured latency or throughput)", "")]


def time_spent(life: Life) -> Group:
    """Return what it took to get to the first champion, and what it has taken since."""
    first = life.promoted
    making = [run for run in life.runs if run["task"] != "predict"]
    before = [run for run in making if first is None or _moment(run["started"]) <= first]
    after = [run for run in making if run not in before]
    versions_after = [v for v in life.versions if first is not None and _moment(v["created"]) > first]
    begun = _moment(before[0]["started"]) if before else None
    until = _span(first - begun) if first and begun else "no version has been promoted yet"
    later = [move for move in life.moves if first is not None and _moment(move["when"]) > first]
    rows: list[Sequence[Any]] = [
        ("time from the first run to the first promotion", until),
        ("runs until then", len(before)),
        ("of these failed or interrupted", _broken(before)),
        ("computing until then", _span(timedelta(seconds=_seconds(before)))),
        ("runs since", len(after)),
        ("of these failed or interrupted", _broken(after)),
        ("retrainings since (versions registered)", len(versions_after)),
        ("promotions since", sum(move["action"] == "promote" for move in later)),
        ("rollbacks since", sum(move["action"] == "rollback" for move in later)),
        ("computing since", _span(timedelta(seconds=_seconds(after)))),
    ]
    return ("", ""), rows


def cost(life: Life, price: float | None) -> Group:
    """Return how much the model was used and what that costs, as far as it is stated."""
    goal = (life.run.get("config") or {}).get("goal") or {}
    currency = goal.get("currency") or ""
    used = [run for run in life.runs if run["task"] == "predict" and run["status"] == "finished"]
    scored = sum(((run.get("summary") or {}).get("scored") or {}).get("rows") or 0 for run in used)
    seconds = _seconds(life.runs)
    worth = ((life.run.get("summary") or {}).get("gate") or {}).get("value") or {}
    asked = f"{NOT_STATED}: give --price-per-hour, or set resources.price_per_hour"
    rows: list[Sequence[Any]] = [
        ("finished runs of predict", len(used)),
        ("rows scored by them", scored),
        ("computing of all runs", _span(timedelta(seconds=seconds))),
        ("price of that computing", asked if price is None else f"{seconds / 3600 * price:.4g} {currency}".strip()),
        (
            "price of scoring 1,000 rows",
            asked
            if price is None
            else f"{_seconds(used) / 3600 * price / scored * 1000:.4g} {currency}".strip()
            if scored
            else "nothing was scored yet",
        ),
        ("cost of the process today", goal.get("process_cost") or f"{NOT_STATED}: goal.process_cost"),
        ("worth", worth.get("text") or f"{NOT_STATED}: goal.value"),
    ]
    return ("", ""), rows


def compliance(life: Life) -> Group:
    """Return which documents the shown version has, and what stands open."""
    summary, goal = life.run.get("summary") or {}, (life.run.get("config") or {}).get("goal") or {}
    reports = summary.get("report") or {}
    rows: list[Sequence[Any]] = [("version", life.shown["reference"])]
    for name in dict.fromkeys((*DOCUMENTS, *reports)):
        files = reports.get(name) or []
        there = bool(files) and Path(files[0]).is_file()
        rows.append((f"document: {name}", files[0] if there else "gone from the disk" if files else "was not written"))
    gate = life.shown["facts"].get("passed")
    rows.append(("gate", {True: "yes", False: "no"}.get(gate, "not asked")))
    rows += [(key, goal.get(key) or f"{NOT_STATED}: goal.{key}") for key in ("owner", "deadline", "review")]
    rows.append(("runs that have read its holdout", life.uses.get(life.shown["reference"], 0)))
    warnings = summary.get("warnings")
    rows.append(("open warnings", "not recorded" if warnings is None else len(warnings)))
    rows += [("", text) for text in warnings or ()]
    return ("", ""), rows


def _page(life: Life, groups: Mapping[str, Group]) -> Any:
    from mlframe.charts.document import Document, Section, Table

    def blocks(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[Any]:
        if title == "quality":
            yield from _picture(life)
        yield Table(columns, rows)

    sections = [
        Section(title.replace(",", "").replace(" ", "_"), title.capitalize(), lambda t=title, g=group: blocks(t, *g))  # type: ignore[misc]
        for title, group in groups.items()
    ]
    return Document(life.name, "mlframe performance measures, from the records of its store", sections)


def _picture(life: Life) -> Iterator[Any]:
    """Draw the deciding figure over versions that share it."""
    import numpy as np

    from mlframe.charts.document import Pictures
    from mlframe.charts.plots import Series, lines

    metric = life.shown["facts"].get("metric")
    found = [(v["number"], _figure(v, metric)[1]) for v in life.versions if v["facts"].get("metric") == metric]
    points = [(number, item) for number, item in found if item is not None]
    if len(points) < 2:
        return
    numbers = np.array([float(number) for number, _ in points])
    ends = {
        end: np.array([item.value if getattr(item, end) is None else getattr(item, end) for _, item in points])
        for end in ("value", "low", "high")
    }
    alt = f"{metric} of {len(points)} versions: from {ends['value'][0]:.4g} to {ends['value'][-1]:.4g}, with 95 % intervals."
    series = Series(str(metric), numbers, ends["value"], True, ends["low"], ends["high"])
    apart = -(-len(points) // 8)  # names of more versions would run into each other
    names = [(float(number), f"/{number}") for number, _ in points[::-apart]]
    yield Pictures(
        [lines("quality", f"{metric} over versions", alt, [series], x="version", y=str(metric), x_names=names)]
    )


def _figure(version: Mapping[str, Any], name: str | None) -> tuple[str, Any]:
    """Return part and interval of a version's figure: on the holdout, else on the folds; None when there is none."""
    from mlframe.contracts import Interval

    for part in ("holdout", "folds"):
        record = (version["figures"].get(part) or {}).get(name)
        if record:
            return part, Interval(record["value"], record.get("low"), record.get("high"))
    return "", None


def _text(cell: Any) -> str:
    from mlframe.charts.page import text_of

    return text_of(cell)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _seconds(runs: Sequence[Mapping[str, Any]]) -> float:
    return float(sum((run.get("summary") or {}).get("seconds") or 0.0 for run in runs))


def _broken(runs: Sequence[Mapping[str, Any]]) -> int:
    return sum(run["status"] in ("failed", "interrupted") for run in runs)


def _span(span: timedelta) -> str:
    """Return a duration in the two units that matter."""
    seconds = span.total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
    if minutes < 60:
        return f"{int(minutes)} min {int(seconds % 60)} s"
    return f"{int(hours)} h {int(minutes % 60)} min" if hours < 48 else f"{int(days)} days {int(hours % 24)} h"
