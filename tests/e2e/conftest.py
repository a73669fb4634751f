"""Workers of sweeps begin with the libraries loaded; those of a command that runs in a process of its own do not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import warm


@pytest.fixture(autouse=True, scope="module")
def _warm_workers() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        warm.children(patch.setattr)
        yield
