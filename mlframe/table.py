"""A polars frame plus what each column is for: its role, its kind and its tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from mlframe.errors import DataError, UnknownNameError, near_matches

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

__all__ = ["KINDS", "ROLES", "ROW", "TAGS", "Column", "Table", "describe_columns", "time_hint", "to_polars"]

ROLES = ("feature", "target", "id", "time", "group", "weight", "ignore")
TAGS = ("protected", "pii")
"""Tags that mean something; others are a project's own."""
KINDS = ("numeric", "categorical", "text", "datetime", "boolean")

ROW = "__row__"
"""Name of the column that numbers the rows as the source gave them (UInt32); reserved."""

TIME_FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y/%m/%d",
    "%Y%m%d",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
    "%d/%m/%Y",
    "%m/%d/%Y",
)
"""Forms of dates that are recognized in hints; the first one that fits all values that are looked at is named."""
TIMES_TRIED = 1000

TEXT_MIN_WORDS = 4.0
TEXT_MIN_DISTINCT = 0.5


@dataclass(frozen=True)
class Column:
    """What one column is.

    Args:
        name: name of the column.
        role: one of `ROLES`; only `feature` reaches a model.
        kind: one of `KINDS`.
        tags: free words; `protected` and `pii` have a meaning.
        dtype: the polars type, as text.
        inferred: whether the kind was inferred by `describe_columns` (else it was declared).
    """

    name: str
    role: str = "feature"
    kind: str = "numeric"
    tags: tuple[str, ...] = ()
    dtype: str = ""
    inferred: bool = True


@dataclass(frozen=True)
class Table:
    """A frame and its columns.

    Args:
        frame: the rows; holds the column `ROW`.
        columns: one record for each column of the frame but `ROW`, in the frame's order.
    """

    frame: pl.DataFrame
    columns: tuple[Column, ...]

    def __len__(self) -> int:
        return self.frame.height

    def names(self, role: str) -> list[str]:
        """Return the names of the columns of one role, in order."""
        return [column.name for column in self.columns if column.role == role]

    def one(self, role: str) -> str | None:
        """Return the name of the only column of a role, None if there is none.

        Raises:
            DataError: more than one column has the role.
        """
        names = self.names(role)
        if len(names) > 1:
            raise DataError(
                f"{len(names)} columns have the role {role!r}; there can be one",
                value=names,
                where="data.columns",
                hint=f"keep the role {role!r} on one column and set the others to 'ignore'",
            )
        return names[0] if names else None

    @property
    def features(self) -> tuple[Column, ...]:
        """The columns that may reach a model."""
        return tuple(column for column in self.columns if column.role == "feature")

    @property
    def row_ids(self) -> np.ndarray[Any, Any]:
        """The rows' numbers in the source, shape (rows,), uint32."""
        return self.frame[ROW].to_numpy()

    def take(self, rows: np.ndarray[Any, Any]) -> Table:
        """Return the table of the given positions (not row ids), in that order."""
        return replace(self, frame=self.frame[rows])

    def with_frame(self, frame: pl.DataFrame) -> Table:
        """Return a table of other rows with the same columns."""
        return replace(self, frame=frame)

    def column_records(self) -> list[dict[str, Any]]:
        """Return the columns as plain dictionaries (for JSON)."""
        return [asdict(column) for column in self.columns]


def to_polars(native: Any, *, where: str = "data.source") -> pl.DataFrame:
    """Turn any frame that narwhals understands into a polars frame.

    Raises:
        DataError: narwhals does not know the object.
    """
    import polars as pl

    if isinstance(native, pl.DataFrame):
        return native
    if isinstance(native, pl.LazyFrame):
        return native.collect()
    import narwhals as nw

    try:
        frame = nw.from_native(native)
    except TypeError as error:
        raise DataError(
            f"The source gave a {type(native).__name__}, which is no frame that narwhals understands",
            where=where,
            hint="return a polars, pandas, pyarrow, DuckDB or other narwhals-supported frame from read()",
        ) from error
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    try:
        result: pl.DataFrame = frame.to_polars()
    except ImportError:  # pandas' texts and nullable numbers go this way through pyarrow, which need not be there
        result = pl.DataFrame([_column(frame[name]) for name in frame.columns])
    return result


def _column(series: Any) -> pl.Series:
    """Turn a column that narwhals knows into a polars one, value by value where its library has more than numpy's types."""
    import polars as pl

    if not series.is_null().any() and series.dtype.is_numeric():
        return pl.Series(series.name, series.to_numpy())
    values = zip(series.to_list(), series.is_null().to_list(), strict=True)
    return pl.Series(series.name, [None if missing else value for value, missing in values])


def describe_columns(frame: pl.DataFrame, declared: Mapping[str, Mapping[str, Any] | None]) -> tuple[Column, ...]:
    """Give each column of a frame its role, kind and tags.

    A kind that is not declared is inferred from the polars type: numbers are `numeric`, Boolean `boolean`, dates and
    times `datetime`, Categorical and Enum `categorical`. A String column is `text` when its values have four words or
    more on average and at least half of them differ, else `categorical`.

    Args:
        frame: the rows.
        declared: `data.columns` of the config: name to role, kind and tags.

    Returns:
        One record for each column but `ROW`, in the frame's order.

    Raises:
        DataError: a declared column is not in the frame; all missing ones are named.
        UnknownNameError: a role or kind that does not exist, or a tag that is a slip of the pen away from a known one.
    """
    names = [name for name in frame.columns if name != ROW]
    missing = [name for name in declared if name not in names]
    if missing:
        near = {name: near_matches(name, names) for name in missing}
        guesses = "; ".join(f"{name!r}: did you mean {found[0]!r}?" for name, found in near.items() if found)
        raise DataError(
            f"The data has no column {', '.join(repr(name) for name in missing)}",
            where="data.columns",
            hint="; ".join(filter(None, [guesses, f"the columns are: {', '.join(names)}"])),
        )
    columns = []
    for name in names:
        spec = dict(declared.get(name) or {})
        role, kind = spec.get("role") or "feature", spec.get("kind")
        if role not in ROLES:
            raise UnknownNameError.from_name("role", str(role), ROLES, where=f"data.columns.{name}.role")
        if kind is not None and kind not in KINDS:
            raise UnknownNameError.from_name("kind", str(kind), KINDS, where=f"data.columns.{name}.kind")
        series = frame[name]
        if kind == "datetime" and role != "ignore" and str(series.dtype) == "String" and series.count():
            raise DataError(
                f"The column {name!r} is declared as datetime, and the source gives text",
                value=series.drop_nulls().first(),
                where=f"data.columns.{name}.kind",
                hint=time_hint(series),
            )
        columns.append(
            Column(
                name=name,
                role=role,
                kind=kind or _infer_kind(series),
                tags=_tags(name, spec.get("tags")),
                dtype=str(series.dtype),
                inferred=kind is None,
            )
        )
    return tuple(columns)


def time_hint(series: pl.Series) -> str:
    """Say how to parse a column of texts as times, with the format of its values where that is a common one."""
    import polars as pl

    texts = series.cast(pl.String).drop_nulls().head(TIMES_TRIED)
    for form in TIME_FORMATS if len(texts) else ():
        if texts.str.strptime(pl.Datetime("us"), form, strict=False).null_count() == 0:
            return f"parse it: 'data.source.times.{series.name}=\"{form}\"'"
    return (
        f"parse it: 'data.source.times.{series.name}=\"FORMAT\"', with the format of its values in the signs of strptime, "
        "such as %Y-%m-%d; or cast it in the source"
    )


def _tags(name: str, given: Any) -> tuple[str, ...]:
    """Return a column's tags.

    Raises:
        DataError: they are no list.
        UnknownNameError: one is nearly, but not quite, a tag that means something.
    """
    where = f"data.columns.{name}.tags"
    if given is not None and (isinstance(given, str) or not isinstance(given, Sequence)):
        raise DataError("The tags of a column are a list", value=given, where=where, hint=f"write [{given}]")
    tags = tuple(str(tag) for tag in given or ())
    for tag in tags:
        if tag not in TAGS and near_matches(tag, TAGS, cutoff=0.75):
            remedy = "a tag of your own needs another name"
            raise UnknownNameError.from_name("tag", tag, TAGS, where=where, remedy=remedy)
    return tags


def columns_from_records(records: Sequence[Mapping[str, Any]]) -> tuple[Column, ...]:
    """Rebuild columns from `Table.column_records`."""
    return tuple(Column(**{**record, "tags": tuple(record["tags"])}) for record in records)


def _infer_kind(series: pl.Series) -> str:
    import polars as pl

    dtype = series.dtype
    if dtype == pl.Boolean:
        return "boolean"
    if dtype.is_numeric():
        return "numeric"
    if dtype.is_temporal():
        return "datetime"
    if dtype == pl.String:
        values = series.drop_nulls().head(10_000)
        if len(values) == 0:
            return "categorical"
        words = values.str.count_matches(r"\S+").mean()
        distinct = values.n_unique() / len(values)
        assert isinstance(words, float)
        return "text" if words >= TEXT_MIN_WORDS and distinct >= TEXT_MIN_DISTINCT else "categorical"
    if dtype in (pl.Categorical, pl.Enum):
        return "categorical"
    raise DataError(
        f"Column {series.name!r} has the type {dtype}, which no kind covers",
        where=f"data.columns.{series.name}",
        hint="cast it in the source, or set its role to 'ignore' and its kind to 'text'",
    )
