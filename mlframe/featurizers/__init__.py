"""Built-in featurizers: columns in, numbers out. Nothing heavy is imported before one is picked."""

from __future__ import annotations

from mlframe import Component, hookimpl

__all__ = ["mlframe_featurizers"]

BLOCKS = (
    "mlframe.featurizers.categories.Codes",
    "mlframe.featurizers.categories.OneHot",
    "mlframe.featurizers.dates.Dates",
    "mlframe.featurizers.numbers.Numbers",
    "mlframe.featurizers.texts.Text",
)
"""The parts that a fitted featurizer is made of."""


@hookimpl
def mlframe_featurizers() -> list[Component]:
    """Offer the built-in featurizers."""
    return [
        Component(
            "auto",
            "mlframe.featurizers.auto:AutoFeaturizer",
            "Every kind of column, in the way that suits the candidate's model",
            trusted=BLOCKS,
        ),
        Component(
            "linear",
            "mlframe.featurizers.linear:LinearFeaturizer",
            "Impute, scale, one-hot, cycles of dates, tf-idf: for linear models, neighbours and networks",
            trusted=BLOCKS,
        ),
        Component(
            "tree",
            "mlframe.featurizers.tree:TreeFeaturizer",
            "Category codes, missing values kept, parts of dates, tf-idf: for trees and boosting",
            trusted=BLOCKS,
        ),
        Component(
            "text",
            "mlframe.featurizers.text:TextFeaturizer",
            "Text columns only, as tf-idf",
            trusted=BLOCKS,
        ),
        Component(
            "none",
            "mlframe.featurizers.none:NoneFeaturizer",
            "Numeric and boolean columns as they are; other kinds are refused",
            trusted=BLOCKS,
        ),
    ]
