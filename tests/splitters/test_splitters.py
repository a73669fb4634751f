from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlframe.contracts import Split, Splitter
from mlframe.errors import ConfigError, DataError
from mlframe.splitters.base import even_folds, even_share
from mlframe.splitters.group import GroupSplitter
from mlframe.splitters.holdout import HoldoutSplitter
from mlframe.splitters.kfold import KFoldSplitter
from mlframe.splitters.stratified import StratifiedSplitter
from mlframe.splitters.time import TimeSplitter
from mlframe.table import ROW, Table, describe_columns


def table(roles: dict[str, str] | None = None, **columns: Any) -> Table:
    frame = pl.DataFrame(columns).with_row_index(ROW)
    return Table(frame, describe_columns(frame, {name: {"role": role} for name, role in (roles or {}).items()}))


def make(
    count: int, classes: int = 2, groups: int = 20, times: int = 50, seed: int = 0
) -> tuple[Table, np.ndarray[Any, Any]]:
    random = np.random.default_rng(seed)
    target = random.permutation(np.arange(count) % classes)
    stamps = [datetime(2024, 1, 1) + timedelta(days=int(day)) for day in random.integers(times, size=count)]
    data = table(
        {"y": "target", "g": "group", "t": "time"},
        y=[f"class{code}" for code in target],
        g=random.permutation(np.arange(count) % groups),
        t=stamps,
    )
    return data, target


SPLITTERS: dict[str, Any] = {
    "holdout": lambda seed, **kw: HoldoutSplitter(seed=seed, **kw),
    "kfold": lambda seed, **kw: KFoldSplitter(folds=3, seed=seed, **kw),
    "stratified": lambda seed, **kw: StratifiedSplitter(folds=3, seed=seed, **kw),
    "group": lambda seed, **kw: GroupSplitter(folds=3, seed=seed, **kw),
    "time": lambda seed, **kw: TimeSplitter(folds=3, seed=seed, **kw),
}


def check_no_overlap(split: Split, count: int) -> None:
    everything = np.arange(count)
    assert not np.intersect1d(split.holdout, split.development).size
    assert np.isin(split.holdout, everything).all()
    for train, valid in split.folds:
        assert train.dtype == valid.dtype == np.intp
        assert len(train)
        assert len(valid)
        assert not np.intersect1d(train, valid).size
        assert len(np.unique(train)) == len(train)
        assert np.isin(np.concatenate([train, valid]), split.development).all()


@pytest.mark.parametrize("name", SPLITTERS)
@settings(max_examples=25, deadline=None)
@given(count=st.integers(80, 300), seed=st.integers(0, 9), share=st.sampled_from([0.0, 0.1, 0.3]))
def test_parts_never_overlap_and_equal_seeds_cut_equally(name: str, count: int, seed: int, share: float) -> None:
    data, target = make(count, seed=seed)
    for task, values in (("binary", target), ("regression", np.random.default_rng(seed).normal(size=count))):
        split = SPLITTERS[name](seed, holdout=share).split(data, values, task)
        again = SPLITTERS[name](seed, holdout=share).split(data, values, task)
        check_no_overlap(split, count)
        assert np.array_equal(np.sort(np.concatenate([split.holdout, split.development])), np.arange(count))
        assert (len(split.holdout) == 0) == (share == 0.0)
        assert abs(len(split.holdout) - share * count) <= 0.1 * count
        assert np.array_equal(split.holdout, again.holdout)
        for one, other in zip(split.folds, again.folds, strict=True):
            assert np.array_equal(one[0], other[0])
            assert np.array_equal(one[1], other[1])


@pytest.mark.parametrize("name", ["kfold", "stratified", "group"])
@settings(max_examples=25, deadline=None)
@given(count=st.integers(80, 300), seed=st.integers(0, 9))
def test_every_development_row_is_validated_once(name: str, count: int, seed: int) -> None:
    data, target = make(count, seed=seed)
    split = SPLITTERS[name](seed).split(data, target, "binary")
    valid = np.concatenate([valid for _, valid in split.folds])
    assert np.array_equal(np.sort(valid), split.development)
    for train, part in split.folds:
        assert len(train) + len(part) == len(split.development)


@pytest.mark.parametrize("name", ["kfold", "stratified", "group"])
@settings(max_examples=25, deadline=None)
@given(count=st.integers(80, 300), seed=st.integers(0, 9), repeats=st.integers(2, 4))
def test_repeats_cut_the_same_development_rows_again(name: str, count: int, seed: int, repeats: int) -> None:
    data, target = make(count, seed=seed)
    once = SPLITTERS[name](seed).split(data, target, "binary")
    split = SPLITTERS[name](seed, repeats=repeats).split(data, target, "binary")
    check_no_overlap(split, count)
    assert len(split.folds) == 3 * repeats
    assert np.array_equal(split.holdout, once.holdout)
    for one, other in zip(once.folds, split.folds, strict=False):  # the first repeat is the cut without repeats
        assert np.array_equal(one[1], other[1])
    label = data.frame["g"].to_numpy()
    for repeat in range(repeats):
        folds = split.folds[3 * repeat : 3 * repeat + 3]
        assert np.array_equal(np.sort(np.concatenate([valid for _, valid in folds])), split.development)
        if name == "group":
            assert all(not np.intersect1d(label[train], label[valid]).size for train, valid in folds)
        if repeat:
            assert any(not np.array_equal(a[1], b[1]) for a, b in zip(folds, once.folds, strict=True))


def test_groups_of_different_sizes_are_cut_otherwise_in_a_repeat() -> None:
    groups = np.repeat(np.arange(12), np.arange(5, 17))
    data = table({"y": "target", "g": "group"}, y=["a", "b"] * (len(groups) // 2), g=groups)
    target = np.arange(len(groups)) % 2
    split = GroupSplitter(folds=3, holdout=0.0, repeats=2).split(data, target, "binary")
    first, second = ({tuple(valid) for _, valid in split.folds[at : at + 3]} for at in (0, 3))
    assert first != second


@pytest.mark.parametrize("kind", [KFoldSplitter, StratifiedSplitter, GroupSplitter])
def test_repeats_below_one_are_refused(kind: Any) -> None:
    with pytest.raises(ConfigError, match=r"splitter\.repeats"):
        kind(repeats=0)


@pytest.mark.parametrize("name", ["holdout", "kfold", "stratified", "group"])
def test_another_seed_cuts_otherwise(name: str) -> None:
    data, target = make(200)
    first, second = (SPLITTERS[name](seed).split(data, target, "binary") for seed in (0, 1))
    assert not np.array_equal(first.holdout, second.holdout)
    assert not np.array_equal(first.folds[0][1], second.folds[0][1])


@settings(max_examples=40, deadline=None)
@given(counts=st.lists(st.integers(4, 60), min_size=2, max_size=5), seed=st.integers(0, 9))
def test_classes_keep_their_shares(counts: list[int], seed: int) -> None:
    target = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    data = table({"y": "target"}, y=[str(code) for code in target])
    split = StratifiedSplitter(folds=3, holdout=0.2, seed=seed).split(data, target, "multiclass")
    for code, count in enumerate(counts):
        assert abs((target[split.holdout] == code).sum() - 0.2 * count) <= 1 + 1e-9 + abs(
            0.2 * count - len(split.holdout) / len(target) * count
        )
        per_fold = [(target[valid] == code).sum() for _, valid in split.folds]
        assert max(per_fold) - min(per_fold) <= 1


def test_ranges_of_a_number_keep_their_shares() -> None:
    target = np.random.default_rng(0).lognormal(sigma=2, size=1000)
    split = StratifiedSplitter(folds=5, bins=10).split(table(x=target), target, "regression")
    high = target > np.quantile(target, 0.9)
    assert high[split.holdout].sum() == pytest.approx(20, abs=1)
    assert all(high[valid].sum() == pytest.approx(16, abs=1) for _, valid in split.folds)


@settings(max_examples=40, deadline=None)
@given(count=st.integers(60, 300), groups=st.integers(4, 30), seed=st.integers(0, 9), share=st.floats(0.05, 0.5))
def test_groups_stay_whole(count: int, groups: int, seed: int, share: float) -> None:
    data, target = make(count, groups=groups, seed=seed)
    label = data.frame["g"].to_numpy()
    splitter = GroupSplitter(folds=3, seed=seed)
    values = target.astype(float)
    split = splitter.split(data, values, "regression")
    check_no_overlap(split, count)
    for one, other in [(split.holdout, split.development), *split.folds]:
        assert not np.intersect1d(label[one], label[other]).size
    train, stop = splitter.cut(data, values, "regression", split.folds[0][0], share)
    assert not np.intersect1d(label[train], label[stop]).size


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(60, 300),
    times=st.integers(30, 200),
    seed=st.integers(0, 9),
    gap=st.sampled_from([0, 5, "2d", "36h"]),
)
def test_the_past_is_learned_and_the_future_judged(count: int, times: int, seed: int, gap: int | str) -> None:
    data, _ = make(count, times=times, seed=seed)
    when = data.frame["t"].to_physical().to_numpy()
    values = np.zeros(count)
    splitter = TimeSplitter(folds=3, gap=gap)
    split = splitter.split(data, values, "regression")
    check_no_overlap(split, count)
    between = {"2d": timedelta(days=2), "36h": timedelta(hours=36)}.get(str(gap), timedelta(0))
    least = between / timedelta(microseconds=1)
    cuts = [
        *split.folds,
        (split.development, split.holdout),
        splitter.cut(data, values, "regression", split.development, 0.3),
    ]
    for train, later in cuts:
        assert when[train].max() < when[later].min(), "rows of one time are never on both sides"
        assert when[later].min() - when[train].max() >= least
    starts = [when[valid].min() for _, valid in split.folds]
    assert starts == sorted(starts)
    sizes = [len(train) for train, _ in split.folds]
    assert sizes == sorted(sizes), "windows expand"
    assert when[split.folds[-1][1]].max() < when[split.holdout].min()
    if gap == 5:
        lost = count - len(split.development) - len(split.holdout)
        assert lost == 5


def test_windows_have_the_share_that_was_asked_for() -> None:
    data = table({"t": "time"}, t=range(1000))
    split = TimeSplitter(folds=2, holdout=0.0, valid=0.1).split(data, np.zeros(1000), "regression")
    assert [(len(train), len(valid)) for train, valid in split.folds] == [(800, 100), (900, 100)]


@pytest.mark.parametrize("name", SPLITTERS)
@settings(max_examples=20, deadline=None)
@given(share=st.floats(0.02, 0.9), seed=st.integers(0, 5))
def test_a_cut_for_early_stopping_stays_inside_its_rows(name: str, share: float, seed: int) -> None:
    data, target = make(200, seed=seed)
    splitter: Splitter = SPLITTERS[name](seed)
    rows = splitter.split(data, target, "binary").folds[-1][0]
    train, stop = splitter.cut(data, target, "binary", rows, share)
    assert len(train)
    assert len(stop)
    assert np.array_equal(np.sort(np.concatenate([train, stop])), rows)
    assert np.array_equal(stop, splitter.cut(data, target, "binary", rows, share)[1])
    assert abs(len(stop) - share * len(rows)) <= 0.1 * len(rows)


@settings(max_examples=60, deadline=None)
@given(
    labels=st.lists(st.integers(0, 4), min_size=2, max_size=80), share=st.floats(0.01, 0.99), folds=st.integers(2, 6)
)
def test_shares_and_folds_are_even_in_each_stratum(labels: list[int], share: float, folds: int) -> None:
    strata = np.array(labels)
    random = np.random.default_rng(0)
    drawn = even_share(strata, share, random)
    assert 0 < drawn.sum() < len(labels)
    fold = even_folds(strata, folds, random)
    for stratum in np.unique(strata):
        inside = strata == stratum
        assert abs(drawn[inside].sum() - drawn.mean() * inside.sum()) < 1 + 1e-9
        sizes = np.bincount(fold[inside], minlength=folds)
        assert sizes.max() - sizes.min() <= 1


def refused(splitter: Splitter, data: Table, target: Any, task: str = "regression") -> str:
    with pytest.raises(DataError) as caught:
        splitter.split(data, np.asarray(target), task)
    text = str(caught.value)
    assert "do: " in text
    return text


@pytest.mark.parametrize("name", SPLITTERS)
def test_a_class_with_a_single_row_is_named(name: str) -> None:
    data, target = make(60)
    frame = data.frame.with_columns(y=pl.when(pl.col(ROW) == 7).then(pl.lit("rare")).otherwise("y"))
    target = target.copy()
    target[7] = 2
    assert "Class 'rare' has a single row" in refused(SPLITTERS[name](0), data.with_frame(frame), target, "multiclass")


def test_a_class_smaller_than_the_folds_is_named() -> None:
    target = np.array([0] * 30 + [1] * 4)
    text = refused(StratifiedSplitter(), table({"y": "target"}, y=["a"] * 30 + ["b"] * 4), target, "binary")
    assert "Class 'b' has 4 rows, 5 folds and a holdout need 6" in text
    assert "splitter.folds=3" in text
    assert (
        "folds="
        not in refused(
            StratifiedSplitter(folds=2), table({"y": "target"}, y=["a"] * 30 + ["b"] * 2), [0] * 30 + [1] * 2, "binary"
        ).split("do:")[1]
    )


@pytest.mark.parametrize("name", SPLITTERS)
def test_too_few_rows_are_refused(name: str) -> None:
    data, target = make(2, groups=2)
    assert "too few" in refused(SPLITTERS[name](0), data, target.astype(float))


def test_missing_and_unusable_columns_are_refused() -> None:
    values = np.zeros(40)
    plain = table(x=range(40))
    assert "role 'time'" in refused(TimeSplitter(), plain, values)
    assert "role 'group'" in refused(GroupSplitter(), plain, values)
    holes = [None, *range(39)]
    assert "missing in 1 rows" in refused(TimeSplitter(), table({"t": "time"}, t=holes), values)
    assert "missing in 1 rows" in refused(GroupSplitter(), table({"g": "group"}, g=holes), values)
    assert "no order in time" in refused(TimeSplitter(), table({"t": "time"}, t=["2024"] * 40), values)
    assert "cannot make 5 folds" in refused(GroupSplitter(), table({"g": "group"}, g=["a", "b"] * 20), values)
    assert "to judge on" in refused(TimeSplitter(), table({"t": "time"}, t=[1] * 40), values)
    assert "too few for 5 windows" in refused(TimeSplitter(), table({"t": "time"}, t=[1, 2, 3, 4] * 10), values)
    assert "Fold 1 has 0 train" in refused(TimeSplitter(gap=20), table({"t": "time"}, t=range(40)), values)


def test_train_rows_of_one_class_are_refused() -> None:
    target = np.array([0] * 30 + [1] * 30)
    data = table({"t": "time", "y": "target"}, t=range(60), y=["a"] * 30 + ["b"] * 30)
    assert "all of class 'a'" in refused(TimeSplitter(), data, target, "binary")


def test_rows_that_cannot_be_cut_for_early_stopping_are_refused() -> None:
    data = table({"g": "group", "t": "time"}, g=["a"] * 10, t=[1] * 10)
    for splitter in (GroupSplitter(), TimeSplitter()):
        with pytest.raises(DataError, match=r"fit\.early_stopping=none"):
            splitter.cut(data, np.zeros(10), "regression", np.arange(10), 0.2)


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda: KFoldSplitter(folds=1), "2 or more"),
        (lambda: KFoldSplitter(holdout=1.0), "below 1"),
        (lambda: HoldoutSplitter(valid=0.0), "above 0"),
        (lambda: TimeSplitter(gap="7 parsecs"), "number of rows or a duration"),
        (lambda: TimeSplitter(gap=-1), "number of rows or a duration"),
        (lambda: TimeSplitter(folds=5, valid=0.2), "leave nothing to learn from"),
        (lambda: StratifiedSplitter(bins=0), "1 or more"),
    ],
)
def test_impossible_parameters_are_refused_at_once(build: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        build()


def test_a_duration_needs_a_time_and_a_number_needs_rows() -> None:
    with pytest.raises(ConfigError, match="plain number"):
        TimeSplitter(gap="7d").split(table({"t": "time"}, t=range(40)), np.zeros(40), "regression")
    assert TimeSplitter(gap="3").gap == 3
