"""Every built-in model keeps the contract."""

from __future__ import annotations

from typing import Any

import pytest

from mlframe.testing import ModelSuite


class TestLgbm(ModelSuite):
    @pytest.fixture
    def component(self) -> dict[str, Any]:
        return {"name": "lgbm", "n_estimators": 30}


class TestLinear(ModelSuite):
    @pytest.fixture
    def component(self) -> str:
        return "linear"


class TestForest(ModelSuite):
    @pytest.fixture
    def component(self) -> dict[str, Any]:
        # With bootstrap, weights change which rows are drawn, so equal weights are another draw than none.
        return {"name": "forest", "n_estimators": 10, "bootstrap": False}


class TestExtraTrees(ModelSuite):
    @pytest.fixture
    def component(self) -> dict[str, Any]:
        return {"name": "extra_trees", "n_estimators": 10}


class TestBoosting(ModelSuite):
    @pytest.fixture
    def component(self) -> dict[str, Any]:
        return {"name": "boosting", "max_iter": 15}


class TestBayes(ModelSuite):
    @pytest.fixture
    def component(self) -> str:
        return "bayes"


class TestNeighbors(ModelSuite):
    @pytest.fixture
    def component(self) -> str:
        return "neighbors"


class TestSvm(ModelSuite):
    @pytest.fixture
    def component(self) -> str:
        return "svm"


class TestSvmWithKernel(ModelSuite):
    @pytest.fixture
    def component(self) -> dict[str, Any]:
        return {"name": "svm", "kernel": "rbf", "components": 40}


class TestMlp(ModelSuite):
    @pytest.fixture
    def component(self) -> dict[str, Any]:
        return {"name": "mlp", "max_iter": 20, "hidden_layer_sizes": [8]}


class TestDummy(ModelSuite):
    @pytest.fixture
    def component(self) -> str:
        return "dummy"


class TestSklearnClassifier(ModelSuite):
    tasks = ("binary", "multiclass")

    @pytest.fixture
    def component(self) -> dict[str, Any]:
        return {"name": "sklearn", "estimator": "ExtraTreesClassifier", "params": {"n_estimators": 10}}


class TestSklearnRegressor(ModelSuite):
    tasks = ("regression",)

    @pytest.fixture
    def component(self) -> dict[str, Any]:
        return {"name": "sklearn", "estimator": "Lasso", "params": {"alpha": 0.1}}
