"""A task checks and imports what its steps use, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlframe.config.check import validate
from mlframe.config.compose import compose
from mlframe.plugins import Plugins


@pytest.fixture
def idle(tmp_path: Path) -> Path:
    """Return a config folder with a task that does nothing."""
    folder = tmp_path / "conf"
    (folder / "task").mkdir(parents=True)
    (folder / "task" / "idle.yaml").write_text("name: idle\nsteps: {}\n", encoding="utf-8")
    return folder


def test_only_components_that_a_step_uses_are_bound(plugins: Plugins, idle: Path):
    wrong = ["data=churn", "model.learning_rate=slow"]
    assert validate(plugins, compose(plugins, [*wrong, "task=idle"], idle)) == []
    (error,) = validate(plugins, compose(plugins, wrong, idle))
    assert "learning_rate must be float" in str(error)


def test_trackers_belong_to_every_task(plugins: Plugins, idle: Path):
    (error,) = validate(plugins, compose(plugins, ["data=churn", "trackers.wandb.timeout=never", "task=idle"], idle))
    assert "timeout must be float" in str(error)
