"""Pure functions on numpy arrays: figures, intervals, curves, associations. They know no hook and no component."""

from __future__ import annotations

from mlframe.stats.associations import cramers_v, quantile_bins
from mlframe.stats.bootstrap import Difference, Estimate, estimate, paired_bootstrap
from mlframe.stats.curves import calibration_bins, confusion, precision_recall_points, roc_points, threshold_rows
from mlframe.stats.measures import CLASSIFICATION, REGRESSION, Scores, figures

__all__ = [
    "CLASSIFICATION",
    "REGRESSION",
    "Difference",
    "Estimate",
    "Scores",
    "calibration_bins",
    "confusion",
    "cramers_v",
    "estimate",
    "figures",
    "paired_bootstrap",
    "precision_recall_points",
    "quantile_bins",
    "roc_points",
    "threshold_rows",
]
