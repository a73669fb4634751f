"""Mistakes in overrides, config files and plugins: all shown at once, with near matches, before anything is read."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
from workbench import FAST, TABLE, Bench, finish, make_csv, nothing_kept, refused, spawn

import mlframe
from mlframe.testing.plugin import CliResult

MODEL = """
from mlframe import Component, hookimpl

@hookimpl
def mlframe_models():
    return [Component({name!r}, "sklearn.dummy:DummyClassifier", "a guess")]
"""


def count(result: CliResult) -> int:
    """Return how many problems a refusal lists."""
    found = re.search(r"(\d+) problems? found before anything was read", result.err)
    assert found, result.err
    return int(found[1])


# -------------------------------------------------------------------------------------------------- overrides


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["evaluators=[nothing]"], ("There is no evaluator 'nothing'",)),
        (["goal.task=binary", "goal.metric=rmse"], ("no figure for binary 'rmse'", "roc_auc")),
        (["goal.task=regression", "goal.targets.roc_auc=0.9"], ("no figure for regression 'roc_auc'", "rmse")),
        (["goal.task=binary", "goal.value.error=1"], ("no outcome of a binary task 'error'", "fn, fp, tn, tp")),
        (["goal.task=regression", "goal.value.tp=1"], ("no outcome of a regression task 'tp'", "error")),
        (["goal.task=multiclass", "goal.value.tp=1"], ("outcomes, which a multiclass task does not have",)),
    ],
)
def test_a_goal_must_suit_its_task(bench: Bench, overrides: list[str], words: tuple[str, ...]):
    refused(bench.train(*overrides), *words)
    nothing_kept(bench, runs=0)


def test_a_monitoring_run_refuses_an_unknown_monitor(bench: Bench):
    """A training asks no monitor; the task `monitor` does."""
    refused(bench("monitor", *TABLE, "+monitors.x.name=nothing"), "There is no monitor 'nothing'")


def test_outcomes_of_another_task_are_refused_once_the_task_is_known(bench: Bench):
    bench.write(make_csv())
    refused(bench.train("goal.value.error=1"), "no outcome of a binary task 'error'", "fn, fp, tn, tp")


def test_several_mistakes_are_all_shown(bench: Bench):
    result = bench("modle=lgbm", "data=emial", "model.num_leafs=3", "seed=abc")
    text = refused(result, "'modle'", "'emial'", "'model.num_leafs'", "seed=abc")
    for near in ("did you mean model?", "did you mean 'email'?", "did you mean model.num_leaves?", "a whole number"):
        assert near in text
    assert count(result) == 4
    nothing_kept(bench, runs=0)


def test_keys_are_checked_against_the_option_that_was_meant(bench: Bench):
    result = bench(*TABLE, "model=lgbmm", "model.num_leafs=3", "model.n_estimators=many", "splitter=kflod")
    refused(result, "'lgbmm'", "did you mean 'lgbm'", "model.num_leaves", "n_estimators must be int", "'kfold'")
    assert count(result) == 4


def test_keys_of_an_option_that_nobody_can_guess_are_not_judged(bench: Bench):
    result = bench.train("model=zzz", "model.depth=3")
    refused(result, "There is no model 'zzz'", "lgbm, linear")
    assert count(result) == 1


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("model=linaer", ("There is no model 'linaer'", "did you mean 'linear'", "bayes, boosting")),
        ("validators=[pandra]", ("'pandra'", "did you mean 'pandera'")),
        ("experiment=qiuck", ("'qiuck'", "did you mean 'quick'")),
        ("spliter=kfold", ("'spliter'", "did you mean splitter?")),
        (
            "resources.thread=2",
            ("'resources.thread'", "did you mean resources.threads?", "memory, price_per_hour, step_seconds"),
        ),
        ("validators.pandera.polcy=drop", ("'validators.pandera.polcy'", "did you mean validators.pandera.policy?")),
        ("validators.pandera.policy=dorp", ("policy must be one of 'fail', 'drop', 'quarantine'", "mean 'drop'?")),
        ("+model.depth=3", ("model=dummy has no parameter 'depth'", "it takes: constant")),
        ("~task.steps.exploer", ("'task.steps.exploer'", "did you mean")),
        ("cache=rfresh", ("'rfresh'", "did you mean 'refresh'", "none, read, refresh")),
        ("level=3", ("There is no level '3'", "manual, pipeline")),
        ("seed=1.5", ("seed cannot take this value", "1.5", "a whole number")),
        ("gate.strict=perhaps", ("gate.strict", "'perhaps'", "true or false")),
        ("resources.threads=0", ("resources.threads must be above 0", "0")),
        ("resources.step_seconds=-1", ("resources.step_seconds must be above 0", "-1")),
        ("resources.memory=lots", ("Not a size of memory", "'lots'", "8GB")),
        ("store.cache_size=big", ("Not a size of memory", "'big'", "500MB")),
        ("fit.stop_share=2", ("fit.stop_share must lie between 0 and 1", "2")),
        ("goal.metric=roc_acu", ("no figure 'roc_acu'", "did you mean 'roc_auc'", "accuracy, average_precision")),
        ("goal.targets.roc_acu=0.9", ("no figure 'roc_acu'", "did you mean 'roc_auc'")),
        ("goal.targets.roc_auc=high", ("goal.targets", "'high'", "{roc_auc: 0.9}")),
        ("goal.problme=x", ("'goal.problme'", "did you mean goal.problem?")),
        ("goal.deadline=tomorrow", ("goal.deadline is no date", "'tomorrow'", "2027-06-30")),
        ("goal.review=2027-13-01", ("goal.review is no date", "'2027-13-01'")),
        ("goal.stakeholders=sales", ("goal.stakeholders", "'sales'", "[one, two]")),
        ("goal.process_cost=much", ("goal.process_cost", "'much'", "a number")),
        ("goal.volume=-5", ("goal.volume must be above 0", "-5")),
        ("goal.baseline=[1,2]", ("goal.baseline must be a number", "[1, 2]")),
        ("goal.value.tpp=3", ("no outcome 'tpp'", "did you mean 'tp'", "command line: goal.value.tpp=3")),
        ("goal.value={tp: much}", ("goal.value", "'much'", "{tp: 80, fp: -10}")),
        ("goal.value={tp: 1, error: 2}", ("goal.value mixes outcomes of classes",)),
        ("goal.value.error=-2", ("goal.value.error must be 0 or more", "-2", "one unit of absolute error")),
        ("seed=1,2", ("A sweep over seed needs --multirun", "seed=1,2")),
        ("name=[1,", ("Not an override: 'name=[1,'", "key=value")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_one_mistake(bench: Bench, override: str, words: tuple[str, ...]):
    result = bench.train(override)
    text = refused(result, *words)
    assert count(result) == 1, text
    assert "command line: " in text or "needs --multirun" in text
    nothing_kept(bench, runs=0)


def test_wrong_types_are_named_once_each(bench: Bench):
    result = bench.train("model=lgbm", "model.n_estimators=many", "seed=1.5", "splitter=kfold", "splitter.folds=two")
    refused(result, "n_estimators must be int, got str", "'many'", "folds must be int, got str", "'two'", "1.5")
    assert count(result) == 3  # the seed of every component refers to the one that is wrong


def test_a_wrong_type_in_the_block_of_one_task(bench: Bench):
    result = bench.train("model=linear", "model.classification.C=strong", "model.regression.alpha=weak")
    refused(result, "command line: model.classification.C=strong", "command line: model.regression.alpha=weak")
    assert count(result) == 2


def test_a_figure_of_another_task(bench: Bench):
    result = bench.train("goal.task=binary", "goal.metric=rmse", "goal.targets.mae=3")
    refused(result, "no figure for binary 'rmse'", "no figure for binary 'mae'", "goal.metric=rmse", "roc_auc")
    assert count(result) == 2
    nothing_kept(bench, runs=0)


def test_a_figure_of_another_task_is_refused_before_anything_is_fitted(bench: Bench):
    result = bench.train("goal.targets.mae=3")  # only the rows tell that the task is no regression
    refused(result, "no figure for binary 'mae'", "goal.targets.mae", "step: fit")
    nothing_kept(bench, runs=1)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["goal.targets.roc_auc=1.7"], ("roc_auc can never be 1.7", "between 0 and 1, higher is better")),
        (["goal.targets.accuracy=-3"], ("accuracy can never be -3", "command line: goal.targets.accuracy=-3")),
        (["goal.targets.mcc=-2"], ("mcc is between -1 and 1",)),
        (["goal.targets.log_loss=-0.1"], ("log_loss is 0 or more, lower is better",)),
        (["goal.metric=roc_auc", "goal.baseline=85"], ("roc_auc can never be 85", "command line: goal.baseline=85")),
        (["goal.task=regression", "goal.targets.r2=1.2"], ("r2 is 1 or less, higher is better",)),
        (["evaluators=[classification,service]", "goal.targets.latency_ms=-1"], ("latency_ms is 0 or more",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_figure_beyond_its_range(bench: Bench, overrides: list[str], words: tuple[str, ...]):
    refused(bench.train(*overrides), "1 problem found", *words)
    nothing_kept(bench, runs=0)


def test_a_baseline_beyond_the_range_of_the_usual_metric_is_refused_before_anything_is_fitted(bench: Bench):
    result = bench.train("goal.baseline=85")  # only the rows tell that the figure is ROC AUC
    refused(result, "roc_auc can never be 85", "between 0 and 1", "step: fit")
    nothing_kept(bench, runs=1)


def test_a_target_at_the_end_of_the_range_is_none_beyond_it(bench: Bench):
    assert bench("plan", *TABLE, *FAST, "goal.targets={roc_auc: 1, mcc: -1, log_loss: 0}").code == 0


def test_a_goal_without_an_evaluator(bench: Bench):
    refused(
        bench.train("evaluators=[]", "goal.targets.roc_auc=0.9"), "roc_auc", "evaluators=[classification] measures it"
    )
    refused(bench.train("evaluators=[]", "goal.metric=roc_auc"), "no picked evaluator gives any")
    nothing_kept(bench, runs=0)


def test_a_target_that_another_evaluator_measures_names_it(bench: Bench):
    result = bench.train("evaluators=[classification]", "goal.task=binary", "goal.targets.latency_ms=5")
    refused(result, "'latency_ms'", "evaluators=[classification,service] measures it")
    nothing_kept(bench, runs=0)


def test_a_target_that_is_no_number_to_reach(bench: Bench):
    for amount in ("nan", "inf"):
        result = bench.train("goal.task=binary", f"goal.targets.roc_auc={amount}")
        refused(result, "goal.targets.roc_auc must be a finite number", amount, "~goal.targets.roc_auc")
    nothing_kept(bench, runs=0)


def test_a_misspelt_task_is_one_mistake(bench: Bench):
    result = bench.train("goal.task=binry", "goal.value.tp=1")
    refused(result, "'binry'", "did you mean 'binary'?")
    assert count(result) == 1


def test_a_data_file_that_forgets_its_schema(bench: Bench):
    path = bench.folder / "conf" / "data" / "mine.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("""# @package _global_
defaults: [/data/source: csv, _self_]
data:
  source: {path: my.csv}
  columns: {bought: {role: target, kind: categorical, tags: []}}
""")
    refused(bench("data=mine", *FAST), "it is read from 'data.schema', which is not there")


def test_no_data(bench: Bench):
    refused(bench("model=lgbm"), "No data is picked", "email", "data=csv data.source.path=FILE")
    nothing_kept(bench, runs=0)


def test_a_needed_parameter_is_absent(bench: Bench):
    refused(bench("data=csv", *FAST), "data.source.path")
    refused(bench("plan", "data=csv", *FAST), "data.source.path")
    nothing_kept(bench, runs=0)


def test_plan_shows_the_same_mistakes(bench: Bench):
    result = bench("plan", *TABLE, *FAST, "goal.targets.roc_acu=0.9", "splitter.folds=two")
    refused(result, "roc_acu", "splitter.folds")
    nothing_kept(bench, runs=0)


# --------------------------------------------------------------------------------------------- the command line


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("trian", "data=email"), ("no command or task 'trian'", "did you mean 'train'", "see --help")),
        (("promot", "csv/1"), ("no command or task 'promot'", "did you mean 'promote'")),
        (("data=email", "--dry-run"), ("Unknown flag --dry-run", "--multirun")),
        (("runs", "--limitt", "3"), ("--limitt",)),
        (("show",), ("run",)),
        (("plugins.block=[xgbost]", "plugins"), ("xgbost", "plugins.block")),
        (("plugins.only=[nothing]", "plugins"), ("nothing", "plugins.only")),
    ],
    ids=lambda value: " ".join(value),
)
def test_a_command_line_that_is_none(bench: Bench, argv: tuple[str, ...], words: tuple[str, ...]):
    refused(bench(*argv), *words)


# ---------------------------------------------------------------------------------------------------- conf files


GLOBAL = "# @package _global_\n"
CODE = "code belongs in a plugin"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GLOBAL + "model:\n  _target_: os.system\n", ("'_target_'", "key model._target_", CODE)),
        (GLOBAL + "goal:\n  targets:\n    - {_target_: os.system}\n", ("key goal.targets.0._target_", CODE)),
        (GLOBAL + "model:\n  _args_: [ls]\n", ("'_args_'", "key model._args_", CODE)),
        (GLOBAL + "hydra:\n  callbacks: {a: {x: y}}\n", ("'hydra'", CODE)),
        (GLOBAL + "hydra.callbacks: {a: 1}\n", ("'hydra.callbacks'", CODE)),
        ("# @package hydra\ncallbacks: {a: 1}\n", ("may not change Hydra", "@package hydra", CODE)),
        ("# @package hydra.callbacks\na: 1\n", ("may not change Hydra", "@package hydra.callbacks")),
        (GLOBAL + "defaults:\n  - override /hydra/launcher: joblib\n", ("may not change Hydra", "/hydra/launcher")),
        (GLOBAL + "defaults:\n  - /hydra/callbacks@hydra.callbacks: x\n", ("may not change Hydra", "hydra")),
        (GLOBAL + "model: [1, 2\nfoo: bar\n", ("no valid YAML", "line 3, column 4")),
        (GLOBAL + "seed: 1\nseed: 2\n", ("no valid YAML", "'seed' stands twice", "line 3, column 1")),
        (GLOBAL + "name: !!python/object/apply:os.system [ls]\n", ("no valid YAML", "line 2")),
        (GLOBAL + "name: \tx: y\n", ("no valid YAML", "line 2")),
    ],
    ids=[
        "target",
        "target in a list",
        "args",
        "hydra",
        "hydra dotted",
        "package",
        "package below",
        "defaults",
        "defaults at",
        "broken",
        "twice",
        "python tag",
        "tab",
    ],
)
def test_a_config_file_that_names_code_or_is_no_yaml(bench: Bench, text: str, words: tuple[str, ...]):
    path = bench.write(text, "conf/experiment/mine.yaml")
    result = bench(*TABLE, *FAST[1:], "experiment=mine")
    refused(result, str(path), *words)
    nothing_kept(bench, runs=0, files=frozenset({"my.csv", "conf/experiment/mine.yaml"}))


def test_a_config_file_that_shadows_a_shipped_one_may_not_name_code_either(bench: Bench):
    path = bench.write("name: dummy\n_target_: os.system\n", "conf/model/dummy.yaml")
    refused(bench.train(), "'_target_'", str(path))


def test_a_config_file_that_is_not_utf8(bench: Bench):
    path = bench.write(GLOBAL.encode() + "name: köln\n".encode("latin-1"), "conf/experiment/mine.yaml")
    refused(bench(*TABLE, "experiment=mine"), "not UTF-8", str(path))


def test_a_config_file_with_an_unknown_key(bench: Bench):
    bench.write(GLOBAL + "gaol: {metric: f1}\n", "conf/experiment/mine.yaml")
    result = bench(*TABLE, *FAST[1:], "experiment=mine")
    refused(result, "gaol", "did you mean 'goal'")
    nothing_kept(bench, runs=0, files=frozenset({"my.csv", "conf/experiment/mine.yaml"}))


def test_hydra_folders_and_the_primary_config_are_not_taken_from_the_project(bench: Bench):
    bench.write("callbacks: {a: {_target_: os.system}}\n", "conf/mlframe_root.yaml")
    bench.write("_target_: os.system\n", "conf/hydra/launcher/mine.yaml")
    assert bench.train().code == 0
    refused(bench.train("hydra/launcher=mine"), "hydra/launcher")


# -------------------------------------------------------------------------------------------------------- plugins


def test_two_plugins_with_one_component(bench: Bench, install_plugin: Callable[..., Path]):
    install_plugin("one", MODEL.format(name="mine"))
    install_plugin("two", MODEL.format(name="mine"))
    for argv in (("--help",), (*TABLE, *FAST)):
        refused(bench(*argv), "model=mine", "'one' (mlframe-one 1.0)", "'two' (mlframe-two 1.0)", "plugins.block=[two]")
    nothing_kept(bench, runs=0)
    assert bench.train("plugins.block=[two]").code == 0


def test_a_plugin_that_takes_a_shipped_name(bench: Bench, install_plugin: Callable[..., Path]):
    install_plugin("mine", MODEL.format(name="lgbm"))
    refused(bench.train(), "model=lgbm", "'models' (mlframe ", "'mine' (mlframe-mine 1.0)", "plugins.block=[mine]")


def test_two_distributions_with_one_entry_point(bench: Bench, install_plugin: Callable[..., Path]):
    install_plugin("mine", MODEL.format(name="a"), dist="mlframe-first")
    install_plugin("mine", MODEL.format(name="b"), dist="mlframe-second")
    refused(bench("plugins"), "'mine'", "mlframe-first 1.0", "mlframe-second 1.0", "uninstall one")


BROKEN = {
    "import": ("import nothing_of_that_name\n", "No module named 'nothing_of_that_name'"),
    "syntax": ("def broken(:\n", "SyntaxError"),
    "raises": ("raise RuntimeError('no licence')\n", "RuntimeError: no licence"),
    "hook": ("from mlframe import hookimpl\n@hookimpl\ndef mlframe_modles():\n    return []\n", "mlframe_modles"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_plugin_that_fails_leaves_everything_else_working(
    bench: Bench, install_plugin: Callable[..., Path], kind: str
):
    source, reason = BROKEN[kind]
    install_plugin("broken", source, version="2.3")
    for argv in (("--help",), ("plugins",), (*TABLE, *FAST)):
        result = bench(*argv)
        assert result.code == 0, result.err
        assert "Traceback" not in result.out + result.err
    shown = " ".join(bench("--help").out.split())
    assert "'broken' (mlframe-broken 2.3) cannot be loaded" in shown
    assert reason in shown
    refused(bench.train("model=mine"), "There is no model 'mine'", "'broken'", reason, "plugins.block=[broken]")
    quiet = bench("plugins.block=[broken]", "--help")
    assert quiet.code == 0
    assert "cannot be loaded" not in quiet.out


def test_a_broken_plugin_in_a_process_of_its_own(bench: Bench, install_plugin: Callable[..., Path]):
    install_plugin("broken", "import nothing_of_that_name\n")
    result = finish(spawn(bench.folder, "--help"))
    assert result.code == 0, result.err
    assert "'broken'" in result.out
    assert "Traceback" not in result.out + result.err


def test_a_projects_own_file_that_fails(bench: Bench):
    bench.write("import nothing_of_that_name\n", "mlframe_project.py")
    result = bench("--help")
    assert result.code == 0
    assert "mlframe_project.py" in result.out
    assert "nothing_of_that_name" in result.out
    assert bench.train().code == 0


def test_a_data_file_that_picks_what_a_failing_plugin_would_offer(bench: Bench):
    bench.write("import nothing_of_that_name\n", "mlframe_project.py")
    bench.write("# @package _global_\ndefaults:\n  - override /model: fores\n", "conf/experiment/mine.yaml")
    result = bench(*TABLE, "experiment=mine")
    words = ("There is no model 'fores'", "experiment=mine", "did you mean 'forest'", "nothing_of_that_name")
    assert "search path" not in refused(result, *words)
    assert count(result) == 2
    nothing_kept(bench, runs=0, files=bench.files())


def test_a_component_whose_library_is_absent(bench: Bench, install_plugin: Callable[..., Path]):
    install_plugin("far", MODEL.format(name="far").replace("sklearn.dummy", "nothing_of_that_name"))
    assert bench.train().code == 0
    refused(bench.train("model=far"), "model=far cannot be imported", "nothing_of_that_name", "mlframe-far 1.0")


# ----------------------------------------------------------------------------------------------- installation


def test_source_code_that_hides_the_installed_package_says_what_to_do(tmp_path: Path):
    source, installed = str(Path(mlframe.__file__).parents[1]), sysconfig.get_paths()["purelib"]
    # Without `site` no editable install tells where the config files are, as after 'pip install .' in the source code's folder.
    code = f"import sys; sys.path[:0] = [{source!r}, {installed!r}]; from mlframe.cli import main; sys.exit(main(sys.argv[1:]))"
    for words in (["--help"], ["plan", "data=email"]):
        command = [sys.executable, "-S", "-c", code, *words]
        found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert found.returncode == 2, found.stderr
        assert "The source code of mlframe hides the installed package" in found.stderr
        assert "python -m pip install -e ." in found.stderr
        assert "Traceback" not in found.stderr
