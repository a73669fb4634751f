"""Pure functions on numpy arrays: figures, intervals, curves, associations. They know no hook and no component."""

from __future__ import annotations

from mlframe.stats.associations import cramers_v, quantile_bins
from mlframe.stats.bootstrap import Difference, Estimate, estimate, estimate_means, paired_bootstrap
from mlframe.stats.calibrating import best_threshold, calibrate, fit_calibration
from mlframe.stats.comparison import (
    MeanEstimate,
    PairedComparison,
    corrected_mean,
    holm,
    paired_comparison,
    share_interval,
)
from mlframe.stats.curves import calibration_bins, confusion, precision_recall_points, roc_points, threshold_rows
from mlframe.stats.discovery import benjamini_hochberg, benjamini_yekutieli
from mlframe.stats.drift import (
    ChiSquared,
    chi_squared,
    jensen_shannon,
    kolmogorov_smirnov,
    smirnov_p,
    stability_index,
    wasserstein,
)
from mlframe.stats.groups import Rate, compare_rates, group_errors, group_rates
from mlframe.stats.labels import Suspects, label_suspects
from mlframe.stats.measures import CLASSIFICATION, REGRESSION, Scores, figures
from mlframe.stats.movement import Movement, movement
from mlframe.stats.sketches import Names, Numbers, Presence, Sketch, read_sketch, sketch
from mlframe.stats.slices import Codes, Slice, SliceSearch, slice_search
from mlframe.stats.telling_apart import ToldApart, comparable, matrices, told_apart
from mlframe.stats.texts import Texts

__all__ = [
    "CLASSIFICATION",
    "REGRESSION",
    "ChiSquared",
    "Codes",
    "Difference",
    "Estimate",
    "MeanEstimate",
    "Movement",
    "Names",
    "Numbers",
    "PairedComparison",
    "Presence",
    "Rate",
    "Scores",
    "Sketch",
    "Slice",
    "SliceSearch",
    "Suspects",
    "Texts",
    "ToldApart",
    "benjamini_hochberg",
    "benjamini_yekutieli",
    "best_threshold",
    "calibrate",
    "calibration_bins",
    "chi_squared",
    "comparable",
    "compare_rates",
    "confusion",
    "corrected_mean",
    "cramers_v",
    "estimate",
    "estimate_means",
    "figures",
    "fit_calibration",
    "group_errors",
    "group_rates",
    "holm",
    "jensen_shannon",
    "kolmogorov_smirnov",
    "label_suspects",
    "matrices",
    "movement",
    "paired_bootstrap",
    "paired_comparison",
    "precision_recall_points",
    "quantile_bins",
    "read_sketch",
    "roc_points",
    "share_interval",
    "sketch",
    "slice_search",
    "smirnov_p",
    "stability_index",
    "threshold_rows",
    "told_apart",
    "wasserstein",
]
