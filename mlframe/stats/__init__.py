"""Pure functions on numpy arrays: figures, intervals, curves, associations. They know no hook and no component."""

from __future__ import annotations

from mlframe.stats.associations import cramers_v, quantile_bins
from mlframe.stats.bootstrap import Difference, Estimate, estimate, estimate_means, paired_bootstrap
from mlframe.stats.calibrating import best_threshold, calibrate, fit_calibration
from mlframe.stats.comparison import MeanEstimate, PairedComparison, corrected_mean, holm, paired_comparison
from mlframe.stats.curves import calibration_bins, confusion, precision_recall_points, roc_points, threshold_rows
from mlframe.stats.drift import counts_by_edges, stability_index
from mlframe.stats.groups import Rate, compare_rates, group_errors, group_rates
from mlframe.stats.labels import Suspects, label_suspects
from mlframe.stats.measures import CLASSIFICATION, REGRESSION, Scores, figures
from mlframe.stats.slices import Codes, Slice, SliceSearch, benjamini_hochberg, slice_search

__all__ = [
    "CLASSIFICATION",
    "REGRESSION",
    "Codes",
    "Difference",
    "Estimate",
    "MeanEstimate",
    "PairedComparison",
    "Rate",
    "Scores",
    "Slice",
    "SliceSearch",
    "Suspects",
    "benjamini_hochberg",
    "best_threshold",
    "calibrate",
    "calibration_bins",
    "compare_rates",
    "confusion",
    "corrected_mean",
    "counts_by_edges",
    "cramers_v",
    "estimate",
    "estimate_means",
    "figures",
    "fit_calibration",
    "group_errors",
    "group_rates",
    "holm",
    "label_suspects",
    "paired_bootstrap",
    "paired_comparison",
    "precision_recall_points",
    "quantile_bins",
    "roc_points",
    "slice_search",
    "stability_index",
    "threshold_rows",
]
