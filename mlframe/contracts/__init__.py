"""What a component must do: one small abstract class for each hook, and the records that pass between them.

A plugin author reads `mlframe.hookspecs` for how to offer a component and this module for what it must do. Nothing here
imports an algorithm library; numpy and polars are named for type checkers only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlframe.contracts.data import Labeler, Labels, Source, Split, Splitter, Validation, Validator
from mlframe.contracts.deploying import Deployer, Deployment
from mlframe.contracts.ensembling import (
    ALONE,
    Combination,
    Combiner,
    Ensembler,
    MemberOutputs,
    Trainer,
    Wrapper,
    models_of,
)
from mlframe.contracts.judging import (
    Chart,
    Evaluation,
    Evaluator,
    Exploration,
    Explorer,
    Figure,
    Finding,
    Interval,
    Judged,
)
from mlframe.contracts.learning import (
    DEFAULT_METRICS,
    TASKS,
    Adapter,
    Features,
    Featurizer,
    Part,
    Predictions,
    Stop,
    Told,
    Wants,
)
from mlframe.contracts.monitoring import Alarm, Monitor, Notice, Notifier, Observation, Reference, Window
from mlframe.contracts.steps import Step
from mlframe.contracts.telling import Reporter, ReportInput, RunInfo, Tracker

if TYPE_CHECKING:
    from mlframe.contracts.learning import Array as Array
    from mlframe.contracts.learning import Matrix as Matrix

__all__ = [
    "ALONE",
    "DEFAULT_METRICS",
    "TASKS",
    "Adapter",
    "Alarm",
    "Chart",
    "Combination",
    "Combiner",
    "Deployer",
    "Deployment",
    "Ensembler",
    "Evaluation",
    "Evaluator",
    "Exploration",
    "Explorer",
    "Features",
    "Featurizer",
    "Figure",
    "Finding",
    "Interval",
    "Judged",
    "Labeler",
    "Labels",
    "MemberOutputs",
    "Monitor",
    "Notice",
    "Notifier",
    "Observation",
    "Part",
    "Predictions",
    "Reference",
    "ReportInput",
    "Reporter",
    "RunInfo",
    "Source",
    "Split",
    "Splitter",
    "Step",
    "Stop",
    "Told",
    "Tracker",
    "Trainer",
    "Validation",
    "Validator",
    "Wants",
    "Window",
    "Wrapper",
    "models_of",
]
