"""The monitor `business`: money and key figures, and files and queries that are not as they should be."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest
import sqlalchemy as sa

from mlframe.errors import ConfigError, DataError, ParameterError
from mlframe.monitors.business import BusinessMonitor
from mlframe.testing import make_reference, make_window

GOAL = {
    "value": {"tp": 80, "fp": -100, "fn": -20},
    "volume": 50_000,
    "currency": "EUR",
    "targets": {},
    "deadline": "2026-01-01",
}
REVENUE = {"revenue": {"better": "higher", "target": 10.0}}


@pytest.fixture
def reference(tmp_path):
    return make_reference(tmp_path, goal=GOAL)


def keys(found):
    return [alarm.key for alarm in found.alarms]


def told(window, value, share=1.0):
    """Tell an outcome for each labelled row."""
    count = round(share * window.rows)
    outcome = [json.dumps({"revenue": value + k % 3 - 1}) if k < count else None for k in range(window.rows)]
    return replace(window, feedback=window.feedback.with_columns(outcome=pl.Series(outcome, dtype=pl.String)))


def with_role(window, version, role, answer=None, start=None):
    rows = window.predictions.with_columns(version=pl.lit(version), role=pl.lit(role))
    if answer is not None:
        rows = rows.with_columns(y_pred=answer)
    return rows


def test_money_is_that_of_the_matrix(reference):
    window = make_window(labels=1.0)
    found = BusinessMonitor(source="none").observe(reference, window)
    rows = window.labelled().collect()
    said, true = rows["y_pred"] == "yes", rows["label"] == "yes"
    money = 80 * (said & true).sum() - 100 * (said & ~true).sum() - 20 * (~said & true).sum()
    assert found.figures["value_per_1000"].value == pytest.approx(money)
    assert found.figures["gain_per_year"].value == pytest.approx(50 * found.figures["gain_per_1000"].value)
    assert found.figures["gain_per_1000"].low > 0
    assert keys(found) == []


def test_a_model_that_loses_money_is_a_problem(reference):
    window = make_window(labels=1.0)
    worst = pl.when(pl.col("y_pred") == "yes").then(pl.lit("no")).otherwise(pl.lit("yes"))
    found = BusinessMonitor(source="none").observe(
        reference, replace(window, predictions=window.predictions.with_columns(y_pred=worst))
    )
    assert keys(found) == ["business/value"]
    assert "doing nothing" in found.alarms[0].text


def test_a_shadow_is_compared_on_the_same_rows(reference):
    window = make_window(labels=1.0)
    truth = window.feedback.select("request_id", right="label")
    best = (
        with_role(window, "tiny/8", "shadow")
        .join(truth, on="request_id")
        .with_columns(y_pred=pl.col("right"))
        .drop("right")
    )
    both = replace(window, predictions=pl.concat([window.predictions, best]))
    found = BusinessMonitor(source="none").observe(reference, both)
    assert keys(found) == ["business/challenger/tiny/8"]
    assert found.figures["challenger_gain_per_1000"].low > 0
    same = replace(window, predictions=pl.concat([window.predictions, with_role(window, "tiny/8", "shadow")]))
    found = BusinessMonitor(source="none").observe(reference, same)
    assert found.figures["challenger_gain_per_1000"].value == 0
    assert keys(found) == []


def test_a_canary_is_compared_on_rows_of_its_own(reference):
    window = make_window(labels=1.0)
    canary = pl.int_range(pl.len()) % 2 == 0
    rows = window.predictions.with_columns(
        version=pl.when(canary).then(pl.lit("tiny/8")).otherwise("version"),
        role=pl.when(canary).then(pl.lit("canary")).otherwise("role"),
    )
    found = BusinessMonitor(figures={"revenue": {}}).observe(reference, told(replace(window, predictions=rows), 12))
    gain = found.figures["challenger_gain_per_1000"]
    assert gain.low < 0 < gain.high
    assert keys(found) == []
    assert any("canary" in of for of in found.tables["key figures"]["of"])


def test_a_missed_target_is_a_problem_after_the_deadline_an_info_before_and_a_met_one_nothing(reference):
    window = make_window(labels=1.0)
    late = BusinessMonitor(figures=REVENUE).observe(reference, told(window, 8))
    assert [(alarm.key, alarm.severity) for alarm in late.alarms] == [("business/kpi/revenue", "problem")]
    early = replace(reference, goal={**GOAL, "deadline": "2027-01-01"})
    assert [alarm.severity for alarm in BusinessMonitor(figures=REVENUE).observe(early, told(window, 8)).alarms] == [
        "info"
    ]
    met = BusinessMonitor(figures=REVENUE).observe(reference, told(window, 12))
    assert keys(met) == []
    assert met.figures["kpi_revenue"].value == pytest.approx(12, abs=0.1)


def test_outcomes_that_are_missing_or_no_json_are_counted(reference):
    window = told(make_window(labels=1.0), 12, share=0.5)
    feedback = window.feedback.with_columns(
        outcome=pl.when(pl.int_range(pl.len()) < 3).then(pl.lit("oops")).otherwise("outcome")
    )
    found = BusinessMonitor(figures=REVENUE).observe(reference, replace(window, feedback=feedback))
    assert any(note.startswith("3 outcomes are no JSON") for note in found.notes)
    assert found.tables["key figures"]["rows"][0] == 497


# ------------------------------------------------------------------------------------------------ files and queries


def csv(path, lines, head="request_id,revenue"):
    path.write_text("\n".join([head, *lines]) + "\n")
    return {"source": "csv", "file": str(path), "figures": {"revenue": {}}}


def test_lines_that_are_doubled_unknown_or_torn_are_told(reference, tmp_path):
    lines = [f"r{k},{10 + k % 2}" for k in range(500)] + ["r0,10", "r1,99", "nobody,5", ",7"]
    found = BusinessMonitor(**csv(tmp_path / "kpi.csv", lines)).observe(reference, make_window())
    notes = "\n".join(found.notes)
    assert "1 lines tell no request" in notes
    assert "1 lines are there twice" in notes
    assert "1 requests are told of with different values" in notes
    assert "1 of 500 lines are of requests that are not in this window" in notes
    assert "501 of 1,000 predictions have no key figures" in notes
    assert found.figures["kpi_revenue"].value == pytest.approx(10.5, abs=0.01)


def test_times_of_another_zone_fall_into_their_window(reference, tmp_path):
    window = make_window()
    moments = [(window.since + timedelta(minutes=15 * k)).strftime("%Y-%m-%d %H:%M:%S") for k in range(96)]
    given = csv(tmp_path / "kpi.csv", [f"{moment},{k}" for k, moment in enumerate(moments)], "time,revenue")
    whole = BusinessMonitor(**given, join="time").observe(reference, window)
    assert whole.tables["key figures"]["rows"][0] == 96
    berlin = BusinessMonitor(**given, join="time", time_zone="Europe/Berlin").observe(reference, window)
    assert berlin.tables["key figures"]["rows"][0] == 92


def test_a_gap_in_time_is_told(reference, tmp_path):
    window = make_window()
    moments = [window.since + timedelta(minutes=15 * k) for k in range(96) if not 40 <= k < 60]
    given = csv(tmp_path / "kpi.csv", [f"{moment.isoformat()},{k}" for k, moment in enumerate(moments)], "time,revenue")
    found = BusinessMonitor(**given, join="time").observe(reference, window)
    assert any("a gap of 5:15:00" in note for note in found.notes)
    far = replace(window, since=window.since + timedelta(days=9), until=window.until + timedelta(days=9))
    assert any(
        "no line is of this window" in note
        for note in BusinessMonitor(**given, join="time").observe(reference, far).notes
    )


@pytest.mark.parametrize(
    ("head", "line", "join", "error", "text"),
    [
        ("id,revenue", "r1,5", "id", DataError, "no column 'request_id'"),
        ("request_id,profit", "r1,5", "id", DataError, "no column 'revenue'"),
        ("request_id,revenue", "r1,much", "id", DataError, "no number"),
        ("time,revenue", "yesterday,5", "time", DataError, "no moment"),
        ("time,revenue", "2026-10-25 02:30:00,5", "time", DataError, "twice, or never"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error_that_names_the_value(
    reference, tmp_path, head, line, join, error, text
):
    given = csv(tmp_path / "kpi.csv", [line], head)
    with pytest.raises(error, match=text):
        BusinessMonitor(**given, join=join, time_zone="Europe/Berlin").observe(reference, make_window())


def test_a_file_that_is_not_there_is_an_error(reference):
    with pytest.raises(ConfigError, match="No such file"):
        BusinessMonitor(source="csv", file="nowhere.csv").observe(reference, make_window())


@pytest.fixture
def database(tmp_path, monkeypatch):
    path = tmp_path / "kpi.db"
    window = make_window()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE orders (time TEXT, revenue REAL)")
        rows = [
            ((window.since + timedelta(minutes=30 * k)).strftime("%Y-%m-%d %H:%M:%S"), 5.0 + k % 2)
            for k in range(-10, 100)
        ]
        connection.executemany("INSERT INTO orders VALUES (?, ?)", rows)
    connection.close()
    monkeypatch.setenv("KPI_URL", f"sqlite:///{path}")
    return path


def query(text, **options):
    return BusinessMonitor(source="sql", query=text, url_env="KPI_URL", join="time", figures={"revenue": {}}, **options)


def test_a_query_is_asked_for_the_window(reference, database):
    found = query("SELECT time, revenue FROM orders WHERE time >= :since AND time < :until").observe(
        reference, make_window()
    )
    assert found.tables["key figures"]["rows"][0] == 48
    assert found.figures["kpi_revenue"].value == 5.5


def test_a_query_may_only_read_and_its_address_is_in_no_message(reference, database, monkeypatch):
    with pytest.raises(ConfigError, match="refuses the query") as told_error:
        query("DELETE FROM orders").observe(reference, make_window())
    assert str(database) not in str(told_error.value)
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (110,)
    connection.close()
    monkeypatch.setenv("KPI_URL", "no address: secret")
    with pytest.raises(ConfigError) as told_error:
        query("SELECT 1").observe(reference, make_window())
    assert "secret" not in str(told_error.value)
    monkeypatch.delenv("KPI_URL")
    with pytest.raises(ConfigError, match="no address"):
        query("SELECT 1").observe(reference, make_window())


def test_postgresql_is_asked_with_moments_and_lets_nothing_be_written(reference, postgres, monkeypatch):
    window = make_window()
    with postgres.schema() as url:
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.execute(sa.text("CREATE TABLE orders (time TIMESTAMPTZ, revenue NUMERIC(8, 2))"))
            rows = [{"t": window.since + timedelta(minutes=30 * k), "r": 5 + k % 2} for k in range(-10, 100)]
            connection.execute(sa.text("INSERT INTO orders VALUES (:t, :r)"), rows)
        monkeypatch.setenv("KPI_URL", url)
        found = query("SELECT time, revenue FROM orders WHERE time >= :since AND time < :until").observe(
            reference, window
        )
        assert found.tables["key figures"]["rows"][0] == 48
        assert found.figures["kpi_revenue"].value == 5.5
        with pytest.raises(ConfigError, match="read-only transaction"):
            query("DELETE FROM orders RETURNING time, revenue").observe(reference, window)
        with engine.connect() as connection:
            assert connection.execute(sa.text("SELECT count(*) FROM orders")).scalar_one() == 110


@pytest.mark.parametrize(
    "bad",
    [
        {"source": "excel"},
        {"source": "csv"},
        {"source": "sql", "query": "SELECT 1"},
        {"join": "name"},
        {"figures": {"a": {"goal": 3}}},
        {"least": 0},
    ],
)
def test_parameters_that_mean_nothing_are_refused(bad):
    with pytest.raises(ParameterError, match="business"):
        BusinessMonitor(**bad)
