"""Workers of sweeps begin with the libraries loaded; those of a command that runs in a process of its own do not."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="module")
def _warm(warm_children: None) -> None:
    pass
