"""Sketches: merged in any order and parts they are one, their ranks are as right as they say, they survive JSON."""

from __future__ import annotations

import json
import math
from collections import Counter
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlframe import stats
from mlframe.stats import Names, Numbers, Presence, Texts
from mlframe.stats.sketches import GRID, NEW

NUMBERS = st.lists(st.floats(-1e9, 1e9, allow_subnormal=False) | st.integers(-3, 3).map(float), max_size=300)
ANY = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=60)
NAMES = st.lists(st.sampled_from(["a", "b", "c", "dd", "é", "", "zz"]) | st.none(), max_size=80)


def array(values):
    return np.array(values, dtype=np.float64)


def same(one, other):
    """Whether two sketches count the same; means may differ by rounding."""
    first, second = one.record(), other.record()
    assert first.keys() == second.keys()
    for key, value in first.items():
        if key in ("mean", "squares"):
            assert second[key] == pytest.approx(value, rel=1e-6, abs=1e-3)
        else:
            assert second[key] == value, key


@settings(deadline=None)
@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_numbers_merge_in_any_order_to_what_all_rows_give(reference, one, two, three):
    base = Numbers.of(array(reference))
    a, b, c = (Numbers.of(array(values), like=base) for values in (one, two, three))
    same(a.merge(b).merge(c), a.merge(b.merge(c)))
    same(a.merge(b), b.merge(a))
    same(a.merge(b).merge(c), Numbers.of(array([*one, *two, *three]), like=base))
    same(a.merge(Numbers.of(array([]), like=base)), a)


@settings(deadline=None)
@given(ANY)
def test_what_is_no_finite_number_is_counted_and_in_no_mean(values):
    found = Numbers.of(array(values), missing=2)
    finite = [value for value in values if math.isfinite(value)]
    assert found.missing == 2 + sum(math.isnan(value) for value in values)
    assert found.infinite == sum(math.isinf(value) for value in values)
    assert found.known == len(values) - sum(math.isnan(value) for value in values)
    assert found.rows == len(values) + 2
    assert (found.low, found.high) == ((min(finite), max(finite)) if finite else (None, None))
    json.dumps(found.record(), allow_nan=False)
    same(stats.read_sketch(json.loads(json.dumps(found.record()))), found)


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 10_000), st.sampled_from(["normal", "lognormal", "zeros", "steps", "years"]), st.integers(1, 5000)
)
def test_ranks_are_as_right_as_the_sketch_says(seed, shape, rows):
    rng = np.random.default_rng(seed)
    values = {
        "normal": lambda: rng.normal(size=rows),
        "lognormal": lambda: rng.lognormal(0, 4, rows),
        "zeros": lambda: np.where(rng.random(rows) < 0.7, 0.0, rng.normal(size=rows)),
        "steps": lambda: rng.integers(0, 400, rows).astype(float),
        "years": lambda: 1.6e9 + rng.normal(size=rows),
    }[shape]()
    found = Numbers.of(values)
    assert found.error <= 1 / (GRID - 1) + 1 / rows
    assert found.counts.sum() == rows
    for share in (0.0, 0.01, 0.25, 0.5, 0.9, 1.0):
        value = found.quantile(share)
        below, upto = (values < value).mean(), (values <= value).mean()
        slack = found.error + 1 / rows + 1e-9
        assert below - slack <= share <= upto + slack
    later = rng.permutation(values)[: max(1, rows // 2)] * 1.1
    now = Numbers.of(later, like=found)
    ends = np.cumsum(now.counts) / now.known
    for place, value in enumerate(found.grid):
        assert ends[2 * place + 1] == pytest.approx((later <= value).mean())


def test_few_values_are_kept_exactly():
    values = np.repeat(np.arange(GRID, dtype=float), 3)
    found = Numbers.of(values)
    assert found.error == 0
    np.testing.assert_array_equal(found.grid, np.arange(GRID))


def test_mean_and_spread_are_exact():
    values = np.random.default_rng(0).normal(1e6, 2, 10_001)
    base = Numbers.of(values)
    parts = [Numbers.of(part, like=base) for part in np.array_split(values, 7)]
    found = parts[0]
    for part in parts[1:]:
        found = found.merge(part)
    assert found.mean == pytest.approx(values.mean(), rel=1e-12)
    assert found.deviation == pytest.approx(values.std(), rel=1e-9)


def test_sums_that_overflow_stay_numbers():
    found = Numbers.of(array([1e308, 1e308, -1e308, 5.0] * 10))
    json.dumps(found.merge(found).record(), allow_nan=False)
    assert found.high == 1e308


def test_sketches_of_two_grids_are_not_merged():
    with pytest.raises(ValueError, match="two grids"):
        Numbers.of(array([1, 2])).merge(Numbers.of(array([1, 3])))
    with pytest.raises(ValueError, match="other names"):
        Names.of(pl.Series(["a"])).merge(Names.of(pl.Series(["b"])))


# ------------------------------------------------------------------------------------------------ names


@settings(deadline=None)
@given(NAMES, NAMES, NAMES, NAMES)
def test_names_merge_in_any_order_to_what_all_rows_give(reference, one, two, three):
    def series(values):
        return pl.Series("x", values, dtype=pl.String)

    base = Names.of(series(reference))
    a, b, c = (Names.of(series(values), like=base) for values in (one, two, three))
    whole = Names.of(series([*one, *two, *three]), like=base)
    assert a.merge(b).merge(c).record() == a.merge(b.merge(c)).record()
    assert a.merge(b).merge(c).record() | {"new": {}} == whole.record() | {"new": {}}
    assert dict(a.merge(b).merge(c).new) == dict(whole.new)
    truth = Counter(value for value in one if value is not None)
    assert dict(zip(a.names, a.counts.tolist(), strict=True)) == {name: truth[name] for name in base.names}
    assert a.other == sum(count for name, count in truth.items() if name not in base.names)
    assert a.missing == one.count(None)
    assert stats.read_sketch(json.loads(json.dumps(a.record()))).record() == a.record()


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 80), max_size=120), min_size=1, max_size=5))
def test_the_commonest_new_names_are_off_by_no_more_than_is_said(parts):
    base = Names.of(pl.Series("x", ["known"]))
    truth = Counter(f"n{value}" for part in parts for value in part)
    found = None
    for part in parts:
        made = Names.of(pl.Series("x", [f"n{value}" for value in part], dtype=pl.String), like=base)
        found = made if found is None else found.merge(made)
    assert len(found.new) <= NEW
    for name, count in truth.items():
        assert 0 <= count - found.new.get(name, 0) <= found.lost
    assert found.other == sum(truth.values())


def test_of_many_names_the_commonest_are_listed_and_long_ones_cut():
    values = pl.Series([f"n{k}" for k in range(3000) for _ in range(1 + (k < 10))])
    found = Names.of(values)
    assert len(found.names) == 500
    assert found.known == len(values)
    assert found.other > 0
    assert set(found.names[:10]) == {f"n{k}" for k in range(10)}
    long = Names.of(pl.Series(["x" * 5000 + "a", "x" * 5000 + "b", "x" * 5000 + "b"]))
    assert len(long.names) == 2
    assert max(map(len, long.names)) <= 120
    assert Names.of(pl.Series(["x" * 5000 + "b", "y"]), like=long).counts.tolist() == [1, 0]


def test_truth_values_and_categories_are_names():
    found = stats.sketch(pl.Series([True, False, True, None]), "boolean")
    assert (found.names, found.counts.tolist(), found.missing) == (("true", "false"), [2, 1], 1)
    enum = pl.Series(["a", "b", "a"], dtype=pl.Enum(["a", "b", "c"]))
    assert stats.sketch(enum, "categorical").names == ("a", "b")


# ------------------------------------------------------------------------------------------------ texts, dates, private


WORDS = st.lists(st.text(alphabet="abc é!$ ", max_size=30) | st.none(), max_size=30)


@settings(deadline=None)
@given(WORDS, WORDS, WORDS)
def test_texts_merge_in_any_order(reference, one, two):
    def series(values):
        return pl.Series("x", values, dtype=pl.String)

    base = Texts.of(series(reference))
    a, b = (Texts.of(series(values), like=base) for values in (one, two))
    whole = Texts.of(series([*one, *two]), like=base)
    same(a.merge(b).length, whole.length)
    assert a.merge(b).words.tolist() == b.merge(a).words.tolist() == whole.words.tolist()
    assert json.loads(json.dumps(a.record())) == stats.read_sketch(json.loads(json.dumps(a.record()))).record()
    assert (a.words <= a.read).all()


def test_a_private_column_leaves_no_value_behind():
    secret = "Zyxwvut 4711"
    texts = pl.Series([secret, "another text", None] * 20)
    for kind in ("text", "categorical"):
        found = json.dumps(stats.sketch(texts, kind, private=True).record())
        assert not any(word in found for word in secret.lower().split())
    assert stats.sketch(pl.Series([1.5, None, float("nan")]), "numeric", private=True) == Presence(3, 2)
    assert Presence(3, 2).merge(Presence(5, 1)) == Presence(8, 3)


def test_dates_are_seconds_whatever_their_type():
    day = [date(2024, 1, 1) + timedelta(days=k) for k in range(5)]
    moments = [datetime(2024, 1, 1) + timedelta(days=k) for k in range(5)]
    first = stats.sketch(pl.Series(day), "datetime")
    for series in (
        pl.Series(moments),
        pl.Series(moments).dt.cast_time_unit("ns"),
        pl.Series(moments).dt.replace_time_zone("UTC"),
    ):
        same(stats.sketch(series, "datetime", like=first), first)


def test_a_column_of_another_type_is_read_as_the_reference_was():
    base = stats.sketch(pl.Series([1.0, 2.0, 3.0]), "numeric")
    found = stats.sketch(pl.Series(["1", "2", "x"]), "numeric", like=base)
    assert (found.known, found.missing) == (2, 1)
    for dtype in (pl.Float32, pl.Int8, pl.UInt64, pl.Boolean):
        assert stats.sketch(pl.Series([1, 1, 0]).cast(dtype), "numeric", like=base).known == 3


@pytest.mark.parametrize("record", [{}, {"sketch": "other"}, {"sketch": "numbers"}, {"sketch": "names", "names": 3}])
def test_what_is_no_sketch_is_refused(record):
    with pytest.raises(ValueError, match="sketch"):
        stats.read_sketch(record)
