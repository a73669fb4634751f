"""Trees of fitted models: rules, shared featurizers, saving without pickle, old formats, contributions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mlframe.contracts import Wants
from mlframe.errors import BundleError
from mlframe.featurizers.auto import AutoFeaturizer
from mlframe.pipeline import Learning, Member, Node, Pipeline, Rows, combined, leaves, stacked
from mlframe.testing import make_table, make_target
from mlframe.testing.data import CLASSES


def members(registry, task: str, names: tuple[str, ...] = ("linear", "lgbm"), share: bool = True) -> list[Member]:
    table = make_table(task=task)
    target = make_target(table, task)
    made, featurizer = [], None
    for name in names:
        if featurizer is None or not share:
            featurizer = AutoFeaturizer()
            featurizer.fit(table, target, Wants())
        features = featurizer.transform(table.frame)
        node = {"name": name, **({"n_estimators": 10, "verbosity": -1} if name == "lgbm" else {})}
        estimator = registry.create("model", node, task=task)
        estimator.fit(features.matrix, target)
        adapter = registry.adapter("model", name)
        made.append(Member(featurizer, estimator, name, features.names, features.origins, adapter))
    return made


def pipeline(root, task: str, **last) -> Pipeline:
    classes = CLASSES[task]
    table = make_table(task=task)
    columns = [record for record in table.column_records() if record["role"] == "feature"]
    return Pipeline(root, Learning(task, "label", classes, classes), columns, **last)


# ------------------------------------------------------------------------------------------------ rules


def test_mean_and_vote_of_classes():
    given = [np.array([[0.6, 0.4], [0.1, 0.9]]), np.array([[0.2, 0.8], [0.4, 0.6]])]
    np.testing.assert_allclose(combined("mean", given, None, 2), [[0.4, 0.6], [0.25, 0.75]])
    np.testing.assert_allclose(combined("mean", given, (3, 1), 2), [[0.5, 0.5], [0.175, 0.825]])
    np.testing.assert_allclose(combined("vote", given, None, 2), [[0.5, 0.5], [0, 1]])
    np.testing.assert_allclose(combined("vote", given, (3, 1), 2), [[0.75, 0.25], [0, 1]])


def test_boosted_classes_follow_the_additive_model():
    given = [np.array([[0.4, 0.6]]), np.array([[0.3, 0.7]]), np.array([[0.9, 0.1]])]
    votes = (0.5, 0.2, 0.4)
    # In two classes AdaBoost's score is half the weighted sum of +1 and -1, and the log-odds are twice the score.
    odds = sum(np.array(votes) * np.array([1, 1, -1]))
    np.testing.assert_allclose(combined("samme", given, votes, 2)[:, 1], [1 / (1 + np.exp(-odds))])


def test_median_of_values_is_weighted():
    given = [np.array([1.0, 5.0]), np.array([2.0, 1.0]), np.array([9.0, 3.0])]
    np.testing.assert_allclose(combined("median", given, None, 0), [2.0, 3.0])
    np.testing.assert_allclose(combined("median", given, (1, 1, 5), 0), [9.0, 3.0])


# ------------------------------------------------------------------------------------------------ on disk


class Counting(AutoFeaturizer):
    calls = 0

    def transform(self, frame):
        type(self).calls += 1
        return super().transform(frame)


def test_a_shared_featurizer_works_once_and_is_saved_once(registry, tmp_path: Path):
    parts = members(registry, "binary", ("linear", "linear", "dummy"))
    fitted = parts[0].featurizer
    counting = Counting()
    counting.__dict__.update(fitted.__dict__)
    for part in parts:
        part.featurizer = counting
    tree = Node("mean", [parts[0], Node("vote", parts[1:])])
    Counting.calls = 0
    tree.outputs(Rows(make_table().frame), 2)
    assert Counting.calls == 1
    for part in parts:
        part.featurizer = fitted
    pipeline(tree, "binary").save(tmp_path)
    assert len(list(tmp_path.glob("featurizer_*"))) == 1
    assert len(list(tmp_path.glob("estimator_*"))) == 3
    loaded = Pipeline.load(tmp_path, registry)
    assert len({id(member.featurizer) for member in loaded.members}) == 1


@pytest.mark.parametrize("task", CLASSES)
def test_every_rule_comes_back_from_disk(registry, tmp_path: Path, task: str):
    classes = len(CLASSES[task])
    frame = make_table(task=task, seed=1).frame
    for rule in ("mean", "stack", *(("vote", "samme") if classes else ("median",))):
        parts = members(registry, task, share=False)
        final = None
        if rule == "stack":
            outputs = [part.outputs(Rows(make_table(task=task).frame), classes) for part in parts]
            estimator = registry.create("model", {"name": "linear"}, task=task)
            estimator.fit(stacked(outputs, classes, None), make_target(make_table(task=task), task))
            final = Member(None, estimator, "linear", adapter=registry.adapter("model", "linear"))
        tree = Node("mean", [Node(rule, parts, None if rule == "stack" else (2.0, 1.0), final), parts[0]])
        whole = pipeline(tree, task)
        folder = tmp_path / rule
        folder.mkdir()
        whole.save(folder)
        assert_frame_equal(Pipeline.load(folder, registry).predict(frame), whole.predict(frame))
        assert not [path for path in folder.iterdir() if path.suffix not in (".json", ".skops", ".native")]


def test_calibration_and_threshold_are_json(registry, tmp_path: Path):
    calibration = {"method": "sigmoid", "parts": [[0.5, -1.0]]}
    whole = pipeline(members(registry, "binary")[0], "binary", calibration=calibration, threshold=0.2)
    whole.save(tmp_path)
    record = json.loads((tmp_path / "pipeline.json").read_text())
    assert (record["calibration"], record["threshold"]) == (calibration, 0.2)
    frame = make_table(seed=1).frame
    scored = Pipeline.load(tmp_path, registry).predict(frame)
    assert_frame_equal(scored, whole.predict(frame))
    assert ((scored["p_yes"] >= 0.2) == (scored["y_pred"] == "yes")).all()
    assert ((scored["p_yes"] < 0.5) & (scored["y_pred"] == "yes")).any()


def test_format_1_is_still_read(registry, tmp_path: Path):
    parts = members(registry, "binary", share=False)
    whole = pipeline(Node("mean", parts), "binary")
    whole.save(tmp_path)
    record = json.loads((tmp_path / "pipeline.json").read_text())
    record["format"] = 1
    record = {key: record[key] for key in ("format", "learning", "columns", "members")}
    for entry in record["members"]:
        del entry["featurizer"], entry["columns"]
    (tmp_path / "pipeline.json").write_text(json.dumps(record))
    frame = make_table(seed=1).frame
    assert_frame_equal(Pipeline.load(tmp_path, registry).predict(frame), whole.predict(frame))


def test_another_format_is_refused(registry, tmp_path: Path):
    pipeline(members(registry, "binary")[0], "binary").save(tmp_path)
    path = tmp_path / "pipeline.json"
    path.write_text(path.read_text().replace('"format": 2', '"format": 3'))
    with pytest.raises(BundleError, match="format 3, this mlframe reads 1 and 2"):
        Pipeline.load(tmp_path, registry)


# ------------------------------------------------------------------------------------------------ contributions


@pytest.mark.parametrize("task", CLASSES)
def test_contributions_add_up_to_the_raw_score(registry, task: str):
    frame = make_table(task=task, seed=1).frame
    parts = members(registry, task)
    found = pipeline(Node("mean", parts, (3.0, 1.0)), task).contributions(frame)
    assert found is not None
    values, names = found
    assert names == pipeline(parts[0], task).inputs
    assert values.shape == (len(frame), len(names) + 1)
    one, _ = pipeline(parts[0], task).contributions(frame)
    two, _ = pipeline(parts[1], task).contributions(frame)
    if task != "multiclass":  # there each explains the class that it predicts itself
        np.testing.assert_allclose(values, 0.75 * one + 0.25 * two)
    outputs = pipeline(parts[0], task).outputs(frame)
    if task == "binary":
        outputs = np.log(outputs[:, 1] / outputs[:, 0])
    if task != "multiclass":
        np.testing.assert_allclose(one.sum(axis=1), outputs, atol=1e-6)


def test_models_that_cannot_tell_give_no_contributions(registry):
    frame = make_table().frame
    for root in (
        members(registry, "binary", ("dummy",))[0],
        Node("mean", members(registry, "binary", ("linear", "dummy"))),
        Node("vote", members(registry, "binary")),
    ):
        assert pipeline(root, "binary").contributions(frame) is None
        assert root.gain() is None or all(part.model == "lgbm" for part in leaves(root))


def test_no_rows_give_no_predictions(registry):
    frame = make_table().frame[:0]
    for task in CLASSES:
        scored = pipeline(Node("mean", members(registry, task)), task).predict(frame)
        assert scored.height == 0
    assert isinstance(frame, pl.DataFrame)
