"""Greedy selection: the mean of members that scores best out of fold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlframe.contracts import Combination, Combiner, MemberOutputs

__all__ = ["GreedyEnsembler"]


class GreedyEnsembler(Combiner):
    """Add, again and again, the member that helps the mean most (Caruana, Niculescu-Mizil, Crew and Ksikes 2004).

    Selection is with replacement, so a member's weight is how often it was taken; it begins with the mean of the `start`
    best ones and ends with the best mean that it met. Bagged selection repeats it over random subsets of the members and
    averages, which overfits less when there are many. The figure is `goal.metric`. The score of a fold comes from a
    selection on the other folds.

    Args:
        members: name to model node, with a `featurizer` of its own where it needs one.
        rounds: most additions.
        start: begin with the mean of so many best members.
        bags: how many selections are averaged.
        share: share of the members that a selection may take from, when there are several.
        seed: seed of the subsets.
        latency_ms: most milliseconds that predicting one row may take, None for no limit.
        seconds: most seconds that fitting the members may take, None for no limit; see `mlframe.contracts.Combiner`.
    """

    def __init__(
        self,
        members: Mapping[str, Any] | None = None,
        rounds: int = 25,
        start: int = 1,
        bags: int = 1,
        share: float = 0.5,
        seed: int = 0,
        latency_ms: float | None = None,
        seconds: float | None = None,
    ) -> None:
        self.members = dict(members or {})
        self.rounds = rounds
        self.start = start
        self.bags = bags
        self.share = share
        self.seed = seed
        self.latency_ms = latency_ms
        self.seconds = seconds

    def combine(self, given: MemberOutputs) -> Combination:
        """Return each member's share of the selections."""
        count = len(given.names)
        alone = np.array([given.score(given.outputs[index]) for index in range(count)])
        random = np.random.default_rng(self.seed)
        taken = np.zeros(count)
        for _ in range(self.bags):
            pool = np.arange(count)
            if self.bags > 1:
                pool = np.sort(random.choice(count, max(1, round(self.share * count)), replace=False))
            chosen = self._select(given, alone, pool)
            taken += chosen / chosen.sum()
        return Combination("mean", tuple(float(share) for share in taken / self.bags))

    def _select(self, given: MemberOutputs, alone: Any, pool: Any) -> Any:
        """Return how often each member is taken, shape (members,)."""
        chosen = np.zeros(len(given.names))
        order = pool[np.argsort(-alone[pool], kind="stable")]
        chosen[order[: self.start]] = 1
        total = np.tensordot(chosen, given.outputs, axes=1)
        best, score = chosen.copy(), given.score(total / chosen.sum())
        for _ in range(self.rounds):
            size = chosen.sum() + 1
            scores = [given.score((total + given.outputs[index]) / size) for index in pool]
            index = pool[int(np.argmax(scores))]
            chosen[index] += 1
            total = total + given.outputs[index]
            if max(scores) > score:
                best, score = chosen.copy(), max(scores)
        return best
