"""Conformance of a reporter (hook `mlframe_reporters`)."""

# ruff: noqa: D102 (a test's name is its documentation)

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mlframe.contracts import Reporter, ReportInput
from mlframe.registry import Registered, Registry
from mlframe.testing.data import make_report_input
from mlframe.testing.suite import Suite

__all__ = ["ReporterSuite"]

HOSTILE = '<script>alert("x")</script>'


class ReporterSuite(Suite):
    """A reporter writes into its folder, whatever is known, and lets no data run as code. Override `component`."""

    group = "reporters"

    @pytest.fixture
    def reporter(self, registry: Registry, item: Registered, node: dict[str, Any]) -> Reporter:
        """Give the reporter."""
        made = registry.create(self.group, node)
        assert isinstance(made, Reporter)
        return made

    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Give an empty folder for the report; the working directory is another one."""
        elsewhere, folder = tmp_path / "elsewhere", tmp_path / "run" / "report"
        elsewhere.mkdir()
        folder.mkdir(parents=True)
        monkeypatch.chdir(elsewhere)
        return folder

    @pytest.mark.parametrize("full", [True, False])
    def test_files_are_in_the_folder(self, reporter: Reporter, folder: Path, full: bool) -> None:
        files = _report(reporter, make_report_input(folder, full=full))
        outside = [path for path in folder.parent.parent.rglob("*") if path.is_file() and folder not in path.parents]
        assert outside == [], "a reporter writes into material.folder only"
        assert set(files) <= {path for path in folder.rglob("*") if path.is_file()}

    def test_texts_of_the_data_are_inert(self, reporter: Reporter, folder: Path) -> None:
        for file in _report(reporter, make_report_input(folder, text=HOSTILE)):
            if file.suffix in (".html", ".htm", ".svg", ".xml"):
                assert HOSTILE not in file.read_text(encoding="utf-8"), "escape what data and config bring"

    def test_text_of_any_script(self, reporter: Reporter, folder: Path) -> None:
        _report(reporter, make_report_input(folder, text="naïve 東京 {{ 7 * 7 }} & {% raw %}"))


def _report(reporter: Reporter, material: ReportInput) -> Sequence[Path]:
    files = reporter.report(material)
    assert len(files) > 0
    for file in files:
        assert isinstance(file, Path)
        assert file.is_file()
        assert file.stat().st_size > 0
        assert material.folder.resolve() in file.resolve().parents
    return files
