"""What `update` and `operate` cannot do is said before anything runs: exit 2, what is wrong, where, what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from omegaconf import OmegaConf

from mlframe.operating.policy import read_policy


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["update.triggers.drfit={}"], ["no trigger 'drfit'", "'drift'"]),
        (["update.triggers={labels: {count: -3}}"], ["1 or more", "update.triggers.labels.count"]),
        (["update.triggers={schedule: {every: fortnightly}}"], ["Not a duration", "update.triggers.schedule.every"]),
        (["update.triggers={drift: {severity: huge}}"], ["no severity 'huge'", "warning"]),
        (["update.combine=some"], ["word for update.combine 'some'", "all, any"]),
        (["update.cooldown=soon"], ["Not a duration", "update.cooldown"]),
        (["update.window=sliding"], ["needs a length", "update.sliding"]),
        (["update.rows=log"], ["word for update.rows 'log'", "data, feedback"]),
        (["update.rows=feedback"], ["hashed", "body, subject", "update.rows"]),
        (["update.test=1.5"], ["between 0 and 1", "update.test"]),
        (["update.test_rows=3"], ["30 or more", "update.test_rows"]),
        (["update.after=blue_green"], ["word for update.after 'blue_green'", "promote"]),
        (["update.trial=null"], ["needs a duration", "update.trial"]),
        (["update.memory=lots"], ["Not a size of memory", "update.memory"]),
        (["update.monitor=61 * * * *"], ["Not a schedule", "update.monitor"]),
        (["update.health.latancy=2"], ["key", "latancy"]),
        (["update.tune_every=0"], ["Not a number of updates"]),
        (["update.how=warm", "model=forest"], ["model=forest cannot learn on", "lgbm", "update.how"]),
        (["update.how=warm", "ensembler=bagging"], ["Only a single model learns on", "ensembler=none"]),
        (["update=dynamic"], ["dynamic", "triggered"]),
        (["update.polll=3s"], ["polll", "poll"]),
    ],
)
def test_bad_policies(run_cli: Callable[..., Any], words: list[str], said: list[str]) -> None:
    done = run_cli("operate", "data=email", "level=1", "update.once=true", *words)
    assert done.code == 2, done.out + done.err
    for word in said:
        assert word in done.err
    assert "Traceback" not in done.err


def test_several_mistakes_are_shown_together(run_cli: Callable[..., Any]) -> None:
    done = run_cli("operate", "data=email", "update.combine=some", "update.cooldown=soon", "update.test=0")
    assert done.code == 2
    assert "3 problems" in done.err


@pytest.mark.parametrize("task", ["operate", "update"])
def test_what_is_operated_needs_data(run_cli: Callable[..., Any], task: str) -> None:
    done = run_cli(task, "name=email")
    assert done.code == 2
    assert "No data is picked" in done.err


def test_levels_pick_the_policy(compose: Callable[..., Any]) -> None:
    for level, name, triggers in (("manual", "manual", set()), ("pipeline", "triggered", {"drift", "decay"})):
        node = OmegaConf.to_container(compose("data=email", f"level={level}")["update"])
        assert node["name"] == name
        assert set(read_policy(node, metric="roc_auc").triggers) == triggers
    assert compose("data=email", "level=pipeline")["update"]["triggers"]["decay"]["figure"] == "roc_auc"


def test_decisions_of_nothing(run_cli: Callable[..., Any]) -> None:
    assert run_cli("decisions").code == 2  # there is no store
    done = run_cli("decisions", "email")
    assert done.code == 2
    assert "Traceback" not in done.err
