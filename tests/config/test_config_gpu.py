"""`resources.gpu`: what models are handed, and who is refused. No GPU is needed: what is passed is looked at."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from mlframe.door import Door
from mlframe.plugins import load_plugins

PLUGINS = {"xgboost": "mlframe_xgboost", "catboost": "mlframe_catboost"}
WORDS = {
    "lgbm": {
        "null": {"device_type": "cpu", "gpu_device_id": -1},
        "false": {"device_type": "cpu", "gpu_device_id": -1},
        "true": {"device_type": "gpu", "gpu_device_id": -1},
        "1": {"device_type": "gpu", "gpu_device_id": 1},
    },
    "xgboost": {"null": {"device": "cpu"}, "true": {"device": "cuda"}, "1": {"device": "cuda:1"}},
    "catboost": {
        "null": {"task_type": "CPU", "devices": None},
        "true": {"task_type": "GPU", "devices": None},
        "0": {"task_type": "GPU", "devices": 0},
    },
}
CASES = [(model, gpu, wanted) for model, rows in WORDS.items() for gpu, wanted in rows.items()]


@pytest.mark.parametrize(("model", "gpu", "wanted"), CASES)
def test_a_model_is_handed_the_device(model: str, gpu: str, wanted: dict[str, Any]):
    if model in PLUGINS and importlib.util.find_spec(PLUGINS[model]) is None:
        pytest.skip(f"{PLUGINS[model]} is not installed")
    config = Door([f"model={model}", "data=churn", f"resources.gpu={gpu}"]).compose().resolved
    assert {name: config["model"][name] for name in wanted} == wanted
    for task in ("binary", "regression"):
        estimator = load_plugins().registry.create("model", config["model"], task=task)
        params = estimator.get_params()
        assert {name: params.get(name) for name in wanted} == wanted


def test_catboost_on_a_gpu_is_told_nothing_that_it_refuses():
    estimators = pytest.importorskip("mlframe_catboost.estimators")
    options = estimators.CatBoostClassifier(task_type="GPU", devices=1)._options()
    assert (options["task_type"], options["devices"]) == ("GPU", "1")
    assert "rsm" not in options
    options = estimators.CatBoostClassifier()._options()
    assert "devices" not in options
    assert options["rsm"] == 1.0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("model=linear",), ("No GPU can be used by linear", "resources.gpu")),
        (("model=linear", "resources.gpu=-1"), ("names no GPU",)),
        (("model=lgbm", "resources.gpu=cuda"), ("names no GPU", "the number of one")),
        (("ensembler=voting", "~ensembler.members.lgbm"), ("No GPU can be used by",)),
    ],
)
def test_who_cannot_use_one_is_refused(run_cli: Any, words: tuple[str, ...], told: tuple[str, ...]):
    given = words if any("resources.gpu" in word for word in words) else (*words, "resources.gpu=true")
    result = run_cli("plan", "data=churn", *given)
    assert result.code == 2, result.out
    for word in told:
        assert word in result.err
    assert "Traceback" not in result.err


def test_an_ensemble_with_one_member_that_can_is_taken():
    config = Door(["ensembler=voting", "data=churn", "resources.gpu=true"]).compose().resolved
    members = config["ensembler"]["members"]
    assert any(member.get("device_type") == "gpu" for member in members.values())
