"""Which labelled rows a model has learned, so that it never learns one twice.

The gate leaves out rows whose features a champion has met (`register.TRAINED_ROWS`), whatever their label. A model that learns on
must be stricter: the same customer may come again, and with another label that is news. Here a row is its features, its
time and its label, and it counts as often as it came.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import polars as pl

    from mlframe.contracts.learning import Array
    from mlframe.table import Table

__all__ = ["ARRIVED", "LEARNED_ROWS", "digested_by", "label_columns", "label_digests", "learned_rows", "not_learned"]

LEARNED_ROWS = "learned_rows.npz"
ARRIVED = "arrived"
"""Name of the column that numbers the rows of data that has no time."""


def label_columns(table: Table, inputs: Sequence[str]) -> list[str]:
    """Return the columns that tell labelled rows apart: what a model reads, the time, the target."""
    more = [name for name in (table.one("time"), table.one("target")) if name is not None and name != ARRIVED]
    return [*inputs, *more]


def label_digests(frame: pl.DataFrame, columns: Sequence[str]) -> Array:
    """Return one uint64 a row; numbers count as numbers, words as words and moments as moments, whatever their types."""
    import polars as pl
    import polars.selectors as cs

    chosen = frame.select(sorted(set(columns)))
    words, moments = (cs.categorical() | cs.enum()).cast(pl.String), cs.datetime().dt.cast_time_unit("us")
    plain = chosen.with_columns(cs.numeric().cast(pl.Float64), words, moments)
    return plain.hash_rows(seed=0).to_numpy()


def not_learned(digests: Array, learned: Array) -> Array:
    """Tell which rows are news, shape (rows,): of equal ones as many as were not learned, the last ones.

    Args:
        digests: the rows, in order.
        learned: digests of what was learned, in any order.
    """
    values, of = np.unique(digests, return_inverse=True)
    known, times = np.unique(learned, return_counts=True)
    at = np.searchsorted(known, values)
    found = at < len(known)
    found[found] = known[at[found]] == values[found]
    learned_of = np.zeros(len(values), dtype=np.intp)
    learned_of[found] = times[at[found]]
    order = np.argsort(of, kind="stable")
    first = np.searchsorted(of[order], np.arange(len(values)))
    place = np.empty(len(digests), dtype=np.intp)
    place[order] = np.arange(len(digests)) - first[of[order]]  # how many equal rows come before it
    return np.asarray(place >= learned_of[of])


def write_learned(path: Path, digests: Array, columns: Sequence[str]) -> None:
    """Write what a model has learned, with the columns that the digests are of."""
    np.savez(path, digests=digests, columns=np.array(sorted(set(columns))), allow_pickle=False)


def learned_rows(store: Any, reference: str, columns: Sequence[str]) -> Array | None:
    """Return the digests of what a version has learned; None where they are not known here or not to be compared.

    Args:
        store: the store.
        reference: the version.
        columns: columns of the rows that are to be compared: digests of others say nothing of them.
    """
    import polars as pl

    path = store.beside(reference).get(LEARNED_ROWS)
    if path is None or digested_by(store.open_bundle(reference)) != pl.__version__:
        return None
    with np.load(path, allow_pickle=False) as file:
        if file["columns"].tolist() != sorted(set(columns)):
            return None
        return np.asarray(file["digests"])


def digested_by(folder: Path) -> str | None:
    """Return the version of polars that digested a bundle's rows: it promises equal digests within one version only."""
    with (folder / "environment.json").open(encoding="utf-8") as file:
        found = (json.load(file).get("packages") or {}).get("polars")
    return None if found is None else str(found)
