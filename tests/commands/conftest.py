"""One workspace with two versions of a small table, made once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from shop_bench import QUICK, TABLE, make_csv

from mlframe.testing.plugin import CliResult


@pytest.fixture
def shop(run_cli: Callable[..., CliResult], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., CliResult]:
    """Give the command line in a folder whose store has shop/1 (dummy) and shop/2 (linear)."""
    kept = tmp_path_factory.getbasetemp() / "shop"
    here = Path.cwd()
    if not kept.is_dir():
        (here / "my.csv").write_text(make_csv())
        for model in ("dummy", "linear"):
            done = run_cli(*TABLE, *QUICK, f"model={model}", "store.root=kept", "goal.targets.roc_auc=0.4")
            assert done.code == 0, done.err
        shutil.move(here / "kept", kept)
    shutil.copytree(kept, here / ".mlframe")
    (here / "my.csv").write_text(make_csv())
    return run_cli
