"""What the workers of a server count, as one: Prometheus' text format, and the figures of the status page.

A worker counts in plain dictionaries, about a microsecond a request (prometheus-client's multiprocess mode: 11), and
writes a snapshot every second; whoever is asked adds up the snapshots. Counts of workers that have ended stay in the sum.
"""

from __future__ import annotations

import contextlib
import os
import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

__all__ = ["CONTENT_TYPE", "Counts", "Labels", "Metrics", "line", "quantile"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECONDS = (
    0.0005,
    0.001,
    0.0015,
    0.002,
    0.003,
    0.005,
    0.0075,
    0.01,
    0.015,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
)
"""Upper ends of the buckets of durations."""
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384)
"""Upper ends of the buckets of batch sizes."""
MINUTES = 60
"""So many minutes of traffic are kept for the status page."""
STALE = 15.0
"""Seconds after which a worker that wrote no snapshot is taken to have ended."""

HELP = {
    "mlframe_requests_total": ("counter", "Requests answered, by endpoint, HTTP status and model version."),
    "mlframe_request_duration_seconds": (
        "histogram",
        "Seconds from a request's first byte to its answer, by endpoint.",
    ),
    "mlframe_rows_total": ("counter", "Rows scored for callers, by model version."),
    "mlframe_batch_rows": ("histogram", "Rows that were scored together."),
    "mlframe_queue_rows": ("gauge", "Rows that wait to be scored."),
    "mlframe_requests_in_progress": ("gauge", "Requests that are being answered."),
    "mlframe_log_lost_rows_total": ("counter", "Rows of the prediction log that could not be kept."),
    "mlframe_reload_errors_total": ("counter", "Versions that could not be loaded."),
    "mlframe_model_info": ("gauge", "The loaded versions: 1 for each version and role."),
    "mlframe_workers": ("gauge", "Worker processes that serve."),
    "mlframe_resident_memory_bytes": ("gauge", "Resident memory of all workers."),
    "mlframe_start_time_seconds": ("gauge", "When the oldest worker that serves was started, seconds since 1970."),
}

Labels = tuple[tuple[str, str], ...]


class Minute(msgspec.Struct):
    """The traffic of one minute: requests, refused ones (4xx), failed ones (5xx), durations by bucket of `SECONDS`."""

    requests: int = 0
    refused: int = 0
    failed: int = 0
    durations: list[int] = msgspec.field(default_factory=lambda: [0] * (len(SECONDS) + 1))


class Snapshot(msgspec.Struct):
    """What one worker has counted."""

    worker: str
    time: float
    started: float
    requests: list[tuple[str, int, str, int]]
    durations: dict[str, list[float]]
    rows: dict[str, int]
    batches: list[float]
    lost: int
    reload_errors: int
    queue: int
    running: int
    memory: int
    models: list[tuple[str, str, bool]]
    minutes: dict[int, Minute]


@dataclass(slots=True)
class Counts:
    """What all workers have counted.

    Args:
        requests: endpoint, status and version to how many.
        durations: endpoint to counts by bucket of `SECONDS`, then the sum of seconds.
        rows: version to rows scored.
        batches: counts by bucket of `ROWS`, then the sum of rows.
        lost: rows that the prediction log could not keep.
        reload_errors: versions that could not be loaded.
        queue: rows that wait.
        running: requests that are being answered.
        memory: bytes.
        workers: how many serve.
        started: when the oldest of them was started, seconds since 1970.
        models: reference, role and whether the fast path is used, of each loaded version.
        minutes: minute since 1970 to its traffic.
    """

    requests: dict[tuple[str, int, str], int] = field(default_factory=dict)
    durations: dict[str, list[float]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    batches: list[float] = field(default_factory=lambda: [0.0] * (len(ROWS) + 2))
    lost: int = 0
    reload_errors: int = 0
    queue: int = 0
    running: int = 0
    memory: int = 0
    workers: int = 0
    started: float = 0.0
    models: set[tuple[str, str, bool]] = field(default_factory=set)
    minutes: dict[int, Minute] = field(default_factory=dict)

    def recent(self, minutes: int, now: float) -> Minute:
        """Return the traffic of the last minutes, the one that runs included."""
        found = Minute()
        for number, minute in self.minutes.items():
            if now // 60 - minutes < number <= now // 60:
                found.requests += minute.requests
                found.refused += minute.refused
                found.failed += minute.failed
                found.durations = [a + b for a, b in zip(found.durations, minute.durations, strict=True)]
        return found


class Metrics:
    """Counts what one worker does.

    Args:
        folder: folder of the snapshots of this server's workers; made if absent.
        worker: a name that no other worker of this server has or had.
    """

    def __init__(self, folder: Path, worker: str) -> None:
        self._path = folder / f"{worker}.metrics"
        self._worker = worker
        self._started = time.time()
        self._requests: dict[tuple[str, int, str], int] = {}
        self._durations: dict[str, list[float]] = {}
        self._rows: dict[str, int] = {}
        self._batches = [0.0] * (len(ROWS) + 2)
        self._minutes: dict[int, Minute] = {}
        self.lost = 0
        """Rows that the prediction log could not keep, so far."""
        self.reload_errors = 0
        """Versions that could not be loaded, so far."""
        self.queue = 0
        """Rows that wait now."""
        self.running = 0
        """Requests that are being answered now."""
        self.models: list[tuple[str, str, bool]] = []
        """Reference, role and whether the fast path is used, of each loaded version."""
        folder.mkdir(parents=True, exist_ok=True)

    def request(self, route: str, status: int, version: str | None, seconds: float, rows: int = 0) -> None:
        """Count an answered request; `rows` are those that were scored for it."""
        key = (route, status, version or "")
        self._requests[key] = self._requests.get(key, 0) + 1
        place = bisect_left(SECONDS, seconds)
        counts = self._durations.get(route)
        if counts is None:
            counts = self._durations[route] = [0.0] * (len(SECONDS) + 2)
        counts[place] += 1
        counts[-1] += seconds
        if rows and status < 400 and version:
            self._rows[version] = self._rows.get(version, 0) + rows
        now = int(time.time() // 60)
        minute = self._minutes.get(now)
        if minute is None:
            minute = self._minutes[now] = Minute()
            for old in [number for number in self._minutes if number <= now - MINUTES]:
                del self._minutes[old]
        minute.requests += 1
        minute.durations[place] += 1
        if status >= 400:
            if status >= 500:
                minute.failed += 1
            else:
                minute.refused += 1

    def batch(self, rows: int) -> None:
        """Count rows that are scored together."""
        self._batches[bisect_left(ROWS, rows)] += 1
        self._batches[-1] += rows

    def flush(self) -> None:
        """Write the snapshot; call it about once a second. A disk that is full costs freshness, nothing else."""
        partial = self._path.with_suffix(".partial")
        with contextlib.suppress(OSError):
            partial.write_bytes(msgspec.msgpack.encode(self._snapshot()))
            os.replace(partial, self._path)

    def _snapshot(self) -> Snapshot:
        # Copied at one go: the status page is made in a thread, while requests are counted.
        return Snapshot(
            self._worker,
            time.time(),
            self._started,
            [(*key, count) for key, count in list(self._requests.items())],
            dict(self._durations),
            dict(self._rows),
            list(self._batches),
            self.lost,
            self.reload_errors,
            self.queue,
            self.running,
            _resident(),
            list(self.models),
            dict(self._minutes),
        )

    def counts(self) -> Counts:
        """Return what all workers have counted: this one now, the others up to their last snapshot."""
        others = (_read(path) for path in sorted(self._path.parent.glob("*.metrics")) if path != self._path)
        return _added([self._snapshot(), *(snapshot for snapshot in others if snapshot is not None)], time.time())

    def text(self) -> bytes:
        """Return the counts of all workers in Prometheus' text format."""
        return "".join(_written(self.counts())).encode()


def _read(path: Path) -> Snapshot | None:
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.msgpack.decode(path.read_bytes(), type=Snapshot)
    return None


def _added(snapshots: Sequence[Snapshot], now: float) -> Counts:
    total = Counts()
    for part in snapshots:
        for route, status, version, count in part.requests:
            key = (route, status, version)
            total.requests[key] = total.requests.get(key, 0) + count
        for route, counts in part.durations.items():
            known = total.durations.get(route) or [0.0] * len(counts)
            total.durations[route] = [a + b for a, b in zip(known, counts, strict=True)]
        for version, rows in part.rows.items():
            total.rows[version] = total.rows.get(version, 0) + rows
        total.batches = [a + b for a, b in zip(total.batches, part.batches, strict=True)]
        total.lost += part.lost
        total.reload_errors += part.reload_errors
        for number, minute in part.minutes.items():
            held = total.minutes.setdefault(number, Minute())
            held.requests += minute.requests
            held.refused += minute.refused
            held.failed += minute.failed
            held.durations = [a + b for a, b in zip(held.durations, minute.durations, strict=True)]
        if now - part.time < STALE:
            total.queue += part.queue
            total.running += part.running
            total.memory += part.memory
            total.workers += 1
            total.models |= set(part.models)
            total.started = min(total.started or part.started, part.started)
    return total


def _written(counts: Counts) -> Iterable[str]:
    """Give the lines of Prometheus' text format."""
    simple: dict[str, list[tuple[Labels, float]]] = {
        "mlframe_requests_total": [
            ((("route", route), ("status", str(status)), ("version", version)), count)
            for (route, status, version), count in sorted(counts.requests.items())
        ],
        "mlframe_rows_total": [((("version", version),), rows) for version, rows in sorted(counts.rows.items())],
        "mlframe_queue_rows": [((), counts.queue)],
        "mlframe_requests_in_progress": [((), counts.running)],
        "mlframe_log_lost_rows_total": [((), counts.lost)],
        "mlframe_reload_errors_total": [((), counts.reload_errors)],
        "mlframe_model_info": [
            ((("version", reference), ("role", role), ("fast", "yes" if fast else "no")), 1)
            for reference, role, fast in sorted(counts.models)
        ],
        "mlframe_workers": [((), counts.workers)],
        "mlframe_resident_memory_bytes": [((), counts.memory)],
        "mlframe_start_time_seconds": [((), counts.started)],
    }
    histograms: dict[str, list[tuple[Labels, Sequence[float], Sequence[float]]]] = {
        "mlframe_request_duration_seconds": [
            ((("route", route),), SECONDS, held) for route, held in sorted(counts.durations.items())
        ],
        "mlframe_batch_rows": [((), ROWS, counts.batches)],
    }
    for name, (kind, text) in HELP.items():
        yield f"# HELP {name} {text}\n# TYPE {name} {kind}\n"
        for labels, value in simple.get(name, ()):
            yield line(name, labels, value)
        for labels, ends, held in histograms.get(name, ()):
            total = 0.0
            for end, count in zip([*map(_number, ends), "+Inf"], held, strict=False):
                total += count
                yield f"{name}_bucket{_labels((*labels, ('le', end)))} {_number(total)}\n"
            yield f"{name}_sum{_labels(labels)} {_number(held[-1])}\n{name}_count{_labels(labels)} {_number(total)}\n"


def line(name: str, labels: Labels, value: float) -> str:
    """Return one value in Prometheus' text format."""
    return f"{name}{_labels(labels)} {_number(value)}\n"


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    parts = (f'{name}="{_escaped(value)}"' for name, value in labels)
    return "{" + ",".join(parts) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def quantile(durations: Sequence[float], share: float) -> float | None:
    """Return a quantile of durations in seconds from counts by bucket of `SECONDS`, None without any.

    Within its bucket it is placed by share, as Prometheus' `histogram_quantile` does; beyond the last end it is that end.
    """
    counts = durations[: len(SECONDS) + 1]
    total = sum(counts)
    if not total:
        return None
    wanted, seen = share * total, 0.0
    for place, count in enumerate(counts):
        if count and seen + count >= wanted:
            if place == len(SECONDS):
                break
            low = SECONDS[place - 1] if place else 0.0
            return low + (SECONDS[place] - low) * (wanted - seen) / count
        seen += count
    return SECONDS[-1]


def _resident() -> int:
    """Return this process's resident memory in bytes, 0 where the system does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
