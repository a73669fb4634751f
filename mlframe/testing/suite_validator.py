"""Conformance of a validator (hook `mlframe_validators`)."""

# ruff: noqa: D102 (a test's name is its documentation)

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mlframe.contracts import Validation, Validator
from mlframe.registry import Registered, Registry
from mlframe.table import Table
from mlframe.testing.data import make_table
from mlframe.testing.suite import Suite

__all__ = ["ValidatorSuite"]

FAILURES = {"row": pl.UInt32, "column": pl.String, "check": pl.String, "value": pl.String}

RULES = ("nullable", "min", "max", "above", "below", "allowed", "forbidden", "pattern", "min_length", "max_length")


class ValidatorSuite(Suite):
    """A validator reports every failure by the row's number, and changes nothing.

    Override `component` and `bad` (rows that do not pass, with their numbers); override `good` (rows that do) where
    `make_table()` would not.
    """

    group = "validators"

    @pytest.fixture
    def good(self) -> Table:
        """Return rows in which the validator finds nothing."""
        return make_table()

    @pytest.fixture
    def bad(self) -> tuple[Table, Collection[int]]:
        """Return a table and the numbers (`mlframe.table.ROW`) of its failing rows, one or more."""
        raise NotImplementedError(f"{type(self).__name__} must override the fixture 'bad'")

    @pytest.fixture
    def validator(self, registry: Registry, item: Registered, node: dict[str, Any]) -> Validator:
        """Give the validator."""
        made = registry.create(self.group, node)
        assert isinstance(made, Validator)
        return made

    def test_good_rows_pass_and_stay(self, validator: Validator, good: Table) -> None:
        before = good.frame.clone()
        found = validator.validate(good, labelled=True)
        _check_form(found, good)
        assert found.failures.height == 0, found.failures
        assert_frame_equal(good.frame, before)

    def test_prediction_rows_need_no_target(self, validator: Validator, good: Table) -> None:
        gone = {column.name for column in good.columns if column.role in ("target", "weight")}
        rows = Table(good.frame.drop(gone), tuple(c for c in good.columns if c.name not in gone))
        found = validator.validate(rows, labelled=False)
        _check_form(found, rows)
        assert found.failures.height == 0, found.failures

    def test_every_failure_is_reported_by_row_number(
        self, validator: Validator, bad: tuple[Table, Collection[int]]
    ) -> None:
        table, wanted = bad
        assert wanted, "the fixture 'bad' must name the rows that fail"
        before = table.frame.clone()
        # Reversed and thinned, so that a position taken for a row's number is found out.
        for rows in (np.arange(len(table)), np.arange(len(table))[::-1], np.arange(1, len(table), 2)):
            part = table.take(rows)
            found = validator.validate(part, labelled=True)
            _check_form(found, part)
            present = set(part.row_ids.tolist())
            assert set(found.failures["row"].drop_nulls().to_list()) == set(wanted) & present
        assert_frame_equal(table.frame, before)

    def test_two_looks_find_the_same(self, validator: Validator, good: Table) -> None:
        first = validator.validate(good, labelled=True)
        assert_frame_equal(first.failures, validator.validate(good, labelled=True).failures)

    def test_no_rows_are_no_exception(self, validator: Validator, good: Table) -> None:
        _check_form(validator.validate(good.with_frame(good.frame.clear()), labelled=True), good)

    def test_rules_are_said_in_words_that_servers_know(self, validator: Validator) -> None:
        for name, rule in validator.rules().items():
            assert set(rule) <= set(RULES), f"unknown words in the rules of column {name!r}"


def _check_form(found: Validation, table: Table) -> None:
    assert isinstance(found, Validation)
    assert found.policy in ("fail", "drop", "quarantine")
    assert dict(found.failures.schema) == FAILURES
    assert set(found.failures["row"].drop_nulls()) <= set(table.row_ids.tolist())
    assert found.failures["check"].null_count() == 0
