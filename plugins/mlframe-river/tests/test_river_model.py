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
    for one in (estimator, loaded):
        adapter.learn_on(one, Features(features.matrix[300:], features.names, features.origins), truth[300:])
    np.testing.assert_array_equal(loaded.predict(features.matrix), estimator.predict(features.matrix))
    assert task == "binary" or not np.array_equal(before, estimator.predict(features.matrix))


def test_it_follows_a_world_that_turned_round(registry: Registry) -> None:
    features, target = _rows(2000)
    estimator = registry.create("model", {"name": "online_linear"}, task="binary")
    estimator.fit(features.matrix, target)
    assert (estimator.predict(features.matrix) == target).mean() > 0.9
    assert (estimator.predict(features.matrix) == 1 - target).mean() < 0.1
    for _ in range(3):
        RiverAdapter().learn_on(estimator, features, 1 - target)
    assert (estimator.predict(features.matrix) == 1 - target).mean() > 0.9


def test_damaged_file_is_refused() -> None:
    for damaged in (b"", b"{}", b'{"class": "os", "params": {}}', b"\x80\x04"):
        with pytest.raises(BundleError):
            RiverAdapter().load(damaged)
