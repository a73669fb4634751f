"""Plain values score as frames do: types, missing values, times with a zone, labels as people know them."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, datetime

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mlframe.errors import StepError
from mlframe.featurizers.auto import AutoFeaturizer
from mlframe.pipeline import Learning, Member, Node, Pipeline, Rows, fit_estimator, stacked, wants_of
from mlframe.pipeline.inputs import plain_columns, to_frame
from mlframe.pipeline.opening import Opened
from mlframe.pipeline.scorer import MANY, Scorer, prove, told
from mlframe.testing import make_table, make_target
from mlframe.testing.data import CLASSES

RECORDS = [
    {"name": name, "dtype": dtype}
    for name, dtype in (("n", "Int16"), ("x", "Float32"), ("b", "Boolean"), ("s", "String"), ("d", "Date"))
] + [{"name": "t", "dtype": "Datetime(time_unit='ns', time_zone='Europe/Berlin')"}]


SIGMOID = {"method": "sigmoid", "parts": [[0.7, 0.1]]}


class FramesOnly(AutoFeaturizer):
    """As a plugin's, which knows nothing of plain values."""

    @property
    def plain(self):
        raise AttributeError


class Lying(AutoFeaturizer):
    def plain(self, columns, rows):
        return super().plain(columns, rows) + 1.0


class Failing(AutoFeaturizer):
    def plain(self, columns, rows):
        raise ZeroDivisionError("plain")


def fitted(registry, task: str, names: tuple[str, ...] = ("linear", "lgbm"), kind=AutoFeaturizer, **last) -> Pipeline:
    table = make_table(task=task)
    target = make_target(table, task)
    parts = []
    for name in names:
        node = {"name": name, **({"n_estimators": 10, "verbosity": -1} if name == "lgbm" else {})}
        estimator, adapter = registry.create("model", node, task=task), registry.adapter("model", name)
        featurizer = kind()
        featurizer.fit(table, target, wants_of(estimator, adapter))
        features = featurizer.transform(table.frame)
        fit_estimator(estimator, adapter, features, target, None, None, name)
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


# ------------------------------------------------------------------------------------------------ the fast path


def piecewise(scorer: Scorer, frame: pl.DataFrame, sizes: tuple[int, ...]) -> np.ndarray:
    columns, given, start = plain_columns(frame, scorer.pipeline.columns), [], 0
    for rows in sizes:
        given.append(scorer.outputs({name: values[start : start + rows] for name, values in columns.items()}, rows))
        start += rows
    assert start == len(frame)
    return np.concatenate(given)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("names", [("lgbm",), ("linear",), ("lgbm", "linear"), ("boosting", "lgbm"), ("forest",)])
def test_the_fast_path_scores_the_same(registry, task: str, names: tuple[str, ...]):
    pipeline = fitted(registry, task, names)
    frame = make_table(task=task).frame
    scorer = Scorer(pipeline, fast=True)
    assert scorer.fast
    wanted = pipeline.outputs(frame)
    np.testing.assert_allclose(piecewise(scorer, frame, (1, 1, 2, 16, 100)), wanted, rtol=1e-10)
    np.testing.assert_allclose(scorer.outputs(plain_columns(frame, pipeline.columns), 120), wanted, rtol=1e-10)
    assert scorer.outputs(plain_columns(frame[:0], pipeline.columns), 0).shape == wanted[:0].shape


def test_calibration_threshold_and_a_stack_that_reads_the_rows(registry):
    pipeline = fitted(registry, "binary", ("lgbm", "linear"), calibration=SIGMOID, threshold=0.3)
    frame = make_table().frame
    first, second = pipeline.members
    own = second.featurizer.transform(frame)
    given = [member.outputs(Rows(frame), 2) for member in (first, second)]
    final = registry.create("model", {"name": "linear"}, task="binary")
    final.fit(stacked(given, 2, own), make_target(make_table(), "binary"))
    names = (*"ab", *own.names)
    last = Member(second.featurizer, final, "linear", names, names, registry.adapter("model", "linear"))
    pipeline.root = Node("stack", [first, Node("mean", [second, first], (2.0, 1.0))], final=last)
    scorer = Scorer(pipeline, fast=True)
    outputs = piecewise(scorer, frame, (1, 19, 100))
    np.testing.assert_allclose(outputs, pipeline.outputs(frame), rtol=1e-10)
    assert scorer.labels(outputs) == pipeline.predict(frame)["y_pred"].to_list()
    assert scorer.ordinary == []
    assert prove(pipeline, frame, pipeline.predict(frame))["proven"]


def test_one_featurizer_transforms_once_for_all_that_share_it(registry):
    pipeline = fitted(registry, "binary", ("lgbm",))
    member = pipeline.members[0]
    calls = []
    ask = member.featurizer.plain
    member.featurizer.plain = lambda columns, rows: calls.append(rows) or ask(columns, rows)
    pipeline.root = Node("mean", [member, replace(member), replace(member)])
    Scorer(pipeline, fast=True).outputs(plain_columns(make_table().frame[:3], pipeline.columns), 3)
    assert calls == [3]


def test_rows_that_only_a_frame_knows_and_many_rows_score_as_well(registry):
    pipeline = fitted(registry, "binary", ("lgbm",))
    frame = make_table().frame.with_columns(pl.lit(1e300).alias("amount"))
    scorer = Scorer(pipeline, fast=True)
    columns = plain_columns(frame[:2], pipeline.columns)
    assert pipeline.members[0].featurizer.plain(columns, 2) is None
    np.testing.assert_allclose(scorer.outputs(columns, 2), pipeline.outputs(frame[:2]), rtol=1e-12)
    many = make_table(rows=MANY).frame
    np.testing.assert_allclose(scorer.outputs(plain_columns(many, pipeline.columns), MANY), pipeline.outputs(many))


def test_parts_without_a_fast_way_are_named(registry):
    frame = make_table().frame
    pipeline = fitted(registry, "binary", ("bayes",), FramesOnly)
    scorer = Scorer(pipeline, fast=True)
    assert not scorer.fast
    assert scorer.ordinary == ["FramesOnly takes frames only", "model=bayes has no fast predictor"]
    found = prove(pipeline, frame, pipeline.predict(frame))
    assert found == {"proven": False, "difference": None, "why": "; ".join(scorer.ordinary)}
    np.testing.assert_array_equal(piecewise(scorer, frame, (120,)), pipeline.outputs(frame))
    half = fitted(registry, "binary", ("bayes",))
    found = prove(half, frame, half.predict(frame))
    assert found["proven"]
    assert found["why"] == "model=bayes has no fast predictor"
    assert told(found).endswith("; model=bayes has no fast predictor")


def test_a_type_without_a_plain_form_is_named(registry):
    pipeline = fitted(registry, "binary", ("bayes",))
    pipeline.columns = [
        {**c, "dtype": "Duration(time_unit='us')"} if c["name"] == "ordered" else c for c in pipeline.columns
    ]
    scorer = Scorer(pipeline, fast=True)
    assert not scorer.fast
    assert scorer.ordinary[0] == "column 'ordered' has the type Duration(time_unit='us')"


@pytest.mark.parametrize(
    ("kind", "text"), [(Lying, "it (differs|decides)"), (Failing, "it fails on holdout row 0: Zero")]
)
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_fast_path_that_says_something_else_is_not_used(registry, kind, text: str, task: str):
    pipeline = fitted(registry, task, ("linear",), kind)
    frame = make_table(task=task).frame
    found = prove(pipeline, frame, pipeline.predict(frame))
    assert not found["proven"]
    assert re.search(text, found["why"])
    assert told(found) == f"not used: {found['why']}"


def test_a_small_difference_is_told_and_a_larger_one_is_refused(registry):
    pipeline = fitted(registry, "regression", ("linear",))
    frame = make_table(task="regression").frame
    expected = pipeline.predict(frame)
    for change, proven in ((1e-12, True), (1e-6, False)):
        found = prove(pipeline, frame, expected.with_columns(pl.col("y_pred") * (1 + change)))
        assert found["proven"] is proven
        assert found["difference"] == pytest.approx(change, rel=0.2)


def test_without_rows_nothing_is_proven(registry):
    pipeline = fitted(registry, "binary", ("lgbm",))
    frame = make_table().frame[:0]
    assert "no holdout row" in prove(pipeline, frame, pipeline.predict(frame))["why"]
    assert "older than the proof" in told(None)


# ------------------------------------------------------------------------------------------------ an opened bundle


def test_an_opened_bundle_takes_the_fast_way_only_where_it_is_proven_there_and_here(registry, tmp_path, monkeypatch):
    pipeline, frame = fitted(registry, "binary", ("lgbm",)), make_table().frame
    frame.select(pipeline.inputs).write_ipc(tmp_path / "examples.arrow")
    pipeline.predict(frame).write_ipc(tmp_path / "expected.arrow")
    opened = Opened(tmp_path, {"fast": {"proven": True}}, pipeline, [], "own/1")
    quick = opened.quickest()
    assert [member.ask is not None for member in quick.members] == [True]
    np.testing.assert_allclose(quick.outputs(frame), pipeline.outputs(frame), rtol=1e-10)
    for manifest in ({"fast": {"proven": False}}, {"fast": None}, {}):
        assert replace(opened, manifest=manifest).quickest() is pipeline
    adapter = type(pipeline.members[0].adapter)
    monkeypatch.setattr(adapter, "fast", lambda self, estimator: lambda matrix: np.full((len(matrix), 2), 0.5))
    assert opened.quickest() is pipeline, "it was proven elsewhere, and here it says something else"
