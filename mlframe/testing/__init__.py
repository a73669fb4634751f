"""For plugin authors: conformance suites, small data and a real door, all public.

Subclass the suite of your hook, override its fixture `component`, and pytest runs the contract against your plugin:

    from mlframe.testing import ModelSuite

    class TestMine(ModelSuite):
        @pytest.fixture
        def component(self):
            return "mine"

The fixtures (`plugins`, `registry`, `compose`, `tiny_table`, `recording_tracker`, `install_plugin`, `run_cli`) are
there in every test session of an environment that has mlframe; see `mlframe.testing.plugin`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlframe.testing.data import (
        make_judged,
        make_predictions,
        make_report_input,
        make_run,
        make_table,
        make_target,
    )
    from mlframe.testing.plugin import CliResult
    from mlframe.testing.recording import RecordingTracker
    from mlframe.testing.suite_deployer import DeployerSuite
    from mlframe.testing.suite_ensembler import EnsemblerSuite
    from mlframe.testing.suite_evaluator import EvaluatorSuite
    from mlframe.testing.suite_explorer import ExplorerSuite
    from mlframe.testing.suite_featurizer import FeaturizerSuite
    from mlframe.testing.suite_labeler import LabelerSuite
    from mlframe.testing.suite_model import ModelSuite
    from mlframe.testing.suite_monitor import MonitorSuite
    from mlframe.testing.suite_notifier import NotifierSuite, make_notice
    from mlframe.testing.suite_reporter import ReporterSuite
    from mlframe.testing.suite_source import SourceSuite
    from mlframe.testing.suite_splitter import SplitterSuite
    from mlframe.testing.suite_step import StepSuite
    from mlframe.testing.suite_tracker import TrackerSuite
    from mlframe.testing.suite_validator import ValidatorSuite
    from mlframe.testing.watched import make_reference, make_window

__all__ = [
    "CliResult",
    "DeployerSuite",
    "EnsemblerSuite",
    "EvaluatorSuite",
    "ExplorerSuite",
    "FeaturizerSuite",
    "LabelerSuite",
    "ModelSuite",
    "MonitorSuite",
    "NotifierSuite",
    "RecordingTracker",
    "ReporterSuite",
    "SourceSuite",
    "SplitterSuite",
    "StepSuite",
    "TrackerSuite",
    "ValidatorSuite",
    "make_deployment",
    "make_judged",
    "make_notice",
    "make_predictions",
    "make_reference",
    "make_report_input",
    "make_run",
    "make_table",
    "make_target",
    "make_window",
]

_HOMES = {
    "CliResult": "plugin",
    "RecordingTracker": "recording",
    **{name: "data" for name in __all__ if name.startswith("make_")},
    "make_notice": "suite_notifier",
    "make_reference": "watched",
    "make_window": "watched",
    **{name: f"suite_{name.removesuffix('Suite').lower()}" for name in __all__ if name.endswith("Suite")},
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: pytest loads this package in every session."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
