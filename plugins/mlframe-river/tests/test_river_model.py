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


def test_damaged_file_is_refused(registry: Registry) -> None:
    features, target = _rows(50)
    whole = RiverAdapter().save(
        registry.create("model", {"name": "online_linear"}, task="binary").fit(features.matrix, target)
    )
    assert RiverAdapter().save(RiverAdapter().load(whole)) == whole
    longer, beyond = (
        whole.replace(b'"mean": [', b'"mean": [0.5, '),
        whole.replace(b'"weights": [[0,', b'"weights": [[7,'),
    )
    for damaged in (b"", b"{}", b'{"class": "os", "params": {}}', b"\x80\x04", longer, beyond):
        with pytest.raises(BundleError):
            RiverAdapter().load(damaged)


@pytest.mark.parametrize("features", [3, 60])
def test_neither_many_features_nor_heavy_rows_throw_it_off(registry: Registry, features: int) -> None:
    """A plain gradient step of this length would grow without end in 60 features."""
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=(1500, features)) * 10.0 ** rng.integers(-3, 4, features)
    truth = 1e4 + 50 * matrix[:, 0] / matrix[:, 0].std() + rng.normal(size=1500)
    weight = rng.choice([0.0, 0.5, 1.0, 100.0], 1500)
    estimator = registry.create("model", {"name": "online_linear", "passes": 2}, task="regression")
    estimator.fit(matrix, truth, weight)
    assert np.corrcoef(estimator.predict(matrix), truth)[0, 1] > 0.9
    assert np.abs(estimator.predict(matrix) - truth).mean() < 25  # 40 by the mean


def test_a_weight_of_two_is_a_row_twice_and_of_nothing_none(registry: Registry) -> None:
    features, target = _rows(200)
    node = {"name": "online_linear"}
    one, two, without = (registry.create("model", node, task="binary").fit(features.matrix, target) for _ in range(3))
    new = features.matrix[:1]
    one.partial_fit(new, target[:1], [4.0])
    for _ in range(4):
        two.partial_fit(new, target[:1])
    before = without.predict_proba(features.matrix)
    without.partial_fit(new, target[:1], [0.0])
    np.testing.assert_array_equal(without.predict_proba(features.matrix), before)
    np.testing.assert_allclose(one.predict_proba(new), two.predict_proba(new), atol=0.01)


@pytest.mark.parametrize(
    ("name", "value"), [("learning_rate", 1.5), ("learning_rate", 0.0), ("l2", -1.0), ("passes", 0)]
)
def test_parameters_that_teach_nothing_are_refused(registry: Registry, name: str, value: float) -> None:
    errors = registry.bind("model", {"name": "online_linear", name: value}, where="model", task="binary")
    assert [name in str(error) for error in errors] == [True]
