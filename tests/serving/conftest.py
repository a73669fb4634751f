"""Models as the protocols see them: of two classes, of three, and of values."""

from __future__ import annotations

import polars as pl
import pytest
from wire_bench import DTYPES, ROW, RULES, Served, records

from mlframe.pipeline.learning import Learning
from mlframe.serving.schema import Schema


@pytest.fixture
def schema() -> Schema:
    """Give a schema with every type of column; the city is private."""
    return Schema(records(DTYPES, private=("city",)), RULES, [ROW])


@pytest.fixture
def binary(schema: Schema) -> Served:
    """Give a model of two classes that are texts."""
    return Served("shop/7", "shop", 7, schema, Learning("binary", "left", ("no", "yes"), ("no", "yes")))


@pytest.fixture
def multiclass(schema: Schema) -> Served:
    """Give a model of three classes that are numbers."""
    return Served("shop/8", "shop", 8, schema, Learning("multiclass", "stars", ("1", "2", "3"), (1, 2, 3)))


@pytest.fixture
def regression(schema: Schema) -> Served:
    """Give a model of values."""
    return Served("shop/9", "shop", 9, schema, Learning("regression", "price"))


@pytest.fixture(params=["binary", "multiclass", "regression"])
def served(request: pytest.FixtureRequest) -> Served:
    """Give each of the models."""
    model: Served = request.getfixturevalue(request.param)
    return model


@pytest.fixture
def frame() -> pl.DataFrame:
    """Give two rows as a frame, the second with everything missing that may be."""
    empty = dict.fromkeys(ROW) | {"amount": 1.0}
    rows = pl.DataFrame([ROW, empty], schema_overrides={"big": pl.UInt64, "small": pl.Int8}, infer_schema_length=None)
    return rows.with_columns(
        pl.col("born").str.to_date(), pl.col("seen").str.to_datetime(time_unit="us", time_zone="UTC")
    )
