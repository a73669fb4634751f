"""What passes between the HTTP server, the protocols and the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mlframe.pipeline.learning import Learning
    from mlframe.serving.schema import Schema

__all__ = ["FAULTS_SHOWN", "JSON", "Answer", "Asked", "Model", "Reply", "Request", "RequestError"]

JSON = "application/json"
PROBLEM = "application/problem+json"

FAULTS_SHOWN = 50
"""So many faults of a request are told one by one; of more, the number."""


@dataclass(slots=True)
class Request:
    """One HTTP request, whole.

    Args:
        method: `GET`, `POST`, …
        path: the path, decoded, without the query.
        query: the last value of each parameter.
        headers: by name in lower case.
        body: every byte of it.
        caller: name of the API key; None where keys are off.
        id: what the answer, the access log and the prediction log call this request.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    caller: str | None = None
    id: str = ""


@dataclass(slots=True)
class Reply:
    """One HTTP answer, whole."""

    status: int
    body: bytes
    headers: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Asked:
    """Rows to be scored.

    Args:
        columns: every input column of the model, checked: lists of plain values, or arrays.
        rows: how many there are.
        explain: how many reasons a row are wanted; 0 for none.
        note: what the protocol needs for its answer.
    """

    columns: dict[str, list[Any] | npt.NDArray[Any]]
    rows: int
    explain: int = 0
    note: Any = None


@dataclass(slots=True)
class Answer:
    """Scored rows.

    Args:
        version: the version that scored them: `email/7`.
        outputs: probabilities (rows, classes) or values (rows,), float64.
        labels: one prediction a row, as people know it: the class in its own type, or a number.
        request_id: the request's.
        reasons: for each row the input columns that moved its score most, with their shares; None when not asked for.
    """

    version: str
    outputs: npt.NDArray[np.float64]
    labels: list[Any]
    request_id: str
    reasons: list[list[tuple[str, float]]] | None = None


class Model(Protocol):
    """What a protocol knows of a served model (`mlframe.serving.models.ServedModel` is one)."""

    reference: str
    """Name and version: `email/7`."""
    name: str
    number: int
    schema: Schema
    learning: Learning
    manifest: dict[str, Any]
    folder: Path


class RequestError(Exception):
    """A request that cannot be answered; the caller can mend it (4xx) or has to come back (429, 503).

    Args:
        status: the HTTP status.
        title: what is wrong, one sentence without a full stop.
        details: one entry a fault: `row` (number in the request or None), `field`, `expected`, `found`.
        retry_after: seconds after which another try may work.
        more: faults beside those in `details`.
    """

    def __init__(
        self,
        status: int,
        title: str,
        details: Sequence[Mapping[str, Any]] = (),
        retry_after: int | None = None,
        more: int = 0,
    ) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.details = list(details[:FAULTS_SHOWN])
        self.retry_after = retry_after
        self.more = more + max(0, len(details) - FAULTS_SHOWN)

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The headers that go with this error in every protocol."""
        return [] if self.retry_after is None else [("retry-after", str(self.retry_after))]

    def reply(self, request: Request) -> Reply:
        """Return the error as problem details (RFC 9457)."""
        import msgspec

        told: dict[str, Any] = {"title": self.title, "status": self.status, "request_id": request.id}
        if self.details:
            told["details"] = self.details
        if self.more:
            told["more"] = self.more
        return Reply(self.status, msgspec.json.encode(told), [("content-type", PROBLEM), *self.headers])

    def line(self) -> str:
        """Return the error as one line, for protocols whose errors are a text."""
        faults = [
            ("" if fault.get("row") is None else f"row {fault['row']}, ")
            + f"{fault.get('field')}: expected {fault.get('expected')}, found {fault.get('found')}"
            for fault in self.details[:5]
        ]
        hidden = len(self.details) - len(faults) + self.more
        return ": ".join([self.title, "; ".join(faults)] if faults else [self.title]) + (
            f"; and {hidden:,} more" if hidden else ""
        )
