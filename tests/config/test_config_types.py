"""A derived config is the one that composing the same overrides gives."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from mlframe.config.compose import compose, opened
from mlframe.config.types import Composed
from mlframe.errors import ConfigError
from mlframe.plugins import Plugins, load_plugins
from mlframe.sweep.space import spell

BASES = {
    "plain": ("data=churn", "model=lgbm", "splitter=stratified"),
    # What refers to what refers to a swept key, beside another reference, or to a mapping as a whole.
    "chained": (
        "data=churn",
        "model=lgbm",
        "goal.volume=${seed}",
        "splitter.seed=${goal.volume}",
        "goal.problem='seed ${splitter.seed}, ${fit.stop_rounds} rounds'",
        "+model.params=${goal.targets}",
    ),
}

words = st.text("ab 1.,:'\"[]{}=", max_size=8)
numbers = st.integers(0, 10**6)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "seed": numbers,
    "name": st.none() | st.sampled_from(["one", "two"]),
    "resources.threads": st.integers(1, 64),
    "splitter.folds": st.integers(2, 20),
    "splitter.seed": numbers | st.sampled_from(["${seed}", "${resources.threads}"]),
    "model.learning_rate": st.floats(1e-9, 10, allow_nan=False),
    "model.num_leaves": numbers,
    "model.boosting_type": st.sampled_from(["gbdt", "dart"]),
    "model.random_state": numbers,
    "fit.stop_rounds": numbers,
    "fit.threshold": st.floats(0, 1) | st.sampled_from(["f1", "none"]),
    "goal.metric": st.none() | st.sampled_from(["roc_auc", "log_loss"]),
    "goal.problem": words | st.just("rows of ${name} with seed ${seed}"),
    "goal.pain_points": st.lists(words | st.just("${seed}"), max_size=3),
    "goal.stakeholders": st.lists(st.lists(words | numbers, max_size=2), max_size=2),
    "goal.targets": st.dictionaries(st.sampled_from(["roc_auc", "f1", "accuracy"]), st.floats(0, 1), max_size=2),
    "goal.value": st.dictionaries(st.sampled_from(["tp", "fp"]), st.integers(-9, 9) | st.just("${seed}"), max_size=2),
    "goal": st.fixed_dictionaries({"owner": words}),
    "assess.accept": st.lists(words, max_size=2),
    "evaluators.classification.bootstrap": numbers,
    "evaluators.classification.seed": numbers,
}
values = st.lists(st.sampled_from(sorted(VALUES)), unique=True, max_size=5).flatmap(
    lambda keys: st.fixed_dictionaries({key: VALUES[key] for key in keys})
)


@cache
def plugins() -> Plugins:
    return load_plugins()


@cache
def base(name: str) -> Composed:
    return compose(plugins(), BASES[name])


@given(st.sampled_from(sorted(BASES)), values)
@example("chained", {"seed": 7})
@example("chained", {"goal.targets": {"f1": 0.5}})
@example("plain", {"goal": {"owner": "a"}, "seed": 3})
@example("plain", {"name": None})
@settings(max_examples=20, deadline=None, phases=[Phase.explicit, Phase.generate])
def test_deriving_gives_what_composing_gives(name: str, changes: dict[str, Any]) -> None:
    lines = [f"{key}={spell(value)}" for key, value in changes.items()]
    derived = base(name).derive(changes, lines)
    composed = compose(plugins(), [*BASES[name], *lines])
    assert derived.raw == composed.raw
    assert derived.resolved == composed.resolved
    assert derived.recorded == composed.recorded
    assert derived.choices == composed.choices
    assert derived.config == composed.config


def test_a_value_that_is_missing_is_refused_by_both() -> None:
    assert opened("seed=???") == "seed=???"
    for made in (base("plain").derive({"seed": "???"}, []), compose(plugins(), [*BASES["plain"], "seed='???'"])):
        with pytest.raises(ConfigError, match="seed"):
            _ = made.resolved


def test_a_derived_config_leaves_its_base_alone() -> None:
    before = base("chained").resolved["splitter"]["seed"]
    assert base("chained").derive({"seed": before + 1}, []).resolved["splitter"]["seed"] == before + 1
    assert base("chained").resolved["splitter"]["seed"] == before
