"""Built-in ensemblers: one candidate of several fits. Nothing heavy is imported before one is picked."""

from __future__ import annotations

from mlframe import Component, hookimpl

__all__ = ["mlframe_ensemblers"]

MEMBERS = {"members": "model"}


@hookimpl
def mlframe_ensemblers() -> list[Component]:
    """Offer the built-in ensemblers."""
    return [
        Component("none", "mlframe.ensemblers.none:NoneEnsembler", "One featurizer and one model"),
        Component(
            "bagging",
            "mlframe.ensemblers.bagging:BaggingEnsembler",
            "Mean of models, each on rows (and features) drawn anew",
        ),
        Component(
            "boosting",
            "mlframe.ensemblers.boosting:BoostingEnsembler",
            "Models one after the other, each with more weight on what the last ones got wrong (AdaBoost)",
        ),
        Component(
            "voting",
            "mlframe.ensemblers.voting:VotingEnsembler",
            "Mean of the members' outputs, or their votes",
            check="mlframe.ensemblers.members:check",
            holds=MEMBERS,
        ),
        Component(
            "stacking",
            "mlframe.ensemblers.stacking:StackingEnsembler",
            "A model that learns from the members' out-of-fold outputs",
            check="mlframe.ensemblers.members:check",
            holds={**MEMBERS, "final": "model"},
        ),
        Component(
            "greedy",
            "mlframe.ensemblers.greedy:GreedyEnsembler",
            "The mean of members that scores best out of fold, chosen one by one with replacement",
            check="mlframe.ensemblers.members:check",
            holds=MEMBERS,
        ),
    ]
