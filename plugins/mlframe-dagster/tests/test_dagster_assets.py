"""Dagster itself runs a small project: assets, lineage, failures, a schedule, and a drift that ends in a new champion."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest
from mlframe_dagster import definitions

from mlframe.cli import main
from mlframe.errors import MlframeError
from mlframe.store.store import Store

pytestmark = pytest.mark.filterwarnings("ignore")  # Dagster's own

WORDS = ["data=csv", "data.source.path=rows.csv", "data.columns.label.role=target", "name=made", "experiment=quick"]
WORDS += ["model=linear", "evaluators=[classification]", "reporters=[]", "trackers=[]", "~task.steps.explore"]
UPDATE = [*WORDS[:-1], "update.cooldown=null", "update.tests=none", "update.margin=-0.2"]


def table(rows: int, seed: int = 0, shift: float = 0.0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(2, rows))
    label = np.where(a + 0.5 * random.normal(size=rows) > 0, "yes", "no")
    return pl.DataFrame({"a": a + shift, "b": b, "label": label})


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    """Give Dagster a home of its own; its telemetry is off there."""
    with pytest.MonkeyPatch.context() as patch, dg.instance_for_test() as instance:
        for name in ("MLFRAME_HOME", "MLFRAME_STORE_URL"):
            patch.delenv(name, raising=False)
        yield instance


def run(instance: dg.DagsterInstance, defs: dg.Definitions, **options: Any) -> dg.ExecuteInProcessResult:
    (job,) = defs.jobs or ()
    return defs.get_job_def(job.name).execute_in_process(instance=instance, **options)


@pytest.fixture(scope="module")
def trained(instance: dg.DagsterInstance, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Train the first version through Dagster."""
    folder = tmp_path_factory.mktemp("dagster") / "project"
    folder.mkdir()
    table(400).write_csv(folder / "rows.csv")
    return folder, run(instance, definitions(WORDS, folder=folder))


@pytest.fixture
def project(trained: Any, tmp_path: Path) -> Path:
    """Copy the project, with its first version as the champion and rows that are new to it."""
    folder = tmp_path / "work"
    shutil.copytree(trained[0], folder)
    table(800).write_csv(folder / "rows.csv")
    with Store.open(str(folder / ".mlframe"), create=False) as store:
        store.promote("made/1", who="ada", why="the first", evidence={})
    return folder


def made(result: dg.ExecuteInProcessResult) -> list[str]:
    return [event.asset_key.path[-1] for event in result.get_asset_materialization_events()]


def test_a_training_is_materialised_step_by_step(trained: Any, instance: dg.DagsterInstance) -> None:
    folder, result = trained
    assert result.success
    assert made(result)[:3] == ["ingest", "verify", "label"]
    assert {"split", "fit", "refit", "gate", "register", "report"} <= set(made(result))
    event = instance.get_latest_materialization_event(dg.AssetKey(["made", "train", "fit"]))
    facts = event.asset_materialization.metadata
    assert facts["seconds"].value > 0
    assert facts["cached"].value is False
    with Store.open(str(folder / ".mlframe"), create=False) as store:
        assert store.version("made/1")["run_id"] == facts["run"].value


def test_lineage_is_what_steps_need_and_give(trained: Any) -> None:
    graph = definitions(WORDS, folder=trained[0]).resolve_asset_graph()

    def parents(step: str) -> set[str]:
        return {key.path[-1] for key in graph.get(dg.AssetKey(["made", "train", step])).parent_keys}

    assert parents("ingest") == set()
    assert parents("verify") == {"ingest"}
    assert "split" in parents("fit")
    assert "gate" in parents("register")


def test_a_failing_step_leaves_those_before_it(instance: dg.DagsterInstance, project: Path) -> None:
    words = [*WORDS, "+data.schema.columns.a.checks.ge=1000"]
    result = run(instance, definitions(words, folder=project), raise_on_error=False)
    assert not result.success
    assert made(result) == ["ingest"]
    (failed,) = result.get_step_failure_events()
    said = failed.step_failure_data.user_failure_data.description
    assert "column a" in said
    assert "do:" in said
    assert "Traceback" not in said
    assert failed.step_failure_data.user_failure_data.metadata["exit code"].value == 2


@pytest.mark.parametrize(
    ("words", "options", "told"),
    [
        ([], {"task": "trian"}, "There is no task 'trian'.*did you mean 'train'"),
        (["model.fit_intercep=true"], {}, "did you mean model.fit_intercept"),
        (["~data"], {"task": "train"}, "data"),
        ([], {"cron": "0 3 * *"}, "a crontab line has five fields"),
        ([], {"cron": "7d"}, "crontab line"),
        ([], {"on_alarms": ["drfit"]}, "'drfit'.*did you mean 'drift'"),
    ],
)
def test_mistakes_are_told_when_the_file_is_loaded(
    trained: Any, words: list[str], options: dict[str, Any], told: str
) -> None:
    with pytest.raises(MlframeError, match=f"(?s){told}"):
        definitions([*WORDS, *words], folder=trained[0], **options)


def test_a_level_is_spelled_as_on_the_command_line(trained: Any) -> None:
    assert definitions([*WORDS, "level=1"], folder=trained[0]).get_job_def("made_train")


def test_a_schedule_asks_for_a_run(trained: Any, instance: dg.DagsterInstance) -> None:
    defs = definitions(WORDS, folder=trained[0], cron="0 3 * * 1")
    schedule = defs.get_schedule_def("made_train_schedule")
    assert schedule.cron_schedule == "0 3 * * 1"
    assert schedule.job_name == "made_train"
    (request,) = schedule.evaluate_tick(dg.build_schedule_context(instance=instance)).run_requests
    assert request.job_name in (None, "made_train")


@pytest.mark.slow
def test_a_drift_asks_for_an_update_and_that_ends_in_a_new_champion(
    instance: dg.DagsterInstance, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same window twice: as in training, nothing is asked for; moved, one update is, and then none any more."""
    monkeypatch.chdir(project)
    update = definitions([*UPDATE, "monitor.rows=source"], task="update", on_alarms=["drift"], folder=project)
    sensor = update.get_sensor_def("made_update_alarms")

    def asked() -> list[dg.RunRequest]:
        return sensor.evaluate_tick(dg.build_sensor_context(instance=instance)).run_requests or []

    def monitor(shift: float) -> None:
        table(500, seed=1, shift=shift).drop("label").write_csv(project / "new.csv")
        assert (
            main(
                [
                    "monitor",
                    *WORDS[:-1],
                    "data.source.path=new.csv",
                    "monitor.rows=source",
                    "monitors=[drift]",
                    "notifiers=[]",
                ]
            )
            == 0
        )

    monitor(0.0)
    assert asked() == []
    monitor(2.0)
    (request,) = asked()
    assert request.run_key == asked()[0].run_key  # Dagster starts one run a key
    assert request.tags["mlframe/alarm"] == "drift/column/a"
    result = run(instance, update, tags=request.tags)
    assert made(result) == ["update"]
    with Store.open(str(project / ".mlframe"), create=False) as store:
        assert store.holder("made") == "made/2"
        assert [row["kind"] for row in store.decisions.many("made")] == ["promote", "trigger"]
    assert asked() == []


def test_what_no_sensor_asks_for(instance: dg.DagsterInstance, project: Path) -> None:
    sensor = definitions(UPDATE, task="update", on_alarms=["drift"], folder=project).get_sensor_def(
        "made_update_alarms"
    )

    def said() -> str:
        return sensor.evaluate_tick(dg.build_sensor_context(instance=instance)).skip_message or "asked"

    def see(key: str, severity: str, version: str = "made/1") -> None:
        record = {"text": "a has moved", "evidence": {}, "cause": "", "action": "", "column": "a", "version": version}
        now = datetime.now(UTC)
        store.alarms.see("made", {key: (severity, record)}, scope=[], since=now, until=now)

    with Store.open(str(project / ".mlframe"), create=False) as store:
        see("quality/missing/a", "problem")  # of another monitor
        see("drift/column/a", "warning")
        see("drift/column/b", "problem", "made/7")  # of another version
        assert "no open problem of drift" in said()
        see("drift/column/a", "problem")
        assert said() == "asked"
        (alarm,) = [alarm for alarm in store.alarms.many("made") if alarm["key"] == "drift/column/a"]
        store.alarms.acknowledge(alarm["id"], who="ada", why="a new tariff")
        assert "no open problem of drift" in said()
    shutil.rmtree(project / ".mlframe")
    assert said() == "made has no champion yet"
