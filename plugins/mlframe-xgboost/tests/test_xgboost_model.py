"""XGBoost keeps the contract of a model, saves in its own format, and refuses wrong parameters before data is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mlframe_xgboost.adapter import XgboostAdapter

from mlframe.contracts import Features, Stop
from mlframe.errors import BundleError
from mlframe.registry import Registry
from mlframe.testing import ModelSuite


class TestXgboost(ModelSuite):
    @pytest.fixture
    def component(self) -> dict[str, Any]:
        return {"name": "xgboost", "n_estimators": 20}


def _rows(rows: int = 400) -> tuple[Features, Any]:
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(rows, 3)).astype(np.float32)
    matrix[:, 2] = rng.integers(0, 8, rows)
    matrix[::10, 2] = np.nan
    target = (np.isin(matrix[:, 2], [1, 4, 6]) ^ (rng.random(rows) < 0.1)).astype(np.intp)
    return Features(matrix, ("a", "b", "c"), ("a", "b", "c"), (2,)), target


def _make(registry: Registry, **parameters: Any) -> Any:
    node = {"name": "xgboost", "n_jobs": 1, "random_state": 0, "verbosity": 0, **parameters}
    return registry.create("model", node, task="binary")


def test_categories_are_split_as_sets(registry: Registry) -> None:
    features, target = _rows()
    estimator = _make(registry, n_estimators=1, max_depth=1, learning_rate=1.0, max_cat_to_onehot=1)
    XgboostAdapter().fit(estimator, features, target)
    # One split finds {1, 4, 6}: impossible when codes are numbers.
    right = (estimator.predict(features.matrix) == target)[~np.isnan(features.matrix[:, 2])].mean()
    assert right > 0.85


def test_stops_early_and_keeps_the_rounds_on_disk(registry: Registry) -> None:
    features, target = _rows()
    adapter = XgboostAdapter()
    estimator = _make(registry, n_estimators=500, learning_rate=0.3)
    adapter.fit(estimator, features, target, stop=Stop(features.matrix[::3], 1 - target[::3], None, 5))
    assert adapter.rounds(estimator) < 20
    loaded = adapter.load(adapter.save(estimator))
    assert adapter.rounds(loaded) == adapter.rounds(estimator)
    np.testing.assert_array_equal(loaded.predict_proba(features.matrix), estimator.predict_proba(features.matrix))


def test_tells_its_rounds_and_ends_when_the_listener_raises(registry: Registry) -> None:
    features, target = _rows()
    heard: list[tuple[int, bool]] = []

    def told(number: int, value: float, higher: bool) -> None:
        assert np.isfinite(value)
        heard.append((number, higher))
        if number == 50:
            raise RuntimeError("enough")

    estimator = _make(registry, n_estimators=300, learning_rate=0.01)
    stop = Stop(features.matrix[::3], target[::3], None, 300, told)
    with pytest.raises(RuntimeError, match="enough"):
        XgboostAdapter().fit(estimator, features, target, stop=stop)
    assert heard == [(25, False), (50, False)]


def test_damaged_file_is_refused(registry: Registry) -> None:
    features, target = _rows()
    adapter = XgboostAdapter()
    estimator = _make(registry, n_estimators=2)
    adapter.fit(estimator, features, target)
    data = adapter.save(estimator)
    for damaged in (b"", b"{}\n", data[: len(data) // 2], b'{"class": "os", "params": {}}\n' + data):
        with pytest.raises(BundleError):
            adapter.load(damaged)


def test_wrong_parameters_are_refused(registry: Registry) -> None:
    node = {"name": "xgboost", "learning_rate": -1, "subsample": 2.0, "tree_method": "fast"}
    assert len(registry.bind("model", node, where="model", task="binary")) == 3
