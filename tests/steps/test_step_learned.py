"""What a model has learned is told by content and time, as often as it came, however a source has typed it."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlframe.operating.rows import Stock, unlearned
from mlframe.steps.learned import label_digests, not_learned

FEW = st.lists(st.integers(0, 5), max_size=40)
COLUMNS = ["a", "when", "label"]


@given(rows=FEW, learned=FEW)
def test_news_is_what_came_more_often_than_it_was_learned(rows: list[int], learned: list[int]) -> None:
    digests, known = (np.array(values, dtype=np.uint64) for values in (rows, learned))
    news = not_learned(digests, known)
    assert Counter(digests[news].tolist()) == Counter(rows) - Counter(learned)
    for value in set(rows):  # of equal rows the last ones
        mine = news[digests == value]
        assert (np.diff(mine.astype(int)) >= 0).all()
    assert not not_learned(digests, np.concatenate([known, digests[news]])).any()  # learned now


def frame(rows: int = 40) -> pl.DataFrame:
    when = [datetime(2026, 1, 1) + timedelta(hours=place // 4) for place in range(rows)]
    return pl.DataFrame({"when": when, "a": [place % 3 for place in range(rows)], "label": ["no", "yes"] * (rows // 2)})


def test_the_type_of_a_column_says_nothing_and_its_values_all() -> None:
    one = frame()
    other = one.with_columns(pl.col("a").cast(pl.Float32), pl.col("label").cast(pl.Categorical))
    np.testing.assert_array_equal(label_digests(one, COLUMNS), label_digests(other, COLUMNS[::-1]))
    for when in (pl.col("when").cast(pl.Datetime("ns")), pl.col("when").dt.replace_time_zone("UTC")):
        np.testing.assert_array_equal(label_digests(one, COLUMNS), label_digests(one.with_columns(when), COLUMNS))
    for change in (pl.col("a") + 10, pl.col("when") + timedelta(seconds=1), pl.lit("maybe").alias("label")):
        assert not np.isin(label_digests(one.with_columns(change), COLUMNS), label_digests(one, COLUMNS)).any()


@pytest.mark.parametrize("late", [False, True])
def test_an_update_takes_what_was_not_learned_whenever_it_came(late: bool) -> None:
    rows = frame(200)
    missing = np.arange(200) % 7 == 0 if late else np.arange(200) >= 150
    learned = label_digests(rows.filter(pl.Series(~missing)), COLUMNS)
    found = unlearned(Stock(rows, "when", 200), COLUMNS, learned, "label", ("no", "yes"))
    assert found.rows == 200
    digests = label_digests(found.frame, COLUMNS)
    assert Counter(digests[not_learned(digests, learned)]) == Counter(label_digests(rows, COLUMNS)) - Counter(learned)
    assert found.frame["when"].is_sorted()


def test_a_class_that_news_lacks_is_lent_from_what_is_known() -> None:
    rows = frame(200)
    learned = label_digests(rows[:150].vstack(rows[150:].filter(pl.col("label") == "yes")), COLUMNS)
    found = unlearned(Stock(rows, "when", 200), COLUMNS, learned, "label", ("no", "yes")).frame
    assert found["label"].value_counts(sort=True).rows() == [("no", 25), ("yes", 10)]
    digests = label_digests(found, COLUMNS)
    assert found.filter(pl.Series(not_learned(digests, learned)))["label"].unique().to_list() == ["no"]


def test_nothing_that_is_known_is_news() -> None:
    rows = frame()
    learned = label_digests(rows, COLUMNS)
    assert unlearned(Stock(rows, "when", 40), COLUMNS, learned, "", ()).labels == 0
