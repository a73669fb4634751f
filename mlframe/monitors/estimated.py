"""How right the model probably is, before labels arrive: from its own probabilities, or from what its errors were like."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mlframe import stats
from mlframe.charts.svg import number
from mlframe.contracts import Alarm, Figure, Interval, Monitor, Observation, Reference, Window
from mlframe.monitors.known_labels import (
    FIGURES,
    Known,
    champions,
    known_rows,
    outputs_of,
    positive_number,
    sampled,
    watched,
)

if TYPE_CHECKING:
    import polars as pl

__all__ = ["EstimatedMonitor"]

Array = npt.NDArray[Any]

ESTIMATED = (
    "roc_auc", "average_precision", "log_loss", "brier", "f1", "precision", "recall", "mcc", "accuracy", "rmse", "mae"
)  # fmt: skip
PREFIX = "estimated_"
BINS = 20
"""Bins of a probability in which labelled rows are counted."""
PAST = 60
"""Earlier windows that a calibration, or a model of the errors, is learned from."""
CELLS = 10_000_000
"""Most rows times classes times classes: each row counts as every class, and has a probability of every class."""
DRAWN = 5_000
"""Rows on which the width of an interval is measured; that of more rows follows from their number."""
QUANTILES = 4
LEARNED = "learned from"


class EstimatedMonitor(Monitor):
    """Estimate the figures of a window from what was answered, without its labels.

    Classes: each row counts as every class, by the calibrated probability of it (confidence-based estimation); the calibration
    is learned from labelled rows of earlier windows. Numbers: a small model of the error's size, learned from labelled rows of
    earlier windows, is asked about each row (direct loss estimation). Both believe that what held for a row holds still; when
    labels have come, the estimates are held against them, and their errors widen later intervals.

    Args:
        figures: figures that alarms are about; None takes the goal's metric.
        margin: share of its value at registration that a figure may lose.
        least: labelled rows of earlier windows that a calibration or a model of errors needs.
        columns: input columns that the model of errors sees, beside the answer, the most important first.
        rows: rows of a window from which on a sample is taken; with many classes it is smaller.
        resamples: resamples for the intervals.
        seed: seed of the resamples.

    Raises:
        ParameterError: a number is out of range.

    Source: D. Guillory et al. (2021), Predicting with confidence on unseen distributions,
    https://doi.org/10.1109/ICCV48922.2021.00117 ; S. Garg et al. (2022), Leveraging unlabeled data to predict out-of-distribution
    performance, https://openreview.net/forum?id=o_HsiMPYh_x .
    """

    def __init__(
        self,
        figures: Sequence[str] | None = None,
        margin: float = 0.05,
        least: int = 200,
        columns: int = 4,
        rows: int = 200_000,
        resamples: int = 200,
        seed: int = 0,
    ) -> None:
        positive_number("estimated", 0, margin=margin, columns=columns, seed=seed)
        positive_number("estimated", 20, least=least, resamples=resamples)
        positive_number("estimated", 1000, rows=rows)
        self.figures, self.margin, self.least = figures, margin, least
        self.columns, self.rows, self.resamples, self.seed = columns, rows, resamples, seed

    def declares(self) -> Sequence[Figure]:
        """Return an estimate for each figure that can be estimated, and how far estimates were off."""
        summary = "Estimate of {} before labels arrive; it believes that what held for a row holds still"
        found = [
            replace(FIGURES[name], name=f"{PREFIX}{name}", summary=summary.format(name), measured=True)
            for name in ESTIMATED
        ]
        return [
            *found,
            Figure(
                "estimate_error",
                "lower",
                summary="How far estimates of the metric were off, on average",
                measured=True,
                low=0,
            ),
        ]

    def observe(self, reference: Reference, window: Window) -> Observation:
        """Estimate a window, and count its labelled rows for later ones."""
        past = [row for row in window.before if row.get("version") == reference.reference][-PAST:]
        states = [row["state"] for row in past if row.get("state")]
        chosen = self._chosen(reference, window) if reference.task == "regression" else []
        frame = self._answers(reference, window, [str(column["logged"]) for column in chosen])
        known = known_rows(reference, window, extra=[str(column["logged"]) for column in chosen], most=self.rows)
        if reference.task == "regression":
            found, notes, state = self._values(reference, frame, known, chosen, states)
        else:
            found, notes, state = self._classes(reference, frame, known, states)
        learned = bool(found) and any(note.startswith(LEARNED) for note in notes)
        if found:
            state = {**(state or {}), "learned": learned}
        errors = self._errors([row for row in past if learned and (row.get("state") or {}).get("learned")], found)
        figures: dict[str, Interval] = {}
        for name, item in found.items():
            off = [abs(error) for error in errors.get(name, [])]
            # Beyond chance, an estimate is as far off as such estimates were.
            wide = math.sqrt(float(np.mean(np.square(off)))) if off else 0.0
            low, high = (None, None) if item.low is None or item.high is None else (item.low - wide, item.high + wide)
            ends = FIGURES[name]
            if low is not None and high is not None:
                low = low if ends.low is None else max(ends.low, low)
                high = high if ends.high is None else min(ends.high, high)
            figures[f"{PREFIX}{name}"] = Interval(item.value, low, high)
        for name in watched(reference, None):
            if errors.get(name):
                mean = float(np.mean(np.abs(errors[name])))
                figures["estimate_error"] = Interval(mean)
                notes.append(
                    f"estimates of {name} were off by {number(mean)} on average in {len(errors[name])} windows whose labels have come"
                    + (
                        ""
                        if abs(float(np.mean(errors[name]))) < mean / 2
                        else f", {'too high' if np.mean(errors[name]) > 0 else 'too low'} mostly"
                    )
                )
            elif figures:
                notes.append("no window has both an estimate and labels yet, so nobody knows how far off estimates are")
        # What nothing was learned for is said, but it is no alarm.
        alarms = [] if not learned else self._alarms(reference, figures, len(frame), errors)
        return Observation(figures, alarms, notes=notes, state=state)

    # ------------------------------------------------------------------------------------------------ rows

    def _answers(self, reference: Reference, window: Window, extra: Sequence[str]) -> pl.DataFrame:
        """Return what was answered to the window's rows, or to a sample of them."""
        import polars as pl

        have = window.predictions.collect_schema().names()
        outputs = outputs_of(reference)
        if any(name not in have for name in outputs):
            return pl.DataFrame(schema=outputs)
        most = max(1000, min(self.rows, CELLS // max(1, len(reference.classes)) ** 2))
        rows = sampled(champions(window.predictions, reference), max(1, -(-window.rows // most)))
        frame = rows.select(*outputs, *extra).collect(engine="streaming")
        numbers = outputs[1:] or outputs
        return frame.filter(
            pl.all_horizontal(
                pl.col(name).cast(pl.Float64, strict=False).is_finite().fill_null(False) for name in numbers
            )
            & pl.col("y_pred").is_not_null()
        )

    # ------------------------------------------------------------------------------------------------ classes

    def _classes(
        self, reference: Reference, frame: pl.DataFrame, known: Known, states: Sequence[Mapping[str, Any]]
    ) -> tuple[dict[str, stats.Estimate], list[str], Any]:
        import polars as pl

        state = {"bins": _counted(known)} if len(known) else None
        past = [one["bins"] for one in states if one.get("bins")]
        rows = sum(sum(line[1] for line in one[0]) for one in past)
        if not len(frame):
            return {}, ["no probabilities were answered, so nothing can be estimated"], state
        proba = frame.select(pl.col(f"p_{name}").cast(pl.Float64) for name in reference.classes).to_numpy()
        code = {name: k for k, name in enumerate(reference.classes)}
        said = frame["y_pred"].cast(pl.String).replace_strict(code, default=0, return_dtype=pl.Int64).to_numpy()
        notes = ["an estimate believes that what held for a row holds still: a change of concept is not seen by it"]
        likely = proba
        if rows >= self.least:
            likely = _calibrated(proba, past)
            notes.append(
                f"{LEARNED} {rows:,.0f} labelled rows of {_windows(past)} how far probabilities are to be believed"
            )
        else:
            notes.append(
                f"{rows:,.0f} labelled rows of earlier windows are too few to learn from ({self.least:,}): probabilities are taken at their word"
            )
        return _expected(said.astype(np.intp), proba, likely, self.resamples, self.seed), notes, state

    # ------------------------------------------------------------------------------------------------ values

    def _chosen(self, reference: Reference, window: Window) -> list[Mapping[str, Any]]:
        have = window.predictions.collect_schema().names()
        importance = reference.baseline.get("importance") or {}
        columns: list[Mapping[str, Any]] = [
            {**c, "logged": c.get("logged", c["name"])} for c in reference.inputs if c["kind"] == "numeric"
        ]
        usable = [c for c in columns if c["logged"] in have and "pii" not in (c.get("tags") or ())]
        return sorted(usable, key=lambda c: -float(importance.get(c["name"], 0.0)))[: self.columns]

    def _values(
        self,
        reference: Reference,
        frame: pl.DataFrame,
        known: Known,
        chosen: Sequence[Mapping[str, Any]],
        states: Sequence[Mapping[str, Any]],
    ) -> tuple[dict[str, stats.Estimate], list[str], Any]:
        """Ask a model of the error's size: piecewise constant in the answer and a few columns, fitted by least squares."""
        names = ["y_pred", *(str(column["logged"]) for column in chosen)]
        past = [one for one in states if one.get("names") == names and one.get("edges")]
        edges = past[0]["edges"] if past else None
        state = None
        if edges is None and len(known) >= 50:
            edges = [_edges(known.frame[name]) for name in names]
        if edges is not None and len(known):
            basis = _basis(known.frame, names, edges)
            away = np.abs(known.y - known.scores.predicted)
            sums = {"cross": basis.T @ basis, "first": basis.T @ away, "second": basis.T @ away**2}
            state = {"names": names, "edges": edges, "rows": len(known)}
            state |= {key: [_short(line) for line in np.atleast_2d(value)] for key, value in sums.items()}
        # Windows that were looked at before the first edges were known have none; those with other edges are left out.
        past = [one for one in past if one["edges"] == edges]
        rows = sum(one["rows"] for one in past)
        if not len(frame) or rows < self.least or edges is None:
            return (
                {},
                [f"errors of {rows:,} rows of earlier windows are known; a model of them needs {self.least:,}"],
                state,
            )
        cross = np.sum([one["cross"] for one in past], axis=0)
        ridge = cross + np.diag(np.r_[1e-9, np.ones(len(cross) - 1)])
        basis = _basis(frame, names, edges)
        found = {}
        for key, name in (("first", "mae"), ("second", "rmse")):
            total = np.sum([np.asarray(one[key])[0] for one in past], axis=0)
            weights = np.linalg.solve(ridge, total)
            size = np.maximum(basis @ weights, 0.0)
            mean = float(size.mean())
            # What chance adds when labels come, and what the model of errors does not know.
            spread = self._spread(past, name)
            error = math.sqrt(spread / len(frame) + spread / rows)
            low, high = max(0.0, mean - 1.96 * error), mean + 1.96 * error
            found[name] = stats.Estimate(*((mean, low, high) if name == "mae" else map(math.sqrt, (mean, low, high))))
        notes = [
            "an estimate believes that rows like these have errors as before: a change of concept is not seen by it",
            f"{LEARNED} {rows:,} labelled rows of {_windows(past)} how large errors are, by {', '.join(names)}",
        ]
        return found, notes, state

    @staticmethod
    def _spread(past: Sequence[Mapping[str, Any]], name: str) -> float:
        """Return the variance of a row's error, or squared error, in earlier windows; of the latter as if normal."""
        rows = sum(one["rows"] for one in past)
        first, second = (sum(np.asarray(one[key])[0][0] for one in past) / rows for key in ("first", "second"))
        return float(max(second - first**2, 0.0) if name == "mae" else 2 * second**2)

    # ------------------------------------------------------------------------------------------------ honesty, alarms

    @staticmethod
    def _errors(past: Sequence[Mapping[str, Any]], found: Mapping[str, Any]) -> dict[str, list[float]]:
        """Return estimate minus truth of each figure in earlier windows that have both."""
        errors: dict[str, list[float]] = {}
        for row in past:
            for name in found:
                said, true = row["figures"].get(f"{PREFIX}{name}"), row["figures"].get(name)
                if said and true:
                    errors.setdefault(name, []).append(float(said["value"]) - float(true["value"]))
        return errors

    def _alarms(
        self, reference: Reference, figures: Mapping[str, Interval], rows: int, errors: Mapping[str, list[float]]
    ) -> list[Alarm]:
        alarms = []
        for name in watched(reference, self.figures):
            was, now = reference.figures.get(name), figures.get(f"{PREFIX}{name}")
            if was is None or was.get("value") is None or now is None or now.low is None or now.high is None:
                continue
            before = float(was["value"])  # type: ignore[arg-type]
            sign = 1.0 if FIGURES[name].better == "lower" else -1.0
            own = now.value - now.low if sign > 0 else now.high - now.value
            then = was.get("high") if sign > 0 else was.get("low")
            least = sign * (now.value - before) - math.hypot(own, abs(then - before) if then is not None else 0.0)
            if least <= self.margin * abs(before):
                continue
            off = [abs(error) for error in errors.get(name, [])]
            alarms.append(
                Alarm(
                    f"estimated/{name}",
                    "warning",
                    f"{name} is probably {number(now.value)} ({number(now.low)} to {number(now.high)}) on {rows:,} rows; it was"
                    f" {number(before)} at registration. Labels have not told yet.",
                    {
                        "rows": rows,
                        "estimate": now.value,
                        "low": now.low,
                        "high": now.high,
                        "at_registration": before,
                        "margin": self.margin,
                        "windows_checked": len(off),
                        "mean_error_of_estimates": float(np.mean(off)) if off else None,
                    },
                    "rows that are harder than those of training: the model itself is less sure of them (see drift)",
                    "have some of these rows labelled first; look at drift",
                )
            )
        return alarms


def _counted(known: Known) -> list[list[list[float]]]:
    """Count labelled rows by class and bin of its probability: mean probability, rows, rows of the class."""
    assert known.scores.proba is not None
    proba = known.scores.proba
    found = []
    for k in [1] if proba.shape[1] == 2 else range(proba.shape[1]):
        bins = np.minimum((proba[:, k] * BINS).astype(int), BINS - 1)
        rows = np.bincount(bins, minlength=BINS)
        mean = np.bincount(bins, proba[:, k], BINS) / np.maximum(rows, 1)
        hits = np.bincount(bins, known.y == k, BINS)
        lines = [[round(float(mean[b]), 6), int(rows[b]), int(hits[b])] for b in range(BINS) if rows[b]]
        found.append(lines)
    return found


def _calibrated(proba: Array, past: Sequence[Sequence[Sequence[Sequence[float]]]]) -> Array:
    """Learn what probabilities were worth: logistic below a thousand rows, else a rising step function."""
    parts = []
    classes = [1] if proba.shape[1] == 2 else range(proba.shape[1])
    method = "sigmoid"
    for place, _ in enumerate(classes):
        lines = np.array([line for one in past for line in one[place]], dtype=np.float64)
        mean, rows, hits = lines.T
        method = "isotonic" if rows.sum() >= 1000 else "sigmoid"
        said = np.r_[mean, mean]
        truth = np.r_[np.ones(len(mean), dtype=int), np.zeros(len(mean), dtype=int)]
        weight = np.r_[hits, rows - hits]
        kept = weight > 0
        fitted = stats.fit_calibration(method, np.column_stack([1 - said, said])[kept], truth[kept], weight[kept])
        parts.append(fitted["parts"][0])
    return stats.calibrate(proba, {"method": method, "parts": parts})


def _expected(said: Array, proba: Array, likely: Array, resamples: int, seed: int) -> dict[str, stats.Estimate]:
    """Return the figures when each row is every class by its likelihood, with the spread of drawn rows and labels."""
    rows, classes = proba.shape
    codes = np.tile(np.arange(classes), rows)
    weight = likely.ravel()
    scores = stats.Scores(np.repeat(said, classes), np.repeat(proba, classes, axis=0))
    exact = stats.figures(codes, scores, weight)
    rng = np.random.default_rng(seed)
    size = min(rows, DRAWN)
    drawn: dict[str, list[float]] = {name: [] for name in exact}
    totals = np.cumsum(likely, axis=1)
    totals[:, -1] = 1.0
    for _ in range(resamples):
        at = rng.integers(0, rows, size)
        y = (rng.random(size)[:, None] > totals[at]).sum(axis=1)
        for name, value in stats.figures(y, stats.Scores(said[at], proba[at]), only=list(exact)).items():
            drawn[name].append(value)
    found = {}
    for name, value in exact.items():
        if name not in ESTIMATED:
            continue
        if len(drawn[name]) * 2 < resamples:
            found[name] = stats.Estimate(value)
            continue
        half = 1.96 * float(np.std(drawn[name])) * math.sqrt(size / rows)
        found[name] = stats.Estimate(value, value - half, value + half)
    return found


def _windows(past: Sequence[Any]) -> str:
    return "1 earlier window" if len(past) == 1 else f"{len(past)} earlier windows"


def _edges(series: pl.Series) -> list[float]:
    values = np.asarray(series.cast(float, strict=False).drop_nulls().to_numpy(), dtype=np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return []
    return [float(f"{edge:.6g}") for edge in np.unique(np.quantile(values, np.arange(1, QUANTILES) / QUANTILES))]


def _basis(frame: pl.DataFrame, names: Sequence[str], edges: Sequence[Sequence[float]]) -> Array:
    """Return ones, and for each column whether the value is in each part (the last: missing), shape (rows, …)."""
    parts = [np.ones((len(frame), 1))]
    for name, inner in zip(names, edges, strict=True):
        values = frame[name].cast(float, strict=False).to_numpy().astype(np.float64)
        code = np.where(
            np.isfinite(values), np.searchsorted(inner, np.nan_to_num(values), side="right"), len(inner) + 1
        )
        parts.append(np.eye(len(inner) + 2)[code])
    return np.hstack(parts)


def _short(line: Array) -> list[float]:
    return [float(f"{value:.8g}") for value in line.tolist()]
