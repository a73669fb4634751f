"""The example of continuous training: an alarm, a retraining, its promotion, a rollback; and none of them without a cause."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import warm

SCRIPT = Path(__file__).parents[2] / "examples/continuous_training/keep_it_good.py"


@pytest.fixture
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("keep_it_good", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_mail_that_changes_is_learned_and_a_bad_model_is_rolled_back(
    example: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = SimpleNamespace(**{**vars(subprocess), "Popen": warm.Popen, "run": warm.run})
    monkeypatch.setattr(example, "subprocess", processes)  # the other test starts its processes as a reader does
    found = example.play(tmp_path, calm=False)
    assert any(key.startswith("drift/") for key in found["problems"])
    assert found["decisions"] == ["trigger", "promote", "roll_back"]
    assert [(action, to, who == "operate") for action, _, to, who in found["moves"]] == [
        ("promote", "email/1", False),
        ("promote", "email/2", True),
        ("promote", "email/3", False),
        ("rollback", "email/2", True),
    ]


@pytest.mark.slow
def test_the_same_mail_without_a_cause_shows_none_of_it(example: ModuleType, tmp_path: Path) -> None:
    found = example.play(tmp_path, calm=True)
    assert found["problems"] == []
    assert found["decisions"] == []
    assert [to for _, _, to, _ in found["moves"]] == ["email/1"]
