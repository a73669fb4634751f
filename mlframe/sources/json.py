"""Rows from JSON: one object a line, or documents that hold a list of objects."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import polars as pl

from mlframe.contracts import Source
from mlframe.errors import DataError, near_matches
from mlframe.sources.files import DataFile, fingerprint, list_files, unreadable
from mlframe.sources.frames import apply_types, check_names, check_types, drop_repeats, refuse_empty, stack
from mlframe.sources.text import refuse_encoding

__all__ = ["JsonSource"]

LINES = (".jsonl", ".ndjson")


class JsonSource(Source):
    """Reads JSON.

    Objects inside a record become columns `outer_inner`. A key that a record lacks is null.

    Args:
        path: file, glob or a list of them; plain or `.gz`; local or an fsspec address.
        form: `lines` (one object a line), `document` (a list of objects, or a document that holds one), or `auto`:
            lines for names that end in .jsonl or .ndjson, else document.
        records: keys to the list inside a document, joined by dots (`result.items`); None: the document is the list.
        encoding: Python's name of the encoding.
        types: column to `string`, `int`, `float`, `bool`, `datetime`, `date` (both ISO) or `category`.
        times: column to a strftime format.
        deduplicate: leave out rows that equal an earlier row in every column.
    """

    def __init__(
        self,
        path: str | Sequence[str],
        form: Literal["auto", "lines", "document"] = "auto",
        records: str | None = None,
        encoding: str = "utf-8",
        types: Mapping[str, str] | None = None,
        times: Mapping[str, str] | None = None,
        deduplicate: bool = False,
    ) -> None:
        check_types(types, times)
        self.path = path
        self.form = form
        self.records = records
        self.encoding = encoding
        self.types = dict(types or {})
        self.times = dict(times or {})
        self.deduplicate = deduplicate

    def read(self) -> pl.DataFrame:
        """Return all rows.

        Raises:
            DataError: missing, empty, broken or wrongly encoded file, no list of objects, or a value of another type.
        """
        files = list_files(self.path)
        frames = [self._one(file) for file in files]
        return drop_repeats(stack(frames, [file.address for file in files]), self.deduplicate)

    def fingerprint(self) -> str:
        """Return a digest of names, sizes and modification times."""
        return fingerprint(list_files(self.path))

    def _one(self, file: DataFile) -> pl.DataFrame:
        text = self._text(file)
        if not text.strip():
            raise DataError(
                "The file is empty", value=file.address, where="data.source.path", hint="check how it was written"
            )
        name = file.path.removesuffix(".gz")
        lines = self.form == "lines" or (self.form == "auto" and name.endswith(LINES))
        records = _from_lines(text, file.address) if lines else self._from_document(text, file.address)
        if not records:
            raise DataError(
                "The file holds no records",
                value=file.address,
                where="data.source.path",
                hint="check how it was written",
            )
        flat = [_flatten(record, position, file.address) for position, record in enumerate(records, 1)]
        names = list(dict.fromkeys(name for record in flat for name in record))
        check_names(names, file.address, {"types": list(self.types), "times": list(self.times)})
        _refuse_mixed(flat, names, file.address, set(self.types) | set(self.times))
        columns = [
            _series(name, [record.get(name) for record in flat], self.types.get(name) == "string", file.address)
            for name in names
        ]
        frame = refuse_empty(pl.DataFrame(columns), file.address)
        return apply_types(frame, self.types, self.times, file.address)

    def _text(self, file: DataFile) -> str:
        content = file.read()
        try:
            content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        except (OSError, EOFError) as error:
            raise unreadable(file.address, error) from error
        try:
            return content.decode(self.encoding).removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            raise refuse_encoding(content, self.encoding, file.address, error) from error
        except LookupError as error:
            raise DataError(
                "There is no such encoding",
                value=self.encoding,
                where="data.source.encoding",
                hint="such as utf-8 or latin-1",
            ) from error

    def _from_document(self, text: str, address: str) -> list[Any]:
        node = _load(text, address, 1)
        for key in self.records.split(".") if self.records else ():
            if not isinstance(node, dict) or key not in node:
                keys = list(node) if isinstance(node, dict) else []
                near = near_matches(key, keys)
                raise DataError(
                    f"The document has no key {key!r}",
                    value=self.records,
                    where=f"data.source.records, {address}",
                    hint=(f"did you mean {near[0]!r}? " if near else "") + f"keys there: {', '.join(keys) or 'none'}",
                )
            node = node[key]
        if not isinstance(node, list):
            lists = [key for key, value in node.items() if isinstance(value, list)] if isinstance(node, dict) else []
            raise DataError(
                f"The document holds {_kind(node)} where a list of objects is wanted",
                where=f"data.source.records, {address}",
                hint=f"set data.source.records to {' or '.join(lists) or 'the key of the list'}; "
                "data.source.form=lines reads one object a line",
            )
        return node


def _from_lines(text: str, address: str) -> list[Any]:
    return [_load(line, address, number) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def _load(text: str, address: str, line: int) -> Any:
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _object(pairs, address, line))
    except json.JSONDecodeError as error:
        at = line + error.lineno - 1
        raise DataError(
            f"Line {at} is no JSON: {error.msg} (column {error.colno})",
            value=text.split("\n")[error.lineno - 1][max(0, error.colno - 20) : error.colno + 20],
            where=f"{address}:{at}",
            hint="mend that line; data.source.form says whether the file holds lines or one document",
        ) from error
    except RecursionError as error:
        raise DataError(
            "The JSON is nested too deeply",
            where=f"{address}:{line}",
            hint="flatten it before it is read: columns hold single values or short lists",
        ) from error


def _object(pairs: list[tuple[str, Any]], address: str, line: int) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        check_names([key for key, _ in pairs], f"{address}, an object on or after line {line}", {})
    return found


def _flatten(record: Any, position: int, address: str, prefix: str = "") -> dict[str, Any]:
    if not isinstance(record, dict):
        raise DataError(
            f"Record {position} is {_kind(record)}, not an object",
            value=record,
            where=address,
            hint="a record is an object with one key a column; data.source.records names the list that holds them",
        )
    flat: dict[str, Any] = {}
    for key, value in record.items():
        inner = (
            _flatten(value, position, address, f"{prefix}{key}_") if isinstance(value, dict) else {prefix + key: value}
        )
        twice = sorted(set(inner) & set(flat))
        if twice:
            raise DataError(
                f"Record {position} gives a column twice, once from a nested object", value=twice, where=address,
                hint="rename one of the keys",
            )  # fmt: skip
        flat.update(inner)
    return flat


def _refuse_mixed(flat: Sequence[Mapping[str, Any]], names: Sequence[str], address: str, declared: set[str]) -> None:
    """Refuse a column of several types that the config does not settle."""
    for name in names:
        kinds: dict[str, int] = {}
        for position, record in enumerate(flat, 1):
            value = record.get(name)
            if value is not None:
                kinds.setdefault(_kind(value), position)
        if len(kinds) > 1 and name not in declared:
            shown = ", ".join(f"{kind} in record {position}" for kind, position in kinds.items())
            raise DataError(
                f"Column {name!r} mixes types: {shown}",
                where=address,
                hint=f"mend the file, or declare data.source.types.{name}=string",
            )


def _series(name: str, values: list[Any], as_text: bool, address: str) -> pl.Series:
    if as_text or len({_kind(value) for value in values if value is not None}) > 1:
        values = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
    elif any(isinstance(value, float) for value in values):
        values = [None if value is None else float(value) for value in values]
    try:
        return pl.Series(name, values, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"Column {name!r} cannot be read: {error}", where=address, hint=f"declare data.source.types.{name}=string"
        ) from error


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "an object"
