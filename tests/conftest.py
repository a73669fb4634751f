"""What every test of the project gets: nothing is sent anywhere, nothing is written beside the test; and real servers."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import servers
import warm

from mlframe.testing import suite_model


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep W&B silent; a test that wants it sets the mode itself."""
    for name in [key for key in os.environ if key.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    for name in ("MLFRAME_HOME", "MLFRAME_STORE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def warm_children() -> Iterator[None]:
    """Let what mlframe starts of itself in this process (workers of a sweep, standard tests) begin with the libraries loaded."""
    with pytest.MonkeyPatch.context() as patch:
        warm.children(patch.setattr)
        yield


@pytest.fixture(scope="module")
def warm_loads() -> Iterator[None]:
    """Let `ModelSuite` load what skops has saved in warm processes: skops imports what the file names by itself."""

    def run(command: list[str], **how: Any) -> Any:
        return (warm if "skops" in command else subprocess).run(command, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(suite_model, "subprocess", SimpleNamespace(run=run))
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.Postgres]:
    """Give a real PostgreSQL server, started once."""
    with servers.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[dict[str, str]]:
    """Give the environment variables that lead to an S3-compatible server, started once."""
    with servers.s3() as environment:
        yield environment
