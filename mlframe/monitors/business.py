"""What the model is worth: key figures and money, next to no model and to challengers, against targets and dates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mlframe import stats
from mlframe.charts.svg import number
from mlframe.contracts import Alarm, Figure, Interval, Monitor, Observation, Reference, Window
from mlframe.errors import ParameterError
from mlframe.monitors.key_figures import KeyFigures, from_outcomes, read_csv, read_query
from mlframe.monitors.known_labels import Known, known_rows, positive_number
from mlframe.stats.money import worth_of_decisions, worth_of_values

if TYPE_CHECKING:
    import polars as pl

__all__ = ["BusinessMonitor"]

Array = npt.NDArray[Any]

PER = 1000
WORDS = ("better", "target", "low", "high")


class BusinessMonitor(Monitor):
    """Measure what decisions are worth, and the key figures that they are made for.

    Money comes from labels and `goal.value`: of 1,000 rows, next to deciding without a model, and next to challengers that were
    asked beside the champion (`shadow`, the same rows: paired) or in its place (`canary`, other rows). Key figures come from the
    `outcome` of feedback, a CSV file or an SQL query, joined by request or by time.

    Args:
        figures: key figure to what is known of it: `better` (higher | lower), `target`, and the `low` and `high` that it can
            have. Each becomes a figure `kpi_<name>`.
        source: where key figures come from: `outcome`, `csv`, `sql` or `none`.
        file: path of the CSV file.
        query: SQL text; `:since` and `:until` stand for the window's ends.
        url_env: name of the environment variable that holds the database's SQLAlchemy address.
        join: `id` (columns `request_id`, and `row` where requests have several) or `time` (column `time`).
        columns: what the columns request_id, row and time are called in the file or query.
        time_zone: zone of times that tell none.
        least: rows that a figure needs.
        bootstrap: resamples for the 95 % intervals.
        rows: labelled rows from which on a sample is taken.
        seed: seed of the resamples.
        currency: that of the money, for people.

    Raises:
        ParameterError: a parameter is out of range, or does not fit the source.
    """

    def __init__(
        self,
        figures: Mapping[str, Mapping[str, Any] | None] | None = None,
        source: str = "outcome",
        file: str | None = None,
        query: str | None = None,
        url_env: str | None = None,
        join: str = "id",
        columns: Mapping[str, str] | None = None,
        time_zone: str = "UTC",
        least: int = 30,
        bootstrap: int = 500,
        rows: int = 500_000,
        seed: int = 0,
        currency: str | None = None,
    ) -> None:
        _one_of("source", source, ("outcome", "csv", "sql", "none"))
        _one_of("join", join, ("id", "time"))
        for name, given in (
            ("file", file if source == "csv" else ""),
            ("query", query if source == "sql" else ""),
            ("url_env", url_env if source == "sql" else ""),
        ):
            if given is None:
                raise ParameterError(
                    f"business: the source {source} needs {name}",
                    where=f"monitors.business.{name}",
                    hint="give it, or take another source",
                )
        for key, words in (figures or {}).items():
            for word, value in (words or {}).items():
                _one_of(f"figures.{key}", word, WORDS)
                if word == "better":
                    _one_of(f"figures.{key}.better", value, ("higher", "lower"))
        positive_number("business", 2, least=least)
        positive_number("business", 10, bootstrap=bootstrap)
        positive_number("business", 1000, rows=rows)
        positive_number("business", 0, seed=seed)
        self.figures = {key: dict(words or {}) for key, words in (figures or {}).items()}
        self.source, self.file, self.query, self.url_env, self.join = source, file, query, url_env, join
        self.currency = currency
        self.columns = {"request_id": "request_id", "row": "row", "time": "time", **(columns or {})}
        self.time_zone, self.least, self.bootstrap, self.rows, self.seed = time_zone, least, bootstrap, rows, seed

    def declares(self) -> Sequence[Figure]:
        """Return money for 1,000 rows and a year, and the key figures."""
        unit = self.currency or "money"
        money = [
            Figure("value_per_1000", "higher", unit, summary="What 1,000 decisions of the model are worth", measured=True),
            Figure("gain_per_1000", "higher", unit, summary="What the model adds for 1,000 rows, next to the best without one", measured=True),
            Figure("gain_per_year", "higher", unit, summary="What the model adds in a year of goal.volume rows", measured=True),
            Figure("challenger_gain_per_1000", "higher", unit, summary="What a challenger's decisions add for 1,000 rows, next to the champion's", measured=True),
        ]  # fmt: skip
        return money + [
            Figure(
                f"kpi_{name}",
                words.get("better", "higher"),
                summary=f"Mean of the key figure {name}",
                measured=True,
                low=words.get("low"),
                high=words.get("high"),
            )
            for name, words in self.figures.items()
        ]

    def observe(self, reference: Reference, window: Window) -> Observation:
        """Measure money and key figures of a window."""
        figures: dict[str, Interval] = {}
        alarms: list[Alarm] = []
        tables: dict[str, pl.DataFrame] = {}
        notes: list[str] = []
        prices = reference.goal.get("value") or {}
        if prices and reference.task != "multiclass":
            self._money(reference, window, prices, figures, alarms, tables, notes)
        else:
            notes.append(
                "goal.value says nothing of what outcomes are worth, so nothing is said in money"
                if not prices
                else "a multiclass task has no value of outcomes"
            )
        if self.source != "none":
            self._key_figures(reference, window, figures, alarms, tables, notes)
        return Observation(figures, alarms, tables, notes=notes)

    # ------------------------------------------------------------------------------------------------ money

    def _money(
        self,
        reference: Reference,
        window: Window,
        prices: Mapping[str, float],
        figures: dict[str, Interval],
        alarms: list[Alarm],
        tables: dict[str, pl.DataFrame],
        notes: list[str],
    ) -> None:
        import polars as pl

        every = known_rows(reference, window, most=self.rows, every=True)
        version, role = (every.frame[name].to_list() for name in ("version", "role"))
        own = np.array(
            [v in (None, reference.reference) and r in (None, "champion") for v, r in zip(version, role, strict=True)],
            dtype=bool,
        )
        known = every.take(own)
        if len(known) < self.least:
            notes.append(f"{len(known):,} labels have come; what decisions are worth needs {self.least:,}")
            return
        currency, volume = reference.goal.get("currency") or "units of money", reference.goal.get("volume")
        options: dict[str, Any] = {"resamples": self.bootstrap, "seed": self.seed}
        if reference.task == "binary":
            worth = worth_of_decisions(known.y == 1, known.scores.predicted == 1, prices, **options)
        else:
            usual = float(np.median(known.y))
            worth = worth_of_values(known.y, known.scores.predicted, usual, float(prices.get("error", 0.0)), **options)
            notes.append(
                "'always saying the median' knows the median of this window's labels, which favours it a little"
            )
        figures["value_per_1000"] = _interval(worth.model)
        figures["gain_per_1000"] = _interval(worth.gain)
        if volume:
            scale = float(volume) / PER
            gain = worth.gain
            ends = [None if end is None else end * scale for end in (gain.low, gain.high)]
            figures["gain_per_year"] = Interval(gain.value * scale, *ends)
            notes.append(f"a year's worth is that of {volume:,} rows like these")
        rows = [{"decided by": "the model", **_line(worth.model)}]
        rows += [{"decided by": name, **_line(item)} for name, item in worth.alternatives.items()]
        others = list(self._challengers(reference, every, known, prices, notes))
        for name, how, item, count in others:
            rows.append({"decided by": f"{name} ({how}, {count:,} rows), next to the champion", **_line(item)})
        tables["value"] = pl.DataFrame(rows, infer_schema_length=None)
        if others:
            best = max(others, key=lambda one: one[2].value)
            figures["challenger_gain_per_1000"] = _interval(best[2])
        share = len(known) / max(1, round(window.rows * known.share))
        if share < 0.95:
            notes.append(f"money is counted on the {share:.0%} of the rows whose labels have come")
        gain = worth.gain
        if gain.low is not None and gain.high is not None and gain.high < 0:
            alarms.append(
                Alarm(
                    "business/value",
                    "problem",
                    f"1,000 decisions lose {_amount(-gain.value)} {currency} next to {worth.rival} ({_amount(gain.low)} to"
                    f" {_amount(gain.high)}), on {len(known):,} labelled rows.",
                    {"rows": len(known), "gain": gain.value, "low": gain.low, "high": gain.high, "rival": worth.rival},
                    "the model decides worse than before (see performance), or outcomes are worth something else now",
                    f"decide by '{worth.rival}' until it is mended; look at performance, the threshold and goal.value",
                )
            )
        for name, how, item, count in others:
            if item.low is None or item.low <= 0:
                continue
            alarms.append(
                Alarm(
                    f"business/challenger/{name}",
                    "info",
                    f"{name} ({how}) is worth {_amount(item.value)} {currency} more for 1,000 rows than {reference.reference}"
                    f" ({_amount(item.low)} to {_amount(item.high or item.value)}), on {count:,} labelled rows.",
                    {"rows": count, "gain": item.value, "low": item.low, "high": item.high, "role": how},
                    "the challenger decides better on these rows",
                    f"promote it: python -m mlframe promote {name}",
                )
            )

    def _challengers(
        self, reference: Reference, every: Known, mine: Known, prices: Mapping[str, float], notes: list[str]
    ) -> Iterator[tuple[str, str, stats.Estimate, int]]:
        """Give version, role, what it adds for 1,000 rows next to the champion, and rows."""
        import polars as pl

        asked = every.frame.select("version", "role").unique().drop_nulls().sort("version", "role")
        for version, role in asked.filter(pl.col("role") != "champion").rows():
            which = every.frame.select((pl.col("version") == version) & (pl.col("role") == role)).to_series().to_numpy()
            theirs = every.take(which)
            if role == "shadow":
                index = mine.frame.select("request_id", "row").with_row_index("a")
                pairs = (
                    theirs.frame.select("request_id", "row").with_row_index("b").join(index, on=["request_id", "row"])
                )
                if len(pairs) < self.least:
                    notes.append(
                        f"{version} (shadow) shares {len(pairs):,} labelled rows with the champion; {self.least:,} are needed"
                    )
                    continue
                first, second = mine.take(pairs["a"].to_numpy()), theirs.take(pairs["b"].to_numpy())
                gain = PER * (_worth(reference, second, prices) - _worth(reference, first, prices))
                found = stats.estimate_means({"gain": gain}, resamples=self.bootstrap, seed=self.seed)["gain"]
                yield version, role, found, len(pairs)
            else:
                if len(theirs) < self.least:
                    notes.append(f"{version} ({role}) has {len(theirs):,} labelled rows; {self.least:,} are needed")
                    continue
                yield (
                    version,
                    role,
                    _apart(PER * _worth(reference, theirs, prices), PER * _worth(reference, mine, prices)),
                    len(theirs),
                )

    # ------------------------------------------------------------------------------------------------ key figures

    def _key_figures(
        self,
        reference: Reference,
        window: Window,
        figures: dict[str, Interval],
        alarms: list[Alarm],
        tables: dict[str, pl.DataFrame],
        notes: list[str],
    ) -> None:
        import polars as pl

        given = self._read(reference, window)
        notes += given.notes
        frame = given.frame
        if frame is None or not len(frame):
            if self.figures or self.source != "outcome":
                notes.append("no key figure is known of this window")
            return
        have = [name for name in frame.columns if name not in ("request_id", "row", "time", "version", "role")]
        absent = [name for name in self.figures if name not in have]
        if absent:
            notes.append(f"never told in this window: {', '.join(absent)}")
        rows: list[dict[str, Any]] = []
        champion = frame
        if "role" in frame.columns:
            champion = frame.filter(pl.col("role").is_null() | (pl.col("role") == "champion"))
            champion = champion.filter(pl.col("version").is_null() | (pl.col("version") == reference.reference))
        for name in have:
            values = _finite(champion[name])
            words = self.figures.get(name, {})
            missing = len(champion) - len(values)
            if len(values) < self.least:
                notes.append(f"{name}: {len(values):,} values are few; {self.least:,} are needed")
                continue
            found = stats.estimate_means({name: values}, resamples=self.bootstrap, seed=self.seed)[name]
            record = {
                "figure": name,
                "of": reference.reference,
                "rows": len(values),
                "missing": missing,
                **_line(found),
            }
            rows.append({**record, "target": words.get("target")})
            if name in self.figures:
                figures[f"kpi_{name}"] = _interval(found)
                alarms += self._against(reference, window, name, words, found, len(values))
            else:
                notes.append(
                    f"{name} is in the table only: name it in monitors.business.figures to have it as a figure"
                )
            rows += self._beside(frame, name, values)
        if rows:
            tables["key figures"] = pl.DataFrame(rows, infer_schema_length=None)

    def _read(self, reference: Reference, window: Window) -> KeyFigures:
        if self.source == "outcome":
            return from_outcomes(window, list(self.figures), self.rows)
        options: dict[str, Any] = {"join": self.join, "columns": self.columns}
        options |= {"time_zone": self.time_zone, "wanted": list(self.figures)}
        if self.source == "csv":
            assert self.file is not None
            return read_csv(self.file, window, **options)
        assert self.query is not None
        assert self.url_env is not None
        return read_query(self.query, self.url_env, window, **options)

    def _beside(self, frame: pl.DataFrame, name: str, mine: Array) -> Iterator[dict[str, Any]]:
        """Give the key figure of canaries, and how it differs; a shadow's answers were used by nobody."""
        import polars as pl

        if "role" not in frame.columns:
            return
        for version in frame.filter(pl.col("role") == "canary")["version"].unique().sort().to_list():
            part = frame.filter((pl.col("role") == "canary") & (pl.col("version") == version))
            values = _finite(part[name])
            if len(values) < self.least:
                continue
            line: dict[str, Any] = {
                "figure": name,
                "of": f"{version} (canary), next to the champion",
                "rows": len(values),
            }
            yield {**line, "missing": len(part) - len(values), **_line(_apart(values, mine)), "target": None}

    def _against(
        self,
        reference: Reference,
        window: Window,
        name: str,
        words: Mapping[str, Any],
        found: stats.Estimate,
        rows: int,
    ) -> Iterator[Alarm]:
        """Find a key figure that does not reach its target; the goal's deadline says how bad that is."""
        target = words.get("target")
        if target is None or found.low is None or found.high is None:
            return
        higher = words.get("better", "higher") == "higher"
        if found.high >= target if higher else found.low <= target:
            return
        deadline = reference.goal.get("deadline")
        due = None if deadline is None else date.fromisoformat(str(deadline))
        early = due is not None and window.until.date() <= due
        when = "" if due is None else (f"; it is due on {due}" if early else f"; it was due on {due}")
        yield Alarm(
            f"business/kpi/{name}",
            "info" if early else "problem" if due is not None else "warning",
            f"{name} is {number(found.value)} ({number(found.low)} to {number(found.high)}) on {rows:,} rows; the target is"
            f" {number(float(target))} or {'more' if higher else 'less'}{when}.",
            {
                "rows": rows,
                "value": found.value,
                "low": found.low,
                "high": found.high,
                "target": target,
                "deadline": None if due is None else str(due),
            },
            "decisions that do not do what they were made for, or something else that moves this figure",
            "compare with a canary or with rows decided without the model before blaming it",
        )


def _one_of(name: str, value: Any, known: Sequence[str]) -> None:
    if value not in known:
        raise ParameterError(
            f"business: {name} must be one of {', '.join(known)}",
            value=value,
            where=f"monitors.business.{name}",
            hint="see conf/monitors/business.yaml",
        )


def _worth(reference: Reference, known: Known, prices: Mapping[str, float]) -> Array:
    """Return what each row's decision is worth, shape (rows,)."""
    if reference.task == "regression":
        return np.asarray(-float(prices.get("error", 0.0)) * np.abs(known.y - known.scores.predicted))
    tp, fp, tn, fn = (float(prices.get(name, 0.0)) for name in ("tp", "fp", "tn", "fn"))
    called, positive = known.scores.predicted == 1, known.y == 1
    return np.where(called, np.where(positive, tp, fp), np.where(positive, fn, tn))


def _apart(a: Array, b: Array) -> stats.Estimate:
    """Return the difference of the means of two sets of rows, with Welch's interval."""
    from scipy.special import stdtrit

    parts = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    error = math.sqrt(sum(parts))
    value = float(a.mean() - b.mean())
    if error == 0:
        return stats.Estimate(value, value, value)
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (len(a) - 1) + parts[1] ** 2 / (len(b) - 1))
    half = float(stdtrit(freedom, 0.975)) * error
    return stats.Estimate(value, value - half, value + half)


def _finite(series: pl.Series) -> Array:
    import polars as pl

    values = series.cast(pl.Float64, strict=False).drop_nulls().to_numpy()
    return np.asarray(values[np.isfinite(values)])


def _interval(found: stats.Estimate) -> Interval:
    return Interval(found.value, found.low, found.high)


def _line(found: stats.Estimate) -> dict[str, float | None]:
    return {"value": found.value, "low": found.low, "high": found.high}


def _amount(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"
