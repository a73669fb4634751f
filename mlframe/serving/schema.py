"""The bundle's input schema: checks what came over the wire and turns it into columns.

A good request costs a few microseconds: one compiled function a column, and no word is said. Only when a value does not
fit are the rows looked at again, and every fault gets its row, its field, what was expected and what was found.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlframe.errors import near_matches
from mlframe.serving.fields import LONGEST, Field, Unfit, brief
from mlframe.serving.messages import FAULTS_SHOWN, RequestError

if TYPE_CHECKING:
    import numpy.typing as npt
    import polars as pl

__all__ = ["RULES", "Schema"]

RULES = "schema.json"
"""File of a bundle with the validators' rules; bundles of older versions have none, and only types are checked."""

TITLE = "The request does not fit the model's input schema"
UNKNOWN_SHOWN = 20
MOST_ROWS = 10_000

Columns = dict[str, "list[Any] | npt.NDArray[Any]"]


class Schema:
    """The input columns of a model.

    Args:
        columns: records of the feature columns (`Pipeline.columns`).
        rules: what the validators ask of values (`Validator.rules`), by column.
        examples: rows that the model knows, as JSON spells them; values of private columns are made up.
        most: how many rows a request may have.

    Raises:
        BundleError: a column has a type that no request can hold.
    """

    def __init__(
        self,
        columns: Sequence[Mapping[str, Any]],
        rules: Mapping[str, Mapping[str, Any]] | None = None,
        examples: Sequence[Mapping[str, Any]] = (),
        most: int = MOST_ROWS,
    ) -> None:
        self.columns = [dict(column) for column in columns]
        self.most = most
        self.fields = {column["name"]: Field(column, (rules or {}).get(column["name"])) for column in columns}
        self.examples = [
            {name: field.example() if field.private else row[name] for name, field in self.fields.items()}
            for row in examples
        ]
        self._ones = [(name, field.one) for name, field in self.fields.items()]
        self._patterned = [field for field in self.fields.values() if field.pattern is not None]

    @classmethod
    def load(
        cls, folder: Path, columns: Sequence[Mapping[str, Any]], *, examples: int = 3, most: int = MOST_ROWS
    ) -> Schema:
        """Read a bundle's rules and a few of its example rows.

        Args:
            folder: the bundle; its digests have been checked.
            columns: records of the feature columns.
            examples: how many rows.
            most: how many rows a request may have.
        """
        import polars as pl

        path = folder / RULES
        rules = json.loads(path.read_text(encoding="utf-8"))["rules"] if path.is_file() else {}
        made = cls(columns, rules, most=most)
        file = folder / "examples.arrow"
        if not examples or not file.is_file():
            return made
        frame = pl.read_ipc(file).head(examples)
        times = [pl.col(name).cast(pl.String) for name, f in made.fields.items() if f.dtype == "Date"]
        times += [pl.col(n).dt.to_string("iso:strict") for n, f in made.fields.items() if f.dtype == "Datetime"]
        return cls(columns, rules, frame.with_columns(times).to_dicts(), most)

    @property
    def names(self) -> list[str]:
        """The columns' names, in the pipeline's order."""
        return list(self.fields)

    def example(self) -> dict[str, Any]:
        """Return a row that can be asked; private values are made up."""
        return dict(self.examples[0]) if self.examples else {name: f.example() for name, f in self.fields.items()}

    # -------------------------------------------------------------------------------------------- reading

    def count(self, rows: int) -> None:
        """Refuse no rows (422) and too many (413).

        Raises:
            RequestError: rows are none, or more than the server takes.
        """
        if rows < 1:
            raise RequestError(422, "The request has no rows")
        if rows > self.most:
            raise RequestError(
                413, f"The request has {rows:,} rows, at most {self.most:,} are taken; send fewer at a time"
            )

    def rows(self, rows: Sequence[Any]) -> Columns:
        """Check rows that are JSON objects.

        Raises:
            RequestError: 422, every fault by row and field.
        """
        width = len(self._ones)
        self.count(len(rows))
        try:
            for row in rows:
                if type(row) is not dict or len(row) != width:
                    raise Unfit
            found = {name: [one(row[name]) for row in rows] for name, one in self._ones}
            for field in self._patterned:
                if field.unmatched(found[field.name]):
                    raise Unfit
        except (Unfit, KeyError):
            raise self._faults_of_rows(rows) from None
        return dict(found)

    def lists(self, columns: Mapping[str, Any], rows: int) -> Columns:
        """Check columns: a list of plain values, or an array of numbers, for each.

        Args:
            columns: by name, each `rows` long.
            rows: how many rows there are.

        Raises:
            RequestError: 422, every fault by row and field.
        """
        self.count(rows)
        faults = _Faults()
        faults.names(self, [(None, list(columns))])
        found: Columns = {}
        for place, (name, field) in enumerate(self.fields.items()):
            if name not in columns:
                continue
            values = columns[name]
            if not isinstance(values, list):
                array = field.numbers(values)
                if array is not None:
                    found[name] = array
                    continue
                values = values.tolist()
            try:
                good = [field.one(value) for value in values]
                if field.pattern is None or not field.unmatched(good):
                    found[name] = good
                    continue
            except Unfit:
                pass
            faults.column(field, place, values)
        if faults.count:
            raise faults.error()
        return found

    def frame(self, frame: pl.DataFrame) -> Columns:
        """Check a frame: numbers of any width, any texts, times of any unit and zone (they become UTC).

        Raises:
            RequestError: 422, every fault by row and field.
        """
        return self.lists({name: _plain(frame[name]) for name in frame.columns}, frame.height)

    def texts(self, frame: pl.DataFrame) -> Columns:
        """Check a frame whose columns are all texts, as CSV gives them; null is a missing value.

        Raises:
            RequestError: 422, every fault by row and field.
        """
        return self.lists(
            {
                name: _read(frame[name], self.fields[name].dtype) if name in self.fields else []
                for name in frame.columns
            },
            frame.height,
        )

    def _faults_of_rows(self, rows: Sequence[Any]) -> RequestError:
        faults = _Faults()
        for number, row in enumerate(rows):
            if not isinstance(row, dict):
                faults.add(number, -1, None, "an object with one key a column", brief(row))
        objects = [(number, row) for number, row in enumerate(rows) if isinstance(row, dict)]
        faults.names(self, objects)
        for place, (name, field) in enumerate(self.fields.items()):
            held = [(number, row[name]) for number, row in objects if name in row]
            faults.column(field, place, [value for _, value in held], [number for number, _ in held])
        return faults.error()


class _Faults:
    """Gathers faults; texts are made only for those that will be shown."""

    def __init__(self) -> None:
        self.count = 0
        self.kept: list[tuple[int, int, dict[str, Any]]] = []

    def add(self, row: int | None, place: int, field: str | None, expected: str, found: str) -> None:
        self.count += 1
        fault = {"row": row, "field": field, "expected": expected, "found": found}
        self.kept.append((-1 if row is None else row, place, fault))
        if len(self.kept) > 4 * FAULTS_SHOWN:
            self._trim()

    def _trim(self) -> None:
        self.kept.sort(key=lambda item: item[:2])
        del self.kept[FAULTS_SHOWN:]

    def names(self, schema: Schema, held: Sequence[tuple[int | None, Any]]) -> None:
        """Note missing and unknown names; `held` is a row's number and what has the names."""
        known = schema.fields
        for number, names in held:
            for place, field in enumerate(known.values()):
                if field.name not in names:
                    self.add(number, place, field.name, field.expected, "no such key")
            for name in names:
                if name not in known:
                    shown = len(self.kept) < UNKNOWN_SHOWN and len(name) <= LONGEST
                    near = near_matches(name, known, limit=1) if shown else []
                    hint = f" (did you mean {near[0]!r}?)" if near else ""
                    self.add(number, len(known), name[:LONGEST], f"no such field{hint}", "a field of this name")

    def column(self, field: Field, place: int, values: Sequence[Any], rows: Sequence[int] | None = None) -> None:
        """Note the values of one column that do not fit; `rows` are their numbers when they are not 0, 1, …."""
        good: list[Any] = []
        numbers: list[int] = []
        expected = field.expected
        for index, value in enumerate(values):
            number = index if rows is None else rows[index]
            try:
                good.append(field.one(value))
                numbers.append(number)
            except Unfit:
                self.add(number, place, field.name, expected, field.found(value))
        for index in field.unmatched(good):
            self.add(numbers[index], place, field.name, expected, field.found(good[index]))

    def error(self) -> RequestError:
        self._trim()
        details = [fault for _, _, fault in self.kept]
        return RequestError(422, TITLE, details, more=self.count - len(details))


def _plain(series: pl.Series) -> Any:
    """Return a column as an array of numbers where it can be one, else as a list of plain values."""
    import polars as pl

    dtype = series.dtype
    if (dtype.is_numeric() or dtype == pl.Boolean) and not series.null_count():
        return (series.cast(pl.Float64) if dtype.is_decimal() else series).to_numpy()
    if dtype.is_decimal():
        series = series.cast(pl.Float64)
    return series.to_list()


def _read(series: pl.Series, dtype: str) -> Any:
    """Read a column of texts; what is no value of the type stays a text, and is refused as such."""
    import polars as pl

    if dtype in ("String", "Date", "Datetime"):
        return series.to_list()
    if dtype == "Boolean":
        words = series.str.to_lowercase()
        known = {"true": True, "false": False}
        read = words.replace_strict(known, default=None, return_dtype=pl.Boolean)
    else:
        read = series.cast(pl.Float64 if "Int" not in dtype else pl.Int64, strict=False)
        if read.null_count() > series.null_count():
            wide = pl.UInt64 if dtype == "UInt64" else pl.Float64
            second = series.cast(wide, strict=False)
            if second.null_count() < read.null_count():
                read = second
    if read.null_count() == series.null_count():
        return _plain(read)
    return [text if value is None else value for text, value in zip(series.to_list(), read.to_list(), strict=True)]
