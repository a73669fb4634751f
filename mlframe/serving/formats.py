"""Bodies of requests and answers: JSON, CSV and Arrow."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from mlframe.serving.messages import RequestError

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "ARROW_FILE",
    "ARROW_STREAM",
    "CSV",
    "encode",
    "media_type",
    "read_arrow",
    "read_csv",
    "read_json",
    "written",
]

CSV = "text/csv"
ARROW_STREAM = "application/vnd.apache.arrow.stream"
ARROW_FILE = "application/vnd.apache.arrow.file"
FILE_MAGIC, FILE_END = b"ARROW1\0\0", b"ARROW1"
MOST_TEXT = 64 << 20
"""Bytes of a column's texts; in some of Arrow's types a few bytes can stand for any number of long texts."""
RECORD_BATCH, DICTIONARY_BATCH = 3, 2
"""Kinds of messages in Arrow's Message.fbs."""

_decode = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode
"""Writes plain values as JSON."""


def media_type(header: str) -> str:
    """Return the media type of a Content-Type header, in lower case and without parameters."""
    return header.partition(";")[0].strip().lower()


def read_json(body: bytes | memoryview) -> Any:
    """Read a JSON document.

    Raises:
        RequestError: 400, it is none.
    """
    try:
        return _decode(body)
    except RecursionError:
        raise RequestError(400, "The body's JSON is nested too deeply") from None
    except UnicodeDecodeError:
        raise RequestError(400, "The body's text is not UTF-8") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise RequestError(400, f"The body is no JSON: {error}") from None


def read_csv(body: bytes) -> pl.DataFrame:
    """Read CSV with a header into columns of texts; an empty field is null, `""` the empty text.

    Raises:
        RequestError: 400, it is none.
    """
    import polars as pl

    try:
        return pl.read_csv(io.BytesIO(body), infer_schema=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError, OSError) as error:
        raise _unread("CSV with a header, UTF-8, commas and equally many fields a line", error) from None


def read_arrow(body: bytes, most: int) -> tuple[dict[str, Any], int]:
    """Read an Arrow IPC stream or file.

    The bytes come from anyone, so they are read by Arrow's own library, which is made for that, and checked in full:
    mutated bytes end polars' reader together with its process.

    Args:
        body: the bytes; compressed buffers are refused, since a few bytes may unpack to any number.
        most: how many rows there may be.

    Returns:
        Columns, each an array of numbers or a list of plain values, and how many rows there are.

    Raises:
        RequestError: 400, it is no Arrow; 413, too many rows; 415, it is compressed, or pyarrow is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError:
        raise RequestError(
            415, "This server cannot read Arrow: it needs pyarrow (pip install 'mlframe[arrow]'); send JSON or CSV"
        ) from None
    try:
        data = pa.py_buffer(body)
        of_file = body.startswith(FILE_MAGIC)
        metadata = _metadata_of_file(memoryview(body)) if of_file else _metadata_of_stream(pa, data)
        if any(map(_is_compressed, metadata)):
            raise RequestError(415, "Arrow with compressed buffers is not read; write it uncompressed")
        batches = []
        rows = 0
        with (pa.ipc.open_file if of_file else pa.ipc.open_stream)(data) as reader:
            names = reader.schema.names
            for batch in map(reader.get_batch, range(reader.num_record_batches)) if of_file else reader:
                rows += batch.num_rows
                if rows > most:
                    raise RequestError(413, f"The request has more than {most:,} rows, the most that are taken")
                batch.validate(full=True)
                batches.append(batch)
        if len(set(names)) < len(names):
            raise RequestError(422, "Two columns of the Arrow table have one name")
        table = pa.Table.from_batches(batches, reader.schema)
        return {name: _values(pa, name, table.column(place)) for place, name in enumerate(names)}, rows
    except RequestError:
        raise
    # Arrow's errors derive from a dozen builtins; whatever it says of these bytes is the sender's to mend.
    except Exception as error:
        raise _unread("Arrow IPC", error) from None


def _metadata_of_stream(pa: Any, data: Any) -> Iterator[memoryview]:
    """Give the FlatBuffers metadata of each message of a stream."""
    reader = pa.ipc.MessageReader.open_stream(data)
    while True:
        try:
            yield memoryview(reader.read_next_message().metadata)
        except StopIteration:
            return


def _metadata_of_file(data: memoryview) -> Iterator[memoryview]:
    """Give the FlatBuffers metadata of each message of a file, found as readers do: by the blocks in its footer."""
    length = _u32(data, len(data) - len(FILE_END) - 4)
    footer = data[len(data) - len(FILE_END) - 4 - length :]
    root = _u32(footer, 0)
    for number in (2, 3):  # Footer.dictionaries, Footer.recordBatches
        place = _field(footer, root, number)
        if place is None:
            continue
        blocks = place + _u32(footer, place)
        for block in range(_u32(footer, blocks)):
            (offset,) = struct.unpack_from("<q", footer, blocks + 4 + 24 * block)
            if offset < 0:
                raise ValueError("a block lies before the file")
            yield data[offset + (8 if _u32(data, offset) == 0xFFFFFFFF else 4) :]


def _is_compressed(raw: memoryview) -> bool:
    """Whether a message's record batch has compressed buffers (its FlatBuffers field 3, `RecordBatch.compression`)."""
    message = _u32(raw, 0)
    kind_at, header_at = _field(raw, message, 1), _field(raw, message, 2)
    if kind_at is None or header_at is None or raw[kind_at] not in (RECORD_BATCH, DICTIONARY_BATCH):
        return False
    batch = header_at + _u32(raw, header_at)
    if raw[kind_at] == DICTIONARY_BATCH:
        data_at = _field(raw, batch, 1)
        if data_at is None:
            return False
        batch = data_at + _u32(raw, data_at)
    return _field(raw, batch, 3) is not None


def _field(raw: memoryview, table: int, number: int) -> int | None:
    """Return where a field of a FlatBuffers table lies, None when it is absent."""
    vtable = table - struct.unpack_from("<i", raw, table)[0]
    place = 4 + 2 * number
    if place + 2 > struct.unpack_from("<H", raw, vtable)[0]:
        return None
    offset: int = struct.unpack_from("<H", raw, vtable + place)[0]
    return table + offset if offset else None


def _u32(raw: memoryview, place: int) -> int:
    value: int = struct.unpack_from("<I", raw, place)[0]
    return value


def _values(pa: Any, name: str, column: Any) -> Any:
    """Return a column of Arrow as an array of numbers where it can be one, else as a list of plain values.

    Raises:
        RequestError: 413, its texts are too long together; 422, a type that no input column has.
    """
    types, kind = pa.types, column.type
    if types.is_dictionary(kind) and (types.is_string_view(kind.value_type) or _is_text(types, kind.value_type)):
        found: list[Any] = []
        for chunk in column.chunks:
            texts = chunk.dictionary.to_pylist()
            found += [None if code is None else texts[code] for code in chunk.indices.to_pylist()]
        return _short_enough(name, found, lambda texts: sum(len(text) for text in texts if text is not None))
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
        return column.to_pylist() if column.null_count else column.to_numpy()
    if types.is_timestamp(kind) and kind.unit == "ns":
        # Python's times end at microseconds, as those that the pipeline learned from.
        column = column.cast(pa.timestamp("us", kind.tz), safe=False)
    elif types.is_decimal(kind):
        column = column.cast(pa.float64())
    elif types.is_string_view(kind):
        _short_enough(name, column.chunks, lambda chunks: sum(map(_view_lengths, chunks)))
    elif not (_is_text(types, kind) or types.is_null(kind) or types.is_date(kind) or types.is_timestamp(kind)):
        raise RequestError(
            422, f"The column {name[:60]!r} has Arrow's type {str(kind)[:60]}, which no input column has"
        )
    return column.to_pylist()


def _is_text(types: Any, kind: Any) -> bool:
    """Whether each text of a type has bytes of its own."""
    return bool(types.is_string(kind) or types.is_large_string(kind))


def _short_enough(name: str, held: Any, length: Callable[[Any], int]) -> Any:
    """Refuse texts that share their bytes and are too long when written out."""
    if length(held) > MOST_TEXT:
        raise RequestError(413, f"The texts of the column {name[:60]!r} are longer than {MOST_TEXT >> 20} MB together")
    return held


def _view_lengths(array: Any) -> int:
    """Return the bytes of an array of string views, each of which says its length in the first of four numbers."""
    import numpy as np

    views = np.frombuffer(array.buffers()[1], dtype="<i4").reshape(-1, 4)[array.offset : array.offset + len(array), 0]
    return int(views[array.is_valid().to_numpy(zero_copy_only=False)].astype(np.int64).sum())


def _unread(kind: str, error: BaseException) -> RequestError:
    text = " ".join(str(error).split())
    return RequestError(400, f"The body is no {kind}: {text[:200]}")


def written(frame: pl.DataFrame, kind: str) -> bytes:
    """Return a frame as CSV or Arrow IPC (`CSV`, `ARROW_STREAM` or `ARROW_FILE`)."""
    if kind == CSV:
        return frame.write_csv().encode()
    buffer = io.BytesIO()
    if kind == ARROW_FILE:
        frame.write_ipc(buffer)
    else:
        frame.write_ipc_stream(buffer)
    return buffer.getvalue()
