"""Can it work? Leaks, simple rules, learning curve, label noise, smallest effect, verdict: pure functions, no hook."""

from __future__ import annotations

from mlframe.feasibility.columns import column_leaks
from mlframe.feasibility.leak import CHECKS, Leak
from mlframe.feasibility.splits import split_leaks

__all__ = ["CHECKS", "Leak", "column_leaks", "split_leaks"]
