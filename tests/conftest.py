"""What every test of the project gets: nothing is sent anywhere, nothing is written beside the test; and real servers."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import servers


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep W&B silent; a test that wants it sets the mode itself."""
    for name in [key for key in os.environ if key.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    for name in ("MLFRAME_HOME", "MLFRAME_STORE_URL"):
        monkeypatch.delenv(name, raising=False)


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
