"""The words of `data.schema`: which there are, and every mistake in one go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from mlframe.errors import ConfigError, MlframeError, Problems, UnknownNameError

__all__ = ["CHECKS", "DTYPES", "check_schema"]

DTYPES = ("string", "int", "float", "bool", "datetime", "date", "category")
CHECKS = ("ge", "gt", "le", "lt", "isin", "notin", "str_matches", "str_length_min", "str_length_max", "finite")
TOP = {"strict": bool, "columns": Mapping, "min_rows": int, "unique": Sequence}
COLUMN = {"dtype": str, "nullable": bool, "unique": bool, "required": bool, "checks": Mapping}
WORDS = {bool: "true or false", str: "a text", int: "a whole number", Mapping: "a mapping", Sequence: "a list"}


def check_schema(schema: Mapping[str, Any]) -> None:
    """Refuse words that do not exist and values of the wrong type.

    Args:
        schema: `strict`, `min_rows`, `unique` (a list of columns) and `columns`: name to `dtype`, `nullable`, `unique`,
            `required` and `checks`.

    Raises:
        ConfigError: one mistake.
        Problems: several.
    """
    errors: list[MlframeError] = []
    _words(schema, TOP, "data.schema", "word of a schema", errors)
    columns = schema.get("columns")
    for name, spec in columns.items() if isinstance(columns, Mapping) else ():
        where = f"data.schema.columns.{name}"
        if spec is None:
            continue
        if not isinstance(spec, Mapping):
            errors.append(
                ConfigError(
                    "A column's schema must be a mapping",
                    value=spec,
                    where=where,
                    hint="such as {dtype: int, nullable: false}",
                )
            )
            continue
        _words(spec, COLUMN, where, "word of a column's schema", errors)
        dtype = spec.get("dtype")
        if isinstance(dtype, str) and dtype not in DTYPES:
            errors.append(UnknownNameError.from_name("type", dtype, DTYPES, where=f"{where}.dtype"))
        checks = spec.get("checks")
        for check, value in checks.items() if isinstance(checks, Mapping) else ():
            if check not in CHECKS:
                errors.append(UnknownNameError.from_name("check", str(check), CHECKS, where=f"{where}.checks"))
            elif value is not None and (wanted := _unfit(check, value)):
                errors.append(
                    ConfigError(
                        f"{check} needs {wanted}",
                        value=value,
                        where=f"{where}.checks.{check}",
                        hint="conf/validators/pandera.yaml shows every check",
                    )
                )
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise Problems(errors)


def _words(
    spec: Mapping[str, Any], known: Mapping[str, Any], where: str, kind: str, errors: list[MlframeError]
) -> None:
    for word, value in spec.items():
        if word not in known:
            errors.append(UnknownNameError.from_name(kind, str(word), known, where=where))
        elif value is not None and not _is(value, known[word]):
            wanted = WORDS[known[word]]
            errors.append(
                ConfigError(
                    f"{word} must be {wanted}",
                    value=value,
                    where=f"{where}.{word}",
                    hint="conf/validators/pandera.yaml shows every word",
                )
            )


def _is(value: Any, kind: Any) -> bool:
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if kind is Sequence:
        return isinstance(value, list | tuple)
    return isinstance(value, kind)


def _unfit(check: str, value: Any) -> str | None:
    """Return what a check wants when its value cannot be right."""
    if check == "finite":
        return None if isinstance(value, bool) else "true or false"
    if check in ("isin", "notin"):
        return None if isinstance(value, list | tuple) and value else "a list of values"
    if check in ("str_length_min", "str_length_max"):
        return None if _is(value, int) else "a whole number of 0 or more"
    if check == "str_matches":
        try:
            pl.select(pl.lit("").str.contains(value))
        except (TypeError, pl.exceptions.PolarsError):
            return "a regular expression (of Rust's regex library: no look-around)"
        return None
    # YAML hands dates over as text; a bound of a datetime column is such a text.
    return None if isinstance(value, int | float | str) and not isinstance(value, bool) else "a number or an ISO date"
