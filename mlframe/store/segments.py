"""Files of a log: open Arrow streams that survive `kill -9`, and the Parquet segments that they become.

    <folder>/open/<stem>.arrows           a stream that one process appends to, and holds a lock on while it lives
    <folder>/<date>/<stem>.parquet        a segment: never changed; its rows are of one day (UTC)

A stem is `<time of the first row>-<worker>-<layout>-<random>`; the layout is a digest of column names and types, so that
readers need not open a file to know which ones are alike. A stream becomes the segment of its own stem: a process that
dies between the two leaves both, and whoever reads takes the segment.

An Arrow stream is a message with the schema, then messages with rows, each with its length in front. polars writes whole
streams only; a batch is appended by leaving the schema and the end mark of such a stream out. A tail that was torn off
ends before the length that it names, and is not read. https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import logging
import os
import re
import secrets
import struct
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlframe.store.objects import flush_folder

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "OPEN",
    "Stream",
    "day_folders",
    "day_of",
    "encoded",
    "finish_orphan",
    "is_torn",
    "layout_named",
    "layout_of",
    "read_stream",
    "segment_of",
    "streams_of",
    "whole_length",
]

OPEN = "open"
STREAM, SEGMENT, DAMAGED = ".arrows", ".parquet", ".damaged"

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_UNSAFE = re.compile(r"[^A-Za-z0-9_]+")
_MARK = 0xFFFFFFFF
_LOG = logging.getLogger("mlframe.store")


def layout_of(frame: pl.DataFrame) -> str:
    """Return eight hex digits that frames with the same columns, types and order share."""
    text = "\n".join(f"{name}\t{dtype}" for name, dtype in frame.schema.items())
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def layout_named(path: Path) -> str:
    """Return the layout that a file's name tells."""
    return path.stem.rsplit("-", 2)[-2]


def day_of(path: Path) -> date:
    """Return the day of a file's rows, from its name."""
    return date.fromisoformat(path.stem[:10])


def segment_of(stream: Path) -> Path:
    """Return the segment that a stream becomes."""
    return stream.parent.parent / stream.stem[:10] / f"{stream.stem}{SEGMENT}"


def day_folders(folder: Path) -> list[Path]:
    """Return the folders of segments of a log, the oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _DAY.fullmatch(path.name) and path.is_dir())


def encoded(frame: pl.DataFrame) -> bytes:
    """Return a frame as an Arrow stream without its end mark, in one batch, with types that every Arrow library reads."""
    import polars as pl

    buffer = io.BytesIO()
    frame.rechunk().write_ipc_stream(buffer, compat_level=pl.CompatLevel.oldest())
    return buffer.getvalue()[:-8]


class Stream:
    """A stream that this process appends to; made, locked and named after its first row.

    Args:
        folder: folder of the log.
        worker: who writes; letters, digits and `_` of it are in the file's name.
        first: time of the first row (UTC).
        layout: `layout_of` its frames.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, folder: Path, worker: str, first: datetime, layout: str) -> None:
        place = folder / OPEN
        if not place.is_dir():
            place.mkdir(parents=True, exist_ok=True)
            flush_folder(folder)
        while True:
            stem = f"{first:%Y-%m-%dT%H%M%S}-{_UNSAFE.sub('_', worker)}-{layout}-{secrets.token_hex(4)}"
            self.path = place / f"{stem}{STREAM}"
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
            if _locked(self._file):
                break
            os.close(self._file)  # taken for an orphan in the moment between; it is removed as an empty one
        self.size = 0
        self.sound = True

    def append(self, batch: bytes) -> None:
        """Add what `encoded` gave, and make it survive a loss of power; all of it, or nothing.

        Raises:
            OSError: it could not be written.
        """
        rest = memoryview(batch)[_first_length(batch) if self.size else 0 :]
        after, at = self.size + len(rest), self.size
        try:
            if not self.size:
                flush_folder(self.path.parent)
            while rest:
                done = os.pwrite(self._file, rest, at)
                rest, at = rest[done:], at + done
            os.fsync(self._file)
        except OSError:
            try:
                os.ftruncate(self._file, self.size)
            except OSError:
                self.sound = False  # nothing may be appended behind half a batch
            raise
        self.size = after

    @property
    def there(self) -> bool:
        """Whether the file still has its name; a person may have removed the folder."""
        return os.fstat(self._file).st_nlink > 0

    def finish(self) -> None:
        """Turn the stream into its segment; nothing may be appended any more.

        Raises:
            OSError: the segment could not be written; the stream is as it was.
        """
        _finish(self.path)
        self.close()

    def close(self) -> None:
        """Let go of the file; the next one who looks for orphans finds it."""
        os.close(self._file)


def streams_of(folder: Path) -> list[Path]:
    """Return the streams of a log, whether somebody writes to them or not, the oldest first."""
    return sorted((folder / OPEN).glob(f"*{STREAM}"))


def finish_orphan(path: Path) -> bool:
    """Turn a dead writer's stream into its segment, without the torn tail, and return whether it was ours to do.

    A stream that is damaged otherwise is put aside as `<stem>.damaged`.

    Raises:
        OSError: the segment could not be written; the stream is as it was.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        if not _locked(file) or not os.fstat(file).st_nlink:
            return False  # its writer lives, or another process was faster
        _finish(path)
    finally:
        os.close(file)
    return True


def read_stream(path: Path) -> pl.DataFrame | None:
    """Return the whole batches of a stream, None when there are none. Its writer may be at work.

    Raises:
        FileNotFoundError: it has become a segment meanwhile.
        ValueError: it is no stream of ours, or damaged before its end.
    """
    import polars as pl

    data = path.read_bytes()  # no memory map: the writer may cut half a batch off meanwhile
    length = whole_length(data)
    if length == _first_length(data):
        return None
    whole = io.BytesIO(memoryview(data)[:length])
    del data
    try:
        return pl.read_ipc_stream(whole)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def whole_length(data: bytes) -> int:
    """Return how many bytes of a stream are whole messages."""
    at = 0
    for length in _message_lengths(data):
        at += length
    return at


def is_torn(tail: bytes) -> bool:
    """Tell whether bytes after the last whole message are a message that was not written to its end."""
    if len(tail) < 8 or not tail.strip(b"\0"):  # some file systems fill up with zeros after a loss of power
        return True
    mark, size = struct.unpack_from("<Ii", tail, 0)
    if mark != _MARK or size <= 0:
        return False
    return bool(len(tail) < 8 + size or _body_length(tail, 8, 8 + size) > len(tail) - 8 - size)


def _message_lengths(data: bytes) -> Iterator[int]:
    """Give the length of each whole message: a mark, the length of its metadata, the metadata, its body."""
    at, end = 0, len(data)
    while at + 8 <= end:
        mark, size = struct.unpack_from("<Ii", data, at)
        if mark != _MARK or size <= 0 or at + 8 + size > end:
            return
        body = _body_length(data, at + 8, at + 8 + size)
        if not 0 <= body <= end - at - 8 - size:
            return
        yield 8 + size + body
        at += 8 + size + body


def _body_length(data: bytes, start: int, end: int) -> int:
    """Return field 3 (`bodyLength`) of the flatbuffer `Message` in a part of the data, -1 when there is none."""

    def read(form: str, at: int) -> int:
        if not start <= at <= end - struct.calcsize(form):
            raise ValueError
        return int(struct.unpack_from(form, data, at)[0])

    try:
        table = start + read("<I", start)
        names = table - read("<i", table)
        if read("<H", names) <= 10:
            return 0  # fields at the end that have their default are not there
        offset = read("<H", names + 10)
        return read("<q", table + offset) if offset else 0
    except ValueError:
        return -1


def _first_length(data: bytes) -> int:
    """Return the length of a stream's schema."""
    return next(_message_lengths(data), 0)


def _locked(file: int) -> bool:
    """Take the lock that the kernel gives back when its holder dies, if nobody has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _finish(stream: Path) -> None:
    """Write the segment of a stream whose lock we hold, unless it is there, then remove the stream."""
    segment = segment_of(stream)
    if not segment.exists():
        sound = True
        try:
            frame = read_stream(stream)
            data = stream.read_bytes()
            sound = is_torn(data[whole_length(data) :])
        except ValueError:
            frame, sound = None, False
        if frame is not None:
            _write_segment(frame, segment)
        if not sound:  # more than a torn tail: nothing is thrown away that may be worth a look
            _LOG.warning("%s is damaged; what can be read of it is kept in %s", stream, segment)
            os.replace(stream, stream.with_suffix(DAMAGED))
            flush_folder(stream.parent)
            return
    stream.unlink()
    flush_folder(stream.parent)


def _write_segment(frame: pl.DataFrame, segment: Path) -> None:
    buffer = io.BytesIO()  # polars wraps a full disk in errors of its own; the operating system's tell what to do
    frame.write_parquet(buffer, compression="zstd")
    if not segment.parent.is_dir():
        segment.parent.mkdir(parents=True, exist_ok=True)
        flush_folder(segment.parent.parent)
    partial = segment.with_name(f".{segment.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, segment)
    except OSError:
        with suppress(OSError):
            partial.unlink()
        raise
    flush_folder(segment.parent)
