"""What featurizers make of columns."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from mlframe.contracts import Features, Featurizer, Wants
from mlframe.errors import ConfigError, DataError
from mlframe.featurizers.auto import AutoFeaturizer
from mlframe.featurizers.linear import LinearFeaturizer
from mlframe.featurizers.none import NoneFeaturizer
from mlframe.featurizers.text import TextFeaturizer
from mlframe.featurizers.tree import TreeFeaturizer
from mlframe.table import ROW, Table, describe_columns

TREES = Wants(sparse=True, missing=True, categories=True)
LINEAR = Wants(sparse=True)
DENSE = Wants()
FOREST = Wants(sparse=True, missing=True, filled=0.05)


def _table(kinds: dict[str, str] | None = None, **columns: Any) -> Table:
    frame = pl.DataFrame(columns).with_row_index(ROW)
    return Table(frame, describe_columns(frame, {name: {"kind": kind} for name, kind in (kinds or {}).items()}))


def _fit(featurizer: Featurizer, table: Table, wants: Wants) -> Features:
    featurizer.fit(table, np.zeros(len(table)), wants)
    return featurizer.transform(table.frame)


def _dense(features: Features) -> Any:
    matrix: Any = features.matrix
    return matrix.toarray() if sp.issparse(matrix) else matrix


def test_trees_get_values_as_they_are() -> None:
    features = _fit(AutoFeaturizer(), _table(a=[1.5, None, float("nan")], b=[True, False, None]), TREES)
    np.testing.assert_array_equal(_dense(features), [[1.5, 1], [np.nan, 0], [np.nan, np.nan]])
    assert features.names == ("a", "b")


def test_linear_models_get_median_indicator_and_unit_spread() -> None:
    features = _fit(LinearFeaturizer(), _table(a=[1.0, 3.0, None, 8.0], b=[0, 1, 2, 3]), LINEAR)
    dense = _dense(features)
    assert features.names == ("a", "b", "a is missing")
    assert features.origins == ("a", "b", "a")
    np.testing.assert_array_equal(dense[:, 2], [0, 0, 1, 0])
    np.testing.assert_allclose(dense[:, :2].mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(dense[:, :2].std(axis=0), 1)
    raw = np.array([1.0, 3.0, 3.0, 8.0])
    np.testing.assert_allclose(dense[:, 0], (raw - raw.mean()) / raw.std())


@pytest.mark.parametrize("featurizer", [AutoFeaturizer(), LinearFeaturizer(), TreeFeaturizer(), NoneFeaturizer()])
@pytest.mark.parametrize("wants", [TREES, LINEAR, DENSE])
def test_empty_and_constant_columns_stay_finite(featurizer: Featurizer, wants: Wants) -> None:
    table = _table(a=pl.Series([None] * 4, dtype=pl.Float64), b=[7.1] * 4)
    dense = _dense(_fit(featurizer, table, wants))
    assert wants.missing or np.isfinite(dense).all()
    assert not np.isinf(dense).any()


@pytest.mark.parametrize("featurizer", [AutoFeaturizer(), LinearFeaturizer(), TreeFeaturizer(), NoneFeaturizer()])
def test_infinity_is_refused_by_name(featurizer: Featurizer) -> None:
    with pytest.raises(DataError, match="'b' holds 1 infinite"):
        _fit(featurizer, _table(a=[1.0, 2.0], b=[1.0, float("inf")]), TREES)
    _fit(featurizer, _table(a=[1.0, 2.0], b=[1.0, 2.0]), TREES)
    with pytest.raises(DataError, match="'a' holds 1 infinite"):
        featurizer.transform(pl.DataFrame({"a": [float("-inf")], "b": [1.0]}))


def test_infinity_as_missing() -> None:
    features = _fit(AutoFeaturizer(infinite="missing"), _table(a=[1.0, float("inf"), float("-inf")]), TREES)
    np.testing.assert_array_equal(_dense(features), [[1], [np.nan], [np.nan]])


@settings(max_examples=60, deadline=None)
@given(
    train=st.lists(st.none() | st.floats(allow_infinity=False), min_size=1, max_size=20),
    later=st.lists(st.none() | st.floats(allow_infinity=False), min_size=1, max_size=20),
    wants=st.sampled_from([TREES, LINEAR, Wants(nonnegative=True)]),
)
def test_finite_numbers_never_become_infinite(train: list[Any], later: list[Any], wants: Wants) -> None:
    featurizer = AutoFeaturizer()
    _fit(featurizer, _table(a=pl.Series(train, dtype=pl.Float64)), wants)
    dense = _dense(featurizer.transform(pl.DataFrame({"a": pl.Series(later, dtype=pl.Float64)})))
    assert not np.isinf(dense).any()
    assert wants.missing or np.isfinite(dense).all()
    assert not wants.nonnegative or (dense >= 0).all()


def test_float32_only_where_it_holds_the_values() -> None:
    small = _fit(AutoFeaturizer(), _table(a=[1, 2**20]), TREES)
    large = _fit(AutoFeaturizer(), _table(a=[20240101, 20240102]), TREES)
    assert small.matrix.dtype == np.float32
    assert large.matrix.dtype == np.float64
    assert len(np.unique(_dense(large))) == 2


def test_codes_follow_frequency_and_know_missing_unseen_and_rest() -> None:
    values = ["b"] * 6 + ["a"] * 5 + ["rare", None]
    featurizer = AutoFeaturizer(min_count=5)
    features = _fit(featurizer, _table(c=values), TREES)
    assert features.categorical == (0,)
    np.testing.assert_array_equal(_dense(features)[:, 0], [0] * 6 + [1] * 5 + [2, np.nan])
    later = featurizer.transform(pl.DataFrame({"c": ["never seen", "a", None]}))
    np.testing.assert_array_equal(_dense(later)[:, 0], [2, 1, np.nan])


def test_unseen_is_missing_where_nothing_was_left_out() -> None:
    featurizer = AutoFeaturizer(min_count=1)
    _fit(featurizer, _table(c=["a", "b"]), TREES)
    assert np.isnan(_dense(featurizer.transform(pl.DataFrame({"c": ["z"]})))).all()


def test_one_hot_knows_missing_unseen_and_rest() -> None:
    featurizer = LinearFeaturizer(min_count=2)
    features = _fit(featurizer, _table(c=["a", "a", "b", "b", "x", None]), LINEAR)
    assert features.names == ("c=a", "c=b", "c is another", "c is missing")
    later = featurizer.transform(pl.DataFrame({"c": ["b", "z", None]}))
    np.testing.assert_array_equal(_dense(later), [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def test_whole_numbers_as_categories_match_however_they_are_held() -> None:
    featurizer = LinearFeaturizer(min_count=1)
    _fit(featurizer, _table({"c": "categorical"}, c=[10, 20, 20]), LINEAR)
    for dtype in (pl.Int8, pl.Float64, pl.UInt32):
        later = featurizer.transform(pl.DataFrame({"c": pl.Series([20, 10], dtype=dtype)}))
        np.testing.assert_array_equal(_dense(later), [[1, 0], [0, 1]])


@pytest.mark.parametrize("wants", [TREES, LINEAR, DENSE])
def test_a_column_of_very_many_values_stays_small(wants: Wants) -> None:
    table = _table(c=[f"v{number}" for number in range(200_000)], d=["x", "y"] * 100_000)
    featurizer = AutoFeaturizer(min_count=1)
    features = _fit(featurizer, table, wants)
    assert features.matrix.shape[1] <= 102
    assert len(set(features.names)) == len(features.names)


def test_dates_become_the_parts_that_vary() -> None:
    days = [date(2024, 1, 1), date(2024, 2, 29), None]
    features = _fit(TreeFeaturizer(), _table(d=days), TREES)
    assert features.names == ("d month", "d day", "d weekday")
    np.testing.assert_array_equal(_dense(features)[:2], [[1, 1, 1], [2, 29, 4]])
    assert np.isnan(_dense(features)[2]).all()
    assert set(features.origins) == {"d"}


def test_december_lies_beside_january() -> None:
    months = [date(2024, month, 15) for month in range(1, 13)]
    dense = _dense(_fit(LinearFeaturizer(scale="none"), _table(d=months), DENSE))
    jan, jun, dec = dense[0], dense[5], dense[11]
    assert np.linalg.norm(jan - dec) < np.linalg.norm(jan - jun)


def test_times_durations_and_zones() -> None:
    table = _table(
        t=[time(8, 30), time(22, 15)],
        w=pl.Series([timedelta(seconds=90), timedelta(days=1)]),
        z=pl.Series([datetime(2024, 7, 1, 12), datetime(2024, 7, 1, 23)]).dt.replace_time_zone("Asia/Tokyo"),
    )
    features = _fit(TreeFeaturizer(), table, TREES)
    assert features.names == ("t hour", "t minute", "w seconds", "z hour")
    np.testing.assert_array_equal(_dense(features), [[8, 30, 90, 12], [22, 15, 86400, 23]])


def test_text_declared_as_date_is_refused() -> None:
    with pytest.raises(DataError, match=r"declared as datetime, and the source gives text[\s\S]*times.d=.%Y-%m-%d"):
        _fit(AutoFeaturizer(), _table({"d": "datetime"}, d=["2024-01-01", "2024-01-02"]), TREES)


def test_words_declared_as_numbers_are_refused_with_the_word() -> None:
    with pytest.raises(DataError, match=r"'n' is used as a number.*\n.*many"):
        _fit(AutoFeaturizer(), _table({"n": "numeric"}, n=["1", "many"]), TREES)


def test_text_is_sparse_or_a_few_directions() -> None:
    words = [f"{'prize' if number % 2 else 'lunch'} word{number % 7} today" for number in range(60)]
    table = _table({"t": "text"}, t=words, n=list(range(60)))
    sparse = _fit(AutoFeaturizer(), table, TREES)
    assert sp.issparse(sparse.matrix)
    assert "t: prize" in sparse.names
    dense = _fit(AutoFeaturizer(components=3, seed=1), table, DENSE)
    assert dense.names[-3:] == ("t direction 1", "t direction 2", "t direction 3")
    again = _fit(AutoFeaturizer(components=3, seed=1), table, DENSE)
    np.testing.assert_array_equal(_dense(dense), _dense(again))


def test_a_forest_gets_one_hot_columns_dense_and_many_terms_sparse() -> None:
    narrow = _table({"c": "categorical", "d": "categorical"}, c=["a", "b", "c"] * 20, d=["x", "y"] * 30)
    plain, packed = _fit(AutoFeaturizer(), narrow, FOREST), _fit(AutoFeaturizer(), narrow, LINEAR)
    assert not sp.issparse(plain.matrix)  # two of five cells are not zero: the forest would walk through all of them
    assert sp.issparse(packed.matrix)
    np.testing.assert_array_equal(_dense(plain), _dense(packed))
    terms = [f"w{number % 53} v{number % 59}" for number in range(600)]
    wide = _table({"t": "text"}, t=terms)
    assert sp.issparse(_fit(AutoFeaturizer(), wide, FOREST).matrix)  # two of more than a hundred


def test_train_rows_are_transformed_as_any_other_rows() -> None:
    table = _table({"t": "text"}, t=[f"red green w{number % 5} blue" for number in range(40)])
    featurizer = TextFeaturizer(min_rows=1)
    first = _fit(featurizer, table, LINEAR)
    np.testing.assert_array_equal(_dense(first), _dense(featurizer.transform(table.frame.clone())))


def test_zeros_of_numbers_are_stored_in_sparse_matrices() -> None:
    table = _table({"t": "text"}, t=[f"red green w{number % 5} blue" for number in range(40)], n=[0, 1] * 20)
    matrix: Any = _fit(AutoFeaturizer(), table, TREES).matrix
    assert matrix[:, 0].nnz == 40  # an entry that is not stored reads as missing in some libraries


def test_text_without_a_frequent_word_is_left_out_and_told() -> None:
    featurizer = AutoFeaturizer(min_rows=5)
    table = _table({"t": "text"}, t=["one", "two", None], n=[1, 2, 3])
    assert _fit(featurizer, table, TREES).names == ("n",)
    assert "left out" in featurizer.choices["t"]


def test_no_feature_left_is_refused() -> None:
    with pytest.raises(DataError, match="no feature"):
        _fit(TextFeaturizer(), _table({"t": "text"}, t=[None, None]), LINEAR)
    with pytest.raises(DataError, match="needs a text column"):
        _fit(TextFeaturizer(), _table(n=[1, 2]), LINEAR)


def test_none_refuses_what_is_no_number() -> None:
    with pytest.raises(DataError, match="'c': 'categorical'"):
        _fit(NoneFeaturizer(), _table(n=[1, 2], c=["a", "b"]), TREES)


def test_choices_tell_what_was_done() -> None:
    featurizer = AutoFeaturizer(min_count=1)
    _fit(featurizer, _table(n=[1.0, None], c=["a", "b"], d=[date(2024, 1, 1), date(2025, 1, 1)]), LINEAR)
    assert featurizer.choices["n"] == "number, median and indicator for missing, standardised"
    assert featurizer.choices["c"] == "category, one-hot (2)"
    assert featurizer.choices["d"].startswith("date, cycles: year")


def test_parameters_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="max_categories must be at least 2"):
        AutoFeaturizer(max_categories=1)
    with pytest.raises(ConfigError, match="ngrams must be at least 1"):
        TextFeaturizer(ngrams=0)
