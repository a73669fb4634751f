"""The standard tests of a version: they pass on a good one, and name the figure, the row and the column of a bad one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from mlframe.errors import LimitError, UserError
from mlframe.operating.standard import StandardReport, standard_tests
from mlframe.store.bundle import MANIFEST, write_manifest
from mlframe.store.store import Store

pytestmark = pytest.mark.usefixtures("warm_children")

EASY = {"endpoint": {"latency_ms": 60_000, "throughput": 0.001}}
"""Limits that any machine keeps, however busy it is: no test of ours is decided by a clock."""


@pytest.fixture
def ask(trained_version, tmp_path, monkeypatch):
    """Run the standard tests of the trained version, with expectations over its own."""
    monkeypatch.chdir(tmp_path)

    def run(expectations=None, version="made/1", **options) -> StandardReport:
        checks = None
        if expectations is not None:
            checks = tmp_path / "expectations.yaml"
            checks.write_text(json.dumps(expectations), encoding="utf-8")
        return standard_tests(version, store_root=trained_version.store_root, checks=checks, folder=tmp_path, **options)

    return run


def copied(trained_version, folder: Path, change) -> Path:
    """Copy the bundle, change it, and write a manifest of what it holds then."""
    shutil.copytree(trained_version.bundle, folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    change(folder)
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    own = {key: value for key, value in manifest.items() if key not in ("format", "name", "run_id", "files")}
    write_manifest(
        folder,
        name=manifest["name"],
        run_id=manifest["run_id"],
        files=[name for name in files if name != MANIFEST],
        extra=own,
    )
    return folder


def outcomes(report: StandardReport) -> dict[str, str]:
    return {test["test"].rpartition("::")[2]: test["outcome"] for test in report.tests}


def test_a_good_version_passes_every_kind(ask):
    report = ask({**EASY, "latency_ms": 60_000, "size_mb": 1000, "agree": 0.9, "direction": {"amount": "rising"}})
    assert report.passed, report.text
    assert report.version == "made/1"
    kinds = {
        name.removeprefix("test_").partition("_")[0] for name, said in outcomes(report).items() if said == "passed"
    }
    assert {"schema", "parity", "invariance", "direction[amount]", "latency", "size", "robust"} <= kinds
    assert outcomes(report)["test_robust_to_odd_text[note]"] == "passed"
    assert outcomes(report)["test_robust_to_unseen_categories[colour]"] == "passed"
    assert outcomes(report)["test_slices[none]"] == "skipped"


def test_what_cannot_be_met_is_named_by_figure_row_and_column(ask):
    report = ask(
        {
            "latency_ms": 1e-9,
            "size_mb": 1e-9,
            "targets": {"roc_auc": 1.1, "log_loss": -1},
            "invariant": ["amount"],
            "direction": {"amount": "falling"},
            "slices": {"columns": ["member"], "targets": {"accuracy": 1.01}, "least": 5},
        }
    )
    assert not report.passed
    said = {line.partition(": ")[0]: line for line in report.failures}
    assert set(said) == {
        "test_latency",
        "test_size",
        "test_targets[roc_auc]",
        "test_targets[log_loss]",
        "test_invariance[amount]",
        "test_direction[amount]",
        "test_slices[member]",
    }
    assert "latency_ms" in said["test_latency"]
    assert "wanted at most 1e-09" in said["test_latency"]
    assert "the largest file is pipeline/" in said["test_size"]
    assert "holdout roc_auc is" in said["test_targets[roc_auc]"]
    assert "wanted at most -1" in said["test_targets[log_loss]"]
    assert "amount must not change an answer" in said["test_invariance[amount]"]
    assert "Example " in said["test_invariance[amount]"]
    assert "p_yes must be falling in amount" in said["test_direction[amount]"]
    assert "where member is " in said["test_slices[member]"]
    assert "Traceback" not in report.text
    assert "def test_" not in report.text


def test_a_copy_that_predicts_something_else_is_named_by_row_and_column(ask, trained_version, tmp_path):
    def shift(folder: Path) -> None:
        path = folder / "expected.arrow"
        expected = pl.read_ipc(path)
        path.unlink()
        moved = pl.when(pl.int_range(pl.len()) == 7).then(pl.col("p_yes") + 0.25).otherwise(pl.col("p_yes"))
        expected.with_columns(moved.alias("p_yes")).write_ipc(path)

    bad = ask(version=str(copied(trained_version, tmp_path / "shifted", shift)))
    assert [line.partition(":")[0] for line in bad.failures if "parity_examples" in line] == ["test_parity_examples"]
    assert "p_yes of example 7" in bad.text
    same = ask(version=str(copied(trained_version, tmp_path / "same", lambda folder: None)))
    assert same.passed, same.text
    assert same.version == "same"


@pytest.mark.slow
def test_groups_are_judged_on_rows_that_are_given(ask, trained_version, tmp_path):
    rows = pl.read_csv(Path(trained_version.store_root).parent / "rows.csv")
    wanted = {"slices": {"columns": ["colour"], "targets": {"accuracy": 0.6}, "least": 20}}
    rows.write_csv(tmp_path / "right.csv")
    # In one group the truth is turned round; the others stay.
    turned = pl.when(pl.col("label") == "yes").then(pl.lit("no")).otherwise(pl.lit("yes"))
    rows.with_columns(
        pl.when(pl.col("colour") == "blue").then(turned).otherwise(pl.col("label")).alias("label")
    ).write_csv(tmp_path / "wrong.csv")
    assert ask(wanted, rows=tmp_path / "right.csv").passed
    bad = ask(wanted, rows=tmp_path / "wrong.csv")
    assert len(bad.failures) == 1
    assert "accuracy" in bad.failures[0]
    assert "where colour is blue" in bad.failures[0]
    assert "where colour is red" not in bad.failures[0]
    lost = ask(wanted, rows=tmp_path / "lost.csv")
    assert "The rows cannot be read" in lost.text


@pytest.mark.slow
def test_behind_a_server_it_answers_the_same_and_nothing_is_logged(ask, trained_version):
    report = ask(EASY, endpoint="start")
    assert report.passed, report.text
    found = {name for name, said in outcomes(report).items() if said == "passed" and "endpoint" in name}
    assert len(found) == 6
    with Store.open(trained_version.store_root, create=False) as store:
        assert not list((store.folder / "predictions").rglob("*.arrow*"))
    slow = ask({"endpoint": {"latency_ms": 1e-9, "throughput": 1e15}}, endpoint="start")
    assert {line.partition(":")[0] for line in slow.failures} == {"test_endpoint_latency", "test_endpoint_throughput"}
    nowhere = ask(EASY, endpoint="http://127.0.0.1:9")
    assert "The endpoint does not answer" in nowhere.text
    assert not nowhere.passed


@pytest.mark.parametrize(
    ("version", "expectations", "said"),
    [
        ("made/9", None, "There is no version 'made/9'"),
        ("mde@champion", None, "did you mean 'made'?"),
        ("made/1", {"invariant": ["colur"]}, "did you mean 'colour'?"),
        ("made/1", {"invariants": ["colour"]}, "did you mean 'invariant'?"),
        ("made/1", {"direction": {"amount": "up"}}, "available: falling, rising"),
        ("made/1", {"agree": 0}, "above 0, at most 1"),
        ("made/1", {"size_mb": -1}, "size_mb must be above 0"),
        ("made/1", {"slices": ["colour"]}, "slices must be a dict"),
    ],
)
def test_mistakes_are_told_before_any_test(ask, version, expectations, said):
    with pytest.raises(UserError) as caught:
        ask(expectations, version=version)
    assert said in str(caught.value)


def test_the_time_is_limited(ask):
    with pytest.raises(LimitError, match=r"longer than 0\.01 s"):
        ask(timeout=0.01)


OWN = """
def test_the_model_is_there(model, examples, bundle):
    assert list(model.predict(examples)["y_pred"]) == list(bundle.expected["y_pred"])

def test_many_visits(model, examples):
    assert len(examples) < {most}, "too many examples"
"""


@pytest.mark.slow
def test_tests_of_ones_own_are_run_too(ask, tmp_path):
    (tmp_path / "own_tests.py").write_text(OWN.format(most=1000))
    good = ask({"paths": ["own_tests.py"]})
    assert good.passed, good.text
    assert outcomes(good)["test_the_model_is_there"] == "passed"
    (tmp_path / "own_tests.py").write_text(OWN.format(most=1))
    bad = ask({"paths": ["own_tests.py"]})
    assert not bad.passed
    assert "too many examples" in bad.text
    assert "passed" in outcomes(bad)["test_schema_takes_the_examples"]
    (tmp_path / "own_tests.py").write_text("import nothing_like_it\n")
    assert "nothing_like_it" in ask({"paths": ["own_tests.py"]}).text


def test_without_a_version_such_tests_are_skipped(tmp_path):
    (tmp_path / "test_own.py").write_text(OWN.format(most=1000))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    assert "2 skipped" in done.stdout


def test_pytest_itself_names_tests_by_the_version(trained_version, tmp_path):
    (tmp_path / "test_not_asked.py").write_text("def test_fails():\n    assert False\n")
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--mlframe-bundle", "champion"]
    command += ["--mlframe-store", trained_version.store_root, "-k", "parity or fails"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "made/1::test_parity_examples PASSED" in done.stdout
    assert "test_not_asked" not in done.stdout
    also = subprocess.run([*command, "test_not_asked.py"], cwd=tmp_path, capture_output=True, text=True)
    assert "FAILED test_not_asked.py::test_fails" in also.stdout


@pytest.mark.slow
def test_the_command_prints_and_ends_with_the_gates_code(run_cli, trained_version, tmp_path):
    store = f"store.root={trained_version.store_root}"
    good = run_cli("test", "champion", store, "--json", str(tmp_path / "said.json"))
    assert good.code == 0, good.err + good.out
    assert "made/1: passed" in good.out
    assert json.loads((tmp_path / "said.json").read_text())["passed"] is True
    (tmp_path / "strict.yaml").write_text("size_mb: 0.0001\n")
    bad = run_cli("test", "made/1", store, "--checks", str(tmp_path / "strict.yaml"))
    assert bad.code == 3
    assert "failed: test_size: size_mb" in bad.out
    wrong = run_cli("test", "made/7", store)
    assert wrong.code == 2
    assert "There is no version 'made/7'" in wrong.err
    assert "Traceback" not in wrong.err


# ------------------------------------------------------------------------------------------------ a model that misbehaves

NEIGHBOURS = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
import mlframe

class Neighbours(ClassifierMixin, BaseEstimator):
    \"\"\"Its answer to a row depends on the rows beside it, and it chokes on large numbers.\"\"\"

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.mean_ = float(np.mean(y))
        return self

    def predict_proba(self, X):
        X = np.nan_to_num(np.asarray(X.todense() if hasattr(X, "todense") else X, dtype=float))
        p = 1 / (1 + np.exp(-np.clip(X[:, 0] - X[:, 0].mean(), -9, 9)))
        p[np.abs(X[:, 0]) > 1e6] = np.nan
        return np.column_stack([1 - p, p])

@mlframe.hookimpl
def mlframe_models():
    return [mlframe.Component("neighbours", {"classification": f"{__name__}:Neighbours"}, "Looks at its neighbours")]
"""


def test_a_model_that_misbehaves_is_caught(run_cli, install_plugin, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    from mlframe.testing import make_table

    install_plugin("neighbours", NEIGHBOURS)
    make_table(300).frame.select("amount", "visits", "label").write_csv("rows.csv")
    words = ["data=csv", "data.source.path=rows.csv", "data.columns.label.role=target", "name=odd", "featurizer=none"]
    words += ["experiment=quick", "evaluators=[classification]", "reporters=[]", "trackers=[]", "~task.steps.explore"]
    words += ["labeler=column"]
    bad = run_cli(*words, "model=neighbours", "level=1")
    assert bad.code == 0, bad.err
    assert "odd/1 is not promoted: the standard tests say no" in bad.out
    assert "test_parity_one_by_one: p_no of example 1 is 0.5 when it is asked alone" in bad.out
    assert (
        "test_robust_to_extreme_numbers[amount]: when amount is 1e+300, the model fails: StepError: The model gave probabilities that are not finite"
        in bad.out
    )
    assert "During handling" not in bad.out
    assert "odd has no champion" in run_cli("test", "odd").err
    good = run_cli(*words, "model=linear", "level=1")
    assert "odd/2 is the champion now" in good.out, good.out
