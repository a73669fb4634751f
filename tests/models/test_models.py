"""Every model on every kind of data, and what single models promise beyond the contract."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
import polars as pl
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import all_estimators

from mlframe.contracts import Stop
from mlframe.errors import BundleError, ConfigError, DataError, MlframeError, UnknownNameError
from mlframe.featurizers.auto import AutoFeaturizer
from mlframe.models import boosting, lgbm, saving
from mlframe.pipeline import fit_estimator, wants_of
from mlframe.plugins import load_plugins
from mlframe.registry import Registry
from mlframe.table import Table
from mlframe.testing import make_table

REGISTRY = load_plugins().registry
SMALL: dict[str, dict[str, Any]] = {
    "boosting": {"max_iter": 10},
    "extra_trees": {"n_estimators": 10},
    "forest": {"n_estimators": 10},
    "lgbm": {"n_estimators": 20, "verbosity": -1, "deterministic": True},
    "mlp": {"max_iter": 15, "hidden_layer_sizes": [16]},
    "sklearn": {"estimator": "ExtraTrees{}"},
    "catboost": {"n_estimators": 10},
    "xgboost": {"n_estimators": 10},
}
TARGETS = {"binary": ("no", "yes"), "multiclass": ("high", "low", "middle"), "regression": ()}


def _node(name: str, task: str, **parameters: Any) -> dict[str, Any]:
    node = {"name": name, "random_state": 0, "n_jobs": 1, **SMALL.get(name, {}), **parameters}
    if "estimator" in node:
        node["estimator"] = node["estimator"].format("Regressor" if task == "regression" else "Classifier")
    return node


def _learn(name: str, task: str, table: Table) -> tuple[Any, Any, Any]:
    """Fit as the pipeline does; return featurizer, estimator, codes or values."""
    label = table.frame["label"]
    names = list(TARGETS[task])
    y = label.cast(pl.Enum(names)).to_physical().to_numpy().astype(np.intp) if names else label.to_numpy()
    adapter = REGISTRY.adapter("model", name)
    estimator = REGISTRY.create("model", _node(name, task), task=task)
    featurizer = AutoFeaturizer(min_count=2, min_rows=2, components=5, seed=0)
    featurizer.fit(table, y, wants_of(estimator, adapter))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit_estimator(estimator, adapter, featurizer.transform(table.frame), y, None, None, f"model={name}")
    return featurizer, estimator, y


def _answer(estimator: Any, featurizer: Any, frame: pl.DataFrame, task: str) -> Any:
    matrix = featurizer.transform(frame).matrix
    return estimator.predict(matrix) if task == "regression" else estimator.predict_proba(matrix)


@pytest.mark.parametrize("task", list(TARGETS))
@pytest.mark.parametrize("name", REGISTRY.names("model"))
def test_every_model_on_text_missing_and_unseen_values(name: str, task: str) -> None:
    table = make_table(160, task)
    featurizer, estimator, y = _learn(name, task, table)
    before = _answer(estimator, featurizer, table.frame, task)
    assert np.isfinite(before).all()
    if task != "regression":
        assert before.shape == (160, len(TARGETS[task]))
    if name not in ("dummy", "mlp"):
        guess = before if task == "regression" else before.argmax(axis=1)
        good = np.corrcoef(guess, y)[0, 1] > 0.5 if task == "regression" else (guess == y).mean() > 0.6
        assert good, "learns what is in the columns"
    features = [column.name for column in table.features]
    missing = table.frame[:3].with_columns(pl.lit(None, table.frame.schema[c]).alias(c) for c in features)
    unseen = table.frame[:3].with_columns(colour=pl.lit("mauve"), note=pl.lit("words never met"), amount=pl.lit(1e12))
    for frame in (missing, unseen):
        assert np.isfinite(_answer(estimator, featurizer, frame, task)).all()
    single = np.concatenate([_answer(estimator, featurizer, table.frame[i : i + 1], task) for i in range(5)])
    np.testing.assert_allclose(single, before[:5], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["lgbm", "boosting", "xgboost", "catboost"])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_stops_early_on_noise_and_trains_as_many_rounds_again(name: str, task: str) -> None:
    if name not in REGISTRY.names("model"):
        assert name in ("xgboost", "catboost"), "built-in models are always there"
        return
    table = make_table(200, task)
    adapter = REGISTRY.adapter("model", name)
    rng = np.random.default_rng(0)
    y = rng.normal(size=200) if task == "regression" else rng.integers(0, len(TARGETS[task]), 200)
    parameters = {"learning_rate": 0.5, "max_iter" if name == "boosting" else "n_estimators": 300}
    estimator = REGISTRY.create("model", _node(name, task, **parameters), task=task)
    featurizer = AutoFeaturizer(min_rows=2, components=5, seed=0)
    featurizer.fit(table, y, wants_of(estimator, adapter))
    features = featurizer.transform(table.frame)
    matrix: Any = features.matrix
    train = dataclasses.replace(features, matrix=matrix[:150])
    weight = rng.uniform(0.5, 2, 200)
    adapter.fit(estimator, train, y[:150], weight=weight[:150], stop=Stop(matrix[150:], y[150:], weight[150:], 5))
    assert 1 <= adapter.rounds(estimator) < 100, "nothing can be learned from a random target"
    again = adapter.with_rounds(estimator, adapter.rounds(estimator))
    adapter.fit(again, train, y[:150], weight=weight[:150])
    ask = "predict" if task == "regression" else "predict_proba"
    np.testing.assert_allclose(getattr(again, ask)(matrix), getattr(estimator, ask)(matrix), rtol=1e-6, atol=1e-9)


def test_dart_says_that_it_cannot_stop_early() -> None:
    adapter = REGISTRY.adapter("model", "lgbm")
    for boosting_type, able in (("gbdt", True), ("dart", False)):
        node = _node("lgbm", "binary", boosting_type=boosting_type)
        assert adapter.stops(REGISTRY.create("model", node, task="binary")) is able


@pytest.mark.parametrize("task", ["binary", "regression"])
@pytest.mark.parametrize(("least", "objective"), [(0.0, "poisson"), (-1.0, None)])
def test_the_objective_auto_follows_the_target(task: str, least: float, objective: str | None) -> None:
    table = make_table(200, task)
    adapter = REGISTRY.adapter("model", "lgbm")
    estimator = REGISTRY.create("model", _node("lgbm", task, objective="auto", n_estimators=40), task=task)
    rng = np.random.default_rng(0)
    y = np.arange(200) % 2 if task == "binary" else rng.exponential(size=200) + least
    y = y if task == "binary" or least else np.where(y < 0.1, 0.0, y)
    featurizer = AutoFeaturizer(seed=0)
    featurizer.fit(table, y, wants_of(estimator, adapter))
    features = featurizer.transform(table.frame)
    matrix: Any = features.matrix
    adapter.fit(estimator, features, y, stop=Stop(matrix[:50], y[:50], None, 20))
    assert estimator.objective == (objective if task == "regression" else None)
    saved = adapter.load(adapter.save(estimator))
    ask = "predict" if task == "regression" else "predict_proba"
    np.testing.assert_allclose(getattr(saved, ask)(matrix), getattr(estimator, ask)(matrix), rtol=1e-12)
    template = REGISTRY.create("model", _node("lgbm", task, objective="auto", n_estimators=40), task=task)
    more = adapter.learn_on(template, saved, features, y, rounds=5)
    assert more.booster_.num_trees() == saved.booster_.num_trees() + 5
    if task == "regression":
        assert more.objective == objective
        assert (more.predict(matrix) > least - 1).all()
        assert "l2" in next(iter(estimator.best_score_.values()))
        assert (estimator.predict(matrix) > least - 1).all()


@pytest.mark.parametrize("name", ["lgbm", "boosting"])
def test_stopping_rows_may_hold_a_class_that_train_rows_lack(name: str) -> None:
    table = make_table(120)
    adapter = REGISTRY.adapter("model", name)
    estimator = REGISTRY.create("model", _node(name, "multiclass"), task="multiclass")
    y = np.arange(120) % 3
    featurizer = AutoFeaturizer(seed=0)
    featurizer.fit(table, y, wants_of(estimator, adapter))
    features = featurizer.transform(table.frame)
    matrix: Any = features.matrix
    known = y < 2
    adapter.fit(estimator, dataclasses.replace(features, matrix=matrix[known]), y[known], stop=Stop(matrix, y, None, 3))
    np.testing.assert_array_equal(estimator.classes_, [0, 1])


def test_lightgbm_contributions_add_up_to_the_score() -> None:
    featurizer, estimator, _ = _learn("lgbm", "multiclass", table := make_table(160, "multiclass"))
    matrix: Any = featurizer.transform(table.frame).matrix
    parts = lgbm.LgbmAdapter().contributions(estimator, matrix)
    np.testing.assert_allclose(parts.sum(axis=2), estimator.predict(matrix, raw_score=True), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_linear_contributions_add_up_to_the_score(task: str) -> None:
    featurizer, estimator, _ = _learn("linear", task, table := make_table(160, task))
    matrix: Any = featurizer.transform(table.frame).matrix
    parts = REGISTRY.adapter("model", "linear").contributions(estimator, matrix)
    score = estimator.predict(matrix) if task == "regression" else estimator.decision_function(matrix)
    np.testing.assert_allclose(parts.sum(axis=-1), score, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("linear", {"classification": {"C": -1}}, "'C' parameter"),
        ("forest", {"n_estimators": 0}, "'n_estimators' parameter"),
        ("boosting", {"max_bins": 1000}, "'max_bins' parameter"),
        ("neighbors", {"n_neighbors": 0}, "'n_neighbors' parameter"),
        ("svm", {"C": 0}, "'C' parameter"),
        ("mlp", {"activation": "reluu"}, "'activation' parameter"),
        ("dummy", {"classification": {"strategy": "guess"}}, "'strategy' parameter"),
        ("lgbm", {"learning_rate": 0}, "learning_rate must be"),
        ("lgbm", {"subsample": 1.5}, "subsample must be"),
        ("lgbm", {"num_leaves": 1}, "num_leaves must be at least 2"),
        ("sklearn", {"estimator": "LogisticRegresion"}, "did you mean 'LogisticRegression'"),
        ("sklearn", {"estimator": "LogisticRegression", "params": {"CC": 1}}, "no parameter 'CC'"),
        ("sklearn", {"estimator": "LogisticRegression", "params": {"C": -1}}, "'C' parameter"),
        ("sklearn", {"estimator": "LinearSVC"}, "gives no probabilities"),
        ("sklearn", {"estimator": "VotingClassifier"}, "needs estimators"),
    ],
)
def test_wrong_parameters_are_refused_before_data_is_read(name: str, parameters: dict[str, Any], words: str) -> None:
    errors = REGISTRY.bind("model", {"name": name, **parameters}, where="model", task="binary")
    assert len(errors) == 1
    assert words in str(errors[0])


def test_class_weight_is_refused_for_regression() -> None:
    node = {"name": "lgbm", "class_weight": "balanced"}
    assert REGISTRY.bind("model", node, where="model", task="binary") == []
    assert "class_weight" in str(REGISTRY.bind("model", node, where="model", task="regression")[0])


def test_class_by_name_of_the_wrong_kind_is_refused() -> None:
    node = {"name": "sklearn", "estimator": "Lasso", "params": {"alpha": 0.1}}
    assert REGISTRY.create("model", node, task="regression").alpha == 0.1
    with pytest.raises(UnknownNameError, match="Lasso is a regressor, and the task needs a classifier"):
        REGISTRY.create("model", node, task="binary")


def test_seed_and_threads_reach_a_class_that_takes_them() -> None:
    built = REGISTRY.create("model", _node("sklearn", "binary", random_state=3, n_jobs=2), task="binary")
    assert (built.random_state, built.n_jobs) == (3, 2)
    REGISTRY.create("model", _node("sklearn", "binary", estimator="GaussianNB"), task="binary")


@pytest.mark.filterwarnings("ignore:Class .* is deprecated:FutureWarning")
@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_every_class_of_scikit_learn_is_built_or_refused_clearly(kind: str) -> None:
    task = "binary" if kind == "classifier" else "regression"
    for name, cls in all_estimators(type_filter=kind):
        node = {"name": "sklearn", "estimator": name, "random_state": 1, "n_jobs": 1}
        errors: list[MlframeError] = REGISTRY.bind("model", node, where="model", task=task)
        if errors:
            assert any(text in str(errors[0]) for text in ("gives no probabilities", "which a config cannot give"))
        else:
            assert type(REGISTRY.create("model", node, task=task)) is cls


def test_svm_needs_two_rows_a_class() -> None:
    svm = REGISTRY.create("model", {"name": "svm"}, task="binary")
    with pytest.raises(DataError, match="two rows or more"):
        svm.fit(np.eye(4), np.array([0, 0, 0, 1]))


def test_boosting_refuses_more_categories_than_bins() -> None:
    table = make_table(200).with_frame(
        make_table(200).frame.with_columns(colour=pl.Series([f"c{n % 60}" for n in range(200)]))
    )
    estimator = REGISTRY.create("model", {"name": "boosting", "max_bins": 20}, task="binary")
    featurizer = AutoFeaturizer(min_count=1, seed=0)
    adapter = boosting.BoostingAdapter()
    y = np.arange(200) % 2
    featurizer.fit(table, y, wants_of(estimator, adapter))
    with pytest.raises(ConfigError, match="takes 20 categories, column 'colour' has 60"):
        adapter.fit(estimator, featurizer.transform(table.frame), y)


def _broken_forest() -> Any:
    forest = RandomForestClassifier(2, random_state=0).fit(np.random.default_rng(0).normal(size=(60, 3)), [0, 1] * 30)
    tree = forest.estimators_[1].tree_
    state = tree.__getstate__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"]["feature"][0] = 10**6
    tree.__setstate__(state)
    return forest


def _broken_boosting() -> Any:
    model = HistGradientBoostingClassifier(max_iter=2).fit(
        np.random.default_rng(0).normal(size=(200, 3)), np.arange(200) % 2
    )
    nodes = model._predictors[1][0].nodes.copy()
    inner = np.flatnonzero(nodes["is_leaf"] == 0)[0]
    nodes["left"][inner] = len(nodes) + 5
    model._predictors[1][0].nodes = nodes
    return model


@pytest.mark.parametrize("make", [_broken_forest, _broken_boosting])
def test_trees_that_point_outside_are_refused(make: Any) -> None:
    with pytest.raises(BundleError, match="point outside"):
        saving.TreeSaver().load(skops.io.dumps(make()))


def test_foreign_types_are_refused() -> None:
    with pytest.raises(BundleError, match="not trusted"):
        saving.TreeSaver().load(skops.io.dumps(Registry()))
