"""Every shipped data set trains from its one word, and meets its goal; every experiment runs."""

from __future__ import annotations

from pathlib import Path

import mlframe.conf as conf
import polars as pl
import pytest
from e2e_tools import Workspace

import mlframe

CONF = Path(next(iter(conf.__path__)))
BUNDLED = sorted(path.stem for path in (CONF / "data").glob("*.yaml") if "source: bundled" in path.read_text())
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))


def test_six_data_sets_are_shipped() -> None:
    assert BUNDLED == ["churn", "diamonds", "electricity", "email", "sms_spam", "spambase"]


@pytest.mark.slow
@pytest.mark.parametrize("data", BUNDLED)
def test_the_default_model_meets_the_goal(data: str, tmp_path: Path) -> None:
    workspace = Workspace.make(tmp_path / "work")
    result = workspace.ok(f"data={data}", "trackers=[]", "evaluators=[classification,regression]")
    summary = workspace.last()["summary"]
    targets = [check for check in summary["gate"]["checks"] if check["wanted"] is not None]
    assert targets
    assert all(check["passed"] for check in targets), targets
    assert summary["version"] == f"{data}/1"
    assert f"python -m mlframe promote {data}/1" in result.out
    report = Path(next(iter(summary["report"].values()))[0])
    assert report.stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("data", BUNDLED)
def test_a_linear_model_beats_no_model(data: str, tmp_path: Path) -> None:
    workspace = Workspace.make(tmp_path / "work")
    base = [f"data={data}", "trackers=[]", "splitter.folds=2", "evaluators=[classification,regression]"]
    scores = {}
    workspace.ok(
        "-m", *base, "model=linear,dummy", "evaluators.classification.bootstrap=0", "evaluators.regression.bootstrap=0"
    )
    with workspace.store() as store:
        for run in store.runs(limit=10):
            scores[run["config"]["model"]["name"]] = run["summary"]["score"]
            better = run["summary"]["better"]
    gain = scores["linear"] - scores["dummy"]
    assert gain * (1 if better == "higher" else -1) > 0, scores


def test_electricity_names_the_baseline_that_repeats_the_last_label() -> None:
    frame = pl.read_parquet(Path(mlframe.__file__).parent / "datasets" / "electricity" / "data.parquet")
    target = frame.sort("timestamp")["class"]
    held = target.tail(len(target) // 5)  # the latest fifth is the holdout
    accuracy = float((held == held.shift(1)).tail(-1).mean() or 0.0)
    assert accuracy == pytest.approx(0.85, abs=0.03)
    text = (CONF / "data" / "electricity.yaml").read_text(encoding="utf-8")
    assert "no-change baseline" in text
    assert "about 85 % accurate" in text


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_each_experiment_runs(experiment: str, tmp_path: Path) -> None:
    workspace = Workspace.make(tmp_path / "work")
    sample = "task.steps.ingest.sample=800"  # that `best` is good is for the benchmarks to say
    workspace.ok("data=churn", f"experiment={experiment}", "trackers=[]", "reporters=[]", sample)
    assert workspace.last()["status"] == "finished"
