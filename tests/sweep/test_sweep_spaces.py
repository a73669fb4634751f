"""Every shipped search space, the plugins' too: its keys exist, and its ends are values that the model takes."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SPACES = sorted([*ROOT.glob("conf/sweep/space/*.yaml"), *ROOT.glob("plugins/*/*/conf/sweep/space/*.yaml")])


@pytest.mark.parametrize("data", ["churn", "diamonds"])
@pytest.mark.parametrize("space", SPACES, ids=lambda path: path.stem)
def test_a_shipped_space_can_be_searched(space: Path, data: str, run_cli) -> None:
    done = run_cli("plan", "-m", f"model={space.stem}", f"data={data}", "sweep=bayes")
    assert done.code == 0, done.err
    assert f"sweep/space/{space.stem}.yaml" in done.out
