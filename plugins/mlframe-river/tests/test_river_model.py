"""River's models keep the contract of a model, learn on, and come back from JSON to learn on as before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mlframe_river.adapter import RiverAdapter

from mlframe.contracts import Features
from mlframe.errors import BundleError
from mlframe.registry import Registry
from mlframe.testing import ModelSuite


class TestOnlineLinear(ModelSuite):
    @pytest.fixture
    def component(self) -> dict[str, Any]:
        return {"name": "online_linear"}


def _rows(rows: int = 600) -> tuple[Features, Any]:
    matrix = np.random.default_rng(1).normal(size=(rows, 3))
    names = ("a", "b", "c")
    return Features(matrix, names, names), (matrix[:, 0] > 0).astype(np.intp)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_learning_on_after_loading_is_the_same(registry: Registry, task: str) -> None:
    features, target = _rows()
    adapter, truth = RiverAdapter(), target if task == "binary" else features.matrix[:, 0] * 3 + 5
    estimator = registry.create("model", {"name": "online_linear"}, task=task)
    estimator.fit(features.matrix[:300], truth[:300])
    loaded = adapter.load(adapter.save(estimator))
    before = estimator.predict(features.matrix)
    new = Features(features.matrix[300:], features.names, features.origins)
    fresh = registry.create("model", {"name": "online_linear"}, task=task)
    one, other = (adapter.learn_on(fresh, known, new, truth[300:]) for known in (estimator, loaded))
    np.testing.assert_array_equal(other.predict(features.matrix), one.predict(features.matrix))
    np.testing.assert_array_equal(estimator.predict(features.matrix), before)  # the fitted one stays as it is
    ask = "predict_proba" if task == "binary" else "predict"
    assert not np.array_equal(getattr(one, ask)(features.matrix), getattr(estimator, ask)(features.matrix))


def test_it_follows_a_world_that_turned_round(registry: Registry) -> None:
    features, target = _rows(2000)
    estimator = registry.create("model", {"name": "online_linear"}, task="binary")
    estimator.fit(features.matrix, target)
    assert (estimator.predict(features.matrix) == target).mean() > 0.9
    assert (estimator.predict(features.matrix) == 1 - target).mean() < 0.1
    for _ in range(3):
        estimator = RiverAdapter().learn_on(estimator, estimator, features, 1 - target)
    assert (estimator.predict(features.matrix) == 1 - target).mean() > 0.9


def test_damaged_file_is_refused() -> None:
    for damaged in (b"", b"{}", b'{"class": "os", "params": {}}', b"\x80\x04"):
        with pytest.raises(BundleError):
            RiverAdapter().load(damaged)
