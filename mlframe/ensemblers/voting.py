"""Voting: the mean of the members' outputs, or their votes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from mlframe.contracts import Combination, Combiner, MemberOutputs
from mlframe.errors import ConfigError

__all__ = ["VotingEnsembler"]


class VotingEnsembler(Combiner):
    """Average probabilities or values (`soft`), or count votes for classes (`hard`).

    Nothing is learned from the outputs, so folds need no cross-fitting.

    Args:
        members: name to model node, with a `featurizer` of its own where it needs one.
        vote: `soft`, or `hard`: probabilities become shares of the votes.
        weights: member to weight; members that are not named weigh 1. None weighs all alike.
        latency_ms: most milliseconds that predicting one row may take, None for no limit.
        seconds: most seconds that fitting the members may take, None for no limit; see `mlframe.contracts.Combiner`.
    """

    crossfit: ClassVar[bool] = False

    def __init__(
        self,
        members: Mapping[str, Any] | None = None,
        vote: Literal["soft", "hard"] = "soft",
        weights: Mapping[str, float] | None = None,
        latency_ms: float | None = None,
        seconds: float | None = None,
    ) -> None:
        self.members = dict(members or {})
        self.vote = vote
        self.weights = dict(weights or {})
        self.latency_ms = latency_ms
        self.seconds = seconds

    def combine(self, given: MemberOutputs) -> Combination:
        """Return the rule and the weights.

        Raises:
            ConfigError: votes are wanted for values, or the members that are left have no weight.
        """
        if self.vote == "hard" and given.task == "regression":
            raise ConfigError(
                "Values cannot be voted for: ensembler.vote=hard is for classes",
                value=self.vote,
                where="ensembler.vote",
                hint="set ensembler.vote=soft, the mean",
            )
        weights = tuple(float(self.weights.get(name, 1.0)) for name in given.names)
        return Combination("vote" if self.vote == "hard" else "mean", weights if self.weights else None)
