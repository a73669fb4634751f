"""Stacking: a model learns from the members' outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlframe.contracts import Combination, Combiner, MemberOutputs

__all__ = ["StackingEnsembler"]


class StackingEnsembler(Combiner):
    """Fit a final model on what the members say of rows that they did not learn from (Wolpert 1992).

    The out-of-fold outputs come from our own folds, so time-ordered and grouped folds work, and rows that no fold
    validated are left out. The final model never stops early: pick a small one.

    Args:
        members: name to model node, with a `featurizer` of its own where it needs one.
        final: node of the model that learns from the outputs.
        passthrough: give it the rows' own features too, made by `featurizer` (or by the final node's own).
        latency_ms: most milliseconds that predicting one row may take, None for no limit.
        seconds: most seconds that fitting the members may take, None for no limit; see `mlframe.contracts.Combiner`.
    """

    def __init__(
        self,
        final: Mapping[str, Any],
        members: Mapping[str, Any] | None = None,
        passthrough: bool = False,
        latency_ms: float | None = None,
        seconds: float | None = None,
    ) -> None:
        self.members = dict(members or {})
        self.final = dict(final)
        self.passthrough = passthrough
        self.latency_ms = latency_ms
        self.seconds = seconds

    def combine(self, given: MemberOutputs) -> Combination:
        """Return the node of the final model."""
        return Combination("stack", final=self.final, passthrough=self.passthrough)
