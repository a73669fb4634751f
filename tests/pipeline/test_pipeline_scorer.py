"""Plain values score as frames do: types, missing values, times with a zone, labels as people know them."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mlframe.contracts import Wants
from mlframe.errors import StepError
from mlframe.featurizers.auto import AutoFeaturizer
from mlframe.pipeline import Learning, Member, Node, Pipeline
from mlframe.pipeline.inputs import plain_columns, to_frame
from mlframe.pipeline.scorer import Scorer
from mlframe.testing import make_table, make_target
from mlframe.testing.data import CLASSES

RECORDS = [
    {"name": name, "dtype": dtype}
    for name, dtype in (("n", "Int16"), ("x", "Float32"), ("b", "Boolean"), ("s", "String"), ("d", "Date"))
] + [{"name": "t", "dtype": "Datetime(time_unit='ns', time_zone='Europe/Berlin')"}]


def fitted(registry, task: str, names: tuple[str, ...] = ("linear", "lgbm"), **last) -> Pipeline:
    table = make_table(task=task)
    target = make_target(table, task)
    parts = []
    for name in names:
        node = {"name": name, **({"n_estimators": 10, "verbosity": -1} if name == "lgbm" else {})}
        estimator, adapter = registry.create("model", node, task=task), registry.adapter("model", name)
        featurizer = AutoFeaturizer()
        featurizer.fit(table, target, Wants())
        features = featurizer.transform(table.frame)
        estimator.fit(features.matrix, target)
        parts.append(Member(featurizer, estimator, name, features.names, features.origins, adapter))
    root = parts[0] if len(parts) == 1 else Node("mean", parts)
    columns = [record for record in table.column_records() if record["role"] == "feature"]
    return Pipeline(root, Learning(task, "label", CLASSES[task], CLASSES[task]), columns, **last)


def test_frames_and_plain_values_are_each_other():
    frame = pl.DataFrame(
        {
            "n": pl.Series([1, None, 3], dtype=pl.Int16),
            "x": pl.Series([0.1, None, -2.5], dtype=pl.Float32),
            "b": [True, None, False],
            "s": ["naïve", None, ""],
            "d": [date(2024, 2, 29), None, date(1901, 1, 1)],
            "t": pl.Series([datetime(2024, 7, 1, 12), None, datetime(2024, 1, 1)]).dt.replace_time_zone(
                "Europe/Berlin"
            ),
        }
    )
    columns = plain_columns(frame, RECORDS)
    assert columns["t"][0] == datetime(2024, 7, 1, 12)
    back = to_frame(columns, RECORDS)
    assert back.schema["t"] == pl.Datetime("us")
    assert_frame_equal(back.drop("t"), frame.drop("t"))


def test_numpy_arrays_become_the_types_of_the_pipeline():
    columns = {
        "n": np.array([1, 2], dtype=np.int64),
        "x": np.array([1.0, np.nan]),
        "b": np.array([True, False]),
        "s": np.array(["a", None], dtype=object),
        "d": np.array(["2024-02-29", "NaT"], dtype="datetime64[D]"),
        "t": np.array(["2024-02-29T12:30", "NaT"], dtype="datetime64[ms]"),
    }
    frame = to_frame(columns, RECORDS)
    assert [str(dtype) for dtype in frame.dtypes[:5]] == [record["dtype"] for record in RECORDS[:5]]
    assert frame["t"].to_list() == [datetime(2024, 2, 29, 12, 30), None]
    assert frame["d"].to_list() == [date(2024, 2, 29), None]


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_outputs_are_the_pipelines(registry, task: str):
    pipeline = fitted(registry, task)
    frame = make_table(task=task).frame
    scorer = Scorer(pipeline, fast=False)
    outputs = scorer.outputs(plain_columns(frame, pipeline.columns), len(frame))
    np.testing.assert_array_equal(outputs, pipeline.outputs(frame))
    assert scorer.labels(outputs) == pipeline.predict(frame)["y_pred"].to_list()
    assert scorer.fast is False


def test_labels_have_the_type_of_the_data_and_heed_the_threshold(registry):
    pipeline = fitted(registry, "binary", ("linear",), threshold=0.9)
    pipeline.learning = Learning("binary", "label", ("0", "1"), (0, 1))
    outputs = np.array([[0.2, 0.8], [0.05, 0.95]])
    assert Scorer(pipeline, fast=False).labels(outputs) == [0, 1]
    with pytest.raises(StepError, match="not finite"):
        Scorer(pipeline, fast=False).labels(np.array([[np.nan, np.nan]]))
