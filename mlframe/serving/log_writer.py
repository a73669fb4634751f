"""Writes a log beside the requests: a bounded queue, one thread, and files that survive `kill -9`."""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from mlframe.store.segments import Stream, encoded, finish_orphan, layout_of, streams_of

if TYPE_CHECKING:
    import polars as pl

__all__ = ["LogWriter", "Rows"]

CHUNK_RECORDS, CHUNK_ROWS = 512, 8192
"""Records and rows that are made into columns at once; the requests' thread waits for the interpreter no longer."""

PAUSE = 0.0002
"""Seconds between two chunks, in which the requests' thread has the interpreter."""

HURRY_ROWS = 20_000
"""So many waiting rows are written before `flush` is over."""

AGAIN = 60.0
"""Seconds until a segment that could not be written is tried again."""

DAY = 86_400

_LOG = logging.getLogger("mlframe.serving")


class Rows(Protocol):
    """What a log takes: at least a number of rows and a time."""

    rows: int
    time: float


Record = TypeVar("Record", bound=Rows)


@dataclass(slots=True)
class _Batch:
    """Rows that are ready to be written: the day and layout that they have in common, and their bytes."""

    day: date
    layout: str
    first: datetime
    data: bytes
    rows: int


@dataclass(slots=True)
class _Open:
    """A stream, when it becomes a segment, and when that is tried again; on the clock of `time.monotonic`."""

    stream: Stream
    due: float
    again: float = 0.0


class LogWriter(ABC, Generic[Record]):
    """A log that may be added to from a request; a daemon thread does the rest.

    Rows wait in the queue until they are on the disk. A disk that is full costs nothing until the queue is full too; from
    then on rows are lost and counted, until there is room again.

    Args:
        folder: folder of the log, such as `<store>/predictions/<name>`; made when absent.
        worker: name of this process among those that write here.
        flush: seconds between two writes; what `kill -9` may cost.
        rotate_bytes: a stream of this size becomes a segment.
        rotate_seconds: so does one of this age.
        queue: rows that may wait.
    """

    def __init__(
        self, folder: Path, worker: str, *, flush: float, rotate_bytes: int, rotate_seconds: float, queue: int
    ) -> None:
        self.folder = folder
        self.worker = worker
        self.lost = 0
        self.written = 0
        self.error: str | None = None
        self._flush = flush
        self._rotate_bytes = rotate_bytes
        self._rotate_seconds = rotate_seconds
        self._limit = queue
        self._hurry = min(queue // 2, HURRY_ROWS)
        self._lock = threading.Lock()
        self._records: list[Record] = []
        self._batches: list[_Batch] = []
        self._streams: dict[tuple[date, str], _Open] = {}
        self._orphans: list[Path] | None = None
        self._adopt_again = 0.0
        self._waiting = 0
        self._closed = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"log-{worker}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Rows that are not on the disk yet."""
        return self._waiting

    def add(self, record: Record) -> bool:
        """Take a record, in a few microseconds; never blocks and never raises.

        The record and what it holds must not be changed afterwards.

        Returns:
            Whether it was taken; False when the queue is full or the log is closed, and its rows count as lost.
        """
        if not record.rows:
            return True
        with self._lock:
            if self._closed or self._waiting + record.rows > self._limit:
                self.lost += record.rows
                return False
            self._records.append(record)
            self._waiting += record.rows
        if self._waiting > self._hurry and not self._wake.is_set():
            self._wake.set()
        return True

    def close(self, timeout: float = 30.0) -> None:
        """Write what waits, make segments of the streams, and end; what could not be written counts as lost.

        Args:
            timeout: seconds after which a disk that does not answer is no longer waited for.
        """
        with self._lock:
            self._closed = True
        self._wake.set()
        self._thread.join(timeout)
        with self._lock:
            self.lost += self._waiting
            self._waiting = 0

    @abstractmethod
    def _key(self, record: Record) -> Hashable:
        """Return what records of one frame have in common."""

    @abstractmethod
    def _frame(self, records: Sequence[Record]) -> pl.DataFrame:
        """Return the rows of records with one key, with the column `time`; raises when they cannot be logged."""

    # ------------------------------------------------------------------------------------------- the thread's work

    def _work(self) -> None:
        while True:
            self._wake.wait(self._flush)
            self._wake.clear()
            closing = self._closed
            self._turn(closing)
            if closing:
                return

    def _turn(self, closing: bool) -> None:
        """Write what waits; whatever goes wrong is told in `error` and tried again at the next turn."""
        import polars as pl

        try:
            self._collect()
            try:
                self._write()
            except OSError as error:  # segments are a twentieth of their streams: making them may make room
                self._tell(error)
            self._rotate(closing)
            self._adopt()
        except Exception as error:
            self._tell(error)
        except pl.exceptions.PanicException as error:  # no Exception, and no reason to stop logging
            self._tell(error)

    def _collect(self) -> None:
        """Turn the records of the queue into batches."""
        import polars as pl

        with self._lock:
            records, self._records = self._records, []
        frames: dict[tuple[date, str], list[pl.DataFrame]] = {}
        firsts: dict[tuple[date, str], datetime] = {}
        for chunk in self._chunks(records):
            for first, frame in self._frames(chunk):
                place = (first.date(), layout_of(frame))
                frames.setdefault(place, []).append(frame)
                firsts.setdefault(place, first)
            time.sleep(PAUSE)
        for place, parts in frames.items():
            whole = pl.concat(parts)
            self._batches.append(_Batch(*place, firsts[place], encoded(whole), whole.height))

    def _chunks(self, records: list[Record]) -> Iterator[list[Record]]:
        """Give records of one key and day, few at a time."""
        groups: dict[Hashable, list[Record]] = {}
        for record in records:
            groups.setdefault((self._key(record), record.time // DAY), []).append(record)
        for group in groups.values():
            chunk: list[Record] = []
            rows = 0
            for record in group:
                chunk.append(record)
                rows += record.rows
                if len(chunk) >= CHUNK_RECORDS or rows >= CHUNK_ROWS:
                    yield chunk
                    chunk, rows = [], 0
            if chunk:
                yield chunk

    def _frames(self, records: list[Record]) -> list[tuple[datetime, pl.DataFrame]]:
        """Return time and frame of records; if that fails, those of each that can be logged, and lose the others."""
        import polars as pl

        try:
            return [(datetime.fromtimestamp(records[0].time, UTC), self._frame(records))]
        except (Exception, pl.exceptions.PanicException) as error:
            if len(records) > 1:
                return [found for record in records for found in self._frames([record])]
            self._tell(error)
            with self._lock:
                self.lost += records[0].rows
                self._waiting -= records[0].rows
            return []

    def _write(self) -> None:
        """Write batches in their order; the first one that fails stays, with those behind it."""
        while self._batches:
            batch = self._batches[0]
            stream = self._stream(batch)
            stream.append(batch.data)
            del self._batches[0]
            with self._lock:
                self._waiting -= batch.rows
                self.written += batch.rows
            self.error = None

    def _stream(self, batch: _Batch) -> Stream:
        place = (batch.day, batch.layout)
        opened = self._streams.get(place)
        if opened is not None and not (opened.stream.sound and opened.stream.there):
            opened.stream.close()
            del self._streams[place]
            opened = None
        if opened is None:
            stream = Stream(self.folder, self.worker, batch.first, batch.layout)
            opened = self._streams[place] = _Open(stream, time.monotonic() + self._rotate_seconds)
        return opened.stream

    def _rotate(self, closing: bool) -> None:
        """Make segments of streams that are large or old, and of all in the end."""
        now = time.monotonic()
        for place, opened in list(self._streams.items()):
            if not opened.stream.there:  # a person has removed it
                opened.stream.close()
                del self._streams[place]
                continue
            ripe = opened.stream.size >= self._rotate_bytes or now >= opened.due
            if closing or (ripe and now >= opened.again):
                try:
                    opened.stream.finish()
                except OSError as error:
                    opened.again = now + AGAIN
                    self._tell(error)
                else:
                    del self._streams[place]

    def _adopt(self) -> None:
        """Make segments of what dead writers left, one a turn, so that requests' rows need not wait long."""
        if self._orphans is None:
            self._orphans = streams_of(self.folder)
        if not self._orphans or time.monotonic() < self._adopt_again:
            return
        path = self._orphans.pop()
        try:
            finish_orphan(path)
        except OSError:
            self._orphans.insert(0, path)
            self._adopt_again = time.monotonic() + AGAIN
            raise

    def _tell(self, error: BaseException) -> None:
        text = f"{type(error).__name__}: {error}"
        if text != self.error:  # once, not every second
            _LOG.warning("the log in %s: %s", self.folder, text)
        self.error = text
