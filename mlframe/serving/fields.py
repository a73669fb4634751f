"""One input column: which values it takes, in words, in JSON Schema, and as a function that is compiled once."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlframe.errors import BundleError

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["LONGEST", "Field", "Unfit", "brief", "moment"]

LONGEST = 60
"""So many characters of a value are shown in an error."""

KNOWN_MATCHES = 4096
UTC = dt.UTC
FLOATS = {"Float64": 1.7976931348623157e308, "Float32": 3.4028234663852886e38, "Decimal": 1.7976931348623157e308}
INTS = {
    **{f"Int{bits}": (-(1 << bits - 1), (1 << bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"UInt{bits}": (0, (1 << bits) - 1) for bits in (8, 16, 32, 64)},
}
TEXTS = ("String", "Categorical", "Enum")
KINDS = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "a text"}
EXAMPLES: Mapping[str, Any] = {
    "Boolean": False,
    "Date": "2024-02-29",
    "Datetime": "2024-02-29T12:00:00",
    "String": "text",
}


class Unfit(ValueError):
    """A value that a column does not take."""


class Field:
    """One input column.

    Args:
        record: the column's record (`Table.column_records`): name, dtype, kind, tags.
        rule: what the validators ask of its values (see `mlframe.contracts.Validator.rules`).

    Raises:
        BundleError: no request can hold values of the column's type.
    """

    def __init__(self, record: Mapping[str, Any], rule: Mapping[str, Any] | None = None) -> None:
        self.name: str = record["name"]
        self.dtype = str(record["dtype"]).partition("(")[0]
        self.dtype = "String" if self.dtype in TEXTS else self.dtype
        self.kind: str = record.get("kind", "")
        self.private = "pii" in (record.get("tags") or ())
        self.rule = {word: value for word, value in (rule or {}).items() if value is not None}
        self.nullable = bool(self.rule.get("nullable", True))
        self.pattern: str | None = self.rule.get("pattern")
        self._matched: set[str] = set()
        if self.dtype not in (*FLOATS, *INTS, "Boolean", "String", "Date", "Datetime"):
            raise BundleError(
                f"The input column {self.name!r} has the type {record['dtype']}, which no request can hold",
                where="the bundle's input schema",
                hint="cast it in the source to a number, a text, a truth value, a date or a time, and train again",
            )
        self.one: Callable[[Any], Any] = self._compiled()
        """Return a plain value in the column's type; raise `Unfit`."""

    @property
    def numeric(self) -> bool:
        """Whether values are numbers."""
        return self.dtype in FLOATS or self.dtype in INTS

    @property
    def json_type(self) -> str:
        """The type in JSON Schema."""
        if self.numeric:
            return "integer" if self.dtype in INTS else "number"
        return "boolean" if self.dtype == "Boolean" else "string"

    @property
    def expected(self) -> str:
        """What a value must be, in words."""
        rule = self.rule
        what = {"Date": "a date (ISO 8601: 2024-02-29)", "Datetime": "a time (ISO 8601: 2024-02-29T12:00:00Z)"}.get(
            self.dtype, KINDS[self.json_type]
        )
        words = [
            f"{word} {_plain(rule[key])}"
            for key, word in (("min", "at least"), ("above", "above"), ("max", "at most"), ("below", "below"))
            if key in rule
        ]
        if self.dtype in INTS and self.dtype not in ("Int64",):
            words.append("from {} to {}".format(*INTS[self.dtype]))
        if "allowed" in rule:
            words.append(f"one of {_listed(rule['allowed'])}")
        if "forbidden" in rule:
            words.append(f"none of {_listed(rule['forbidden'])}")
        if "min_length" in rule:
            words.append(f"{rule['min_length']} characters or more")
        if "max_length" in rule:
            words.append(f"{rule['max_length']} characters or fewer")
        if self.pattern:
            words.append(f"beginning with what matches {self.pattern}")
        return ", ".join([what, *words]) + (" or null" if self.nullable else "")

    def found(self, value: Any) -> str:
        """Return a value for an error's text: cut short, and of private columns only what sort of value it is."""
        return _sort_of(value) if self.private else brief(value)

    def schema(self) -> dict[str, Any]:
        """Return the column's JSON Schema (2020-12)."""
        rule = self.rule
        made: dict[str, Any] = {"type": [self.json_type, "null"] if self.nullable else self.json_type}
        if self.dtype in ("Date", "Datetime"):
            made["format"] = "date" if self.dtype == "Date" else "date-time"
        if self.numeric:
            words = {"min": "minimum", "max": "maximum", "above": "exclusiveMinimum", "below": "exclusiveMaximum"}
            made |= {word: rule[key] for key, word in words.items() if key in rule}
            if self.dtype in INTS and self.dtype != "Int64":
                low, high = INTS[self.dtype]
                made["minimum"] = max(low, made.get("minimum", low))
                made["maximum"] = min(high, made.get("maximum", high))
        if "allowed" in rule:
            made["enum"] = [*rule["allowed"], *([None] if self.nullable else [])]
        if "forbidden" in rule:
            made["not"] = {"enum": list(rule["forbidden"])}
        made |= {
            word: rule[key] for key, word in (("min_length", "minLength"), ("max_length", "maxLength")) if key in rule
        }
        if self.pattern:
            made["pattern"] = f"^(?:{self.pattern})"
        return made

    def example(self) -> Any:
        """Return a made-up value that the column takes, as JSON spells it; a pattern it need not match."""
        rule = self.rule
        if "allowed" in rule:
            return rule["allowed"][0]
        if self.numeric:
            whole = self.dtype in INTS
            value = max(
                0 if whole else 0.0, rule.get("min", 0), math.floor(rule["above"]) + 1 if "above" in rule else 0
            )
            value = min(value, rule.get("max", value), math.ceil(rule["below"]) - 1 if "below" in rule else value)
            return int(value) if whole else float(value)
        if self.dtype == "String":
            return ("text" * (1 + rule.get("min_length", 0)))[
                : rule.get("max_length", max(4, rule.get("min_length", 0)))
            ]
        return rule.get("min", EXAMPLES[self.dtype])

    # -------------------------------------------------------------------------------------------- values

    def _compiled(self) -> Callable[[Any], Any]:
        typed = self._typed()
        check = self._check()
        nullable = self.nullable

        def one(value: Any) -> Any:
            if value is None:
                if nullable:
                    return None
                raise Unfit
            value = typed(value)
            if check is not None and not check(value):
                raise Unfit
            return value

        return one

    def _typed(self) -> Callable[[Any], Any]:
        """Return what gives a value the column's type."""
        dtype = self.dtype
        if dtype in FLOATS:
            largest = FLOATS[dtype]

            def real(value: Any) -> float:
                # The comparison is False for NaN and for infinity.
                if (type(value) is float or type(value) is int) and -largest <= value <= largest:
                    return float(value)
                raise Unfit

            return real
        if dtype in INTS:
            low, high = INTS[dtype]

            def whole(value: Any) -> int:
                kind = type(value)
                if kind is float and value.is_integer():
                    value = int(value)
                elif kind is not int:
                    raise Unfit
                if low <= value <= high:
                    return int(value)
                raise Unfit

            return whole
        if dtype in ("Date", "Datetime"):
            return _date if dtype == "Date" else moment
        wanted = bool if dtype == "Boolean" else str

        def same(value: Any) -> Any:
            if type(value) is wanted:
                return value
            raise Unfit

        return same

    def _check(self) -> Callable[[Any], bool] | None:
        """Return one function for all rules but the pattern; None when there are none."""
        rule = self.rule
        if self.dtype in ("Date", "Datetime"):
            read = _date if self.dtype == "Date" else moment
            bounds = {key: read(rule[key]) for key in ("min", "max", "above", "below") if key in rule}
        else:
            bounds = {key: rule[key] for key in ("min", "max", "above", "below") if key in rule}
        checks: list[Callable[[Any], bool]] = []
        for key, make in BOUNDS.items():
            if key in bounds:
                checks.append(make(bounds[key]))
        if "allowed" in rule:
            allowed = frozenset(rule["allowed"])
            checks.append(lambda value: value in allowed)
        if "forbidden" in rule:
            forbidden = frozenset(rule["forbidden"])
            checks.append(lambda value: value not in forbidden)
        if "min_length" in rule:
            shortest = rule["min_length"]
            checks.append(lambda value: len(value) >= shortest)
        if "max_length" in rule:
            longest = rule["max_length"]
            checks.append(lambda value: len(value) <= longest)
        if len(checks) < 2:
            return checks[0] if checks else None
        return lambda value: all(check(value) for check in checks)

    def numbers(self, values: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
        """Return an array of numbers in the column's type, None when a value does not fit or another look is needed."""
        import numpy as np

        kind = values.dtype.kind
        if self.dtype == "Boolean":
            return values if kind == "b" and not self._check() else None
        if kind not in "iuf" or not self.numeric:
            return None
        if kind == "f" and not np.isfinite(values).all():
            return None
        if self.dtype in INTS:
            low, high = INTS[self.dtype]
            if kind == "f" and (values != np.floor(values)).any():
                return None
            if len(values) and not (low <= int(values.min()) and int(values.max()) <= high):
                return None
        elif len(values) and float(np.abs(values.astype(np.float64)).max()) > FLOATS[self.dtype]:
            return None
        cast = values.astype(np.float64 if self.dtype in FLOATS else np.uint64 if self.dtype[0] == "U" else np.int64)
        rule = self.rule
        good = all(
            bool(test(cast, rule[key]).all())
            for key, test in (
                ("min", np.greater_equal),
                ("max", np.less_equal),
                ("above", np.greater),
                ("below", np.less),
            )
            if key in rule
        )
        if good and "allowed" in rule:
            good = bool(np.isin(cast, list(rule["allowed"])).all())
        if good and "forbidden" in rule:
            good = not bool(np.isin(cast, list(rule["forbidden"])).any())
        return cast if good else None

    def unmatched(self, values: Sequence[Any]) -> list[int]:
        """Return the positions of texts that do not begin with the pattern.

        The regular expression is Rust's, as in training: its time is linear in the text, whatever the text.
        """
        import polars as pl

        seen = self._matched
        if self.pattern is None or all(value is None or value in seen for value in values):
            return []
        texts = pl.Series(values, dtype=pl.String)
        fits = texts.str.contains(f"^(?:{self.pattern})").fill_null(True).to_list()
        for value, fit in zip(values, fits, strict=True):
            if len(seen) >= KNOWN_MATCHES:
                break
            if fit and value is not None and len(value) <= LONGEST:
                seen.add(value)
        return [place for place, fit in enumerate(fits) if not fit]


BOUNDS: Mapping[str, Callable[[Any], Callable[[Any], bool]]] = {
    "min": lambda bound: lambda value: value >= bound,
    "max": lambda bound: lambda value: value <= bound,
    "above": lambda bound: lambda value: value > bound,
    "below": lambda bound: lambda value: value < bound,
}


def moment(value: Any) -> dt.datetime:
    """Read a time: ISO 8601; with a zone it becomes UTC, without one it is taken as it stands.

    Raises:
        Unfit: no such time.
    """
    try:
        if isinstance(value, dt.date):
            made = value if isinstance(value, dt.datetime) else dt.datetime(value.year, value.month, value.day)
        else:
            made = _iso(dt.datetime, value)
        return made if made.tzinfo is None else made.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError) as error:
        raise Unfit from error


def _date(value: Any) -> dt.date:
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    made: dt.date = _iso(dt.date, value)
    return made


def _iso(kind: Any, value: Any) -> Any:
    if type(value) is not str or len(value) > LONGEST:
        raise Unfit
    try:
        return kind.fromisoformat(value)
    except (ValueError, OverflowError) as error:
        raise Unfit from error


def brief(value: Any) -> str:
    """Return any value as a short text."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 200:
        return f"a whole number of {value.bit_length()} bits"
    if isinstance(value, dict | list):
        return _sort_of(value)
    if isinstance(value, str):
        text = repr(value[:LONGEST])
        return text if len(value) <= LONGEST else f"{text}… ({len(value):,} characters)"
    if value is None:
        return "null"
    return repr(value).lower() if isinstance(value, bool) else repr(value)


def _sort_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return f"a text of {len(value):,} characters"
    return (
        f"an object of {len(value):,} keys"
        if isinstance(value, dict)
        else f"a list of {len(value):,}"
        if isinstance(value, list)
        else "a time"
    )


def _plain(value: Any) -> str:
    return re.sub(r"\s+", " ", value) if isinstance(value, str) else repr(value)


def _listed(values: Sequence[Any]) -> str:
    shown = ", ".join(str(value) for value in values[:10])
    return shown if len(values) <= 10 else f"{shown}, … ({len(values)} values)"
