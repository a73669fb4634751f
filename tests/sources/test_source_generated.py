from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from mlframe.errors import MlframeError
from mlframe.sources.generated import GeneratedSource

CHANGES = {
    "visitors": {"since": "2025-04-11", "until": None, "about": "columns"},
    "competitor": {"since": "2025-06-01", "until": None, "about": "answer"},
    "taste": {"since": "2025-08-09", "until": "2025-09-18", "about": "answer"},
    "gifts": {"since": "2025-10-28", "until": "2025-11-27", "about": "answer"},
}


def liked(frame: pl.DataFrame, column: str, since: str, until: str) -> float:
    """Return how much higher a column is, in its own deviations, among those who buy."""
    part = frame.filter(pl.col("visited").is_between(pl.lit(since).str.to_datetime(), pl.lit(until).str.to_datetime()))
    means = part.group_by("bought").agg(pl.col(column).mean()).sort("bought")[column]
    return float((means[1] - means[0]) / np.std(part[column].to_numpy()))


def test_equal_seeds_give_equal_rows_and_fingerprints() -> None:
    one, same, other = (GeneratedSource("shopping_trends", changes=CHANGES, seed=seed, daily=5) for seed in (1, 1, 2))
    assert one.read().equals(same.read())
    assert not one.read().equals(other.read())
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()
    assert (
        one.fingerprint()
        != GeneratedSource("shopping_trends", changes={**CHANGES, "taste": None}, seed=1, daily=5).fingerprint()
    )


def test_each_change_is_what_it_says() -> None:
    frame = GeneratedSource("shopping_trends", changes=CHANGES, daily=20).read()
    assert frame["visited"].is_sorted()
    assert liked(frame, "rating", "2025-01-01", "2025-06-01") == pytest.approx(0, abs=0.15)
    assert liked(frame, "rating", "2025-06-01", "2025-08-09") > 1
    discounts = [
        liked(frame, "discount", *span) for span in (("2025-06-01", "2025-08-09"), ("2025-09-18", "2025-10-28"))
    ]
    halfway = liked(frame, "discount", "2025-08-24", "2025-09-03")
    assert discounts[0] > halfway > discounts[1]
    assert liked(frame, "price", "2025-10-28", "2025-11-27") > 0.5 > liked(frame, "price", "2025-11-27", "2026-01-01")
    ages = [frame.filter(pl.col("visited").dt.year() == year)["age"].mean() for year in (2025, 2026)]
    assert ages[1] > ages[0]


def test_without_a_change_the_rest_stays_the_same_row_for_row() -> None:
    with_all = GeneratedSource("shopping_trends", changes=CHANGES, daily=5).read()
    calm = GeneratedSource("shopping_trends", changes={"visitors": CHANGES["visitors"]}, daily=5).read()
    assert with_all.drop("bought").equals(calm.drop("bought"))
    assert liked(calm, "price", "2025-01-01", "2025-06-01") == pytest.approx(
        liked(calm, "price", "2025-06-01", "2026-03-01"), abs=0.25
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"dataset": "shopping"}, "shopping_trends"),
        ({"changes": {"gift": {"since": "2025-06-01"}}}, "gifts"),
        ({"changes": {"gifts": {"since": "soon"}}}, "Not a day"),
        ({"changes": {"gifts": {"until": "2025-06-01"}}}, "gifts.since"),
        ({"changes": {"gifts": {"since": "2025-06-01T00:00:00+00:00"}}}, "Not a day"),
        ({"changes": {"gifts": {"since": "2025-06-01", "untill": "2025-07-01"}}}, "Not a change"),
        ({"changes": {"gifts": "2025-06-01"}}, "Not a change"),
        ({"changes": {"gifts": {"since": "2025-06-01", "until": "2025-05-01"}}}, "before it begins"),
        ({"daily": 0}, "1 or more"),
    ],
)
def test_bad_parameters_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(MlframeError, match=said):
        GeneratedSource(**{"dataset": "shopping_trends", **given})
