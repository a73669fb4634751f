"""Mistakes in ensembles, calibration, thresholds and explanations, through the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from workbench import FAST, TABLE, Bench, make_csv, nothing_kept, refused

QUIET = ("trackers=[]", "reporters=[]", "~task.steps.explore", "evaluators=[classification]")
SMALL = (
    "ensembler.members.lgbm.n_estimators=5",
    "ensembler.members.forest.n_estimators=5",
)


QUICK = tuple(line for line in FAST if not line.startswith("model="))
"""The fastest run, with the members that stand in the model's place."""


def train(bench: Bench, *overrides: str):
    """Train on the table with two folds and small members."""
    return bench(*TABLE, *QUIET, "splitter.folds=2", *overrides)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["ensembler=votign"], ("There is no ensembler 'votign'", "did you mean 'voting'")),
        (
            ["ensembler=voting", "+model@ensembler.members.extra=lgbmm"],
            ("There is no model 'lgbmm'", "did you mean 'lgbm'"),
        ),
        (
            ["ensembler=voting", "ensembler.members.lgbm.num_leafs=3"],
            (
                "model=lgbm has no parameter 'num_leafs'",
                "ensembler.members.lgbm.num_leafs",
                "did you mean 'num_leaves'",
            ),
        ),
        (
            ["ensembler=voting", "ensembler.members.lgbm.num_leaves=many"],
            ("num_leaves must be int", "'many'", "ensembler.members.lgbm.num_leaves"),
        ),
        (
            ["ensembler=stacking", "ensembler.final.classification.C=strong"],
            ("C must be", "'strong'", "ensembler.final.classification.C"),
        ),
        (
            ["ensembler=stacking", "ensembler.members.forst.n_estimators=5"],
            ("ensembler.members.forst names no model", "available: bayes, boosting"),
        ),
        (
            [
                "ensembler=voting",
                "+featurizer@ensembler.members.linear.featurizer=linear",
                "ensembler.members.linear.featurizer.max_terms=many",
            ],
            ("featurizer=linear: max_terms must be int", "ensembler.members.linear.featurizer.max_terms"),
        ),
        (["ensembler=greedy", "model=lgbm"], ("reads no model", "leave it out: lgbm is a member already")),
        (
            ["ensembler=greedy", "model=svm"],
            ("leave it out, or make it a member: +model@ensembler.members.svm=svm",),
        ),
        (["ensembler=voting", "ensembler.vote=loud"], ("vote must be one of 'soft', 'hard'",)),
        (
            ["ensembler=voting", "ensembler.weights.lgmb=2"],
            ("no member 'lgmb'", "did you mean 'lgbm'", "forest, lgbm, linear"),
        ),
        (["ensembler=voting", "ensembler.weights={lgbm: -1}"], ("weights.lgbm must be a number of 0 or more, got -1",)),
        (
            ["ensembler=voting", "ensembler.weights={lgbm: 0, forest: 0, linear: 0}"],
            ("weights leave every member out",),
        ),
        (["ensembler=greedy", "ensembler.latency_ms=-1"], ("latency_ms must be above 0, got -1",)),
        (["ensembler=stacking", "ensembler.seconds=0"], ("seconds must be above 0, got 0",)),
        (["ensembler=greedy", "ensembler.rounds=0"], ("rounds must be 1 or more, got 0",)),
        (
            ["ensembler=voting", *(f"~model@ensembler.members.{name}" for name in ("lgbm", "forest", "linear"))],
            ("an ensemble needs 2 members or more, and has 0", "+model@ensembler.members.forest=forest"),
        ),
        (
            ["ensembler=stacking", *(f"~model@ensembler.members.{name}" for name in ("lgbm", "forest"))],
            ("an ensemble needs 2 members or more, and has 1 (linear)",),
        ),
        (["ensembler=stacking", "~model@ensembler.final"], ("a stack needs a final model",)),
        (["+ensembler.members.a.name=lgbm"], ("ensembler=none has no parameter 'members'",)),
        (["ensembler=voting", "goal.metric=roc_acu"], ("no figure 'roc_acu'",)),
        (["fit.calibration=sigmod"], ("'sigmod'", "did you mean 'sigmoid'", "none, sigmoid")),
        (["fit.threshold=vlaue"], ("'vlaue'", "did you mean 'value'", "a number between 0 and 1")),
        (["fit.threshold=1.5"], ("fit.threshold must lie between 0 and 1", "1.5")),
        (["fit.threshold=value"], ("fit.threshold=value needs goal.value", "goal.value.tp=100")),
        (["explain=0"], ("explain must be above 0", "0")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_one_mistake_before_anything_is_read(bench: Bench, overrides: list[str], words: tuple[str, ...]):
    result = bench(*TABLE, *QUICK, *overrides)
    refused(result, "1 problem found", *words)
    nothing_kept(bench, runs=0)


def test_several_mistakes_in_members_are_told_together(bench: Bench):
    result = bench(
        *TABLE,
        *QUICK,
        "ensembler=stacking",
        "ensembler.members.lgbm.num_leafs=3",
        "ensembler.members.forest.n_estimators=many",
        "ensembler.final.tol=tight",
    )
    refused(result, "3 problems found", "num_leafs", "'many'", "ensembler.final.tol")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["ensembler=bagging", "ensembler.models=0"], ("bagging needs 1 model or more", "ensembler.models")),
        (["ensembler=bagging", "ensembler.rows=2"], ("ensembler.rows must be a share", "2")),
        (["ensembler=boosting", "ensembler.learning_rate=0"], ("ensembler.learning_rate must be above 0",)),
        (
            ["ensembler=boosting", "model=neighbors"],
            ("ensembler=boosting needs a model that takes row weights", "model=neighbors takes none"),
        ),
        (["ensembler=stacking", *SMALL, "splitter=holdout"], ("two folds or more", "splitter=stratified")),
        (
            ["ensembler=voting", *SMALL, "+model@ensembler.members.near=neighbors", "data.columns.income.role=weight"],
            ("model=neighbors cannot take row weights", "in: near"),
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_only_the_fit_can_tell(bench: Bench, overrides: list[str], words: tuple[str, ...]):
    folds = [] if "splitter=holdout" in overrides else ["splitter.folds=2"]
    result = bench(*TABLE, *QUIET, *folds, *overrides)
    refused(result, *words, "step: fit")
    nothing_kept(bench, runs=1)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            ["splitter=holdout", "fit.calibration=isotonic"],
            (
                "fit.calibration is learned",
                "splitter=holdout cuts one",
                "splitter=stratified",
                "or fit.calibration=none",
            ),
        ),
        (["splitter=time", "splitter.folds=1", "fit.threshold=f1"], ("two folds or more", "splitter=time cuts one")),
        (["goal.task=regression", "fit.calibration=sigmoid"], ("A regression has no probabilities", "'sigmoid'")),
        (["goal.task=multiclass", "fit.threshold=0.4"], ("needs two classes, and the task is multiclass",)),
        (["splitter.folds=1"], ("splitter.folds must be 2 or more", "splitter=holdout")),
        (["splitter.holdout=1.5"], ("splitter.holdout must be a share", "command line: splitter.holdout=1.5")),
        (["evaluators.classification.bootstrap=-1"], ("classification: bootstrap must be 0 or more",)),
        (["reporters=[html]", "reporters.html.rows=0"], ("html: rows must be 1 or more", "reporters.html.rows")),
        (["reporters=[card]", "reporters.card.filename=a/b.txt"], ("reporters.card.filename",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_the_config_tells_is_refused_before_anything_is_read(
    bench: Bench, overrides: list[str], words: tuple[str, ...]
):
    for command in ([], ["plan"]):
        refused(bench(*command, *TABLE, *QUIET, *overrides), "1 problem found", *words)
    nothing_kept(bench, runs=0)


def test_isotonic_calibration_of_few_rows_warns_in_run_and_report(bench: Bench):
    bench.write(make_csv(200))
    lines = [line for line in QUIET if line != "reporters=[]"]
    result = bench(*TABLE, *lines, "model=linear", "fit.calibration=isotonic", "splitter.folds=2")
    assert result.code == 0, result.err
    words = "isotonic calibration learned from 160 rows; with fewer than 1,000 it tends to overfit"
    assert f"warning: {words}" in " ".join(result.out.split())
    (files,) = bench.runs()[0]["summary"]["report"].values()
    assert words[1:] in Path(files[0]).read_text(encoding="utf-8")


def test_values_are_neither_voted_for_nor_calibrated_nor_decided(bench: Bench):
    bench.write("age,bought\n" + "".join(f"{18 + row % 50},{row * 1.5}\n" for row in range(60)))
    quiet = ("trackers=[]", "reporters=[]", "~task.steps.explore", "evaluators=[regression]", "splitter=kfold")
    for overrides, words in (
        (["ensembler=voting", "ensembler.vote=hard", *SMALL], "Values cannot be voted for"),
        (["model=linear", "fit.calibration=isotonic"], "A regression has no probabilities to calibrate"),
        (["model=linear", "fit.threshold=0.3"], "A decision threshold needs two classes, and the task is regression"),
    ):
        refused(bench(*TABLE, *quiet, "splitter.folds=2", *overrides), words)


def test_a_member_that_fails_is_named(bench: Bench):
    bench.write(
        "import mlframe\nfrom sklearn.dummy import DummyClassifier\n\n"
        "class Broken(DummyClassifier):\n"
        "    def fit(self, X, y, sample_weight=None):\n        raise RuntimeError('out of luck')\n\n"
        "@mlframe.hookimpl\ndef mlframe_models():\n"
        "    return [mlframe.Component('broken', 'mlframe_project:Broken', 'fails')]\n",
        "mlframe_project.py",
    )
    result = train(bench, "ensembler=voting", *SMALL, "+model@ensembler.members.poor=broken")
    refused(result, "poor: the step fit failed: RuntimeError: out of luck", "step: fit", code=1)
    result = train(bench, "ensembler=voting", *SMALL)
    assert "lgbm: model=lgbm, 2 folds from the cache" in result.out  # what was done is kept


def test_an_ensemble_is_shown_by_its_members(bench: Bench):
    members = ("+model@ensembler.members.near=neighbors", "~model@ensembler.members.forest")
    overrides = ("ensembler=voting", "ensembler.members.lgbm.n_estimators=5", *members)
    result = train(bench, *overrides)
    assert result.code == 0, result.err
    named = "voting of lgbm, linear, near (neighbors)"
    assert result.out.splitlines()[0] == f"train: data=csv ensembler={named} splitter=stratified level=manual"
    assert "lgbm, linear, near (neighbors)" in bench("runs").out
    planned = bench("plan", *TABLE, *QUIET, *overrides).out
    assert f"ensembler={named}" in planned
    assert "model=lgbm" not in planned


@pytest.mark.parametrize(
    ("line", "member"),
    [("model.num_leaves=5", "lgbm.num_leaves=5"), ("model.max_depth=5", "{lgbm,forest}.max_depth=5")],
)
def test_a_parameter_that_no_member_reads_is_refused(bench: Bench, line: str, member: str):
    result = bench(*TABLE, *QUIET, "ensembler=voting", line)
    words = ("ensembler=voting reads no model: its members are models of their own", f"command line: {line}")
    refused(result, "1 problem found", *words, f"give it to a member: ensembler.members.{member}")
    nothing_kept(bench, runs=0)


def test_a_sweep_over_a_model_that_an_ensemble_does_not_read_is_refused(bench: Bench):
    result = bench("-m", *TABLE, *QUIET, "ensembler=none,voting", "model.num_leaves=5,7")
    refused(result, "ensembler=voting reads no model", "ensembler.members.lgbm.num_leaves=5")
    nothing_kept(bench, runs=0)


def test_predictions_that_cannot_be_explained(served: Bench):
    result = served.predict("input=my.csv", "output=scores.csv", "explain=3")
    refused(result, "cannot be explained: it is made of dummy", "lgbm, linear")
    assert not (served.folder / "scores.csv").exists()


def test_the_input_may_not_have_the_explanations_column(bench: Bench):
    bench(*TABLE, *QUIET, "splitter.folds=2", "model=linear")
    lines = make_csv().splitlines()
    bench.write("\n".join([f"{lines[0]},why", *(f"{line},x" for line in lines[1:])]) + "\n", "new.csv")
    result = bench.predict("version=csv/1", "input=new.csv", "output=scores.csv", "explain=1")
    refused(result, "already has the columns why")
