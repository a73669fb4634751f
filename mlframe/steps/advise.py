"""Tells people what the assessment says: lines of the end-of-run table, and a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlframe.contracts import Chart, Interval, Step

__all__ = ["Advise", "lines", "page"]

SHOWN = 8
"""Findings that the table shows; the page has all of them."""
RANK = {"problem": 0, "warning": 1, "info": 2}


class Advise(Step):
    """Gives `advice`: the page of the run's assessment."""

    summary = "tells people what the assessment says"
    reads = ("goal",)
    needs = ("assessment",)
    gives = {"advice": "value"}
    cached = False

    def run(self, context: Any, **inputs: Any) -> Mapping[str, Any]:
        """Write the page, and add to the end-of-run table."""
        record: Mapping[str, Any] = inputs["assessment"]
        path = context.run.folder / "assessment.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(context, record), encoding="utf-8")
        context.summary["lines"] = [*lines(record), ("page", str(path))]
        return {"advice": {"page": str(path)}}


def lines(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the assessment as lines of the end-of-run table."""
    found = sorted(record.get("findings") or (), key=lambda item: RANK[item["severity"]])
    rows = [(f"leaks: {item['severity']}", item["text"]) for item in found[:SHOWN]]
    if len(found) > SHOWN:
        rows.append(("", f"and {len(found) - SHOWN} more, see the page"))
    if "findings" in record and not found:
        rows.append(("leaks", "none found"))
    for item in record.get("baselines") or ():
        rows.append((item["name"], f"{record['metric']} {_interval(item)}  ({item['summary']})"))
    for key, name in (("curve", "more rows"), ("noise", "doubtful labels"), ("value", "value")):
        if record.get(key):
            rows.append((name, record[key]["text"]))
    if record.get("smallest_effect"):
        rows.append(("smallest effect", _effect(record)))
    if record.get("verdict"):
        first, *rest = record["verdict"]["reasons"]
        rows.append(("verdict", f"{record['verdict']['word']}: {first}"))
        rows.extend(("", reason) for reason in rest)
    return rows


def page(context: Any, record: Mapping[str, Any]) -> str:
    """Return the assessment as one self-contained page."""
    from mlframe.charts.document import Answer, Document, Pictures, Points, Section, Table

    charts = {chart["name"]: Chart(**chart) for chart in record["charts"]}
    kinds = {"go": "good", "no-go": "bad", "more data": "none"}

    def answer() -> Iterator[Any]:
        said = record["verdict"]
        yield Answer(kinds[said["word"]], said["word"].capitalize(), sentence(said["reasons"][0]))
        if said["reasons"][1:]:
            yield Points([("", sentence(reason)) for reason in said["reasons"][1:]])

    def leaks() -> Iterator[Any]:
        found = sorted(record["findings"], key=lambda item: RANK[item["severity"]])
        if not found:
            yield "No row, entity, time or column gives the answer away, as far as these checks see."
            return
        yield Points([(item["severity"], sentence(item["text"])) for item in found])
        doing = [item for item in found if item["severity"] != "info"]
        if doing:
            rows = [(item["column"] or item["check"], item["remedy"], item["accept"]) for item in doing]
            yield Table(("What", "To mend it", "If a person has looked and it is no leak"), rows)

    def baselines() -> Iterator[Any]:
        yield f"Each is fitted and judged along the folds, as a model would be; the figure is {record['metric']}."
        rows = [
            (item["name"], Interval(item["score"], item["low"], item["high"]), item["summary"])
            for item in record["baselines"]
        ]
        yield Table(("Way", record["metric"], "What it does"), rows)
        yield Pictures([charts["baselines"]])

    def more() -> Iterator[Any]:
        yield sentence(record["curve"]["text"])
        if "learning_curve" in charts:
            yield Pictures([charts["learning_curve"]])
            ahead = record["curve"]["ahead"]
            rows = [(item["rows"], Interval(item["value"], item["low"], item["high"])) for item in ahead]
            yield Table(("Train rows", f"Expected {record['metric']}"), rows)
        if record["curve"].get("chance") is not None:
            needed, share = record["curve"]["needed"], record["curve"]["chance"]
            count = "No number of rows within a hundred times today's" if needed is None else f"About {needed:,} rows"
            if needed == record["curve"]["rows"][-1]:
                yield "The rows of today reach the target already."
            else:
                yield f"{count} would reach the target by this curve; {share:.0%} of its resamples reach it at all."

    def labels() -> Iterator[Any]:
        yield sentence(record["noise"]["text"])
        if record["noise"]["pairs"]:
            pairs = record["noise"]["pairs"]
            yield Table(("Given", "Likelier", "Rows"), [(p["given"], p["likely"], p["rows"]) for p in pairs])

    def shown() -> Iterator[Any]:
        yield (
            sentence(_effect(record)) if record["smallest_effect"] else "There is no holdout, or no interval to go by."
        )

    def money() -> Iterator[Any]:
        found = record["value"]
        at = f", acting from a probability of {found['threshold']:.2f} on" if "threshold" in found else ""
        yield f"By the best simple way on the folds{at}: {found['text']}."

    wanted = (
        ("verdict", "answer", "Can it work?", answer),
        ("findings", "leaks", "Leaks", leaks),
        ("baselines", "baselines", "What simple ways reach", baselines),
        ("curve", "curve", "What more rows would bring", more),
        ("value", "value", "Money", money),
        ("noise", "labels", "Doubtful labels", labels),
        ("smallest_effect", "effect", "What the holdout can show", shown),
    )
    sections = [Section(anchor, title, blocks) for key, anchor, title, blocks in wanted if record.get(key) is not None]
    lead = str(context.unresolved["goal"].get("problem") or "")
    return Document(str(context.config["name"]), "mlframe: assessment", sections, lead).html().text


def sentence(text: str) -> str:
    """Return a text with a capital and a full stop; a name in quotes keeps its own."""
    return f"{text[:1].upper()}{text[1:]}."


def _effect(record: Mapping[str, Any]) -> str:
    found, metric = record["smallest_effect"], record["metric"]
    return (
        f"on {found['rows']:,} holdout rows {metric} will be known to within {found['half_width']:.2g}; it must lie "
        f"{found['detectable']:.2g} beyond a target for four of five such holdouts to show it"
    )


def _interval(item: Mapping[str, Any]) -> str:
    if item["low"] is None:
        return f"{item['score']:.4g}"
    return f"{item['score']:.4g} ({item['low']:.4g} to {item['high']:.4g})"
