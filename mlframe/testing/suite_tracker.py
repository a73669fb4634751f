"""Conformance of a tracker (hook `mlframe_trackers`)."""

# ruff: noqa: D102 (a test's name is its documentation)

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlframe.contracts import Chart, Tracker
from mlframe.registry import Registered, Registry
from mlframe.testing.data import make_run, make_table
from mlframe.testing.suite import Suite

__all__ = ["TrackerSuite"]

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"><path d="M0 0 L10 10"/></svg>'


class TrackerSuite(Suite):
    """A tracker can be closed at any time and never fails a run. Override `component`.

    The tests run without network: `WANDB_MODE` is offline, and the working directory is empty.
    """

    group = "trackers"

    @pytest.fixture
    def make(
        self,
        registry: Registry,
        item: Registered,
        node: dict[str, Any],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> Callable[[], Tracker]:
        """Give a function that builds the tracker anew."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("WANDB_MODE", "offline")
        monkeypatch.delenv("WANDB_API_KEY", raising=False)
        return lambda: registry.create(self.group, node)

    def test_a_whole_run(self, make: Callable[[], Tracker], tmp_path: Path) -> None:
        tracker = make()
        assert isinstance(tracker, Tracker)
        tracker.open(make_run(_folder(tmp_path, "run")))
        tracker.figures({"folds/roc_auc": 0.9, "holdout/roc_auc": 0.8})
        tracker.figures({"holdout/odd": float("nan"), "holdout/huge": float("inf")})
        tracker.chart(Chart("curve", "A curve", "A line that rises", SVG))
        tracker.table("top", make_table().frame.head(3))
        bundle = _folder(tmp_path, "bundle")
        bundle.joinpath("manifest.json").write_text("{}")
        tracker.bundle("tiny/1", bundle)
        address = tracker.address()
        assert address is None or isinstance(address, str)
        tracker.close("finished")
        assert bundle.joinpath("manifest.json").read_text() == "{}"

    def test_close_without_open(self, make: Callable[[], Tracker]) -> None:
        make().close("failed")

    def test_close_after_a_failed_open(self, make: Callable[[], Tracker], tmp_path: Path) -> None:
        blocked = tmp_path / "file"
        blocked.write_text("no folder")
        tracker = make()
        with contextlib.suppress(Exception):  # open may fail here; what counts is that close does not
            tracker.open(make_run(blocked / "run"))
        tracker.close("failed")

    @pytest.mark.parametrize("status", ["failed", "interrupted"])
    def test_close_after_a_failure_in_the_run(self, make: Callable[[], Tracker], tmp_path: Path, status: str) -> None:
        tracker = make()
        tracker.open(make_run(_folder(tmp_path, "run")))
        tracker.close(status)

    def test_one_run_after_the_other(self, make: Callable[[], Tracker], tmp_path: Path) -> None:
        addresses = []
        for number in range(2):
            tracker = make()
            tracker.open(make_run(_folder(tmp_path, f"run{number}"), id=f"run{number}", group="sweep"))
            tracker.figures({"folds/roc_auc": 0.5 + number / 10})
            addresses.append(tracker.address())
            tracker.close("finished")
        assert addresses[0] is None or addresses[0] != addresses[1], "two runs of one process have one record"


def _folder(root: Path, name: str) -> Path:
    folder = root / name
    folder.mkdir()
    return folder
