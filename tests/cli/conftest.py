"""Working directories with a small table, and workspaces that hold a version already."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from workbench import FAST, TABLE, Bench, finish, make_csv, spawn

from mlframe.testing.plugin import CliResult


@pytest.fixture
def bench(run_cli: Callable[..., CliResult]) -> Bench:
    """Give a working directory with `my.csv` and the command line in it."""
    bench = Bench(run_cli, Path.cwd())
    bench.write(make_csv())
    return bench


@pytest.fixture(scope="session")
def trained_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a workspace with one version and no champion, made once."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "my.csv").write_text(make_csv())
    result = finish(spawn(folder, *TABLE, *FAST))
    assert result.code == 0, result.err
    return folder / ".mlframe"


@pytest.fixture
def trained(bench: Bench, trained_home: Path) -> Bench:
    """Give a working directory whose workspace has the version csv/1 and no champion."""
    shutil.copytree(trained_home, bench.home)
    return bench


@pytest.fixture
def served(trained: Bench) -> Bench:
    """Give a working directory whose workspace has the champion csv/1."""
    assert trained("promote", "csv/1").code == 0
    return trained
