"""Models keep the contract also with other parameters than in `tests/testing/test_conformance.py`, where every built-in is held to it."""

from __future__ import annotations

from typing import Any

import pytest

from mlframe.testing import ModelSuite

pytestmark = pytest.mark.usefixtures("warm_loads")


class TestForest(ModelSuite):
    @pytest.fixture
    def component(self) -> dict[str, Any]:
        # With bootstrap, weights change which rows are drawn, so equal weights are another draw than none.
        return {"name": "forest", "n_estimators": 10, "bootstrap": False}


class TestSvmWithKernel(ModelSuite):
    @pytest.fixture
    def component(self) -> dict[str, Any]:
        return {"name": "svm", "kernel": "rbf", "components": 40}


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
