import inspect
from dataclasses import FrozenInstanceError, fields, is_dataclass

import numpy as np
import polars as pl
import pytest

from mlframe import contracts
from mlframe.contracts import TASKS, Adapter, Source, Tracker
from mlframe.testing import make_predictions, make_table

ABSTRACT = [
    "Evaluator",
    "Explorer",
    "Featurizer",
    "Labeler",
    "Reporter",
    "Source",
    "Splitter",
    "Step",
    "Tracker",
    "Validator",
]


def test_what_is_public_exists():
    assert list(contracts.__all__) == sorted(contracts.__all__) or "TASKS" in contracts.__all__
    for name in contracts.__all__:
        assert hasattr(contracts, name)


@pytest.mark.parametrize("name", ABSTRACT)
def test_a_contract_without_its_verbs_cannot_be_built(name):
    with pytest.raises(TypeError, match="abstract"):
        getattr(contracts, name)()


@pytest.mark.parametrize("name", [item for item in contracts.__all__ if is_dataclass(getattr(contracts, item))])
def test_records_are_frozen_and_documented(name):
    record = getattr(contracts, name)
    text = inspect.getdoc(record)
    for item in fields(record):
        assert f"{item.name}:" in text, f"{name} does not say what {item.name} is"
    with pytest.raises(FrozenInstanceError):
        setattr(object.__new__(record), fields(record)[0].name, None)


@pytest.mark.parametrize("task", TASKS)
def test_predictions_as_arrays(task):
    predictions = make_predictions(task)
    assert predictions.y.shape == predictions.y_pred.shape == predictions.weight.shape == (200,)
    if task == "regression":
        assert predictions.y.dtype == np.float64
        return
    assert predictions.y.dtype == predictions.y_pred.dtype == np.intp
    assert predictions.proba.shape == (200, len(predictions.classes))
    names = np.array(predictions.classes)
    assert names[predictions.y].tolist() == predictions.frame["y"].to_list()
    assert (predictions.proba.argmax(axis=1) == predictions.y_pred).all()


def test_an_adapter_can_nothing_by_itself():
    names = ("fit", "rounds", "with_rounds", "save", "load", "gain", "contributions")
    assert not any(hasattr(Adapter(), name) for name in names)
    assert Adapter.categories is False


def test_a_sample_is_the_first_rows_of_any_frame():
    class Lazy(Source):
        def read(self):
            return pl.LazyFrame({"a": range(10)})

        def fingerprint(self):
            return "x"

    assert Lazy().sample(3)["a"].to_list() == [0, 1, 2]


def test_a_trackers_pictures_and_tables_are_optional():
    class Least(Tracker):
        def open(self, run): ...
        def figures(self, values): ...
        def close(self, status): ...

    tracker = Least()
    tracker.chart(None)
    tracker.table("x", pl.DataFrame())
    tracker.bundle("x", None)
    assert tracker.address() is None


@pytest.mark.parametrize("task", TASKS)
def test_tiny_tables_are_equal_by_seed(task):
    assert make_table(task=task).frame.equals(make_table(task=task).frame)
    assert not make_table(task=task).frame.equals(make_table(task=task, seed=1).frame)
