"""Rows from CSV files, with every broken line named."""

from __future__ import annotations

import csv
import gzip
import io
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO

import polars as pl

from mlframe.contracts import Source
from mlframe.errors import ConfigError, DataError
from mlframe.sources.files import DataFile, fingerprint, list_files, unreadable
from mlframe.sources.frames import PARSED, apply_types, check_names, check_types, drop_repeats, refuse_empty, stack
from mlframe.sources.text import refuse_encoding

__all__ = ["CsvSource", "first_bad_record"]

INFER_ROWS = 10_000
SEPARATORS = ";\t|,"
UTF8 = ("utf-8", "utf8", "utf-8-sig")


class CsvSource(Source):
    """Reads CSV.

    Types that are not declared are inferred: from the first 10,000 rows, and from all rows where a later one does not
    fit. An empty field is null.

    Args:
        path: file, glob or a list of them; plain, `.gz` or `.zst`; local or an fsspec address.
        separator: one character between fields.
        quote: one character around fields that hold a separator or a line break; None when there is none.
        encoding: Python's name of the encoding.
        null_tokens: texts that mean "missing", beside the empty field.
        types: column to `string`, `int`, `float`, `bool`, `datetime`, `date` (both ISO) or `category`.
        times: column to a strftime format.
        decimal_comma: numbers are written 1,5.
        deduplicate: leave out rows that equal an earlier row in every column.
    """

    def __init__(
        self,
        path: str | Sequence[str],
        separator: str = ",",
        quote: str | None = '"',
        encoding: str = "utf-8",
        null_tokens: Sequence[str] = (),
        types: Mapping[str, str] | None = None,
        times: Mapping[str, str] | None = None,
        decimal_comma: bool = False,
        deduplicate: bool = False,
    ) -> None:
        separator = "\t" if separator == "\\t" else separator  # as a command line gives it
        for key, value in (("separator", separator), ("quote", quote)):
            if value is not None and len(value.encode()) != 1:
                raise ConfigError(
                    f"data.source.{key} must be one ASCII character", value=value, where=f"data.source.{key}",
                    hint=r"""quote it twice on the command line, a tab too: 'data.source.separator=";"', '…="\t"'""",
                )  # fmt: skip
        try:
            "".encode(encoding)
        except LookupError as error:
            raise ConfigError(
                "There is no such encoding", value=encoding, where="data.source.encoding",
                hint="Python's names count: utf-8, utf-16, cp1252, latin-1, …",
            ) from error  # fmt: skip
        check_types(types, times)
        self.path = path
        self.separator = separator
        self.quote = quote
        self.encoding = encoding
        self.null_tokens = list(null_tokens)
        self.types = dict(types or {})
        self.times = dict(times or {})
        self.decimal_comma = decimal_comma
        self.deduplicate = deduplicate

    def read(self) -> pl.DataFrame:
        """Return all rows.

        Raises:
            DataError: missing, empty, broken or wrongly encoded file, another separator, or a value that does not fit its type.
        """
        files = list_files(self.path)
        frames = self._one_type([(file, self._one(file, None)) for file in files])
        return drop_repeats(stack(frames, [file.address for file in files]), self.deduplicate)

    def sample(self, rows: int) -> pl.DataFrame:
        """Return the first `rows` rows of the first file; broken lines are looked for by `read` only."""
        return drop_repeats(self._one(list_files(self.path)[0], rows), self.deduplicate)

    def fingerprint(self) -> str:
        """Return a digest of names, sizes and modification times."""
        return fingerprint(list_files(self.path))

    def _one(self, file: DataFile, limit: int | None, as_text: Iterable[str] = ()) -> pl.DataFrame:
        payload = self._payload(file)
        names = self._header(file, payload)
        check_names(names, file.address, {"types": list(self.types), "times": list(self.times)})
        parsed = [name for name, type_ in self.types.items() if type_ in ("string", *PARSED)]
        overrides = dict.fromkeys((*parsed, *self.times, *as_text), pl.String)
        try:
            frame = self._parse(payload, overrides, INFER_ROWS, limit)
            if _starts_empty(frame):
                frame = self._parse(payload, overrides, None, limit)
        except pl.exceptions.ComputeError:
            try:
                frame = self._parse(payload, overrides, None, limit)
            except pl.exceptions.PolarsError as error:
                raise self._explained(file, len(names), error) from error
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._explained(file, len(names), error) from error
        refuse_empty(frame, file.address)
        # polars fills a short line with nulls; without a null in the last column there is no short line.
        if limit is None and frame.width > 1 and frame[:, -1].null_count():
            self._refuse_ragged(file, len(names))
        frame = _numbers(frame, overrides, self.decimal_comma)
        return apply_types(frame, self.types, self.times, file.address)

    def _one_type(self, read: list[tuple[DataFile, pl.DataFrame]]) -> list[pl.DataFrame]:
        """Read a column as text in every file when it is text in one, as if the files were one."""
        mixed = {
            name
            for name in read[0][1].columns
            if len({frame.schema[name] == pl.String for _, frame in read if name in frame.columns}) > 1
            and name not in self.types
        }
        if not mixed:
            return [frame for _, frame in read]
        return [
            frame
            if all(frame.schema.get(name, pl.String) == pl.String for name in mixed)
            else self._one(file, None, mixed & set(frame.columns))
            for file, frame in read
        ]

    def _payload(self, file: DataFile) -> str | bytes:
        """Return what polars reads: the path of a local UTF-8 file, else its bytes as UTF-8."""
        if self.encoding.lower() in UTF8:
            return file.path if file.local else file.read()
        if file.path.endswith(".zst"):
            raise DataError(
                f"A .zst file is read as utf-8 only, not as {self.encoding}", value=file.address,
                where="data.source.encoding", hint="compress it with gzip, or convert it to utf-8",
            )  # fmt: skip
        content = _unzip(file)
        try:
            return content.decode(self.encoding).removeprefix("\ufeff").encode()
        except UnicodeDecodeError as error:
            raise refuse_encoding(content, self.encoding, file.address, error) from error

    def _header(self, file: DataFile, payload: str | bytes) -> list[str]:
        try:
            first = pl.read_csv(
                payload, has_header=False, n_rows=1, infer_schema=False, separator=self.separator,
                quote_char=self.quote, glob=False, truncate_ragged_lines=True,
            )  # fmt: skip
        except pl.exceptions.NoDataError as error:
            raise DataError(
                "The file is empty", value=file.address, where="data.source.path", hint="check how it was written"
            ) from error
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._explained(file, None, error) from error
        names = [name or "" for name in first.row(0)]
        other = next(
            (mark for mark in SEPARATORS if len(names) == 1 and mark != self.separator and mark in names[0]), None
        )
        if other is not None:
            raise DataError(
                f"The header is one field with {other!r} in it", value=names[0], where=file.address,
                hint=f"""say what stands between fields: 'data.source.separator="{other}"'""".replace("\t", r"\t"),
            )  # fmt: skip
        if any("\ufffd" in name or "\0" in name for name in names):
            raise self._explained(file, None, ValueError("the header is no text in this encoding"))
        return [name.removeprefix("\ufeff") for name in names]

    def _parse(
        self, payload: str | bytes, overrides: Mapping[str, type[pl.String]], infer: int | None, limit: int | None
    ) -> pl.DataFrame:
        return pl.read_csv(
            payload,
            separator=self.separator,
            quote_char=self.quote,
            null_values=self.null_tokens or None,
            schema_overrides=overrides,
            infer_schema_length=infer,
            n_rows=limit,
            decimal_comma=self.decimal_comma,
            glob=False,
        )

    def _explained(self, file: DataFile, width: int | None, error: Exception) -> DataError:
        """Return the clearest text for what polars refused: encoding, then a broken line, then polars' own words."""
        if isinstance(error, OSError):
            return unreadable(file.address, error)
        if not file.path.endswith(".zst"):
            content = _unzip(file)
            try:
                content.decode(self.encoding)
                if b"\0" in content[:1000] and self.encoding.lower() in UTF8:
                    return refuse_encoding(content, self.encoding, file.address, None)
            except UnicodeDecodeError as wrong:
                return refuse_encoding(content, self.encoding, file.address, wrong)
        try:
            self._refuse_ragged(file, width)
        except DataError as ragged:
            return ragged
        return DataError(
            f"The CSV file cannot be read: {str(error).splitlines()[0]}",
            value=file.address,
            where="data.source",
            hint="check data.source.separator, quote and encoding, or declare the column in data.source.types",
        )

    def _refuse_ragged(self, file: DataFile, width: int | None) -> None:
        with _lines(file, self.encoding) as lines:
            bad = first_bad_record(lines, self.separator, self.quote, width)
        if bad is not None:
            line, what = bad
            raise DataError(
                f"Line {line} {what}",
                where=f"{file.address}:{line}",
                hint="mend or remove that line; if all lines look like it, check data.source.separator and quote",
            )


def first_bad_record(
    lines: Iterable[str], separator: str, quote: str | None, width: int | None
) -> tuple[int, str] | None:
    """Return the line where the first record with a wrong number of fields begins, and what is wrong with it.

    Lines without a quote are only counted; the others go through Python's strict CSV reader (RFC 4180).

    Args:
        lines: the file's lines with their ends, header first.
        separator: one character.
        quote: one character or None.
        width: fields that a record must have; None: as many as the first.

    Returns:
        (line from 1, what is wrong), None when every record fits.
    """
    source = iter(lines)
    pushed: list[str] = []
    number = 0

    def feed() -> Iterator[str]:
        nonlocal number
        while True:
            if pushed:
                yield pushed.pop()
            else:
                line = next(source, None)
                if line is None:
                    return
                number += 1
                yield line

    limit = csv.field_size_limit(sys.maxsize)
    try:
        for line in source:
            number += 1
            start = number
            if quote is None or quote not in line:
                bare = line.rstrip("\r\n")
                found = bare.count(separator) + 1 if bare or width == 1 else 0
            else:
                pushed.append(line)
                try:
                    found = len(next(csv.reader(feed(), delimiter=separator, quotechar=quote, strict=True)))
                except csv.Error as error:
                    closed = "unexpected end of data" not in str(error)
                    return start, f"is broken: {error if closed else 'a quote that opens here is never closed'}"
            width = found if width is None else width
            if found != width:
                return start, f"has {found} field{'s' if found != 1 else ''}, the header has {width}"
    finally:
        csv.field_size_limit(limit)
    return None


def _numbers(frame: pl.DataFrame, declared: Mapping[str, object], decimal_comma: bool) -> pl.DataFrame:
    """Read as numbers the text columns that are text only because of `nan`, which polars knows as `NaN` alone."""
    found = []
    for name in (name for name, dtype in frame.schema.items() if dtype == pl.String and name not in declared):
        if not _are_numbers(frame[name].head(100), decimal_comma):
            continue  # real text is told by its beginning
        column = frame[name]
        if column.str.to_lowercase().is_in(["nan", "-nan", "+nan"]).any() and _are_numbers(column, decimal_comma):
            found.append(_as_numbers(column, decimal_comma))
    return frame.with_columns(found)


def _as_numbers(column: pl.Series, decimal_comma: bool) -> pl.Series:
    text = column.str.replace(",", ".", literal=True) if decimal_comma else column
    return text.cast(pl.Float64, strict=False)


def _are_numbers(column: pl.Series, decimal_comma: bool) -> bool:
    return _as_numbers(column, decimal_comma).null_count() == column.null_count()


def _starts_empty(frame: pl.DataFrame) -> bool:
    """Tell whether a text column is null in all rows that types were inferred from, and not further down."""
    head = frame.head(INFER_ROWS)
    return frame.height > INFER_ROWS and any(
        dtype == pl.String and head[name].null_count() == head.height and frame[name].null_count() < frame.height
        for name, dtype in frame.schema.items()
    )


def _unzip(file: DataFile) -> bytes:
    content = file.read()
    try:
        return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError) as error:
        raise unreadable(file.address, error) from error


@contextmanager
def _lines(file: DataFile, encoding: str) -> Iterator[Iterable[str]]:
    """Open a file as lines, decompressed and decoded; only a line feed ends a line."""
    if file.path.endswith(".zst"):
        # The unit separator stands in no text file, so that one field is one line.
        payload = file.path if file.local else file.read()
        yield (
            f"{line or ''}\n"
            for line in pl.read_csv(
                payload, separator="\x1f", quote_char=None, has_header=False, infer_schema=False, glob=False
            ).to_series()
        )
        return
    raw: IO[bytes]
    with file.fs.open(file.path, "rb") as raw:
        magic = raw.read(2)
        raw.seek(0)
        stream = gzip.GzipFile(fileobj=raw) if magic == b"\x1f\x8b" else raw
        with io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="\n") as text:
            yield text
