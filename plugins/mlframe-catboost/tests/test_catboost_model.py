"""CatBoost keeps the contract of a model, saves in its own format, and refuses wrong parameters before data is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mlframe_catboost.adapter import CatboostAdapter

from mlframe.contracts import Features, Stop
from mlframe.errors import BundleError
from mlframe.registry import Registry
from mlframe.testing import ModelSuite


class TestCatboost(ModelSuite):
    @pytest.fixture
    def component(self) -> dict[str, Any]:
        return {"name": "catboost", "n_estimators": 20}


def _rows(rows: int = 400) -> tuple[Features, Any]:
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(rows, 3)).astype(np.float32)
    matrix[:, 2] = rng.integers(0, 8, rows)
    matrix[::10, 2] = np.nan
    target = (np.isin(matrix[:, 2], [1, 4, 6]) ^ (rng.random(rows) < 0.1)).astype(np.intp)
    return Features(matrix, ("a", "b", "c"), ("a", "b", "c"), (2,)), target


def _make(registry: Registry, **parameters: Any) -> Any:
    node = {"name": "catboost", "n_jobs": 1, "random_state": 0, **parameters}
    return registry.create("model", node, task="binary")


def test_categories_are_known_as_categories(registry: Registry) -> None:
    features, target = _rows()
    estimator = _make(registry, n_estimators=30, depth=1, learning_rate=0.3)
    CatboostAdapter().fit(estimator, features, target)
    # Stumps on target statistics find {1, 4, 6}; stumps on codes cannot add up to that in any order.
    right = (estimator.predict(features.matrix) == target)[~np.isnan(features.matrix[:, 2])].mean()
    assert right > 0.8


def test_stops_early_and_keeps_the_rounds_on_disk(registry: Registry) -> None:
    features, target = _rows()
    adapter = CatboostAdapter()
    estimator = _make(registry, n_estimators=500, learning_rate=0.3)
    adapter.fit(estimator, features, target, stop=Stop(features.matrix[::3], 1 - target[::3], None, 5))
    assert adapter.rounds(estimator) < 20
    loaded = adapter.load(adapter.save(estimator))
    assert adapter.rounds(loaded) == adapter.rounds(estimator)
    np.testing.assert_array_equal(loaded.predict_proba(features.matrix), estimator.predict_proba(features.matrix))


def test_tells_its_rounds_and_ends_when_the_listener_raises(registry: Registry) -> None:
    features, target = _rows()
    heard: list[tuple[int, bool]] = []
    told_values = []

    def told(number: int, value: float, higher: bool) -> None:
        told_values.append(value)
        heard.append((number, higher))
        if number == 50:
            raise RuntimeError("enough")

    estimator = _make(registry, n_estimators=300, learning_rate=0.03)
    stop = Stop(features.matrix[::3], target[::3], None, 300, told)
    with pytest.raises(RuntimeError, match="enough"):
        CatboostAdapter().fit(estimator, features, target, stop=stop)
    assert heard == [(25, False), (50, False)]
    assert 0 < told_values[1] < told_values[0]  # the loss on the rows that are watched, which falls
    silent = _make(registry, n_estimators=60, learning_rate=0.03)
    CatboostAdapter().fit(silent, features, target, stop=Stop(features.matrix[::3], target[::3], None, 300, None))
    asked = _make(registry, n_estimators=60, learning_rate=0.03)
    ears = Stop(features.matrix[::3], target[::3], None, 300, lambda *_: None)
    CatboostAdapter().fit(asked, features, target, stop=ears)
    np.testing.assert_array_equal(silent.predict_proba(features.matrix), asked.predict_proba(features.matrix))


def test_damaged_file_is_refused(registry: Registry) -> None:
    features, target = _rows()
    adapter = CatboostAdapter()
    estimator = _make(registry, n_estimators=2)
    adapter.fit(estimator, features, target)
    data = adapter.save(estimator)
    for damaged in (b"", b"{}\n", data[: len(data) // 2], b'{"class": "os", "params": {}}\n' + data):
        with pytest.raises(BundleError):
            adapter.load(damaged)


def test_wrong_parameters_are_refused(registry: Registry) -> None:
    node = {"name": "catboost", "learning_rate": -1, "rsm": 2.0, "depth": 99}
    assert len(registry.bind("model", node, where="model", task="binary")) == 3
