"""A simulation for people: a table, a page with its pictures, and the record for machines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from mlframe.charts.plots import Series, bars, lines
from mlframe.config.price import priced
from mlframe.config.simulate import changes_of
from mlframe.contracts import Chart
from mlframe.operating.simulate import DAY, Outcome, Stream
from mlframe.operating.simulate_changes import changes_record, happened, rows_of
from mlframe.operating.windows import moment_of

__all__ = ["compared", "record_of", "show"]

Array = npt.NDArray[Any]

PERIODS = 40
"""Points of a line along time, about."""
LINES = 6
SHOWN = 30
NOTES = (
    "Each row is predicted before its label is learned, and a label is known only after the delay.",
    "A training takes no time of the stream: a new model answers from the look on at which it was trained.",
    "The intervals of differences are those of whole stretches of time, since neighbouring rows are alike.",
)


def show(context: Any, stream: Stream, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Write `simulation.html` and `simulation.json` into the run's folder, and add to the end-of-run table."""
    price = context.config["resources"].get("price_per_hour")
    record = record_of(context, stream, outcomes, price)
    folder = context.run.folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "simulation.json").write_text(json.dumps(record, ensure_ascii=False, indent=1), encoding="utf-8")
    (folder / "simulation.html").write_text(page(context, stream, outcomes, record), encoding="utf-8")
    context.summary["simulation"] = {
        item["name"]: {record["figure"]: item["value"], "trainings": item["trainings"], "seconds": item["seconds"]}
        for item in record["strategies"]
    }
    context.summary["lines"] = [
        *((item["name"], _line(item, record)) for item in record["strategies"]),
        ("page", str(folder / "simulation.html")),
        ("record", str(folder / "simulation.json")),
    ]
    return record


def record_of(context: Any, stream: Stream, outcomes: Sequence[Outcome], price: float | None) -> dict[str, Any]:
    """Return a simulation as plain JSON values."""
    figure = "accuracy" if stream.learning.classes else "mae"
    edges = _edges(stream)
    static = next((one for one in outcomes if one.kind == "static"), outcomes[0])
    strategies = []
    for one in outcomes:
        figures = one.figures(stream)
        cost = priced(context.config, one.seconds).get("cost")
        reasons: dict[str, int] = {}
        for training in one.trainings[1:]:
            for why in training["why"]:
                reasons[why.partition(" ")[0]] = reasons.get(why.partition(" ")[0], 0) + 1
        strategies.append(
            {
                "name": one.name,
                "kind": one.kind,
                "value": figures[figure]["value"],
                "figures": figures,
                "against_static": None if one is static else compared(stream, one, static),
                "along": [_value(stream, one, a, b) for a, b in pairwise(edges)],
                "trainings": len(one.trainings),
                "lessons": one.lessons,
                "seconds": round(one.seconds, 3),
                "predict_seconds": round(one.predicting, 3),
                "cost": cost,
                "alarms": [_plain(alarm) for alarm in one.alarms],
                "trained": [_plain(training) for training in one.trainings],
                "notes": one.notes,
            }
        )
    return {
        "name": context.config["name"],
        "seed": context.config["seed"],
        "shuffled": bool(context.config["simulate"]["shuffle"]),
        "figure": figure,
        "better": "higher" if figure == "accuracy" else "lower",
        "rows": len(stream.times),
        "judged": len(stream.times) - stream.first,
        "begin": moment_of(stream.begin).isoformat(),
        "end": moment_of(int(stream.times[-1])).isoformat(),
        "delay_days": stream.delay / DAY,
        "look_days": stream.look / DAY,
        "model": context.config["model"]["name"],
        "featurizer": context.config["featurizer"]["name"],
        "price_per_hour": price,
        "currency": context.config["goal"].get("currency"),
        "periods": [moment_of(edge).isoformat() for edge in edges],
        "changes": changes_record(changes_of(context.config["simulate"]), bool(context.config["simulate"]["shuffle"])),
        "strategies": strategies,
        "notes": list(NOTES),
    }


def compared(stream: Stream, one: Outcome, other: Outcome) -> dict[str, float]:
    """Return the difference of accuracy or error to another strategy, above 0 better, with the 95 % interval of stretches.

    Rows are summed over stretches of a fortnight, or a thirtieth of the time where that is shorter; the interval is that
    of a mean of as many values that do not depend on one another (a batch-means interval).
    """
    truth = stream.target[stream.first :]
    times = stream.times[stream.first :]
    if stream.learning.classes:
        gains = (one.outputs == truth).astype(np.float64) - (other.outputs == truth)
    else:
        gains = np.abs(other.outputs - truth) - np.abs(one.outputs - truth)
    length = max(1, min(14 * DAY, (int(times[-1]) - stream.begin) // 30))
    place = (times - stream.begin) // length
    sums = np.bincount(place, weights=gains)
    counts = np.bincount(place)
    sums, counts = sums[counts > 0], counts[counts > 0]
    mean = float(gains.mean())
    left = sums - mean * counts  # of a ratio: what each stretch adds beyond the mean
    half = 1.96 * float(np.sqrt((left**2).sum() * len(counts) / max(1, len(counts) - 1))) / float(counts.sum())
    return {"value": mean, "low": mean - half, "high": mean + half}


def page(context: Any, stream: Stream, outcomes: Sequence[Outcome], record: Mapping[str, Any]) -> str:
    """Return the simulation as one self-contained page."""
    from mlframe.charts.document import Document, Fold, Pictures, Points, Section, Table

    unit = _unit(record)

    def answer() -> Iterator[Any]:
        yield Points([("", text) for text in sentences(record)])
        yield Pictures(pictures(record))

    def changed() -> Iterator[Any]:
        picture = happened(record)
        if picture is not None:
            yield Pictures([picture])
        if record["changes"]:
            yield Table(*rows_of(record), "No strategy was told of them. Looked for until the next change.")

    def table() -> Iterator[Any]:
        lessons = any(item["lessons"] for item in record["strategies"])
        columns = ["Strategy", record["figure"], "Against static (95 %)", "Trainings"]
        columns += [
            *(["Labels learned one by one"] if lessons else []),
            "Seconds of learning",
            *([f"Cost ({unit})"] if unit else []),
            "Seconds of predicting",
            "Alarms",
        ]
        rows = []
        for item in record["strategies"]:
            cost = [f"{item['cost']:.4f}"] if unit else []
            row = [item["name"], f"{item['value']:.4f}", _difference(item["against_static"]), item["trainings"]]
            row += [
                *([item["lessons"]] if lessons else []),
                f"{item['seconds']:.1f}",
                *cost,
                f"{item['predict_seconds']:.1f}",
                len(item["alarms"]),
            ]
            rows.append(row)
        yield Table(columns, rows)
        yield Points([("", note) for note in (*record["notes"], *_notes(record))])

    def events() -> Iterator[Any]:
        for item in record["strategies"]:
            if len(item["trained"]) > 1:
                rows = [(t["when"][:16].replace("T", " "), t["rows"], "; ".join(t["why"])) for t in item["trained"]]
                note = f"{SHOWN:,} of {len(rows):,} trainings are shown." if len(rows) > SHOWN else ""
                yield Fold(f"{item['name']}: trainings", [Table(("When", "Rows", "Why"), rows[:SHOWN], note)])
            if item["alarms"]:
                rows = [(a["when"][:16].replace("T", " "), a["severity"], a["text"]) for a in item["alarms"]]
                note = f"{SHOWN:,} of {len(rows):,} alarms are shown." if len(rows) > SHOWN else ""
                yield Fold(f"{item['name']}: alarms", [Table(("When", "Severity", "What"), rows[:SHOWN], note)])

    sections = [
        Section("answer", "What each way would have given", answer),
        Section("table", "Side by side", table),
        Section("changes", "What changed, what was noticed", changed),
        Section("events", "Trainings and alarms", events),
    ]
    lead = (
        f"{record['judged']:,} rows from {record['begin'][:10]} to {record['end'][:10]}, labels "
        f"{_after(record['delay_days'])}, {record['model']} behind the featurizer {record['featurizer']}"
        f"{'; the rows were dealt anew to the moments' if record['shuffled'] else ''}."
    )
    return Document(str(record["name"]), "mlframe: simulation", sections, lead).html().text


def pictures(record: Mapping[str, Any]) -> list[Chart]:
    """Return quality along time, and what each strategy gave for how many trainings."""
    chosen = record["strategies"][:LINES]
    moments = [datetime.fromisoformat(text).timestamp() / 86400 for text in record["periods"]]
    middle = np.array([(a + b) / 2 for a, b in pairwise(moments)])
    series = []
    for item in chosen:
        values = np.array([np.nan if value is None else value for value in item["along"]])
        kept = np.isfinite(values)
        series.append(Series(item["name"], middle[kept], values[kept]))
    said = ", ".join(f"{item['name']} {item['value']:.3f}" for item in chosen)
    names = [(moments[i], record["periods"][i][:7]) for i in np.linspace(0, len(moments) - 1, 4).astype(int)]
    title = f"{record['figure']} along time"
    along = lines(
        "along", title, f"{title}: {said} over the whole time.", series, x="month", y=record["figure"], x_names=names
    )
    every = record["strategies"]
    told = [f"{item['name']} ({item['trainings']})" for item in every]
    alt = "With the number of trainings: " + ", ".join(
        f"{item['name']} {item['value']:.3f} ({item['trainings']})" for item in every
    )
    whole = bars(
        "whole", f"{record['figure']} of all rows (trainings)", alt, told, [item["value"] for item in every],
        x=record["figure"], percent=record["figure"] == "accuracy",
    )  # fmt: skip
    return [along, whole]


def sentences(record: Mapping[str, Any]) -> Iterator[str]:
    """Say in words what the figures show."""
    lower = record["better"] == "lower"
    ranked = sorted(record["strategies"], key=lambda item: item["value"] if lower else -item["value"])
    best = ranked[0]
    base = next(item for item in record["strategies"] if item["name"] == "no_change")
    yield f"{best['name']} is best: {record['figure']} {best['value']:.4f}."
    if best is base:
        yield "Repeating the last known label beats every strategy: look at that number before calling a model useful."
    else:
        yield f"Repeating the last known label gives {base['value']:.4f}."
    for item in record["strategies"]:
        found = item["against_static"]
        if found is None or item is base:
            continue
        sure = (
            "surely better than"
            if found["low"] > 0
            else "surely worse than"
            if found["high"] < 0
            else "no different from"
        )
        yield f"{item['name']} is {sure} static training: {_difference(found)}, {_trainings(item)}."


def _line(item: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    cost = f", {item['cost']:.4f} {_unit(record)}" if item["cost"] is not None else ""
    lessons = f", {item['lessons']:,} labels one by one" if item["lessons"] else ""
    against = f", {_difference(item['against_static'])} against static" if item["against_static"] else ""
    alarms = f", {len(item['alarms'])} alarms" if item["kind"] not in ("baseline", "online") else ""
    return f"{record['figure']} {item['value']:.4f}{against}; {_trainings(item)}{lessons}, {item['seconds']:.1f} s{cost}{alarms}"


def _trainings(item: Mapping[str, Any]) -> str:
    return f"{item['trainings']:,} training{'s' if item['trainings'] != 1 else ''}"


def _after(days: float) -> str:
    return "at once" if not days else f"after {days:g} day{'' if days == 1 else 's'}"


def _difference(found: Mapping[str, float] | None) -> str:
    return "" if found is None else f"{found['value']:+.4f} ({found['low']:+.4f} to {found['high']:+.4f})"


def _notes(record: Mapping[str, Any]) -> Iterator[str]:
    for item in record["strategies"]:
        yield from (f"{item['name']}: {note}" for note in item["notes"])


def _unit(record: Mapping[str, Any]) -> str:
    return "" if record["price_per_hour"] is None else record["currency"] or "money"


def _edges(stream: Stream) -> list[int]:
    """Return the ends of the stretches that lines are drawn by: whole looks, about `PERIODS` of them."""
    span = int(stream.times[-1]) + 1 - stream.begin
    step = max(1, -(-span // (PERIODS * stream.look))) * stream.look
    return [*range(stream.begin, stream.begin + span, step), stream.begin + span]


def _value(stream: Stream, one: Outcome, since: int, until: int) -> float | None:
    a, b = (int(np.searchsorted(stream.times, moment, "left")) - stream.first for moment in (since, until))
    figures = one.figures(stream, slice(a, b))
    return figures["accuracy" if stream.learning.classes else "mae"]["value"] if figures else None


def _plain(event: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in event.items() if key in ("when", "key", "severity", "rows", "why", "seconds")}
    if "record" in event:
        kept["text"] = event["record"]["text"]
    return {**kept, "when": event["when"].isoformat()}
