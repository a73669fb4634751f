"""Built-in splitters."""

from __future__ import annotations

from mlframe.hookspecs import hookimpl
from mlframe.registry import Component


@hookimpl
def mlframe_splitters() -> list[Component]:
    """Offer the built-in splitters."""
    return [
        Component(
            "group", "mlframe.splitters.group:GroupSplitter", "Folds of whole groups; column with the role group"
        ),
        Component("holdout", "mlframe.splitters.holdout:HoldoutSplitter", "One random train and validation part"),
        Component("kfold", "mlframe.splitters.kfold:KFoldSplitter", "K random folds"),
        Component("stratified", "mlframe.splitters.stratified:StratifiedSplitter", "K folds with equal class shares"),
        Component("time", "mlframe.splitters.time:TimeSplitter", "Train on the past, judge on the future, with a gap"),
    ]
