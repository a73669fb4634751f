"""Leakage checks: planted leaks are found with their numbers, honest data raises no alarm."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlframe.contracts import Split
from mlframe.feasibility import CHECKS, Leak, column_leaks, split_leaks
from mlframe.feasibility.columns import power
from mlframe.table import ROW, Table, describe_columns

ROWS = 600


def make(columns: Mapping[str, Any], roles: Mapping[str, str] | None = None) -> Table:
    frame = pl.DataFrame(dict(columns)).with_row_index(ROW)
    return Table(frame, describe_columns(frame, {name: {"role": role} for name, role in (roles or {}).items()}))


def cut(rows: int = ROWS, *, order: np.ndarray[Any, Any] | None = None) -> Split:
    at = np.arange(rows) if order is None else order
    held, rest = at[: rows // 5], at[rows // 5 :]
    folds = tuple((np.setdiff1d(rest, part), np.sort(part)) for part in np.array_split(rest, 3))
    return Split(folds, np.sort(held), np.sort(rest))


def noise(rows: int = ROWS, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=rows)


def found(table: Table, target: Any, task: str, classes: tuple[str, ...] = ()) -> dict[str, Leak]:
    leaks = [*column_leaks(table, target, task, np.arange(len(table)), classes)]
    assert {leak.check for leak in leaks} <= set(CHECKS)
    return {leak.key: leak for leak in leaks}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), task=st.sampled_from(["binary", "multiclass", "regression"]))
def test_columns_that_know_nothing_raise_no_alarm(seed: int, task: str):
    random = np.random.default_rng(seed)
    target = random.normal(size=ROWS) if task == "regression" else random.integers(0, 2 + (task == "multiclass"), ROWS)
    word = [f"w{code}" for code in random.integers(0, 40, ROWS)]
    gaps = np.where(random.random(ROWS) < 0.3, np.nan, random.normal(size=ROWS))
    table = make({"x": random.normal(size=ROWS), "word": word, "gaps": pl.Series(gaps).fill_nan(None)})
    assert found(table, target, task) == {}


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_copy_of_the_target_is_found(task: str):
    random = np.random.default_rng(1)
    target = random.normal(size=ROWS) if task == "regression" else random.integers(0, 2 + (task == "multiclass"), ROWS)
    copy = np.exp(target) if task == "regression" else target * 10.0 + random.random(ROWS)
    leaks = found(make({"x": noise(), "copy": copy}), target, task)
    assert set(leaks) == {"single_column:copy"}
    assert leaks["single_column:copy"].severity == "problem"
    assert "data.columns.copy.role=ignore" in str(leaks["single_column:copy"].remedy)


def test_a_strong_column_is_no_leak():
    random = np.random.default_rng(2)
    x = random.normal(size=4000)
    assert found(make({"x": x}), x + 0.3 * random.normal(size=4000), "regression") == {}
    assert found(make({"x": x}), (x + 0.5 * random.normal(size=4000) > 0).astype(int), "binary") == {}


def test_being_filled_in_tells_the_class():
    random = np.random.default_rng(3)
    target = (random.random(ROWS) < 0.4).astype(int)
    boat = pl.Series(np.where((target == 1) ^ (random.random(ROWS) < 0.05), "a", "")).replace("", None)
    body = pl.Series(np.where((target == 0) & (random.random(ROWS) < 0.2), 1.0, np.nan)).fill_nan(None)
    leaks = found(make({"boat": boat, "body": body, "x": noise()}), target, "binary", ("dead", "alive"))
    assert set(leaks) == {"presence:boat", "presence:body"}
    assert "ROC AUC 0.9" in leaks["presence:boat"].text
    assert "filled in are of class 'dead' (59% of all)" in leaks["presence:body"].text


def test_parts_of_the_target_are_found():
    random = np.random.default_rng(4)
    casual, registered = random.poisson(30, ROWS), random.poisson(120, ROWS)
    table = make({"casual": casual, "registered": registered, "temp": noise()})
    leaks = found(table, (casual + registered).astype(float), "regression")
    assert set(leaks) == {"sum"}
    assert "the target is casual + registered in every row" in leaks["sum"].text
    weighted = found(table, 2.5 * casual - registered + 7.0, "regression")
    assert "2.5 * casual - registered" in weighted["sum"].text
    assert "sum" not in found(table, casual + registered + 5 * noise(seed=9), "regression")


def test_a_number_of_the_row_is_no_feature():
    target = np.repeat([0, 1], ROWS // 2)
    flat = np.random.default_rng(5).permutation(target)
    number = np.arange(ROWS) + 1000
    ordered = found(make({"number": number, "x": noise()}), target, "binary")
    assert ordered["single_column:number"].severity == "problem"
    assert ordered["identifier:number"].severity == "problem"
    assert ordered["order"].severity == "info"
    mild = found(make({"number": number, "x": noise()}), flat, "binary")
    assert set(mild) == {"identifier:number"}
    assert mild["identifier:number"].severity == "warning"
    assert mild["identifier:number"].remedy == "data.columns.number.role=id"


def test_repeated_rows_are_found_across_the_cut():
    random = np.random.default_rng(6)
    half = random.normal(size=(ROWS // 2, 3))
    doubled = np.vstack([half, half])[random.permutation(ROWS)]
    table = make({f"x{at}": doubled[:, at] for at in range(3)})
    target = random.integers(0, 2, ROWS)
    (leak,) = split_leaks(table, cut(), target, "binary")
    assert leak.check == "duplicate_rows"
    assert leak.severity == "problem"
    assert "of 120 holdout rows" in leak.text
    assert [*split_leaks(make({"x": noise()}), cut(), target, "binary")] == []


def test_equal_rows_of_few_values_are_natural():
    random = np.random.default_rng(7)
    table = make({"a": random.integers(0, 3, ROWS), "b": random.integers(0, 3, ROWS)})
    (leak,) = split_leaks(table, cut(), random.integers(0, 2, ROWS), "binary")
    assert leak.severity == "info"
    assert "natural" in leak.text


@pytest.mark.parametrize("role", ["id", "group"])
def test_an_entity_on_both_sides_is_found(role: str):
    customer = np.arange(ROWS) % 60
    table = make({"customer": customer, "x": noise()}, {"customer": role})
    (leak,) = split_leaks(table, cut(), np.arange(ROWS) % 2, "binary")
    assert leak.key == "entities:customer"
    assert leak.severity == "problem"
    assert "120 of 120 holdout rows" in leak.text
    whole = cut(order=np.argsort(customer, kind="stable"))
    split = Split((), whole.holdout, whole.development)
    assert [*split_leaks(table, split, np.arange(ROWS) % 2, "binary")] == []


def test_ids_that_are_unique_cross_nothing():
    table = make({"id": np.arange(ROWS), "x": noise()}, {"id": "id"})
    assert [*split_leaks(table, cut(), np.arange(ROWS) % 2, "binary")] == []


@pytest.mark.parametrize(("alike", "severity"), [(True, "problem"), (False, "warning")])
def test_a_cut_that_ignores_time_is_found(alike: bool, severity: str):
    random = np.random.default_rng(8)
    days = [datetime(2024, 1, 1) + timedelta(days=at) for at in range(ROWS)]
    target = (np.arange(ROWS) // 50 % 2) if alike else random.integers(0, 2, ROWS)
    table = make({"day": days, "x": noise()}, {"day": "time"})
    (leak,) = split_leaks(table, cut(order=random.permutation(ROWS)), target, "binary")
    assert (leak.key, leak.severity, leak.remedy) == ("time_overlap:day", severity, "splitter=time")
    rest = np.arange(ROWS)
    ordered = Split(((rest[:200], rest[200:400]), (rest[:400], rest[400:480])), rest[480:], rest[:480])
    assert [*split_leaks(table, ordered, target, "binary")] == []


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), levels=st.integers(2, 300))
def test_power_is_fair_to_columns_of_many_values(seed: int, levels: int):
    random = np.random.default_rng(seed)
    truth = np.eye(2)[random.integers(0, 2, 2000)]
    assert power(random.integers(0, levels, 2000), truth, np.arange(2000) % 2 == 0) < 0.6
