"""The verbs of the lifecycle, one module each."""

from __future__ import annotations

from mlframe.hookspecs import hookimpl
from mlframe.registry import Component


@hookimpl
def mlframe_steps() -> list[Component]:
    """Offer the lifecycle's steps."""
    return [
        Component(name, f"mlframe.steps.{name}:{name.capitalize()}", summary) for name, summary in _SUMMARIES.items()
    ]


_SUMMARIES = {
    "scope": "asks whether the goal says enough to be met",
    "ingest": "reads the rows and gives each column its role and kind",
    "verify": "checks the rows",
    "label": "gives rows their target",
    "split": "cuts folds and holdout",
    "explore": "looks at the development rows",
    "assess": "looks for leaks, and for whether it can work",
    "advise": "tells people what the assessment says",
    "fit": "fits a featurizer and a model on each fold",
    "score": "judges the out-of-fold predictions",
    "refit": "fits what will be deployed",
    "evaluate": "judges it on the holdout",
    "gate": "asks whether targets are met and the champion is matched",
    "register": "gives the bundle a version",
    "report": "writes files for people",
    "load": "opens a registered version",
    "predict": "scores a file of rows",
    "deploy": "puts a version to work",
    "monitor": "looks at what the model answered",
    "update": "trains a challenger, compares it with the champion, acts",
    "operate": "monitors, updates and watches, round after round",
    "simulate": "replays the rows under several ways of updating",
}
