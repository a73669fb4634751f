"""What every test of the project gets: nothing is sent anywhere, and nothing is written beside the test."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep W&B silent; a test that wants it sets the mode itself."""
    for name in [key for key in os.environ if key.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.delenv("MLFRAME_HOME", raising=False)
