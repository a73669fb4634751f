"""Amounts of memory and time in words."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlframe.contracts.amounts import parse_duration, parse_moment, parse_size
from mlframe.errors import ConfigError, ParameterError

SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@given(st.integers(1, 10**6), st.sampled_from(sorted(SECONDS)))
def test_durations_are_seconds_and_fit_a_timedelta(number, unit):
    seconds = parse_duration(f" {number}{unit.upper()} ", where="k")
    assert seconds == number * SECONDS[unit]
    assert timedelta(seconds=seconds) > timedelta(0)


@pytest.mark.parametrize("text", ["soon", "", "-1d", "5ms", "nan", "inf", "1e300d", "999999999d"])
@pytest.mark.parametrize("zero", [False, True])
def test_what_is_no_duration_is_refused(text, zero):
    with pytest.raises(ParameterError, match="Not a duration"):
        parse_duration(text, where="k", zero=zero)


def test_no_time_at_all_is_a_duration_only_where_it_may_be():
    assert [parse_duration(text, where="k", zero=True) for text in ("0", "0d", 0, None)] == [0, 0, 0, None]
    with pytest.raises(ParameterError, match="Not a duration"):
        parse_duration("0d", where="k")


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("8GB", 8 << 30), ("1.5 MiB", 3 << 19), ("2k", 2048), (4096, 4096), (None, None)]
)
def test_sizes_are_bytes(text, size):
    assert parse_size(text, where="k") == size


@pytest.mark.parametrize("text", ["much", "", "0", "-1GB", "8G8", "nan", "inf", "1e400GB"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ParameterError, match="Not a size of memory"):
        parse_size(text, where="k")


def test_moments_are_in_utc():
    assert parse_moment(date(2026, 11, 25), where="k") == parse_moment("2026-11-25", where="k")
    assert parse_moment(" 2026-11-25T08:30+01:00 ", where="k") == datetime(2026, 11, 25, 7, 30, tzinfo=UTC)
    assert parse_moment(None, where="k") is None


@pytest.mark.parametrize("value", ["soon", "2026-13-01", 7, "0001-01-01T00:00+02:00"])
def test_what_is_no_moment_is_refused(value):
    with pytest.raises(ConfigError, match="Not a moment"):
        parse_moment(value, where="k")
