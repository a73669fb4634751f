"""How right the model is, once labels arrive: figures with intervals, how many labels are there, which are missing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mlframe import stats
from mlframe.charts.svg import number
from mlframe.contracts import Alarm, Figure, Interval, Monitor, Observation, Reference, Window
from mlframe.contracts.amounts import parse_duration
from mlframe.errors import ParameterError
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

__all__ = ["PerformanceMonitor"]

Array = npt.NDArray[Any]

SUMMARIES = {
    "roc_auc": "How often a random positive was ranked above a random negative, of rows whose label has come",
    "average_precision": "Precision averaged over all recalls, of rows whose label has come",
    "log_loss": "How wrong the probabilities were, of rows whose label has come",
    "brier": "Mean squared error of the probabilities, of rows whose label has come",
    "f1": "Harmonic mean of precision and recall, of rows whose label has come",
    "precision": "Share of the called positives that were positive, of rows whose label has come",
    "recall": "Share of the positives that were found, of rows whose label has come",
    "mcc": "Correlation of decision and truth, of rows whose label has come",
    "accuracy": "Share of the rows that got the right class, of rows whose label has come",
    "rmse": "Typical size of the error, of rows whose label has come",
    "mae": "Mean size of the error, of rows whose label has come",
    "r2": "Share of the target's variance that was explained, of rows whose label has come",
    "mape": "Mean error as a share of the true value, of rows whose label has come",
    "pinball": "Loss of a forecast of the median, of rows whose label has come",
}
OWN = (
    Figure(
        "label_maturity", "higher", summary="Share of rows old enough that have a label", measured=True, low=0, high=1
    ),
    Figure("labelled_rows", "higher", "rows", summary="Rows whose label has come", measured=True, low=0),
    Figure("label_delay_h", "lower", "h", summary="Hours from a prediction to its label, median", measured=True),
)
TOLD_APART = 0.1
"""Difference of labelled and unlabelled rows, in standard deviations, from which it is noted."""
BANDS = 10


class PerformanceMonitor(Monitor):
    """Measure what training measured, on the rows of a window whose labels have come.

    Figures have the names that evaluators give them: `roc_auc` of a window is the live part of the same figure, with the same
    definition, direction and unit, so that targets and triggers speak of one thing.

    Args:
        figures: figures that alarms are about; None takes the goal's metric. Those with a target always count.
        margin: share of its value at registration that a figure may lose.
        maturity: how long labels take to come: rows younger than that miss none yet.
        segments: columns whose groups are looked at one by one; columns tagged protected always are.
        groups: most groups of a column.
        least: labelled rows that a figure needs; groups, too.
        bootstrap: resamples for the 95 % intervals.
        rows: labelled rows from which on a sample is taken.
        seed: seed of the resamples.

    Raises:
        ParameterError: a figure is not known, or a number is out of range.
    """

    def __init__(
        self,
        figures: Sequence[str] | None = None,
        margin: float = 0.05,
        maturity: str = "0d",
        segments: Sequence[str] = (),
        groups: int = 10,
        least: int = 50,
        bootstrap: int = 500,
        rows: int = 500_000,
        seed: int = 0,
    ) -> None:
        for name in figures or ():
            if name not in FIGURES:
                raise ParameterError(
                    "performance: no such figure",
                    value=name,
                    where="monitors.performance.figures",
                    hint=f"choose from {', '.join(FIGURES)}",
                )
        positive_number("performance", 0, margin=margin, seed=seed)
        positive_number("performance", 1, groups=groups)
        positive_number("performance", 10, least=least, bootstrap=bootstrap)
        positive_number("performance", 1000, rows=rows)
        self.figures, self.margin, self.segments = figures, margin, tuple(segments)
        where = "monitors.performance.maturity"
        self.maturity = timedelta(seconds=parse_duration(maturity, where=where, zero=True) or 0.0)
        self.groups, self.least, self.bootstrap, self.rows, self.seed = groups, least, bootstrap, rows, seed

    def declares(self) -> Sequence[Figure]:
        """Return the figures of training, and what there is of labels."""
        return [*(replace(figure, summary=SUMMARIES[name]) for name, figure in FIGURES.items()), *OWN]

    def observe(self, reference: Reference, window: Window) -> Observation:
        """Measure a window; without enough labels only how many there are."""
        segments = self._segments(reference, window)
        known = known_rows(reference, window, extra=[logged for _, logged in segments], most=self.rows, every=True)
        import polars as pl

        notes: list[str] = []
        absent = [name for name in self.segments if name not in [found for found, _ in segments]]
        if absent:
            notes.append(f"no such column in the log: {', '.join(absent)}")
        if known.strange:
            notes.append(f"{known.strange:,} labels are no class of the model, or no number; they are left out")
        if known.share < 1:
            notes.append(f"figures come from a fixed sample, about 1 labelled row of {1 / known.share:.0f}")
        mine = known.take(_own(known, reference))
        counted, bands = self._labels(reference, window)
        figures = dict(self._counts(counted, mine))
        labels = counted["labelled"] if counted else 0
        if len(mine) < self.least:
            notes.append(
                f"{len(mine):,} labels have come for {window.rows:,} predictions; figures need {self.least:,}"
                if labels
                else f"no label has come yet for {window.rows:,} predictions"
            )
            return Observation(figures, notes=notes)
        found = stats.estimate(mine.y, mine.scores, resamples=self.bootstrap, seed=self.seed)
        figures |= {name: Interval(item.value, item.low, item.high) for name, item in found.items()}
        notes += self._missing(counted, bands, mine, found)
        tables: dict[str, pl.DataFrame] = {"figures": _figures(found, reference)}
        if bands is not None and len(bands):
            tables["labels"] = bands
        versions = self._versions(reference, known)
        if versions is not None:
            tables["versions"] = versions
        cells, state = self._cells(reference, window, mine, segments)
        if cells:
            tables["segments"] = pl.DataFrame(cells, infer_schema_length=None)
        alarms = [
            *self._worse(
                reference, mine, found, figures["label_maturity"].value if "label_maturity" in figures else None
            ),
            *self._targets(reference, found),
            *self._groups(reference, window, cells, state["segments"]),
        ]
        return Observation(figures, alarms, tables, notes=notes, state=state if segments else None)

    # ------------------------------------------------------------------------------------------------ labels

    def _labels(self, reference: Reference, window: Window) -> tuple[dict[str, Any] | None, pl.DataFrame | None]:
        """Count rows that are old enough by what was answered (bands of the answer), with and without a label."""
        import polars as pl

        edge = window.now - self.maturity
        answer = outputs_of(reference)[-1]
        have = window.predictions.collect_schema().names()
        if answer not in have:
            return None, None
        rows = champions(window.predictions, reference).filter(pl.col("time").is_null() | (pl.col("time") <= edge))
        part = max(1, window.rows // self.rows)
        rows = sampled(rows, part).select(
            "request_id", pl.col("row").cast(pl.UInt32), a=pl.col(answer).cast(pl.Float64, strict=False)
        )
        told = window.feedback.filter(pl.col("label").is_not_null()).select(
            "request_id", pl.col("row").cast(pl.UInt32), known=pl.lit(True)
        )
        joined = rows.join(sampled(told, part), on=["request_id", "row"], how="left").select(
            "a", pl.col("known").fill_null(False)
        )
        frame = joined.collect(engine="streaming")
        if not len(frame):
            return None, None
        total: dict[str, Any] = {"rows": len(frame), "labelled": int(frame["known"].sum()), "part": part}
        values = frame.filter(pl.col("a").is_finite())
        if not len(values):
            return total, None
        a, known = values["a"].to_numpy(), values["known"].to_numpy()
        edges = np.unique(np.quantile(a, np.linspace(0, 1, BANDS + 1)[1:-1]))
        codes = np.searchsorted(edges, a, side="right")
        size = len(edges) + 1
        counts = np.bincount(codes, minlength=size)
        with_label = np.bincount(codes, known, size)
        kept = counts > 0
        bands = pl.DataFrame(
            {
                "answered (mean)": (np.bincount(codes, a, size) / np.maximum(counts, 1))[kept],
                "rows": (counts * part)[kept],
                "labelled": (with_label * part)[kept].astype(np.int64),
                "share": (with_label / np.maximum(counts, 1))[kept],
            }
        )
        inside, outside = a[known], a[~known]
        total |= {"edges": edges.tolist(), "counts": counts.tolist()}
        if len(inside) > 1 and len(outside) > 1 and np.std(a) > 0:
            gap = float(inside.mean() - outside.mean())
            error = math.sqrt(np.var(inside) / len(inside) + np.var(outside) / len(outside))
            total |= {"inside": float(inside.mean()), "outside": float(outside.mean())}
            total |= {"apart": gap / float(np.std(a)), "z": gap / error if error > 0 else 0.0}
        return total, bands

    @staticmethod
    def _counts(counted: dict[str, Any] | None, mine: Known) -> Iterator[tuple[str, Interval]]:
        if counted:
            rows, labelled = counted["rows"], counted["labelled"]
            share, low, high = stats.share_interval(labelled, rows)
            yield "label_maturity", Interval(share, low, high) if counted["part"] > 1 else Interval(share)
        yield "labelled_rows", Interval(float(round(len(mine) / mine.share)))
        waits = (mine.frame["told"] - mine.frame["time"]).drop_nulls() if len(mine) else None
        if waits is not None and len(waits):
            yield "label_delay_h", Interval(float(waits.dt.total_seconds(fractional=True).median()) / 3600)  # type: ignore[arg-type]

    def _missing(
        self,
        facts: dict[str, Any] | None,
        bands: pl.DataFrame | None,
        mine: Known,
        found: Mapping[str, stats.Estimate],
    ) -> Iterator[str]:
        """Say how labelled rows differ from those that are not, and what that may do to the figures."""
        if facts is None:
            return
        missing = facts["rows"] - facts["labelled"]
        if not missing:
            return
        yield (
            f"{facts['labelled'] / facts['rows']:.0%} of the rows that are old enough have a label; the figures speak of these"
        )
        if abs(facts.get("apart", 0.0)) < TOLD_APART or abs(facts["z"]) < 3:
            return
        yield (
            f"labels are not missing at random: what was answered is {number(facts['inside'])} on average for labelled rows,"
            f" {number(facts['outside'])} for the others ({abs(facts['apart']):.2f} standard deviations apart)"
        )
        answer = mine.scores.predicted if mine.scores.proba is None else mine.scores.proba[:, -1]
        codes = np.searchsorted(np.array(facts["edges"]), answer, side="right")
        own = np.bincount(codes, minlength=len(facts["counts"]))
        if np.any((own == 0) & (np.array(facts["counts"]) > 0)):
            yield "some kinds of answers have no label at all, so nothing can be said about these rows"
            return
        weight = (np.array(facts["counts"]) / np.maximum(own, 1))[codes]
        whole = stats.figures(mine.y, mine.scores, weight)
        words = ", ".join(
            f"{name} {number(whole[name])} instead of {number(found[name].value)}" for name in list(whole)[:2]
        )
        yield f"weighted as all rows are answered: {words}; right where labels are missing by the answer alone"

    # ------------------------------------------------------------------------------------------------ alarms

    def _worse(
        self, reference: Reference, mine: Known, found: Mapping[str, stats.Estimate], maturity: float | None
    ) -> Iterator[Alarm]:
        for name in watched(reference, self.figures):
            was, now = reference.figures.get(name), found.get(name)
            if was is None or was.get("value") is None or now is None or now.low is None or now.high is None:
                continue
            before = float(was["value"])  # type: ignore[arg-type]
            sign = 1.0 if FIGURES[name].better == "lower" else -1.0
            loss = sign * (now.value - before)
            # The end of the interval on the side of "no worse", with what registration itself was unsure of.
            own = now.value - now.low if sign > 0 else now.high - now.value
            then = was.get("high") if sign > 0 else was.get("low")
            half = math.hypot(own, abs(then - before) if then is not None else 0.0)
            if loss - half <= self.margin * abs(before):
                continue
            yield Alarm(
                f"performance/{name}",
                "problem" if loss - half > 2 * self.margin * abs(before) else "warning",
                f"{name} is {number(now.value)} ({number(now.low)} to {number(now.high)}) on {len(mine):,} labelled rows; it was"
                f" {number(before)} at registration.",
                {
                    "rows": len(mine),
                    "value": now.value,
                    "low": now.low,
                    "high": now.high,
                    "at_registration": before,
                    "worse_by_at_least": loss - half,
                    "margin": self.margin,
                    "label_maturity": maturity,
                },
                "rows that differ from training (see drift), or another relation of rows and labels (see concept)",
                "look at drift, concept and the segments; train again with these labelled rows",
            )

    def _targets(self, reference: Reference, found: Mapping[str, stats.Estimate]) -> Iterator[Alarm]:
        for name, wanted in (reference.goal.get("targets") or {}).items():
            now = found.get(name)
            if now is None or now.low is None or now.high is None:
                continue
            higher = FIGURES[name].better == "higher"
            if now.high >= wanted if higher else now.low <= wanted:
                continue
            yield Alarm(
                f"performance/target/{name}",
                "problem",
                f"{name} is {number(now.value)} ({number(now.low)} to {number(now.high)}); the goal asks for"
                f" {number(wanted)} or {'more' if higher else 'less'}.",
                {"value": now.value, "low": now.low, "high": now.high, "target": wanted},
                "the model no longer does what it was made for, or the holdout promised too much",
                "train again with newer rows, or agree on another target with the goal's owner",
            )

    # ------------------------------------------------------------------------------------------------ groups

    def _segments(self, reference: Reference, window: Window) -> list[tuple[str, str]]:
        """Return name and logged name of the columns whose groups are looked at."""
        have = window.predictions.collect_schema().names()
        logged = {str(column["name"]): str(column.get("logged", column["name"])) for column in reference.inputs}
        protected = [str(c["name"]) for c in reference.inputs if "protected" in (c.get("tags") or ())]
        names = list(dict.fromkeys([*self.segments, *protected]))
        return [(name, logged.get(name, name)) for name in names if logged.get(name, name) in have]

    def _versions(self, reference: Reference, known: Known) -> pl.DataFrame | None:
        """Compare all that answered, where it was more than the champion."""
        import polars as pl

        ways = known.frame.select("version", "role").unique().sort("version", "role")
        if len(ways) < 2:
            return None
        rows = []
        for version, role in ways.rows():
            part = known.take(
                known.frame.select(
                    pl.col("version").eq_missing(pl.lit(version)) & pl.col("role").eq_missing(pl.lit(role))
                )
                .to_series()
                .to_numpy()
            )
            record: dict[str, Any] = {"version": version, "role": role, "rows": len(part)}
            if len(part) >= self.least:
                only = watched(reference, self.figures)
                for name, item in stats.estimate(
                    part.y, part.scores, resamples=self.bootstrap, seed=self.seed, only=only
                ).items():
                    record |= {name: item.value, f"{name} low": item.low, f"{name} high": item.high}
            rows.append(record)
        return pl.DataFrame(rows, infer_schema_length=None)

    def _cells(
        self, reference: Reference, window: Window, mine: Known, segments: Sequence[tuple[str, str]]
    ) -> tuple[list[dict[str, Any]], dict[str, dict[str, list[float]]]]:
        """Measure each group.

        Returns:
            The groups, and for later windows in `segments` the rows of each, mean loss and the loss's variance, in `quarters`
            where numbers were cut: groups of later windows are the same.
        """
        loss = mine.losses(reference.task)
        only = watched(reference, self.figures)
        cells: list[dict[str, Any]] = []
        earlier = [row for row in reversed(window.before) if row.get("version") == reference.reference]
        known = (row["state"]["quarters"] for row in earlier if (row.get("state") or {}).get("quarters"))
        edges: dict[str, list[float]] = dict(next(known, {}))
        state: dict[str, list[float]] = {}
        for name, logged in segments:
            if name not in edges and (found := _quarters(mine.frame[logged], self.groups)):
                edges[name] = found
            for value, rows in _groups(mine.frame[logged], edges.get(name), self.groups, self.least):
                part = mine.take(rows)
                record: dict[str, Any] = {"column": name, "value": value, "rows": len(part)}
                record |= {"loss": float(loss[rows].mean())}
                for figure, item in stats.estimate(
                    part.y, part.scores, resamples=min(200, self.bootstrap), seed=self.seed, only=only
                ).items():
                    record |= {figure: item.value, f"{figure} low": item.low, f"{figure} high": item.high}
                cells.append(record)
                state[f"{name}={value}"] = [len(part), float(loss[rows].mean()), float(loss[rows].var())]
        return cells, {"segments": state, "quarters": edges}

    def _groups(
        self, reference: Reference, window: Window, cells: Sequence[Mapping[str, Any]], state: Mapping[str, list[float]]
    ) -> Iterator[Alarm]:
        """Find groups whose loss has grown since earlier windows of the version, false discoveries controlled."""
        from scipy.special import ndtr

        tests = []
        for cell in cells:
            key = f"{cell['column']}={cell['value']}"
            past = [
                row["state"]["segments"][key]
                for row in window.before
                if row.get("version") == reference.reference and key in ((row.get("state") or {}).get("segments") or {})
            ]
            rows = sum(one[0] for one in past)
            if rows < self.least:
                continue
            mean = sum(one[0] * one[1] for one in past) / rows
            spread = sum(one[0] * (one[2] + (one[1] - mean) ** 2) for one in past) / rows
            n, now, var = state[key]
            error = math.sqrt(max(var, spread) / n + spread / rows)
            if error > 0:
                tests.append((cell, mean, now, error, rows))
        if not tests:
            return
        p = np.array([float(ndtr(-(now - mean) / error)) for _, mean, now, error, _ in tests])
        q = stats.benjamini_hochberg(p)
        for (cell, mean, now, error, rows), found in zip(tests, q, strict=True):
            if found > 0.01 or now - mean - 1.96 * error <= self.margin * mean:
                continue
            what = "squared error of the probabilities" if reference.classes else "absolute error"
            yield Alarm(
                f"performance/segment/{cell['column']}/{cell['value']}",
                "warning",
                f"Where {cell['column']} is {cell['value']}, the mean {what} is {number(now)} on {cell['rows']:,} rows; it was"
                f" {number(mean)} in {rows:,} rows of earlier windows.",
                {"rows": cell["rows"], "loss": now, "before": mean, "q": float(found)},
                "rows of this group have changed, or what holds for them",
                "look at these rows; see that training has enough recent rows of this group",
                column=str(cell["column"]),
            )


def _own(known: Known, reference: Reference) -> Array:
    import polars as pl

    own = pl.col("version").is_null() | (pl.col("version") == reference.reference)
    return known.frame.select(own & (pl.col("role").is_null() | (pl.col("role") == "champion"))).to_series().to_numpy()


def _quarters(series: pl.Series, most: int) -> list[float]:
    """Return where a number with many values is cut into quarters; nothing for other columns."""
    import polars as pl

    if not series.dtype.is_numeric() or series.n_unique() <= most:
        return []
    values = series.cast(pl.Float64).drop_nulls().to_numpy()
    edges = np.quantile(values[np.isfinite(values)], [0.25, 0.5, 0.75])
    return sorted({float(f"{edge:.3g}") for edge in edges})


def _groups(series: pl.Series, edges: list[float] | None, most: int, least: int) -> Iterator[tuple[str, Array]]:
    """Give the groups of a column: values, or the parts between edges."""
    import polars as pl

    if edges and series.dtype.is_numeric():
        values = series.cast(pl.Float64).to_numpy()
        known = np.isfinite(values)
        codes = np.searchsorted(edges, values, side="right")
        names = [
            f"below {edges[0]:g}",
            *(f"{a:g} to {b:g}" for a, b in pairwise(edges)),
            f"{edges[-1]:g} and more",
        ]
        found = [(name, (codes == k) & known) for k, name in enumerate(names)]
    else:
        text = series.alias("value").cast(pl.String).fill_null("missing")
        top = text.value_counts(sort=True).head(most)["value"].sort().to_list()
        found = [(name, (text == name).to_numpy()) for name in top]
    yield from ((name, rows) for name, rows in found if int(rows.sum()) >= least)


def _figures(found: Mapping[str, stats.Estimate], reference: Reference) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(
        {
            "figure": list(found),
            "value": [item.value for item in found.values()],
            "low": [item.low for item in found.values()],
            "high": [item.high for item in found.values()],
            "at registration": [(reference.figures.get(name) or {}).get("value") for name in found],
        },
        schema_overrides={"low": pl.Float64, "high": pl.Float64, "at registration": pl.Float64},
    )
