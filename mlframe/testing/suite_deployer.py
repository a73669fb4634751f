"""Conformance of a deployer (hook `mlframe_deployers`)."""

# ruff: noqa: D102 (a test's name is its documentation)

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlframe.contracts import Deployer, Deployment
from mlframe.registry import Registered, Registry
from mlframe.testing.suite import Suite

__all__ = ["DeployerSuite"]


class DeployerSuite(Suite):
    """A deployer deploys a real version, says what is there and how to undo it, and leaves the bundle alone.

    Override `component`, with parameters that let tests run beside each other (port 0, folders of their own).
    """

    group = "deployer"

    @pytest.fixture
    def order(self, trained_version: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
        """Give what is to be deployed, with rows to score; the working directory is an empty one."""
        elsewhere, folder = tmp_path / "elsewhere", tmp_path / "run"
        elsewhere.mkdir()
        folder.mkdir()
        monkeypatch.chdir(elsewhere)
        rows = trained_version.folder.parent / "rows.csv"
        return replace(trained_version, folder=folder, input=str(rows), output=str(tmp_path / "output"))

    @pytest.fixture
    def deployer(self, registry: Registry, item: Registered, node: dict[str, Any]) -> Iterator[Deployer]:
        """Give the deployer; what it leaves running is taken back."""
        made = registry.create(self.group, node)
        assert isinstance(made, Deployer)
        yield made
        made.undo()

    def test_it_says_what_is_there_and_how_to_undo_it(self, deployer: Deployer, order: Deployment) -> None:
        facts = deployer.deploy(order)
        assert json.loads(json.dumps(dict(facts))) == dict(facts), "facts are plain JSON values"
        assert isinstance(facts["undo"], str)
        assert facts["undo"].strip()

    def test_the_bundle_is_left_alone(self, deployer: Deployer, order: Deployment) -> None:
        before = _contents(order.bundle)
        deployer.deploy(order)
        assert _contents(order.bundle) == before

    def test_undoing_twice_is_undoing_once(self, deployer: Deployer, order: Deployment) -> None:
        deployer.undo()
        deployer.deploy(order)
        deployer.undo()
        deployer.undo()


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
