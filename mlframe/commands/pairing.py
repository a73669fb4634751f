"""The difference of two runs on the same rows, with its interval: what is hard for both does not widen it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LEAST_ROWS = 30


@dataclass(frozen=True)
class Pair:
    """What came of comparing two runs.

    Args:
        reason: why they could not be compared on the same rows; empty when they were.
        metric: the figure.
        better: higher | lower.
        part: which rows, in words.
        rows: how many.
        value: figure of the first minus figure of the second.
        low: lower end of the 95 % interval.
        high: upper end.
    """

    reason: str = ""
    metric: str = ""
    better: str = "higher"
    part: str = ""
    rows: int = 0
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan

    def lines(self, first: str, second: str) -> list[str]:
        """Return the outcome in sentences."""
        if self.reason:
            return [f"not compared on the same rows: {self.reason}"]
        ahead = self.low > 0 if self.better == "higher" else self.high < 0
        behind = self.high < 0 if self.better == "higher" else self.low > 0
        said = f"{first} is better" if ahead else f"{second} is better" if behind else "the rows do not tell them apart"
        return [
            f"{self.metric} of {first} minus {second} on the same {self.rows:,} {self.part} rows: {self.value:+.4g} "
            f"(95 % interval {self.low:+.4g} to {self.high:+.4g}); {self.better} is better: {said}"
        ]


def pair(store: Any, a: Mapping[str, Any], b: Mapping[str, Any], a_keys: Any, b_keys: Any) -> Pair:
    """Compare two runs on rows that neither has learned from: common holdout rows, else equal folds.

    Args:
        store: the open store.
        a: record of the first run.
        b: record of the second run.
        a_keys: step to its key, of the first run.
        b_keys: of the second run.
    """
    metrics = [(item.get("summary") or {}).get("metric") for item in (a, b)]
    if None in metrics or metrics[0] != metrics[1]:
        return Pair(f"their metrics are {metrics[0] or 'none'} and {metrics[1] or 'none'}")
    if a_keys.get("ingest") != b_keys.get("ingest") or not a_keys.get("ingest"):
        return Pair("they did not read the same rows in the same way")
    learning = [_kept(store, keys, "label", "learning") for keys in (a_keys, b_keys)]
    if None in learning or learning[0] != learning[1]:
        return Pair("they learned another target, other classes, or the step cache no longer holds them")
    wanted = {
        "metric": str(metrics[0]),
        "better": str(a["summary"].get("better") or "higher"),
    }
    held = [_kept(store, keys, "evaluate", "holdout") for keys in (a_keys, b_keys)]
    if all(frame is not None and frame.height for frame in held):
        common = held[0].join(held[1], on=["row_id", "y"], how="inner", suffix=" b", maintain_order="left")
        if common.height >= LEAST_ROWS:
            return _measured([common], learning[0], wanted, "holdout")
    folds = [_kept(store, keys, "fit", "oof") for keys in (a_keys, b_keys)]
    if a_keys.get("split") == b_keys.get("split") and all(frame is not None for frame in folds):
        on = ["row_id", "y", "fold"]
        common = folds[0].join(folds[1], on=on, how="inner", suffix=" b", maintain_order="left")
        return _measured(common.partition_by("fold"), learning[0], wanted, "out-of-fold")
    return Pair(f"they share fewer than {LEAST_ROWS} holdout rows, and their folds differ or are no longer kept")


def _kept(store: Any, keys: Mapping[str, str], step: str, name: str) -> Any:
    """Return an artifact of a run from the step cache, None when it is not there."""
    from mlframe.runner.keys import digest

    entry = store.artifact(digest([keys[step], name])) if keys.get(step) else None
    return None if entry is None else store.load_artifact(entry)


def _measured(frames: Sequence[Any], learning: Mapping[str, Any], wanted: Mapping[str, str], part: str) -> Pair:
    """Measure the difference on each frame; models of different folds are never ranked against each other."""
    from mlframe.contracts import Predictions
    from mlframe.stats import Scores, paired_bootstrap

    task, classes = learning["task"], tuple(learning["classes"])
    found = []
    for frame in frames:
        second = frame.select("row_id", "y", *(name for name in frame.columns if name.endswith(" b")), "fold", "weight")
        second = second.drop([name for name in ("fold b", "weight b") if name in second.columns])
        sides = [
            Predictions(frame, task, classes, "holdout"),
            Predictions(second.rename(lambda name: name.removesuffix(" b")), task, classes, "holdout"),
        ]
        scores = [Scores(side.y_pred, side.proba if classes else None) for side in sides]
        try:
            found.append(paired_bootstrap(wanted["metric"], sides[0].y, scores[0], scores[1], sides[0].weight))
        except KeyError:
            return Pair(f"{wanted['metric']} is a figure of a plugin, which only the gate measures on the same rows")
    known = [difference for difference in found if difference is not None]
    if len(known) < len(found) or not known:
        return Pair(f"{wanted['metric']} is not defined on these rows")
    value = sum(item.value for item in known) / len(known)
    # Folds of distinct rows are combined in quadrature; rows that repeated folds judge again are no new evidence.
    rows = len({row for frame in frames for row in frame["row_id"].to_list()})
    again = math.sqrt(sum(frame.height for frame in frames) / rows) / len(known)
    below = math.sqrt(sum((item.value - item.low) ** 2 for item in known)) * again
    above = math.sqrt(sum((item.high - item.value) ** 2 for item in known)) * again
    return Pair("", wanted["metric"], wanted["better"], part, rows, value, value - below, value + above)
