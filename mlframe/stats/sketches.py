"""Sketches: what is kept of a column so that drift can be told without its rows.

A sketch of the reference chooses a grid: 128 of the column's own values at even ranks, or its 500 commonest names. Sketches of
later rows are made `like` it and count on the same grid, so that they are added up exactly, in any order and in parts of
any size. Between two neighbouring values of the grid lies at most 1/127 of the reference: that is the error of its ranks,
and `Numbers.error` says what it is for any sketch.

They are plain JSON values on disk (`record`, `read_sketch`).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import polars as pl

    from mlframe.stats.texts import Texts

__all__ = ["Names", "Numbers", "Presence", "Sketch", "read_sketch", "sketch"]

Array = npt.NDArray[Any]
Sketch: TypeAlias = "Numbers | Names | Texts | Presence"

GRID = 128
"""Values of a grid; between two neighbours lie at most 1 / (GRID - 1) of the rows that it was made from."""
LISTED = 500
"""Names that a reference keeps; the others are counted together."""
NEW = 20
"""Names that are not listed of which a sketch keeps count."""
LONGEST = 120
"""Characters of a name; of a longer one the beginning and a checksum are kept."""


@dataclass(frozen=True)
class Presence:
    """How many values there are and how many are missing: all that is kept of a private column.

    Args:
        rows: number of rows.
        missing: rows without a value.
    """

    rows: int
    missing: int

    def merge(self, other: Presence) -> Presence:
        """Return the sketch of both parts' rows."""
        return Presence(self.rows + other.rows, self.missing + other.missing)

    def record(self) -> dict[str, Any]:
        """Return the sketch as plain JSON values."""
        return {"sketch": "presence", "rows": self.rows, "missing": self.missing}


@dataclass(frozen=True)
class Numbers:
    """Counts of numbers on a grid, and their exact extremes, mean and spread.

    Args:
        grid: values, ascending, float64, shape (m,).
        counts: rows below the first, at it, between it and the second, …, at the last, above it; shape (2 m + 1,). An
            infinite value is below or above all others.
        missing: rows that are null or NaN.
        infinite: rows that are infinite; they count in no mean.
        mean: mean of the finite values, 0 without any.
        squares: sum of their squared distances from the mean.
        low: least finite value, None without any.
        high: greatest finite value.
    """

    grid: Array
    counts: Array
    missing: int = 0
    infinite: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, values: Array, missing: int = 0, like: Numbers | None = None) -> Numbers:
        """Sketch numbers.

        Args:
            values: any order, float32, float64 or integer, shape (rows,); NaN is a missing value.
            missing: further rows that have none.
            like: the sketch whose grid is used; None chooses one by these values.
        """
        if values.dtype.kind != "f":
            values = values.astype(np.float64)
        ordered = np.sort(values)
        first = int(np.searchsorted(ordered, -np.inf, side="right"))
        last, end = (int(np.searchsorted(ordered, np.inf, side=side)) for side in ("left", "right"))
        known, finite = ordered[:end], ordered[first:last]
        grid = _grid(finite) if like is None else like.grid
        left, right = (np.searchsorted(known, grid, side=side) for side in ("left", "right"))
        ends = np.empty(2 * len(grid) + 2, dtype=np.int64)
        ends[0], ends[1:-1:2], ends[2:-1:2], ends[-1] = 0, left, right, len(known)
        rows = len(finite)
        low, high = (float(finite[0]), float(finite[-1])) if rows else (None, None)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(finite.mean(dtype=np.float64)) if rows else 0.0
            # The sorted copy is ours: another one of a large window would cost as much as all the rest.
            apart = np.subtract(finite, mean, out=finite if finite.dtype == np.float64 else None, dtype=np.float64)
            squares = float(np.dot(apart, apart)) if rows else 0.0
        return cls(
            grid,
            np.diff(ends),
            missing + len(ordered) - end,
            end - rows,
            _held(mean),
            _held(squares),
            low,
            high,
        )

    @property
    def known(self) -> int:
        """Rows that have a value."""
        return int(self.counts.sum())

    @property
    def rows(self) -> int:
        """All rows."""
        return self.known + self.missing

    @property
    def deviation(self) -> float:
        """Standard deviation of the finite values."""
        count = self.known - self.infinite
        return float(np.sqrt(max(0.0, self.squares) / count)) if count else 0.0

    @property
    def error(self) -> float:
        """Largest share of rows whose place between two values of the grid is not known: the error of every rank."""
        return float(self.counts[::2].max() / self.known) if self.known else 0.0

    def merge(self, other: Numbers) -> Numbers:
        """Return the sketch of both parts' rows; counts are exact, whatever the order and the parts.

        Raises:
            ValueError: the two do not have one grid.
        """
        if len(self.grid) != len(other.grid) or not np.array_equal(self.grid, other.grid):
            raise ValueError("sketches of two grids cannot be merged: make both like the same one")
        mine, theirs = self.known - self.infinite, other.known - other.infinite
        both = mine + theirs
        apart = other.mean - self.mean
        share = theirs / both if both else 0.0
        mean = (self.mean + apart * share) if mine else other.mean
        squares = self.squares + other.squares + apart * apart * mine * share
        return Numbers(
            self.grid,
            self.counts + other.counts,
            self.missing + other.missing,
            self.infinite + other.infinite,
            _held(mean),
            _held(squares),
            min((v for v in (self.low, other.low) if v is not None), default=None),
            max((v for v in (self.high, other.high) if v is not None), default=None),
        )

    def quantile(self, share: float) -> float | None:
        """Return a value whose rank is off by at most `error`; None without values.

        Args:
            share: between 0 and 1.
        """
        if self.low is None or self.high is None:
            return None
        ends = np.cumsum(self.counts)
        cell = int(np.searchsorted(ends, share * ends[-1], side="left"))
        cell = min(cell, len(self.counts) - 1)
        place, between = divmod(cell, 2)
        if between:
            return float(self.grid[place])
        low = self.grid[place - 1] if place else self.low
        high = self.grid[place] if place < len(self.grid) else self.high
        low, high = max(low, self.low), min(high, self.high)
        before = ends[cell - 1] if cell else 0
        part = (share * ends[-1] - before) / self.counts[cell] if self.counts[cell] else 0.0
        return float(low + (high - low) * min(1.0, max(0.0, part)))

    def record(self) -> dict[str, Any]:
        """Return the sketch as plain JSON values."""
        return {
            "sketch": "numbers",
            "grid": self.grid.tolist(),
            "counts": self.counts.tolist(),
            **{name: getattr(self, name) for name in ("missing", "infinite", "mean", "squares", "low", "high")},
        }


@dataclass(frozen=True)
class Names:
    """Counts of names: those that a reference lists, and the commonest of the others.

    Args:
        names: the listed names.
        counts: rows of each, int64, shape (len(names),).
        other: rows of names that are not listed.
        missing: rows without a name.
        new: the commonest names that are not listed, up to 20, with their rows.
        lost: most rows by which a count in `new` may be too low, and most that a name has that is not in it.
    """

    names: tuple[str, ...]
    counts: Array
    other: int = 0
    missing: int = 0
    new: Mapping[str, int] = field(default_factory=dict)
    lost: int = 0

    @classmethod
    def of(cls, values: pl.Series, like: Names | None = None) -> Names:
        """Sketch names, truth values or anything that has a text.

        Args:
            values: the column; null is missing.
            like: the sketch whose names are listed; None lists the commonest 500 of these.
        """
        import polars as pl

        missing = values.null_count()
        counted = values.drop_nulls().rename("name").value_counts(name="rows")
        counted = counted.with_columns(pl.col("name").cast(pl.String)).group_by("name").agg(pl.col("rows").sum())
        if like is None:
            counted = counted.sort(["rows", "name"], descending=[True, False])
            top = counted.head(LISTED)
            names = tuple(_short(name) for name in top["name"].to_list())
            if len(set(names)) == len(names):
                other = int(counted["rows"].sum()) - int(top["rows"].sum())
                return cls(names, top["rows"].to_numpy().astype(np.int64), other, missing)
            like = cls(tuple(dict.fromkeys(names)), np.zeros(0, dtype=np.int64))
        listed = dict.fromkeys(like.names, 0)
        shortened = any(len(name) >= LONGEST for name in listed)
        known = counted if shortened else counted.filter(pl.col("name").is_in(list(listed)))
        for name, rows in known.iter_rows():
            key = _short(name)
            if key in listed:
                listed[key] += rows
        counts = np.fromiter(listed.values(), dtype=np.int64, count=len(listed))
        other = int(counted["rows"].sum()) - int(counts.sum())
        if not other:
            return cls(like.names, counts, 0, missing)
        rest = counted.filter(~pl.col("name").is_in(list(listed))).sort(["rows", "name"], descending=[True, False])
        new: dict[str, int] = {}
        for name, rows in rest.head(NEW + LISTED if shortened else NEW).iter_rows():
            key = _short(name)
            if key not in listed:
                new[key] = new.get(key, 0) + rows
        return cls(
            like.names, counts, other, missing, *_commonest(new, int(rest["rows"][NEW]) if len(rest) > NEW else 0)
        )

    @property
    def known(self) -> int:
        """Rows that have a name."""
        return int(self.counts.sum()) + self.other

    @property
    def rows(self) -> int:
        """All rows."""
        return self.known + self.missing

    def merge(self, other: Names) -> Names:
        """Return the sketch of both parts' rows; exact in all but `new`, whose error is kept in `lost`.

        Raises:
            ValueError: the two do not list the same names.
        """
        if self.names != other.names:
            raise ValueError("sketches that list other names cannot be merged: make both like the same one")
        new = dict(self.new)
        for name, rows in other.new.items():
            new[name] = new.get(name, 0) + rows
        kept, dropped = _commonest(new, 0)
        lost = self.lost + other.lost + dropped
        return replace(
            self,
            counts=self.counts + other.counts,
            other=self.other + other.other,
            missing=self.missing + other.missing,
            new=kept,
            lost=lost,
        )

    def record(self) -> dict[str, Any]:
        """Return the sketch as plain JSON values."""
        return {
            "sketch": "names",
            "names": list(self.names),
            "counts": self.counts.tolist(),
            "other": self.other,
            "missing": self.missing,
            "new": dict(self.new),
            "lost": self.lost,
        }


def sketch(values: pl.Series, kind: str, *, private: bool = False, like: Sketch | None = None) -> Sketch:
    """Sketch a column.

    Args:
        values: the column.
        kind: one of `mlframe.table.KINDS`.
        private: keep nothing in which a value can be found: of texts their lengths and hashed words, else what is missing.
        like: the reference's sketch, on whose grid it is counted; it decides the kind.
    """
    import polars as pl

    from mlframe.stats.texts import Texts

    if isinstance(like, Texts) or (like is None and kind == "text"):
        return Texts.of(values, like if isinstance(like, Texts) else None)
    if isinstance(like, Presence) or (like is None and private):
        return Presence(len(values), _missing(values))
    if isinstance(like, Numbers) or (like is None and kind in ("numeric", "datetime")):
        if values.dtype.is_temporal():
            moments = values if values.dtype == pl.Date else values.dt.replace_time_zone(None)
            values = moments.cast(pl.Datetime("us")).to_physical() / 1e6
        elif not values.dtype.is_numeric():
            values = values.cast(pl.Float64, strict=False)
        gone = values.null_count()
        # 64-bit whole numbers lose nothing that matters here, and floats keep their own width: half of it sorts faster.
        numbers = values.drop_nulls() if gone else values
        if numbers.dtype not in (pl.Float32, pl.Float64):
            numbers = numbers.cast(pl.Float64)
        return Numbers.of(numbers.to_numpy(), gone, like if isinstance(like, Numbers) else None)
    return Names.of(values, like if isinstance(like, Names) else None)


def read_sketch(record: Mapping[str, Any]) -> Sketch:
    """Rebuild a sketch from `record`.

    Raises:
        ValueError: it is no sketch that this version knows.
    """
    from mlframe.stats.texts import Texts

    given = dict(record)
    kind = given.pop("sketch", None)
    try:
        if kind == "numbers":
            given["grid"] = np.asarray(given["grid"], dtype=np.float64)
            given["counts"] = np.asarray(given["counts"], dtype=np.int64)
            return Numbers(**given)
        if kind == "names":
            given["names"] = tuple(given["names"])
            given["counts"] = np.asarray(given["counts"], dtype=np.int64)
            return Names(**given)
        if kind == "texts":
            return Texts.read_record(given)
        if kind == "presence":
            return Presence(**given)
    except (KeyError, TypeError) as error:
        raise ValueError(f"this is no sketch of {kind}: {error}") from error
    raise ValueError(f"there are no sketches of the sort {kind!r}")


def _missing(values: pl.Series) -> int:
    return values.null_count() + (int(values.is_nan().sum() or 0) if values.dtype.is_float() else 0)


def _grid(ordered: Array) -> Array:
    """Return all distinct values where they are few, else those at even ranks."""
    if not len(ordered):
        return np.empty(0, dtype=np.float64)
    changes = np.flatnonzero(ordered[1:] != ordered[:-1])
    if len(changes) < GRID:
        chosen: Array = ordered[np.concatenate([[0], changes + 1])]
    else:
        chosen = np.unique(ordered[np.linspace(0, len(ordered) - 1, GRID).round().astype(np.intp)])
    return np.asarray(chosen, dtype=np.float64)


def _commonest(new: Mapping[str, int], dropped: int) -> tuple[dict[str, int], int]:
    """Keep the commonest names, and tell the most rows that one has that is not kept."""
    ranked = sorted(new.items(), key=lambda item: (-item[1], item[0]))
    return dict(ranked[:NEW]), max([dropped, *(rows for _, rows in ranked[NEW:])])


def _short(name: str) -> str:
    return name if len(name) < LONGEST else f"{name[: LONGEST - 20]}…{zlib.crc32(name.encode()):08x}".ljust(LONGEST)


def _held(value: float) -> float:
    """Keep a sum that overflowed within what JSON can say."""
    return float(np.nan_to_num(value, nan=0.0, posinf=np.finfo(float).max, neginf=np.finfo(float).min))
