"""Warm start: a model keeps what it knew, learns rows that are new to it, and is never trained on the rows that judge it."""

from __future__ import annotations

import numpy as np
import pytest
from operating_place import NAME, QUICK, WORDS, Place, table

from mlframe.pipeline import Pipeline
from mlframe.plugins import load_plugins

MODELS = {
    "lgbm": ("model=lgbm", "model.n_estimators=40"),
    "leaves": ("model=lgbm", "model.n_estimators=40", "fit.warm_by=leaves"),
    "bayes": ("model=bayes",),
    "sgd": ("model=sklearn", "model.estimator=SGDClassifier", "model.params.loss=log_loss"),
}


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_a_champion_learns_on_and_knows_old_and_new(place: Place, model: str) -> None:
    """The new rows move the border: the model that learned on does better on them than before, and is still right on the old."""
    words = ["splitter=time", "splitter.folds=1", *MODELS[model]]
    old, new = table(400), table(400, seed=1, shift=0.5).with_columns(moment=table(800)["moment"][400:])
    old.write_csv(place.folder / "rows.csv")
    place.train(*words, promote=3)
    (old.vstack(new)).write_csv(place.folder / "rows.csv")
    said = place.cli("train", *WORDS, *words, f"fit.warm={NAME}/3", "splitter.holdout=0.2")
    assert f"{NAME}/3 learns on: 320 rows that are new to it, 320 that it knew" in said  # 160 of 800 judge it
    registry = load_plugins().registry
    with place.store() as store:
        before, after = (
            Pipeline.load(store.open_bundle(f"{NAME}/{number}") / "pipeline", registry) for number in (3, 4)
        )
        seen = np.load(store.beside(f"{NAME}/4")["trained_rows.npy"])
    fresh = table(2000, seed=7, shift=0.5)
    right = [float((one.predict(fresh)["y_pred"] == fresh["label"]).mean()) for one in (before, after)]
    assert right[1] > right[0] - 0.01
    outputs = [one.outputs(fresh) for one in (before, after)]
    assert not np.allclose(outputs[0], outputs[1])  # it has learned
    assert len(seen) == 640
    if model == "lgbm":
        trees = [one.members[0].estimator.booster_.num_trees() for one in (before, after)]
        assert trees[1] == trees[0] * 2  # as many new rows as old ones: as many new trees as old ones


@pytest.mark.slow
def test_an_update_starts_warm(place: Place) -> None:
    place.train(*MODELS["lgbm"], "seed=3", promote=3)
    table(900).write_csv(place.folder / "rows.csv")
    words = ("update.how=warm", "update.margin=-0.2", *MODELS["lgbm"])
    said = place.cli("update", *WORDS, *QUICK, *words)
    assert f"fit.warm={NAME}/3" in said
    assert place.decisions()[-1] == "promote"
    assert place.moves() == [("promote", f"{NAME}/3", f"{NAME}/4")]


def test_what_cannot_learn_on_says_so(place: Place) -> None:
    said = place.cli("train", *WORDS, "model=lgbm", f"fit.warm={NAME}/2", code=2)
    assert "small/2 cannot learn on: it is a linear, and the config says lgbm" in said
    assert "set model=linear" in said
    said = place.cli("train", *WORDS, "model=linear", f"fit.warm={NAME}/2", code=2)
    assert "model=linear cannot as it is set up" in said
