"""The logs of a server: what was predicted, what turned out to be true, and which requests got no answer.

Rows of the first have `request_id`, `row`, `time`, `version`, `role`, `caller`, `latency_ms`, the input columns, `y_pred` and
one `p_<class>` a class; an input column with a name of these is logged as `input.<name>`. Rows of the second have
`request_id`, `row`, `time`, `label`, `outcome`, `caller`; those of the third `time`, `version`, `route`, `status`, `requests`.
`mlframe.store.predictions` reads them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlframe.errors import StoreError
from mlframe.serving.log_writer import LogWriter

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from mlframe.pipeline import Pipeline

    Values = Sequence[Any] | np.ndarray[Any, Any]

__all__ = ["PII", "Failure", "FailureLog", "Feedback", "FeedbackLog", "Logged", "PredictionLog", "logged_names"]

OWN = ("request_id", "row", "time", "version", "role", "caller", "latency_ms", "y_pred")
"""Columns of the log that are no input; probabilities come last."""

PII = "pii"
"""Tag of columns that are logged as keyed digests, or not at all."""


@dataclass(slots=True)
class Logged:
    """A scored request.

    Args:
        request_id: its id.
        time: when it came, in seconds since 1970 (UTC).
        version: what scored it, such as `email/7`.
        role: `champion`; `canary`, which answers a share of the callers; `named`, a version that was asked for by its
            number; `shadow`, whose answer nobody saw.
        columns: input columns, checked by the schema; each has `rows` values.
        rows: number of rows.
        outputs: probabilities of shape (rows, classes) or values of shape (rows,).
        latency: seconds from the request's arrival to its answer.
        caller: id of the API key.
    """

    request_id: str
    time: float
    version: str
    role: str
    columns: Mapping[str, Values]
    rows: int
    outputs: np.ndarray[Any, Any]
    latency: float
    caller: str | None = None


@dataclass(slots=True)
class Feedback:
    """What turned out to be true of one row.

    Args:
        request_id: id of the request that asked for the prediction.
        time: when the feedback came, in seconds since 1970 (UTC).
        label: true class (its name) or value; None when only the outcome is known.
        outcome: anything else that JSON can say, such as money that was won or lost.
        row: number of the row in the request.
        caller: id of the API key.
    """

    request_id: str
    time: float
    label: str | float | None = None
    outcome: Any = None
    row: int = 0
    caller: str | None = None
    rows: int = 1


@dataclass(slots=True)
class Failure:
    """Requests for predictions that were refused (status 4xx) or failed (5xx).

    Args:
        time: when, to the second, in seconds since 1970 (UTC).
        version: the version that would have answered, where none was chosen yet the champion.
        route: the route's name, such as `predict`.
        status: HTTP status of the answer.
        requests: how many.
    """

    time: float
    version: str
    route: str
    status: int
    requests: int
    rows: int = 1


@dataclass(frozen=True, slots=True)
class _Input:
    """An input column: its name in requests and in the log, its type there, and whether it is hashed."""

    name: str
    logged: str
    dtype: Any
    hashed: bool


class PredictionLog(LogWriter[Logged]):
    """What was predicted.

    Args:
        folder: `<store>/predictions/<name>`.
        worker: name of this process among those that write here.
        salt: key of the digests; `Store.pii_salt`.
        pii: what becomes of columns tagged `pii`: `hash` or `drop`.
        flush, rotate_bytes, rotate_seconds, queue: see `LogWriter`.
    """

    def __init__(
        self,
        folder: Path,
        worker: str,
        *,
        salt: bytes,
        pii: Literal["hash", "drop"] = "hash",
        flush: float = 1.0,
        rotate_bytes: int = 64 << 20,
        rotate_seconds: float = 3600.0,
        queue: int = 100_000,
    ) -> None:
        self._salt = salt
        self._pii = pii
        self._versions: dict[str, tuple[list[_Input], Pipeline]] = {}
        super().__init__(
            folder, worker, flush=flush, rotate_bytes=rotate_bytes, rotate_seconds=rotate_seconds, queue=queue
        )

    def introduce(self, version: str, pipeline: Pipeline) -> None:
        """Say what a version's columns are, before the first of its predictions is added."""
        import polars as pl

        from mlframe.pipeline.inputs import dtype_of

        names = logged_names(pipeline.inputs, pipeline.learning.classes)
        inputs = []
        for column in pipeline.columns:
            private = PII in column["tags"]
            if not (private and self._pii == "drop"):
                dtype = dtype_of(column["dtype"]) or pl.String
                inputs.append(_Input(column["name"], names[column["name"]], dtype, private))
        self._versions[version] = (inputs, pipeline)

    def _key(self, record: Logged) -> str:
        return record.version

    def _frame(self, records: Sequence[Logged]) -> pl.DataFrame:
        import numpy as np
        import polars as pl

        from mlframe.pipeline.learning import decide

        version = records[0].version
        if version not in self._versions:
            raise StoreError(f"The prediction log does not know the columns of {version}", where=str(self.folder))
        inputs, pipeline = self._versions[version]
        counts = [record.rows for record in records]
        total = sum(counts)
        asked = [
            pl.Series("request_id", [record.request_id for record in records], dtype=pl.String),
            _moments([record.time for record in records]),
            pl.Series("role", [record.role for record in records], dtype=pl.String),
            pl.Series("caller", [record.caller for record in records], dtype=pl.String),
            pl.Series("latency_ms", [record.latency * 1e3 for record in records], dtype=pl.Float32),
        ]
        if total == len(records):
            number = np.zeros(total, dtype=np.uint32)
        else:
            at = np.repeat(np.arange(len(records)), counts)
            asked = [series.gather(at) for series in asked]
            number = (np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)).astype(np.uint32)
        request_id, moment, role, caller, latency = asked
        outputs = np.concatenate([record.outputs for record in records]).astype(np.float64, copy=False)
        version_name = pl.Series("version", [version], dtype=pl.String).new_from_index(0, total)
        columns = [request_id, pl.Series("row", number), moment, version_name, role, caller, latency]
        for item in inputs:
            series = _gathered(item, [record.columns[item.name] for record in records])
            columns.append(_digests(series, self._salt) if item.hashed else series)
        return pl.DataFrame(columns).hstack(decide(outputs, pipeline.learning, pipeline.threshold))


class FeedbackLog(LogWriter[Feedback]):
    """What turned out to be true.

    Args:
        folder: `<store>/feedback/<name>`.
        worker: name of this process among those that write here.
        numeric: whether labels are values (regression) and not classes.
        flush, rotate_bytes, rotate_seconds, queue: see `LogWriter`.
    """

    def __init__(
        self,
        folder: Path,
        worker: str,
        *,
        numeric: bool,
        flush: float = 1.0,
        rotate_bytes: int = 64 << 20,
        rotate_seconds: float = 3600.0,
        queue: int = 100_000,
    ) -> None:
        self._numeric = numeric
        super().__init__(
            folder, worker, flush=flush, rotate_bytes=rotate_bytes, rotate_seconds=rotate_seconds, queue=queue
        )

    def _key(self, record: Feedback) -> None:
        return None

    def _frame(self, records: Sequence[Feedback]) -> pl.DataFrame:
        import polars as pl

        outcomes = [None if r.outcome is None else json.dumps(r.outcome, ensure_ascii=False) for r in records]
        label = pl.Float64 if self._numeric else pl.String
        return pl.DataFrame(
            [
                pl.Series("request_id", [record.request_id for record in records], dtype=pl.String),
                pl.Series("row", [record.row for record in records], dtype=pl.UInt32),
                _moments([record.time for record in records]),
                pl.Series("label", [record.label for record in records], dtype=label),
                pl.Series("outcome", outcomes, dtype=pl.String),
                pl.Series("caller", [record.caller for record in records], dtype=pl.String),
            ]
        )


class FailureLog(LogWriter[Failure]):
    """Which requests got no answer; of thousands in a second one row is written."""

    def _key(self, record: Failure) -> None:
        return None

    def _frame(self, records: Sequence[Failure]) -> pl.DataFrame:
        import polars as pl

        return pl.DataFrame(
            [
                _moments([record.time for record in records]),
                pl.Series("version", [record.version for record in records], dtype=pl.String),
                pl.Series("route", [record.route for record in records], dtype=pl.String),
                pl.Series("status", [record.status for record in records], dtype=pl.UInt16),
                pl.Series("requests", [record.requests for record in records], dtype=pl.UInt32),
            ]
        )


def logged_names(inputs: Sequence[str], classes: Sequence[str]) -> dict[str, str]:
    """Return the name in the log of each input column: its own, or `input.<name>` where the log has one like it."""
    taken = {*OWN, *(f"p_{name}" for name in classes)}
    names: dict[str, str] = {}
    for name in inputs:
        logged = name
        while logged in taken or (logged != name and logged in inputs):
            logged = f"input.{logged}"
        names[name] = logged
    return names


def _moments(seconds: Sequence[float]) -> pl.Series:
    import numpy as np
    import polars as pl

    micros = np.rint(np.asarray(seconds, dtype=np.float64) * 1e6).astype(np.int64)
    return pl.Series("time", micros).cast(pl.Datetime("us", "UTC"))


def _gathered(item: _Input, parts: list[Values]) -> pl.Series:
    """Return one column of many requests, in its type, missing values as nulls."""
    from itertools import chain

    import numpy as np
    import polars as pl

    kinds = set(map(type, parts))
    if kinds == {np.ndarray}:
        series = pl.Series(item.logged, np.concatenate(parts), nan_to_null=True)
    else:
        if np.ndarray in kinds:
            parts = [part.tolist() if isinstance(part, np.ndarray) else part for part in parts]
        series = pl.Series(item.logged, list(chain.from_iterable(parts)), dtype=item.dtype)
    if series.dtype != item.dtype:
        series = series.cast(item.dtype)
    return series.fill_nan(None) if item.dtype.is_float() else series


def _digests(series: pl.Series, salt: bytes) -> pl.Series:
    """Return keyed BLAKE2b digests of the values' texts, 16 bytes in hex: equal values stay equal, nothing else is told."""
    import polars as pl

    texts = series.cast(pl.String).to_list()
    digests = [None if text is None else blake2b(text.encode(), key=salt, digest_size=16).hexdigest() for text in texts]
    return pl.Series(series.name, digests, dtype=pl.String)
