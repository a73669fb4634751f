from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from mlframe.errors import DataError
from mlframe.labelers.column import ColumnLabeler
from mlframe.table import ROW, Table, describe_columns


def table(roles: dict[str, str], **columns: list[Any]) -> Table:
    frame = pl.DataFrame(columns, strict=False).with_row_index(ROW, offset=10)
    return Table(frame, describe_columns(frame, {name: {"role": role} for name, role in roles.items()}))


def refused(data: Table, missing: Any = "fail") -> str:
    with pytest.raises(DataError) as caught:
        ColumnLabeler(missing).label(data)
    return str(caught.value)


def test_the_target_column_is_taken_with_weight_one() -> None:
    frame = ColumnLabeler().label(table({"y": "target"}, x=[1, 2], y=["a", "b"])).frame
    assert frame.schema == {"row_id": pl.UInt32, "target": pl.String, "label_source": pl.String, "weight": pl.Float64}
    assert frame.rows() == [(10, "a", "column", 1.0), (11, "b", "column", 1.0)]


def test_the_weight_column_is_taken() -> None:
    frame = ColumnLabeler().label(table({"y": "target", "w": "weight"}, y=[1.5, 2.5], w=[0, 3])).frame
    assert frame["weight"].to_list() == [0.0, 3.0]


@pytest.mark.parametrize("values", [["a", None, "b"], [1.0, float("nan"), 2.0]])
def test_missing_targets_stop_or_stay_unknown(values: list[Any]) -> None:
    data = table({"y": "target"}, y=values)
    assert "missing in 1 row: 11" in refused(data)
    assert ColumnLabeler("drop").label(data).frame["target"].to_list() == [values[0], None, values[2]]


@pytest.mark.parametrize(
    ("roles", "columns", "told"),
    [
        ({}, {"x": [1, 2]}, "No column has the role 'target'"),
        ({"y": "target", "x": "target"}, {"x": [1, 2], "y": [1, 2]}, "2 columns have the role 'target'"),
        ({"y": "target"}, {"y": [None, None]}, "no value in any row"),
        ({"y": "target"}, {"y": ["a", "a"]}, "the same in all rows"),
        ({"y": "target"}, {"y": [1.0, float("inf")]}, "infinite in 1 row: 11"),
        ({"y": "target", "w": "weight"}, {"y": [1, 2], "w": [1, -1]}, "negative, missing or infinite in 1 row: 11"),
        ({"y": "target", "w": "weight"}, {"y": [1, 2], "w": [1.0, float("nan")]}, "negative, missing or infinite"),
        ({"y": "target", "w": "weight"}, {"y": [1, 2], "w": [1.0, None]}, "negative, missing or infinite"),
        ({"y": "target", "w": "weight"}, {"y": [1, 2], "w": ["a", "b"]}, "not a number"),
        ({"y": "target", "w": "weight"}, {"y": [1, 2], "w": [0, 0]}, "0 in all rows"),
    ],
)
@pytest.mark.parametrize("missing", ["fail", "drop"])
def test_unusable_targets_and_weights_are_refused(
    roles: dict[str, str], columns: dict[str, list[Any]], told: str, missing: str
) -> None:
    kinds = {name: {"role": role, "kind": "numeric"} for name, role in roles.items()}
    frame = pl.DataFrame(columns).with_row_index(ROW, offset=10)
    assert told in refused(Table(frame, describe_columns(frame, kinds)), missing)
