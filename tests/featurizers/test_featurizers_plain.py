"""Plain values become exactly the features that a frame of them becomes, whatever the values."""

from __future__ import annotations

from datetime import date, datetime, time
from functools import cache

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from mlframe.contracts import Wants
from mlframe.featurizers.auto import AutoFeaturizer
from mlframe.featurizers.linear import LinearFeaturizer
from mlframe.featurizers.none import NoneFeaturizer
from mlframe.featurizers.text import TextFeaturizer
from mlframe.featurizers.tree import TreeFeaturizer
from mlframe.pipeline.inputs import to_frame
from mlframe.table import ROW, Table, describe_columns

WANTS = {
    "nothing": Wants(),
    "sparse": Wants(sparse=True),
    "all": Wants(sparse=True, missing=True, categories=True),
    "missing": Wants(missing=True),
    "nonnegative": Wants(sparse=True, nonnegative=True),
}
WORDS = (
    "free",
    "offer",
    "Offer",
    "naïve",
    "東京",
    "\u017ftraße",
    "STRASSE",
    "don't",
    "x",
    "a1",
    "ﬁn",
    "İstanbul",
    "\u200d",
    "e\u0301t",
)
TEXTS = st.one_of(st.lists(st.sampled_from(WORDS), max_size=90).map(" ".join), st.text(max_size=40))
COLUMNS = {
    "single": st.floats(allow_infinity=False, width=32),
    "double": st.floats(allow_infinity=False),
    "whole": st.integers(-(2**63), 2**63 - 1) | st.integers(-9, 9),
    "small": st.integers(-128, 127),
    "flag": st.booleans(),
    "colour": st.sampled_from(["red", "green", "blue", "rare", "RED", "never seen", "", "true", "naïve", "東京"])
    | st.text(max_size=5),
    "code": st.integers(0, 12) | st.integers(-(2**63), 2**63 - 1),
    "yes": st.booleans(),
    "note": TEXTS,
    "day": st.dates(),
    "moment": st.datetimes(),
    "clock": st.times(),
}
KINDS = {"colour": "categorical", "code": "categorical", "yes": "categorical", "note": "text"}


@cache
def table() -> Table:
    rng = np.random.default_rng(0)
    rows = 200

    def holes(values: list) -> list:
        return [None if miss else value for value, miss in zip(values, rng.random(rows) < 0.06, strict=True)]

    moments = [
        datetime(2020 + int(y), 1 + int(m), 1 + int(d), int(h))
        for y, m, d, h in rng.integers(0, (5, 12, 28, 24), (rows, 4))
    ]
    frame = pl.DataFrame(
        {
            ROW: pl.Series(np.arange(rows, dtype=np.uint32)),
            "single": pl.Series(holes(rng.normal(size=rows).tolist()), dtype=pl.Float32),
            "double": holes(rng.normal(0, 1e4, rows).tolist()),
            "whole": rng.integers(-1000, 1000, rows),
            "small": pl.Series(holes(rng.integers(-100, 100, rows).tolist()), dtype=pl.Int8),
            "flag": holes((rng.random(rows) > 0.5).tolist()),
            "colour": holes(
                rng.choice(["red", "green", "blue", "rare", "true"], rows, p=[0.4, 0.3, 0.2, 0.01, 0.09]).tolist()
            ),
            "code": rng.integers(0, 9, rows),
            "yes": holes((rng.random(rows) > 0.5).tolist()),
            "note": holes([" ".join(rng.choice(WORDS, 12)) for _ in range(rows)]),
            "day": holes([moment.date() for moment in moments]),
            "moment": holes(moments),
            "clock": [moment.time() for moment in moments],
        }
    )
    return Table(frame, describe_columns(frame, {name: {"kind": kind} for name, kind in KINDS.items()}))


@cache
def fitted(name: str, wants: str):
    featurizer, chosen = {
        "auto": (AutoFeaturizer(), None),
        "auto large numbers": (AutoFeaturizer(), "exact"),
        "tree": (TreeFeaturizer(), None),
        "linear": (LinearFeaturizer(max_one_hot=3), None),
        "linear as it is": (LinearFeaturizer(scale="none"), None),
        "text": (TextFeaturizer(components=5), ("note",)),
        "none": (NoneFeaturizer(), ("single", "double", "whole", "small", "flag")),
    }[name]
    rows = table()
    if chosen == "exact":
        rows = rows.with_frame(rows.frame.with_columns(pl.col("whole") * 10**12))
    elif chosen:
        rows = Table(rows.frame.select(ROW, *chosen), tuple(c for c in rows.columns if c.name in chosen))
    featurizer.fit(rows, np.zeros(len(rows)), WANTS[wants])
    return featurizer, [record for record in rows.column_records() if record["role"] == "feature"]


def same(featurizer, columns, records, rows: int, *, always: bool = False) -> None:
    plain = featurizer.plain(columns, rows)
    if plain is None and not always:
        return
    frame = featurizer.transform(to_frame(columns, records)).matrix
    assert sp.issparse(plain) == sp.issparse(frame)
    assert plain.dtype == frame.dtype
    assert plain.shape == frame.shape
    if sp.issparse(plain):
        np.testing.assert_array_equal(plain.indptr, frame.indptr)
        np.testing.assert_array_equal(plain.indices, frame.indices)
        plain, frame = plain.data, frame.data
    np.testing.assert_array_equal(plain, frame)


CASES = [
    (name, wants)
    for name in ("auto", "auto large numbers", "tree", "linear", "linear as it is", "text", "none")
    for wants in WANTS
]


@pytest.mark.parametrize(("name", "wants"), CASES)
def test_known_rows(name: str, wants: str):
    featurizer, records = fitted(name, wants)
    frame = table().frame
    columns = {record["name"]: frame[record["name"]].to_list() for record in records}
    same(featurizer, columns, records, 200, always=True)
    same(featurizer, {key: values[:1] for key, values in columns.items()}, records, 1, always=True)
    same(featurizer, {key: [] for key in columns}, records, 0, always=True)
    same(featurizer, {key: [None, None] for key in columns}, records, 2, always=True)


@pytest.mark.parametrize(("name", "wants"), CASES)
@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries({name: st.none() | values for name, values in COLUMNS.items()}), min_size=1, max_size=4
    )
)
def test_any_rows(name: str, wants: str, rows: list):
    featurizer, records = fitted(name, wants)
    same(featurizer, {r["name"]: [row[r["name"]] for row in rows] for r in records}, records, len(rows))


def test_numpy_arrays_are_read_as_lists():
    featurizer, records = fitted("auto", "all")
    columns = {
        "single": np.array([0.5, np.nan], dtype=np.float32),
        "double": np.array([1.0, 2.0]),
        "whole": np.array([1, 2], dtype=np.int32),
        "small": np.array([3, 4], dtype=np.int64),
        "flag": np.array([True, False]),
        "colour": np.array(["red", None], dtype=object),
        "code": np.array([3, 100]),
        "yes": np.array([True, False]),
        "note": np.array(["free offer", ""], dtype=object),
        "day": np.array(["2021-03-01", "NaT"], dtype="datetime64[D]"),
        "moment": np.array(["2021-03-01T10:20", "NaT"], dtype="datetime64[ns]"),
        "clock": np.array([time(1, 2), None], dtype=object),
    }
    same(featurizer, columns, records, 2, always=True)


def test_values_that_only_a_frame_treats_are_left_to_it():
    featurizer, records = fitted("none", "missing")
    for value in (1e300, float("inf"), 2**60):
        assert featurizer.plain({**{r["name"]: [1] for r in records}, "double": [value]}, 1) is None
    assert featurizer.plain({r["name"]: [1] for r in records}, 1) is not None


def test_a_length_of_time_has_no_plain_form():
    frame = pl.DataFrame({ROW: pl.Series([0, 1], dtype=pl.UInt32), "took": pl.Series([1, 2]).cast(pl.Duration("us"))})
    featurizer = TreeFeaturizer()
    featurizer.fit(Table(frame, describe_columns(frame, {})), np.zeros(2), Wants(missing=True))
    assert featurizer.plain({"took": frame["took"].to_list()}, 2) is None


def test_dates_before_and_after_common_ones():
    featurizer, records = fitted("linear", "sparse")
    base = {key: [values[0]] for key, values in table().frame.to_dict(as_series=False).items()}
    for day in (date(1, 1, 1), date(1582, 10, 15), date(1969, 12, 31), date(2024, 2, 29), date(9999, 12, 31)):
        same(
            featurizer,
            {**base, "day": [day], "moment": [datetime(day.year, day.month, day.day, 23, 59)]},
            records,
            1,
            always=True,
        )
