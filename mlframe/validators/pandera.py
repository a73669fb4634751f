"""Checks rows with Pandera: a schema from YAML, or a class of a project's own.

A project's own schema class becomes a validator in a few lines of its plugin::

    class MyValidator(PanderaValidator):
        def __init__(self, policy: str = "fail") -> None:
            super().__init__(MySchema, policy)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import pandera.polars as pa
import polars as pl

from mlframe.contracts import Validation, Validator
from mlframe.errors import ConfigError
from mlframe.table import ROW, Table
from mlframe.validators.grammar import check_schema

__all__ = ["PanderaValidator", "SchemaValidator"]

Policy = Literal["fail", "drop", "quarantine"]
POLICIES = ("fail", "drop", "quarantine")
UNLABELLED = ("target", "weight")
FAILURES = {"row": pl.UInt32, "column": pl.String, "check": pl.String, "value": pl.String}
CANONICAL: Mapping[str, Any] = {
    "string": pl.String,
    "int": pl.Int64,
    "float": pl.Float64,
    "bool": pl.Boolean,
    "datetime": pl.Datetime("us"),
    "date": pl.Date,
    "category": pl.Categorical,
}
"""The type that stands for a family in a failure's text."""
PLAIN = {
    "not_nullable": "not null",
    "field_uniqueness": "unique",
    "multiple_fields_uniqueness": "unique together",
    "column_in_dataframe": "column is missing",
    "column_in_schema": "column is not in the schema",
}
"""Pandera's names of its own checks, in words."""
RULES = {
    "ge": "min",
    "gt": "above",
    "le": "max",
    "lt": "below",
    "isin": "allowed",
    "notin": "forbidden",
    "str_matches": "pattern",
    "str_length_min": "min_length",
    "str_length_max": "max_length",
}
"""The words of `Validator.rules` for those of `data.schema`; requests hold finite numbers only, so `finite` has none."""


class PanderaValidator(Validator):
    """Checks rows with any Pandera schema for polars.

    At prediction time the columns with the roles target and weight are not looked at.

    Args:
        schema: a `pandera.polars.DataFrameModel` class or a `pandera.polars.DataFrameSchema`.
        policy: what happens to failing rows: `fail`, `drop` or `quarantine`.
        columns: `data.columns` of the config; says which columns are target and weight where the rows lack them.
    """

    def __init__(
        self,
        schema: pa.DataFrameSchema | type[pa.DataFrameModel],
        policy: Policy = "fail",
        columns: Mapping[str, Any] | None = None,
    ) -> None:
        if policy not in POLICIES:
            raise ConfigError(
                "There is no such policy",
                value=policy,
                where="validators.*.policy",
                hint=f"one of {', '.join(POLICIES)}",
            )
        self.schema = schema if isinstance(schema, pa.DataFrameSchema) else schema.to_schema()
        self.policy: Policy = policy
        self.unlabelled = {name for name, spec in (columns or {}).items() if (spec or {}).get("role") in UNLABELLED}

    def schema_for(self, frame: pl.DataFrame) -> pa.DataFrameSchema:
        """Return the schema for a frame; a subclass may suit it to the frame's types."""
        return self.schema

    def validate(self, table: Table, *, labelled: bool) -> Validation:
        """Return every failure: row, column, check and value; the table is never changed."""
        unlabelled: set[str] = set()
        if not labelled:
            unlabelled = self.unlabelled.union(*(table.names(role) for role in UNLABELLED))
        frame = table.frame.drop(ROW, *unlabelled, strict=False)
        schema = self.schema_for(frame)
        absent = sorted(unlabelled.intersection(schema.columns))
        if absent:
            schema = schema.remove_columns(absent)
        try:
            schema.validate(frame, lazy=True)
        except pa.errors.SchemaErrors as error:
            return Validation(_failures(error.failure_cases, table.frame[ROW]), self.policy)
        return Validation(pl.DataFrame(schema=FAILURES), self.policy)


class SchemaValidator(PanderaValidator):
    """Checks rows with the schema in `data.schema`.

    Types are families: `int` is any whole number, `float` any number, `datetime` any unit and zone, `string` and
    `category` any text. Values of a column with a wrong type are not checked further.

    Args:
        schema: `strict`, `min_rows`, `unique` and `columns`, as in `conf/validators/pandera.yaml`; None checks nothing.
        policy: what happens to failing rows: `fail`, `drop` or `quarantine`.
        columns: `data.columns` of the config; says which columns are target and weight where the rows lack them.
    """

    def __init__(
        self,
        schema: Mapping[str, Any] | None = None,
        policy: Policy = "fail",
        columns: Mapping[str, Any] | None = None,
    ) -> None:
        self.spec = dict(schema or {})
        check_schema(self.spec)
        super().__init__(pa.DataFrameSchema({}), policy, columns)

    def schema_for(self, frame: pl.DataFrame) -> pa.DataFrameSchema:
        """Build Pandera's schema for the types that the frame has."""
        columns = {
            name: _column(name, dict(spec or {}), frame.schema.get(name))
            for name, spec in (self.spec.get("columns") or {}).items()
        }
        return pa.DataFrameSchema(columns, strict=bool(self.spec.get("strict")))

    def rules(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the schema's rules for single values, column by column."""
        found = {}
        for name, given in (self.spec.get("columns") or {}).items():
            spec = dict(given or {})
            rule: dict[str, Any] = {"nullable": _flag(spec, "nullable", False)}
            checks = (spec.get("checks") or {}).items()
            found[name] = rule | {RULES[word]: value for word, value in checks if word in RULES and value is not None}
        return found

    def validate(self, table: Table, *, labelled: bool) -> Validation:
        """Return every failure; `min_rows` holds for labelled rows only, a single row may be predicted."""
        found = super().validate(table, labelled=labelled).failures
        extra = [found]
        least = self.spec.get("min_rows") or 0
        if labelled and len(table) < least:
            extra.append(_whole(None, f"min_rows({least})", len(table)))
        together = list(self.spec.get("unique") or ())
        missing = [name for name in together if name not in table.frame.columns]
        extra.extend(_whole(name, "column is missing", "named in data.schema.unique") for name in missing)
        if together and not missing:
            twice = table.frame.filter(pl.struct(together).is_duplicated())
            extra.append(
                twice.select(
                    pl.col(ROW).cast(pl.UInt32).alias("row"),
                    pl.lit(", ".join(together)).alias("column"),
                    pl.lit("unique together").alias("check"),
                    pl.struct(together).struct.json_encode().alias("value"),
                )
            )
        return Validation(pl.concat(extra), self.policy)


def _column(name: str, spec: dict[str, Any], dtype: pl.DataType | None) -> pa.Column:
    family = spec.get("dtype")
    fits = dtype is None or family is None or dtype == pl.Null or _belongs(dtype, family)
    checks = [
        _check(word, value)
        for word, value in (spec.get("checks") or {}).items()
        if value is not None and (word != "finite" or (value and dtype is not None and dtype.is_float()))
    ]
    return pa.Column(
        (dtype if fits else CANONICAL[str(family)]) if family else None,
        checks=checks if fits and dtype != pl.Null else [],
        nullable=_flag(spec, "nullable", False) or not fits,
        unique=_flag(spec, "unique", False) and fits,
        required=_flag(spec, "required", True),
        name=name,
    )


def _flag(spec: Mapping[str, Any], word: str, default: bool) -> bool:
    value = spec.get(word)
    return default if value is None else bool(value)


def _belongs(dtype: pl.DataType, family: str) -> bool:
    if family in ("string", "category"):
        return dtype in (pl.String, pl.Categorical, pl.Enum)
    if family == "int":
        return dtype.is_integer()
    if family == "float":
        return dtype.is_numeric()
    return dtype == {"bool": pl.Boolean, "datetime": pl.Datetime, "date": pl.Date}[family]


def _check(word: str, value: Any) -> pa.Check:
    """Build a vectorised check; its name is how the schema writes it."""
    label = word if word == "finite" else f"{word}({value})"

    def check(data: pa.PolarsData) -> pl.LazyFrame:
        frame: pl.LazyFrame = data.lazyframe
        return frame.select(_expression(word, value, frame.collect_schema()[data.key], data.key))

    return pa.Check(check, name=label, error=label)


def _expression(word: str, value: Any, dtype: pl.DataType, name: str) -> pl.Expr:
    column: pl.Expr = pl.col(name)
    text = column.cast(pl.String)
    match word:
        case "ge" | "gt" | "le" | "lt":
            bound = pl.lit(value)
            if dtype.is_temporal() and isinstance(value, str):
                stamp = pl.lit(value).str.to_datetime(time_unit="us", strict=True)
                bound = stamp.cast(pl.Date) if dtype == pl.Date else stamp
                if isinstance(dtype, pl.Datetime) and dtype.time_zone:
                    bound = bound.dt.replace_time_zone(dtype.time_zone)
            compared: pl.Expr = getattr(column, word)(bound)
            return compared
        case "isin":
            return (text if dtype in (pl.Categorical, pl.Enum) else column).is_in(list(value))
        case "notin":
            return ~(text if dtype in (pl.Categorical, pl.Enum) else column).is_in(list(value))
        case "str_matches":
            return text.str.contains(f"^(?:{value})")
        case "str_length_min":
            return text.str.len_chars().ge(value)
        case "str_length_max":
            return text.str.len_chars().le(value)
        case _:
            return column.is_finite()


def _failures(cases: pl.DataFrame, rows: pl.Series) -> pl.DataFrame:
    """Turn Pandera's failure cases into the form of `Validation`; positions become row numbers."""
    index = cases["index"].cast(pl.UInt32, strict=False)
    value = cases["failure_case"].cast(pl.String)
    # For a column that is missing, or too many, Pandera gives its name as the value.
    named = cases["check"].is_in(["column_in_dataframe", "column_in_schema"])
    return pl.DataFrame(
        {
            "row": rows.cast(pl.UInt32).gather(index) if len(rows) else index,
            "column": value.zip_with(named, cases["column"].cast(pl.String)),
            "check": cases["check"].cast(pl.String).replace(PLAIN),
            "value": value,
        },
        schema=FAILURES,
    )


def _whole(column: str | None, check: str, value: Any) -> pl.DataFrame:
    return pl.DataFrame({"row": [None], "column": [column], "check": [check], "value": [str(value)]}, schema=FAILURES)
