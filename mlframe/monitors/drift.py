"""Data drift: input columns and predictions that are no longer what they were when the model was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlframe import stats
from mlframe.contracts import Alarm, Figure, Interval, Monitor, Observation, Reference, Window
from mlframe.errors import ParameterError
from mlframe.monitors.drift_rows import PLACES, Read, read_window, since_of
from mlframe.monitors.drift_words import action_of, cause_of, evidence_of, text_of
from mlframe.stats import Movement, Names, Numbers, Sketch

if TYPE_CHECKING:
    import polars as pl

    from mlframe.contracts import Chart

__all__ = ["DriftMonitor"]

FORMAT = 2
SAMPLE = "sample.arrow"
CORRECTIONS = {"yekutieli": stats.benjamini_yekutieli, "hochberg": stats.benjamini_hochberg}
DATED = 5
"""Of so many columns, those that matter most, the beginning is looked for in the window."""
SHOWN = 15


@dataclass
class _Item:
    """One thing that is tested: a column, the predictions, or all columns together."""

    name: str
    kind: str
    moved: Movement
    before: Sketch
    rows: int
    share: float | None = None
    q: float = 1.0
    over: bool = False

    @property
    def impact(self) -> float:
        """Effect on the predictions: how far it has moved, by how much they depend on it."""
        return self.moved.effect * (1.0 if self.share is None else self.share)


class DriftMonitor(Monitor):
    """Tell which columns have moved, ranked by what that does to predictions, and whether predictions have.

    A column has moved when the distance is large (`effect`, which does not grow with the number of rows) and chance does not
    explain it (false discoveries controlled over all columns, the predictions, and the classifier test): a tiny shift in
    a million rows is no alarm, and noise in a hundred is none.

    Args:
        effect: Jensen-Shannon distance from which a column has moved, above 0 and at most 1; a shift by a quarter of a
            standard deviation is about 0.1, by a half 0.2.
        strong: distance from which it is a problem and no warning, where predictions depend on the column.
        false_discovery: highest expected share of alarms that are none; without drift, the share of windows that alarm.
        correction: `yekutieli` holds whatever columns have to do with each other, `hochberg` finds a little more.
        negligible: share in what predictions depend on below which a column's alarm is only an `info`.
        auc: ROC AUC of a classifier that tells the window's rows from the reference's, from which they have moved together;
            it is an alarm only where no single column explains it.
        rows: fewest rows of a window in which drift is told.
        sample: rows of the window that the classifier gets; 0 leaves it out.
        seed: seed of the classifier and its rows.

    Raises:
        ParameterError: a number is out of range.
    """

    def __init__(
        self,
        effect: float = 0.1,
        strong: float = 0.25,
        false_discovery: float = 0.05,
        correction: str = "yekutieli",
        negligible: float = 0.01,
        auc: float = 0.65,
        rows: int = 50,
        sample: int = 1000,
        seed: int = 0,
    ) -> None:
        ranges = {
            "effect": (effect, 0 < effect <= 1, "above 0 and at most 1"),
            "strong": (strong, effect <= strong <= 1, f"between effect ({effect:g}) and 1"),
            "false_discovery": (false_discovery, 0 < false_discovery < 1, "between 0 and 1"),
            "correction": (correction, correction in CORRECTIONS, " or ".join(CORRECTIONS)),
            "negligible": (negligible, 0 <= negligible <= 1, "between 0 and 1"),
            "auc": (auc, 0.5 < auc <= 1, "above 0.5 and at most 1"),
            "rows": (rows, rows >= 1, "1 or more"),
            "sample": (sample, sample >= 0, "0 or more"),
        }
        for name, (value, good, words) in ranges.items():
            if not good:
                raise ParameterError(
                    f"drift: {name} must be {words}",
                    value=value,
                    where=f"monitors.drift.{name}",
                    hint="conf/monitors/drift.yaml says what it means",
                )
        self.effect, self.strong, self.false_discovery, self.correction = effect, strong, false_discovery, correction
        self.negligible, self.auc, self.rows, self.sample, self.seed = negligible, auc, rows, sample, seed

    def declares(self) -> Sequence[Figure]:
        """Return the share of columns that moved, the largest distance, that of predictions, and the classifier's AUC."""
        unit: dict[str, Any] = {"better": "lower", "unit": "1", "measured": True, "low": 0.0, "high": 1.0}
        return (
            Figure("drift_share", summary="Share of the input columns that have moved", **unit),
            Figure("drift_largest", summary="Largest distance that an input column has moved", **unit),
            Figure("drift_prediction", summary="Distance that the predictions have moved", **unit),
            Figure(
                "drift_auc",
                summary="How well a classifier tells the window's rows from training rows (0.5: not)",
                **unit,
            ),
        )

    def observe(self, reference: Reference, window: Window) -> Observation:
        """Compare the window with the bundle's sketches."""
        made = reference.baseline.get("format", 1)
        if made != FORMAT:
            return Observation(
                notes=[
                    f"Drift is not told: the baseline of {reference.reference} has format {made}, this mlframe reads {FORMAT}. "
                    "Train a version again to have one."
                ]
            )
        read = read_window(reference, window, self.sample, self.seed)
        if not read.rows:
            return Observation(
                notes=[f"Drift is not told: none of the window's rows was answered by {reference.reference}."]
            )
        if read.rows < self.rows:
            few = f"Drift is not told of {read.rows:,} rows: {self.rows:,} or more are wanted (monitors.drift.rows)."
            return Observation(notes=[few])
        importance = reference.baseline.get("importance") or {}
        kinds = {column["name"]: column["kind"] for column in reference.inputs}
        columns = [
            _Item(name, kinds[name], stats.movement(*pair), pair[0], pair[1].rows, importance.get(name))
            for name, pair in read.columns.items()
        ]
        columns.sort(key=lambda item: (-item.impact, -item.moved.effect, item.name))
        prediction = _prediction(read)
        items = [*columns, *([prediction] if prediction else [])]
        self._decide(items, 1.0)
        alarms = self._alarms(reference, window, read, columns, prediction)
        together, names = rest, compared = self._together(reference, read)
        moved = [item.name for item in columns if item.over]
        if together and moved and together.auc >= self.auc:
            rest, compared = self._together(reference, read, without=moved)
        if rest and rest.auc >= self.auc and (q := self._decide(items, rest.p)) <= self.false_discovery:
            alarms.append(_of_all(rest, compared, q))
        figures = {
            "drift_share": Interval(sum(item.over for item in columns) / max(1, len(columns))),
            "drift_largest": Interval(max((item.moved.effect for item in columns), default=0.0)),
        }
        if prediction:
            figures["drift_prediction"] = Interval(prediction.moved.effect)
        if together:
            figures["drift_auc"] = Interval(together.auc)
        return Observation(
            figures=figures,
            alarms=alarms,
            tables={"drift": _table(columns, prediction)},
            charts=_charts(columns, self.effect),
            notes=self._notes(reference, read, prediction is None, bool(importance), bool(names)),
            state={"effects": {item.name: round(item.moved.effect, 4) for item in columns}},
        )

    # -------------------------------------------------------------------------------------------- decisions

    def _together(
        self, reference: Reference, read: Read, without: Sequence[str] = ()
    ) -> tuple[stats.ToldApart | None, list[str]]:
        """Ask a classifier to tell the window's rows from the reference's, by the columns that are returned."""
        import polars as pl

        file = reference.beside.get(SAMPLE)
        if read.sample is None or file is None:
            return None, []
        before = pl.read_ipc(file.read_bytes())
        left_out = {*read.hidden, *without}
        shown = [name for name in before.columns if name not in left_out and name in read.sample.columns]
        one, other, names = stats.matrices(before.select(shown), read.sample.select(shown))
        return stats.told_apart(one, other, seed=self.seed), names

    def _decide(self, items: Sequence[_Item], together: float) -> float:
        """Set each item's q-value, and whether it has moved; return the classifier's q-value.

        All are one family of tests: without drift, the chance of any alarm stays below `false_discovery`. Items are decided
        with 1 in the classifier's place, which changes none of them for the worse: it then gets what they have left over.
        """
        import numpy as np

        correct = CORRECTIONS[self.correction]
        alone = correct(np.array([*(item.moved.p for item in items), 1.0]))
        for item, value in zip(items, alone, strict=False):
            item.q = float(value)
            item.over = item.moved.effect >= self.effect and item.q <= self.false_discovery
        return float(correct(np.array([*(item.moved.p for item in items), together]))[-1])

    def _severity(self, item: _Item, columns: int) -> Any:
        if item.share is not None and item.share < self.negligible:
            return "info"
        counts = item.share is None or item.share >= 1 / max(2, columns)
        return "problem" if counts and item.moved.effect >= self.strong else "warning"

    # -------------------------------------------------------------------------------------------- words

    def _alarms(
        self, reference: Reference, window: Window, read: Read, columns: Sequence[_Item], prediction: _Item | None
    ) -> list[Alarm]:
        alarms = []
        moved = [item for item in columns if item.over]
        for rank, item in enumerate(moved):
            cause = cause_of(item.kind, item.moved)
            rows = item.before.rows
            evidence = evidence_of(item.moved, item.q, item.rows, rows)
            if item.share is not None:
                evidence |= {"importance": item.share, "rank": columns.index(item) + 1}
            since = None
            if read.timed and rank < DATED:
                since = since_of(reference, window, item.name, item.before, self.effect)
            severity = self._severity(item, len(columns))
            text = text_of(item.name, item.kind, item.moved)
            text += "" if item.share is None else f"; predictions depend on it by {item.share:.0%}"
            alarms.append(
                Alarm(
                    f"drift/column/{item.name}",
                    severity,
                    text + ".",
                    evidence,
                    cause,
                    action_of(item.name, cause),
                    since or window.since,
                    item.name,
                )
            )
        if prediction is not None and prediction.over:
            alarms.append(self._of_prediction(reference, window, read, moved, prediction))
        return alarms

    def _of_prediction(
        self, reference: Reference, window: Window, read: Read, moved: Sequence[_Item], item: _Item
    ) -> Alarm:
        since = since_of(reference, window, item.name, item.before, self.effect) if read.timed else None
        names = [column.name for column in moved if (column.share or 1.0) >= self.negligible][:3]
        cause = (
            f"Columns that predictions depend on have moved: {', '.join(names)}."
            if names
            else "No single column that is compared explains it: columns that are not compared, or several together, have changed."
        )
        return Alarm(
            "drift/prediction",
            "problem" if item.moved.effect >= self.strong else "warning",
            text_of(f"The prediction ({item.name})", item.kind, item.moved) + ".",
            evidence_of(item.moved, item.q, item.rows, item.before.rows),
            cause,
            "Compare with labels as soon as they are there; if they say that the model is worse, train again or roll back.",
            since or window.since,
        )

    def _notes(self, reference: Reference, read: Read, silent: bool, ranked: bool, kept: bool) -> list[str]:
        part = "the holdout" if reference.baseline["predictions"]["part"] == "holdout" else "out-of-fold rows"
        notes = [
            f"{read.rows:,} rows are compared with the {reference.baseline['rows']:,} that {reference.reference} was trained on"
            + ("." if silent else f", predictions with those of {part}.")
        ]
        if silent:
            notes.append("The window has no predictions to compare.")
        if read.hidden:
            notes.append(
                f"The log keeps digests of private columns: of {', '.join(read.hidden)} only missing values are compared."
            )
        if read.absent:
            notes.append(f"The window does not have these columns: {', '.join(read.absent)}.")
        if not ranked:
            notes.append("The bundle does not say which columns matter: columns are ranked by distance alone.")
        if read.sample is not None and not kept:
            notes.append("No rows are kept with the version to compare with: no classifier test.")
        return notes


def _prediction(read: Read) -> _Item | None:
    """Return the output that has moved most; its p-value pays for the choice."""
    import dataclasses

    found = [(name, before, now, stats.movement(before, now)) for name, (before, now) in read.predictions.items()]
    if not found:
        return None
    name, before, now, moved = max(found, key=lambda item: (item[3].effect, item[0]))
    p = min(1.0, len(found) * min(item[3].p for item in found))
    kind = "categorical" if isinstance(before, Names) else "numeric"
    return _Item(name, kind, dataclasses.replace(moved, p=p), before, now.rows)


def _of_all(together: stats.ToldApart, names: Sequence[str], q: float) -> Alarm:
    order = sorted(zip(together.importance.tolist(), names, strict=True), reverse=True)[:5]
    told = ", ".join(name for _, name in order[:3])
    return Alarm(
        "drift/together",
        "warning",
        f"A classifier tells the window's rows from training rows (ROC AUC {together.auc:.2f}; 0.5 is not at all), most by {told}, "
        "by columns none of which has moved for itself.",
        {
            "auc": round(together.auc, 4),
            "q": float(f"{q:.4g}"),
            "rows": together.rows,
            "columns": {name: round(share, 4) for share, name in order},
        },
        "Columns go together otherwise than they did: a source that fills several of them, or the sort of rows, has changed.",
        f"Look at pairs of {told}; if the change stays, train again with recent rows.",
    )


# ------------------------------------------------------------------------------------------------ what is shown


def _table(columns: Sequence[_Item], prediction: _Item | None) -> pl.DataFrame:
    import polars as pl

    rows: list[dict[str, Any]] = []
    for item in [*columns, *([prediction] if prediction else [])]:
        moved = item.moved
        normed = None
        if moved.wasserstein is not None and isinstance(item.before, Numbers) and item.before.deviation > 0:
            normed = moved.wasserstein / item.before.deviation
        rows.append(
            {
                "column": item.name if item is not prediction else f"prediction ({item.name})",
                "kind": item.kind,
                "moved": item.over,
                "effect": moved.effect,
                "importance": item.share,
                "impact": None if item is prediction else item.impact,
                "q": item.q,
                "psi": moved.stability,
                "jensen_shannon": moved.jensen_shannon,
                "kolmogorov_smirnov": moved.kolmogorov_smirnov,
                "wasserstein": moved.wasserstein,
                "wasserstein_in_deviations": normed,
                "chi_squared": moved.chi_squared,
                "unseen": None if tuple(getattr(item.before, "names", ())) == PLACES else moved.unseen,
                "missing": moved.missing,
                "missing_before": moved.missed,
            }
        )
    floats = dict.fromkeys(
        ("importance", "impact", "kolmogorov_smirnov", "wasserstein", "wasserstein_in_deviations", "unseen"), pl.Float64
    )
    return pl.DataFrame(rows, schema_overrides=floats)


def _charts(columns: Sequence[_Item], effect: float) -> list[Chart]:
    from mlframe.charts.plots import bars

    if not columns:
        return []
    shown = sorted(columns, key=lambda item: (-item.moved.effect, item.name))[:SHOWN]
    over = sum(item.over for item in columns)
    most = shown[0]
    alt = (
        f"{over} of {len(columns)} columns have moved (distance of {effect:g} or more, and not by chance); "
        f"{most.name} most, by {most.moved.effect:.2f}."
    )
    names, values = [item.name for item in shown], [item.moved.effect for item in shown]
    return [bars("drift", "How far columns have moved", alt, names, values, x="Jensen-Shannon distance")]
