"""mlframe's own form: `POST /predict` and `POST /feedback`.

A body is one object, a list of objects, `{"rows": [...]}`, CSV or Arrow; the answer is JSON, or what `Accept` names.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlframe.serving import formats
from mlframe.serving.fields import Unfit, brief, moment
from mlframe.serving.messages import JSON, Answer, Asked, Model, Reply, Request, RequestError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Feedback", "read", "read_feedback", "write", "write_feedback"]

ARROW = (formats.ARROW_STREAM, formats.ARROW_FILE)
READ = (JSON, formats.CSV, *ARROW)
ID_LENGTH = 200
FEEDBACK_KEYS = ("request_id", "row", "label", "outcome", "time")
MOST_FEEDBACK = 10_000
LONGEST_OUTCOME = 10_000
HEADERS = [("content-type", JSON)]


@dataclass(slots=True)
class Feedback:
    """What became of one scored row.

    Args:
        request_id: the request's.
        row: its number in the request.
        label: the truth, None when only an outcome is known: a class (as in `Learning.values`) or a number.
        outcome: anything else that is known, as JSON text; None for nothing.
        time: seconds since 1970, UTC: when it became known.
    """

    request_id: str
    row: int
    label: Any
    outcome: str | None
    time: float


def read(model: Model, request: Request) -> Asked:
    """Read a request for predictions.

    Raises:
        RequestError: 4xx, whatever the bytes.
    """
    schema = model.schema
    explain = _explain(request.query.get("explain"))
    kind = formats.media_type(request.headers.get("content-type", JSON)) or JSON
    accepted = _accepted(request.headers.get("accept", ""))
    if kind == JSON:
        body = formats.read_json(request.body)
        one = False
        if isinstance(body, dict):
            rows = body.get("rows") if "rows" not in schema.fields else None
            if rows is None:
                rows, one = [body], True
            else:
                unknown = sorted(set(body) - {"rows", "explain"})
                if unknown:
                    raise RequestError(422, f"Beside 'rows' and 'explain' a request has no key {brief(unknown[0])}")
                explain = explain if body.get("explain") is None else _explain(body["explain"])
        else:
            rows = body
        if not isinstance(rows, list):
            raise RequestError(
                422, f"The body must be an object, a list of objects or {{'rows': [...]}}, and holds {brief(rows)}"
            )
        return Asked(schema.rows(rows), len(rows), explain, (one, accepted))
    if kind == formats.CSV:
        frame = formats.read_csv(request.body)
        return Asked(schema.texts(frame), frame.height, explain, (False, accepted))
    if kind in ARROW:
        columns, count = formats.read_arrow(request.body, schema.most)
        return Asked(schema.lists(columns, count), count, explain, (False, accepted))
    # Also not what curl says unless told otherwise: browsers send forms to any address that a page names.
    raise RequestError(415, f"The Content-Type {brief(kind)} is not read; send one of {', '.join(READ)}")


def write(model: Model, asked: Asked, answer: Answer) -> Reply:
    """Return the predictions, in the form that was asked for."""
    one, kind = asked.note
    if kind != JSON:
        return Reply(
            200,
            formats.written(_frame(model, answer), kind),
            [("content-type", kind), ("x-request-id", answer.request_id), ("x-model-version", answer.version)],
        )
    told: dict[str, Any] = {"request_id": answer.request_id, "version": answer.version}
    classes = model.learning.classes
    probabilities = [dict(zip(classes, row, strict=True)) for row in answer.outputs.tolist()] if classes else None
    if one:
        told["prediction"] = answer.labels[0]
        if probabilities is not None:
            told["probabilities"] = probabilities[0]
        if answer.reasons is not None:
            told["reasons"] = _reasons(answer.reasons[0])
    else:
        told["predictions"] = answer.labels
        if probabilities is not None:
            told["probabilities"] = probabilities
        if answer.reasons is not None:
            told["reasons"] = [_reasons(row) for row in answer.reasons]
    return Reply(200, formats.encode(told), HEADERS)


def _reasons(row: Sequence[tuple[str, float]]) -> list[dict[str, Any]]:
    return [{"field": name, "share": share} for name, share in row]


def _frame(model: Model, answer: Answer) -> pl.DataFrame:
    import polars as pl

    columns: list[pl.Series] = [pl.Series("y_pred", answer.labels)]
    columns += [pl.Series(f"p_{name}", answer.outputs[:, place]) for place, name in enumerate(model.learning.classes)]
    if answer.reasons is not None:
        columns.append(
            pl.Series("why", ["; ".join(f"{name}: {share:+.3g}" for name, share in row) for row in answer.reasons])
        )
    return pl.DataFrame(columns)


def _explain(value: Any) -> int:
    """Return how many reasons a row are asked for."""
    if value is None:
        return 0
    text = str(value) if type(value) in (int, str) and len(str(value)) < 5 else ""
    if not text.isascii() or not text.isdigit():
        raise RequestError(400, f"'explain' must be how many reasons are wanted, 0 to 9999, and is {brief(value)}")
    return int(text)


def _accepted(header: str) -> str:
    """Return the first media type of an Accept header that can be written; JSON where none is named."""
    if not header or header == "*/*":
        return JSON
    names = [formats.media_type(part) for part in header.split(",")[:20]]
    for name in names:
        if name in READ:
            return name
    if any(name in ("*/*", "application/*", "") for name in names):
        return JSON
    raise RequestError(406, f"Answers are written as {', '.join(READ)}, and none of these is accepted")


# ------------------------------------------------------------------------------------------------ feedback


def read_feedback(model: Model, request: Request, now: float | None = None) -> list[Feedback]:
    """Read what became of scored rows: an object, a list of them, or `{"feedback": [...]}`.

    Args:
        model: the served model: its classes are the labels that there are.
        request: `POST /feedback`.
        now: seconds since 1970, for entries without a time.

    Raises:
        RequestError: 4xx, whatever the bytes.
    """
    kind = formats.media_type(request.headers.get("content-type", JSON)) or JSON
    if kind != JSON:
        raise RequestError(415, f"The Content-Type {brief(kind)} is not read; send feedback as {JSON}")
    body = formats.read_json(request.body)
    if isinstance(body, dict):
        body = body["feedback"] if set(body) == {"feedback"} else [body]
    if not isinstance(body, list) or not body:
        raise RequestError(422, "The body must be an object, or a list of one object or more")
    if len(body) > MOST_FEEDBACK:
        raise RequestError(413, f"At most {MOST_FEEDBACK:,} entries are taken at a time; send fewer")
    now = time.time() if now is None else now
    read: list[Feedback] = []
    faults: list[dict[str, Any]] = []
    for number, entry in enumerate(body):
        found = _entry(model, entry, now)
        if isinstance(found, Feedback):
            read.append(found)
        else:
            faults += [{"row": number, **fault} for fault in found]
    if faults:
        raise RequestError(422, "The feedback cannot be kept, and none of it was", faults)
    return read


def _entry(model: Model, entry: Any, now: float) -> Feedback | list[dict[str, Any]]:
    """Return one entry, or its faults."""
    if not isinstance(entry, Mapping):
        return [{"field": None, "expected": "an object", "found": brief(entry)}]
    faults = []

    def fault(field: str, expected: str) -> None:
        found = brief(entry[field]) if field in entry else "no such key"
        faults.append({"field": field[:60], "expected": expected, "found": found})

    for name in list(entry)[:20]:
        if name not in FEEDBACK_KEYS:
            fault(name, f"one of the keys {', '.join(FEEDBACK_KEYS)}")
    request_id, row = entry.get("request_id"), entry.get("row")
    if not isinstance(request_id, str) or not 0 < len(request_id) <= ID_LENGTH:
        fault("request_id", f"the request_id of an answer, a text of at most {ID_LENGTH} characters")
    if row is None:
        row = 0
    elif type(row) is not int or not 0 <= row < 1 << 31:
        fault("row", "the row's number in the request, from 0")
    label, outcome = entry.get("label"), entry.get("outcome")
    if label is not None:
        label = _label(model, label)
        if label is None:
            classes = ", ".join(map(str, model.learning.values[:50]))
            fault("label", f"one of the classes {classes}" if model.learning.classes else "a number")
    elif outcome is None:
        fault("label", "a label, an outcome or both")
    text = None
    try:
        text = None if outcome is None else formats.encode(outcome).decode()
    except (RecursionError, OverflowError, ValueError):  # deeper, or with larger numbers, than JSON is written here
        fault("outcome", "JSON with numbers of at most 64 bits")
    if text is not None and len(text) > LONGEST_OUTCOME:
        fault("outcome", f"at most {LONGEST_OUTCOME:,} characters of JSON")
    when = now
    if entry.get("time") is not None:
        try:
            when = moment(entry["time"]).replace(tzinfo=dt.UTC).timestamp()
        except (Unfit, OverflowError, ValueError):
            fault("time", "a time (ISO 8601: 2024-02-29T12:00:00Z)")
    return faults or Feedback(str(request_id), row, label, text, when)


def _label(model: Model, value: Any) -> Any:
    """Return a label as the data spells it, None when it is none."""
    learning = model.learning
    if not learning.classes:
        number = type(value) in (int, float) and -1e308 <= value <= 1e308
        return float(value) if number else None
    if isinstance(value, dict | list):
        return None
    for name, known in zip(learning.classes, learning.values, strict=True):
        if (type(value) is type(known) and value == known) or (isinstance(value, str) and value == name):
            return known
        if type(value) is float and type(known) is int and value == known:
            return known
    return None


def write_feedback(entries: Sequence[Feedback], request: Request) -> Reply:
    """Return that the feedback is kept (202: it is on its way to the disk)."""
    return Reply(202, formats.encode({"request_id": request.id, "accepted": len(entries)}), HEADERS)
