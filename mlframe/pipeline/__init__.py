"""A candidate, fitted: rows in, predictions out.

`Pipeline` is what is deployed: a tree of fitted estimators behind their featurizers (`mlframe.pipeline.tree`), and what
comes last, calibration and the decision threshold. `mlframe.pipeline.learning` says what is learned. A scoring process
needs this package, and neither steps nor config.
"""

from __future__ import annotations

from mlframe.pipeline.deployed import Pipeline
from mlframe.pipeline.learning import Learning, as_predictions, decide, fit_estimator, takes_weight, wants_of
from mlframe.pipeline.tree import Member, Node, Rows, combined, leaves, stacked

__all__ = [
    "Learning",
    "Member",
    "Node",
    "Pipeline",
    "Rows",
    "as_predictions",
    "combined",
    "decide",
    "fit_estimator",
    "leaves",
    "stacked",
    "takes_weight",
    "wants_of",
]
