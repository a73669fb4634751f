"""Pictures of single columns and of the target."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mlframe import stats
from mlframe.charts import plots
from mlframe.charts.svg import number
from mlframe.contracts import Chart

__all__ = ["associations", "binned", "distribution", "missing", "over_time", "target"]

Array = npt.NDArray[Any]

GROUPS = 3  # classes that get an outline of their own
PERIODS = 20
FEW = 8  # numbers with so few distinct values are drawn like categories


def numbers(values: pl.Series, kind: str) -> Array:
    """Return a column as floats with NaN for missing: words of a text, seconds since 1970 of a time."""
    if kind == "text":
        values = values.cast(pl.String).str.count_matches(r"\S+")
    elif kind == "datetime":
        dtype = values.dtype
        values = values.cast(pl.Int64) / 1e9 if dtype == pl.Time else values.cast(pl.Datetime("ms")).dt.timestamp("ms")
    array = values.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
    return np.where(np.isfinite(array), array, np.nan)


def binned(values: pl.Series, kind: str, bins: int) -> Array:
    """Return codes 0.. of a column: quantile bins of numbers, the most frequent categories and one for the rest."""
    if kind in ("numeric", "text") or (kind == "datetime" and values.dtype.is_temporal()):
        return stats.quantile_bins(numbers(values, kind), bins)
    text = values.cast(pl.String, strict=False).alias("value")
    top = text.drop_nulls().value_counts(sort=True).head(bins)["value"]
    top = top.sort()
    codes = text.replace_strict(top, np.arange(len(top)), default=len(top), return_dtype=pl.Int64)
    codes = pl.select(pl.when(text.is_null()).then(len(top) + 1).otherwise(codes)).to_series()
    return codes.to_numpy().astype(np.intp)


def target(values: pl.Series, task: str) -> Chart:
    """Draw the target: bars of classes, or a histogram of values."""
    if task == "regression":
        return _histogram("target", "Target", values, "numeric", [("rows", np.ones(len(values), dtype=bool))])
    counts = values.cast(pl.String).alias("value").value_counts(sort=True, normalize=True, name="share").head(15)
    names, shares = [str(name) for name in counts.to_series(0)], counts["share"].to_list()
    alt = "Share of rows: " + ", ".join(f"{n} {s:.1%}" for n, s in zip(names, shares, strict=True)) + "."
    return plots.bars("target", "Target", alt, names, shares, x="share of rows", percent=True)


def missing(shares: dict[str, float]) -> list[Chart]:
    """Draw the columns with the most missing values; nothing when none is missing."""
    best = sorted(shares.items(), key=lambda item: (-item[1], item[0]))[:15]
    if not best:
        return []
    names, values = [name for name, _ in best], [share for _, share in best]
    alt = f"{len(shares)} feature columns have missing values, most of all {names[0]} ({values[0]:.1%})."
    return [plots.bars("missing", "Missing values", alt, names, values, x="share of rows", percent=True)]


def associations(ranked: list[tuple[str, float]]) -> list[Chart]:
    """Draw the columns most associated with the target."""
    if not ranked:
        return []
    alt = "Strongest: " + ", ".join(f"{name} {value:.2f}" for name, value in ranked[:3]) + "; 1 would determine it."
    names, values = [name for name, _ in ranked], [value for _, value in ranked]
    title = "Association with the target"
    return [plots.bars("associations", title, alt, names, values, x="corrected Cramér's V, 0 to 1")]


def distribution(values: pl.Series, kind: str, truth: pl.Series, task: str) -> list[Chart]:
    """Draw one feature column, by class or with the target's mean."""
    name, label = f"column_{values.name}", values.name
    few = kind == "numeric" and values.n_unique() <= FEW
    if not few and (kind in ("numeric", "text") or (kind == "datetime" and values.dtype.is_temporal())):
        if task == "regression" and kind != "datetime":
            return _relation(name, values, kind, truth)
        groups = [("rows", np.ones(len(values), dtype=bool))]
        if task != "regression":
            text = truth.cast(pl.String).alias("value")
            top = text.value_counts(sort=True).to_series(0).head(GROUPS).to_list()
            groups = [(str(item), (text == item).fill_null(False).to_numpy()) for item in top]
        title = f"{label}: words" if kind == "text" else label
        return [_histogram(name, title, values, kind, groups)] if np.isfinite(numbers(values, kind)).any() else []
    frame = pl.DataFrame({"value": values.cast(pl.String, strict=False).fill_null("(missing)"), "target": truth})
    if task == "regression":
        judged, words = pl.col("target").cast(pl.Float64).mean(), "mean target"
    else:
        common = str(truth.cast(pl.String).alias("value").value_counts(sort=True).to_series(0)[-1])
        judged, words = (pl.col("target").cast(pl.String) == common).mean(), f"share of {common}"
    found = frame.group_by("value").agg(rows=pl.len(), judged=judged).sort(["rows", "value"], descending=[True, False])
    rows, percent = found.head(10), task != "regression"
    names, means = rows["value"].to_list(), rows["judged"].to_list()
    shown = ", ".join(f"{n} {m:.1%}" if percent else f"{n} {number(m)}" for n, m in zip(names, means, strict=True))
    alt = f"{words[0].upper()}{words[1:]} for the {len(names)} most frequent of {found.height} values: {shown}."
    return [plots.bars(name, label, alt, names, means, x=words, percent=percent)]


def over_time(time: pl.Series, values: pl.Series, task: str) -> list[Chart]:
    """Draw rows and the target over equal stretches of time."""
    frame = pl.DataFrame({"time": time.cast(pl.Datetime("ms")), "target": values}).drop_nulls("time")
    if frame.height == 0 or frame["time"].n_unique() < 2:
        return []
    stamps = frame["time"].dt.timestamp("ms").to_numpy().astype(np.float64)
    edges = np.linspace(stamps.min(), stamps.max(), PERIODS + 1)
    codes = np.clip(np.searchsorted(edges, stamps, side="right") - 1, 0, PERIODS - 1)
    rows = np.bincount(codes, minlength=PERIODS)
    pattern = "%Y-%m" if edges[-1] - edges[0] > 1000 * 86400 * 90 else "%m-%d"
    days = pl.Series(edges[:-1].astype(np.int64)).cast(pl.Datetime("ms")).dt.strftime(pattern).to_list()
    first, last = (
        frame["time"].dt.strftime("%Y-%m-%d").bottom_k(1)[0],
        frame["time"].dt.strftime("%Y-%m-%d").top_k(1)[0],
    )
    span = f"from {first} to {last}"
    charts = [
        plots.columns("rows_over_time", "Rows over time", f"{frame.height} rows {span}.", days, rows.tolist(), y="rows")
    ]
    if task == "regression":
        judged, words = frame["target"].cast(pl.Float64).to_numpy(), "mean target"
    else:
        text = frame["target"].cast(pl.String)
        name = str(text.value_counts(sort=True).to_series(0)[-1 if text.n_unique() == 2 else 0])
        judged, words = (text == name).to_numpy().astype(np.float64), f"share of {name}"
    kept = rows > 0
    means = np.bincount(codes, judged, PERIODS)[kept] / rows[kept]
    at = np.arange(PERIODS)[kept].astype(np.float64)
    ends = f"{number(means[0])} in the first stretch, {number(means[-1])} in the last"
    alt = f"{words[0].upper()}{words[1:]} {span}: {ends}."
    names = [(float(i), days[i]) for i in range(0, PERIODS, 4)]
    low, high = float(means.min()), float(means.max())
    limits = (0.0, high * 1.1) if low >= 0 else None
    series = [plots.Series(words, at, means, marks=True)]
    charts.append(
        plots.lines("target_over_time", "Target over time", alt, series, x="", y=words, y_range=limits, x_names=names)
    )
    return charts


def _relation(name: str, values: pl.Series, kind: str, truth: pl.Series) -> list[Chart]:
    xs, ys = numbers(values, kind), truth.cast(pl.Float64).to_numpy()
    known = np.isfinite(xs) & np.isfinite(ys)
    if known.sum() < 2:
        return []
    xs, ys = xs[known], ys[known]
    low, high = (float(q) for q in np.quantile(xs, [0.1, 0.9]))
    ends = [f"{number(float(np.median(ys[part])))}" for part in (xs <= low, xs >= high)]
    alt = f"Median target {ends[0]} in the lowest tenth of {values.name} (to {number(low)}), "
    alt += f"{ends[1]} in the highest (from {number(high)})."
    label = f"words of {values.name}" if kind == "text" else values.name
    return [plots.density(name, f"{label} and the target", alt, xs, ys, x=label, y="target", rule="none")]


def _histogram(name: str, title: str, values: pl.Series, kind: str, groups: list[tuple[str, Array]]) -> Chart:
    array = numbers(values, kind)
    known = np.isfinite(array)
    unit = ""
    if kind == "datetime":
        array, unit = array / (1000 * 86400 * 365.25) + 1970, "year"
    low, high = (float(q) for q in np.quantile(array[known], [0.005, 0.995]))
    whole = bool(np.all(array[known] == np.floor(array[known])))
    bins = int(min(30, max(1, high - low + 1))) if whole else 30
    edges = np.linspace(low, high + (1 if whole and bins < 30 else 0) or low + 1, bins + 1)
    if edges[-1] <= edges[0]:
        edges = np.array([low - 0.5, low + 0.5])
    shares = []
    for label, rows in groups:
        part = array[rows & known]
        shares.append((label, np.histogram(part, edges)[0] / max(1, len(part))))
    middles = ", ".join(
        f"{label} {number(float(np.median(array[rows & known])))}" for label, rows in groups if (rows & known).any()
    )
    ends = f"99 % of the values lie between {number(low)} and {number(high)}"
    alt = f"Median: {middles}. {ends}; {int((~known).sum())} missing."
    return plots.histogram(name, title, alt, edges, shares, x=unit or ("words" if kind == "text" else values.name))
