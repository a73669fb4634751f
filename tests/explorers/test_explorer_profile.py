from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest

from mlframe.contracts import Exploration
from mlframe.errors import ParameterError
from mlframe.explorers.profile import ProfileExplorer
from mlframe.table import ROW, Table, describe_columns


def explore(frame: pl.DataFrame, target: pl.Series, task: str, roles: dict[str, Any], **options: Any) -> Exploration:
    columns = describe_columns(frame, {name: {"role": role} for name, role in roles.items()})
    return ProfileExplorer(**options).explore(Table(frame.with_row_index(ROW), columns), target, task)


def made(rows: int = 1000) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, rows)
    return pl.DataFrame(
        {
            "y": np.where(y == 1, "yes", "no"),
            "leak": y * 3 + 1,
            "noise": rng.normal(size=rows),
            "signal": y + rng.normal(size=rows),
            "code": [f"user-{i}" for i in range(rows)],
            "number": rng.permutation(rows),
            "constant": ["same"] * rows,
            "empty": pl.Series([None] * rows, dtype=pl.Float64),
            "day": [
                str(day)
                for day in pl.date_range(
                    pl.date(2024, 1, 1), pl.date(2024, 1, 1) + pl.duration(days=rows - 1), eager=True
                )
            ],
            "holes": [None if i % 3 else float(i % 7) for i in range(rows)],
            "colour": rng.choice(["red", "green"], rows),
            "when": pl.datetime_range(
                pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 1) + pl.duration(hours=rows - 1), "1h", eager=True
            ),
            "words": [f"some text of row {i} with words" for i in range(rows)],
            "infinite": [float("inf") if i == 5 else float(i % 11) for i in range(rows)],
        }
    )


def test_suspicious_columns_are_named_and_good_ones_are_not() -> None:
    frame = made()
    found = explore(frame, frame["y"], "binary", {"y": "target", "when": "time"})
    severe = {item.column: item.severity for item in found.findings if item.column}
    assert severe == {
        "leak": "problem",
        "empty": "problem",
        "infinite": "problem",
        "code": "warning",
        "number": "warning",
        "constant": "warning",
        "day": "warning",
        "holes": "warning",
    }
    (day,) = (item.text for item in found.findings if item.column == "day")
    assert "such as 2024-01-01. data.source.types.day=datetime" in day
    assert [item.severity for item in found.findings] == sorted(
        (item.severity for item in found.findings), key=["problem", "warning", "info"].index
    )


def test_table_of_columns_counts_all_rows() -> None:
    frame = made()
    columns = explore(frame, frame["y"], "binary", {"y": "target", "when": "time"}, rows=100).tables["columns"]
    row = {record["column"]: record for record in columns.to_dicts()}
    assert row["holes"]["missing"] == pytest.approx(0.666)
    assert row["holes"]["distinct"] == 7
    assert row["code"]["distinct"] == 1000
    assert row["y"]["association"] is None
    assert row["leak"]["association"] > 0.9
    assert row["noise"]["association"] < 0.3


def test_every_kind_gets_a_legible_picture() -> None:
    frame = made()
    found = explore(frame, frame["y"], "binary", {"y": "target", "when": "time"}, columns=20)
    names = {chart.name for chart in found.charts}
    assert {"target", "rows_over_time", "target_over_time", "missing", "associations"} <= names
    assert {"column_signal", "column_colour", "column_words", "column_leak"} <= names
    assert len(names) == len(found.charts)
    for chart in found.charts:
        ElementTree.fromstring(chart.svg)
        assert any(letter.isdigit() for letter in chart.alt)


def test_regression_shows_features_against_the_target() -> None:
    rng = np.random.default_rng(1)
    frame = pl.DataFrame({"x": rng.normal(size=500), "kind": rng.choice(["a", "b"], 500)})
    frame = frame.with_columns(y=pl.col("x") * 2 + rng.normal(size=500))
    found = explore(frame, frame["y"], "regression", {"y": "target"})
    ranked = found.tables["columns"].drop_nulls("association").sort("association", descending=True)
    assert ranked["column"][0] == "x"
    assert any("median" in item.text for item in found.findings)
    assert {"target", "associations", "column_x"} <= {chart.name for chart in found.charts}


def test_duplicates_and_rare_classes_are_told() -> None:
    frame = pl.DataFrame({"x": [1, 2] * 500, "y": ["a"] * 995 + ["b"] * 5})
    texts = " ".join(item.text for item in explore(frame, frame["y"], "binary", {"y": "target"}).findings)
    assert "repeat another row" in texts
    assert "Rare classes" in texts


def test_personal_data_give_no_example() -> None:
    frame = pl.DataFrame({"name": ["Ada", "Bob"] * 50, "y": [0, 1] * 50})
    columns = describe_columns(frame, {"name": {"tags": ["pii"]}, "y": {"role": "target"}})
    found = ProfileExplorer().explore(Table(frame.with_row_index(ROW), columns), frame["y"], "binary")
    assert found.tables["columns"].row(0, named=True)["example"] is None


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_few_rows_are_no_failure(rows: int) -> None:
    frame = made(max(rows, 1)).head(rows)
    assert explore(frame, frame["y"], "binary", {"y": "target", "when": "time"}).findings


def test_equal_seeds_give_equal_profiles() -> None:
    frame = made()
    first, second = (explore(frame, frame["y"], "binary", {"y": "target"}, rows=200, seed=3) for _ in range(2))
    assert first.charts == second.charts
    assert first.findings == second.findings


def test_impossible_parameters_are_refused() -> None:
    with pytest.raises(ParameterError, match="rows"):
        ProfileExplorer(rows=0)
    with pytest.raises(ParameterError, match="leak"):
        ProfileExplorer(leak=1.5)


EMAIL = Path(__file__).parents[2] / "mlframe" / "datasets" / "email" / "email.csv.gz"


@pytest.mark.skipif(not EMAIL.exists(), reason="the bundled data is not in this checkout")
def test_real_mail_names_missing_mailers_and_html() -> None:
    frame = pl.read_csv(EMAIL, try_parse_dates=True)
    found = explore(frame, frame["label"], "binary", {"label": "target", "received": "time", "id": "id"})
    assert [item.column for item in found.findings if item.severity != "info"] == ["mailer"]
    strongest = found.tables["columns"].drop_nulls("association").sort("association", descending=True)
    assert set(strongest["column"].head(3)) == {"content_type", "has_html", "is_reply"}
