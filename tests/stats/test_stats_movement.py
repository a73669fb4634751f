"""How far a column has moved: the effect does not depend on the number of rows, sketched statistics bracket the exact ones."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlframe import stats


def moved(before, now, kind="numeric", **kwargs):
    first = stats.sketch(pl.Series("x", before), kind, **kwargs)
    return stats.movement(first, stats.sketch(pl.Series("x", now), kind, like=first))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["normal", "steps", "heavy"]), st.floats(0, 2))
def test_sketched_statistics_bracket_the_exact_ones(seed, shape, shift):
    rng = np.random.default_rng(seed)
    make = {
        "normal": lambda n: rng.normal(size=n),
        "steps": lambda n: rng.integers(0, 9, n).astype(float),
        "heavy": lambda n: rng.standard_t(2, n),
    }[shape]
    before, now = make(2000), make(700) + shift
    found = moved(before, now)
    exact, _ = stats.kolmogorov_smirnov(before, now)
    assert found.kolmogorov_smirnov - 1e-12 <= exact <= found.kolmogorov_smirnov_high + 1e-12
    distance = stats.wasserstein(before, now)
    assert abs(found.wasserstein - distance) <= found.wasserstein_error + 1e-9
    if shape == "steps" and shift in (0.0, 1.0):
        assert found.kolmogorov_smirnov == pytest.approx(exact, abs=1e-12)


def test_columns_of_few_values_are_compared_exactly():
    rng = np.random.default_rng(0)
    before, now = rng.integers(0, 50, 5000).astype(float), rng.integers(0, 50, 900).astype(float)
    found = moved(before, now)
    assert found.kolmogorov_smirnov == pytest.approx(stats.kolmogorov_smirnov(before, now)[0], abs=1e-12)
    assert found.kolmogorov_smirnov_high == pytest.approx(found.kolmogorov_smirnov, abs=1e-12)
    assert found.wasserstein == pytest.approx(stats.wasserstein(before, now), rel=1e-9)


@pytest.mark.parametrize(("shift", "low", "high"), [(0.5, 0.17, 0.25), (0.25, 0.07, 0.14), (0.02, 0.0, 0.05)])
def test_the_effect_does_not_depend_on_the_number_of_rows(shift, low, high):
    rng = np.random.default_rng(1)
    before = rng.normal(size=20_000)
    for rows in (1_000, 10_000, 300_000):
        found = moved(before, rng.normal(shift, 1, rows))
        assert low <= found.effect <= high, rows


def test_noise_in_a_hundred_rows_can_be_chance():
    rng = np.random.default_rng(2)
    before = rng.normal(size=5000)
    chances = [moved(before, rng.normal(size=100)).p for _ in range(200)]
    assert sum(p < 0.05 for p in chances) <= 16
    assert sum(p < 0.005 for p in chances) <= 3


def test_missing_values_move_a_column():
    rng = np.random.default_rng(3)
    values = rng.normal(size=2000)
    holes = [None if k % 4 == 0 else value for k, value in enumerate(values.tolist())]
    found = moved(values, holes)
    assert (found.missed, found.missing) == (0, 0.25)
    assert found.effect > 0.3
    assert found.p < 1e-9
    assert moved(values, [None] * 50 + [float("nan")] * 50).missing == 1


def test_unseen_and_rare_names():
    before = ["a"] * 500 + ["b"] * 480 + [f"r{k}" for k in range(20)]
    same = moved(before, ["a"] * 500 + ["b"] * 480 + ["r1"] * 10 + [f"s{k}" for k in range(20)], "categorical")
    assert same.effect < 0.1
    assert same.unseen == pytest.approx(0.02, abs=0.001)
    found = moved(before, ["a"] * 50 + ["gold"] * 50, "categorical")
    assert found.unseen == 0.5
    assert found.told["new"] == {"gold": 0.5}
    assert found.told["changed"][0] == {"name": "b", "before": 0.48, "now": 0.0}
    many = [f"n{k}" for k in range(2000)]
    assert moved(many, many, "categorical").unseen is None, "with names that are not listed nobody can tell"


def test_names_that_are_new_because_there_are_many_are_no_drift():
    rng = np.random.default_rng(6)
    chances, effects = [], []
    for _ in range(40):
        rows = [f"n{k}" for k in np.minimum(rng.zipf(1.7, 3000), 10_000)]
        found = moved(rows[1000:], rows[:1000], "categorical")
        assert found.unseen > 0.02
        chances.append(found.p)
        effects.append(found.effect)
    assert sum(p < 0.05 for p in chances) <= 6
    assert max(effects) < 0.1


def test_values_beyond_the_few_that_were_seen_are_no_drift():
    rng = np.random.default_rng(7)
    chances = [moved(rng.normal(size=60), rng.normal(size=3000)).p for _ in range(100)]
    assert sum(p < 0.05 for p in chances) <= 11


def test_texts_move_by_length_and_by_words():
    rng = np.random.default_rng(4)
    words = np.array(["offer", "lunch", "report", "invoice", "parcel", "ticket"])

    def texts(rows, vocabulary, count=6):
        return [" ".join(rng.choice(vocabulary, count)) for _ in range(rows)]

    before = texts(2000, words)
    assert moved(before, texts(800, words), "text").effect < 0.1
    longer = moved(before, texts(800, words, 12), "text")
    assert longer.told["length_effect"] > 0.3
    other = moved(before, texts(800, np.array([*words[:5], "bitcoin"])), "text")
    assert other.told["words_effect"] > 0.3
    assert other.p < 1e-6
    private = moved(before, texts(800, np.array([*words[:5], "bitcoin"])), "text", private=True)
    assert private.effect == pytest.approx(other.effect, abs=0.1)


def test_a_constant_that_changed_and_nothing_at_all():
    assert moved([3.0] * 100, [4.0] * 100).effect == pytest.approx(1, abs=0.01)
    assert moved([3.0] * 100, [3.0] * 50).effect == 0
    empty = moved(pl.Series([], dtype=pl.Float64), [1.0])
    assert 0 <= empty.effect <= 1
    assert moved([1.0, 2.0], pl.Series([], dtype=pl.Float64)).p == 1


def test_values_beyond_all_that_was_seen_are_a_group_of_their_own():
    rng = np.random.default_rng(5)
    before = rng.uniform(0, 1, 5000)
    now = rng.uniform(0, 1, 1000)
    now[:50] = 7
    assert moved(before, now).effect > 0.1
    assert moved(before, rng.uniform(0, 1, 1000)).effect < 0.05


def test_infinite_values_have_no_distance():
    found = moved([1.0, 2.0, 3.0] * 30, [1.0, float("inf"), 3.0] * 30)
    assert found.wasserstein is None
    assert found.effect > 0.1


def test_sketches_of_other_columns_are_not_compared():
    numbers, names = stats.sketch(pl.Series([1.0]), "numeric"), stats.sketch(pl.Series(["a"]), "categorical")
    with pytest.raises(ValueError, match="is not compared with"):
        stats.movement(numbers, names)
    with pytest.raises(ValueError, match="two grids"):
        stats.movement(numbers, stats.sketch(pl.Series([2.0]), "numeric"))
