"""Whether live rows are what the model was made for: rules, missing and unseen values, freshness, volume, duplicates."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from mlframe.contracts import Alarm, Figure, Interval, Monitor, Observation, Reference, Window
from mlframe.monitors.known import Known, known_columns

if TYPE_CHECKING:
    import polars as pl

__all__ = ["QualityMonitor"]

SURE = 4.0
"""Standard errors from which on a share is taken for another one: once in 30,000 by chance, whatever the number of columns."""
LEAST = 30
"""Rows from which on shares are compared."""
EARLIER = 5
"""Windows that must be known before volume and silence are compared."""
SKEW = timedelta(seconds=60)
EXACT = 2_000_000
"""Rows up to which duplicates are counted; above it they are estimated."""


class QualityMonitor(Monitor):
    """Holds live rows to the bundle's rules and to what the columns were in training.

    Args:
        missing: difference of a column's share of missing values from training that is an alarm.
        unseen: share of values that training never saw (new categories, numbers outside its range) that is an alarm.
        broken: share of values that break a rule from which on it is a problem; below it is a warning.
        volume: times more or fewer rows than in any earlier window that are an alarm.
        duplicates: share of rows that are the same as another one by which it may exceed all earlier windows.
    """

    def __init__(
        self,
        missing: float = 0.05,
        unseen: float = 0.01,
        broken: float = 0.01,
        volume: float = 2.0,
        duplicates: float = 0.1,
    ) -> None:
        self.missing = missing
        self.unseen = unseen
        self.broken = broken
        self.volume = volume
        self.duplicates = duplicates

    def declares(self) -> Sequence[Figure]:
        """Return shares of values that are missing, unseen, against a rule; of rows twice; volume and freshness."""
        words = {
            "missing_share": "Share of input values that are missing",
            "unseen_share": "Share of input values that training never saw",
            "broken_share": "Share of input values that break a rule of the schema",
            "duplicate_share": "Share of rows whose inputs are the same as another row's",
        }
        return [
            *(Figure(name, "lower", summary=text, measured=True, low=0.0, high=1.0) for name, text in words.items()),
            Figure("rows", "higher", "rows", summary="Predictions of the champion", measured=True, low=0.0),
            Figure(
                "silence_s",
                "lower",
                "s",
                summary="Seconds without a prediction at the window's end",
                measured=True,
                low=0.0,
            ),
        ]

    def observe(self, reference: Reference, window: Window) -> Observation:
        """Count in one pass over the window."""
        import polars as pl

        rows = window.answered().filter(pl.col("version") == reference.reference)
        present = set(rows.collect_schema().names())
        columns = [c for c in reference.inputs if c["logged"] in present]
        known = known_columns(reference.baseline)
        counted = (
            rows.select(self._counts(reference, columns, known, window)).collect(engine="streaming").row(0, named=True)
        )
        total = int(counted["rows"])
        if not total:
            return Observation(notes=["the champion answered nobody in this window"])
        alarms: list[Alarm] = []
        notes: list[str] = []
        values = broken = unseen = asked = 0
        table = []
        absent = [c["name"] for c in reference.inputs if c["logged"] not in present]
        for column in columns:
            name = column["name"]
            found = {
                what: int(counted[f"{what}|{name}"] or 0)
                for what in ("missing", "low", "high", "new")
                if f"{what}|{name}" in counted
            }
            rules = {
                key.partition("|")[0][5:]: int(counted[key] or 0)
                for key in counted
                if key.startswith("rule:") and key.partition("|")[2] == name
            }
            values += total
            told = total - found["missing"]
            if {"low", "new"} & set(found):
                asked += told
                unseen += found.get("low", 0) + found.get("high", 0) + found.get("new", 0)
            broken += sum(rules.values())
            table.append(
                {
                    "column": name,
                    "missing": found["missing"] / total,
                    "missing_in_training": known[name].missing if name in known else None,
                    "unseen": (found.get("low", 0) + found.get("high", 0) + found.get("new", 0)) / max(1, told),
                    "broken": sum(rules.values()),
                }
            )
            alarms += self._column(name, total, found, rules, known.get(name), reference.rules.get(name, {}))
        if absent:
            notes.append(f"not logged, so not looked at: {', '.join(absent)}")
        if window.rows and total < LEAST:
            notes.append(f"{total:,} rows are few: shares are compared with training from {LEAST} on")
        figures = {
            "missing_share": Interval(sum(row["missing"] for row in table) / max(1, len(table))),
            "broken_share": Interval(broken / max(1, values)),
            "rows": Interval(float(window.rows)),
        }
        if asked:
            figures["unseen_share"] = Interval(unseen / asked)
        twice = self._duplicates(rows, columns, total)
        figures["duplicate_share"] = Interval(twice)
        end = min(window.until, window.now)
        silence = max(0.0, (end - counted["last"]).total_seconds())
        figures["silence_s"] = Interval(silence)
        gap = self._longest_gap(rows, window, silence)
        alarms += self._repeats(twice, window, total)
        alarms += self._volume(window)
        alarms += self._silence(silence, window)
        alarms += _clock(int(counted["future"] or 0), total)
        alarms += _labels(window)
        order = pl.DataFrame(table).sort("broken", "unseen", "missing", descending=True) if table else pl.DataFrame()
        return Observation(figures=figures, alarms=alarms, tables={"columns": order}, notes=notes, state={"gap": gap})

    # -------------------------------------------------------------------------------------------- counting

    def _counts(
        self, reference: Reference, columns: Sequence[Mapping[str, Any]], known: Mapping[str, Known], window: Window
    ) -> Iterator[pl.Expr]:
        """Give an expression for each number that is needed."""
        import polars as pl

        yield pl.len().alias("rows")
        yield pl.col("time").max().alias("last")
        yield (pl.col("time") > window.now + SKEW).sum().alias("future")
        for column in columns:
            name, value = column["name"], pl.col(column["logged"])
            yield value.is_null().sum().alias(f"missing|{name}")
            if "pii" in (column.get("tags") or ()):
                continue  # the log holds digests
            was = known.get(name)
            if was is not None and was.low is not None and was.high is not None and column["kind"] == "numeric":
                yield (value < was.low).sum().alias(f"low|{name}")
                yield (value > was.high).sum().alias(f"high|{name}")
            if was is not None and was.names is not None and column["kind"] == "categorical":
                yield (~value.cast(pl.String).is_in(list(was.names))).sum().alias(f"new|{name}")
            for word, limit in (reference.rules.get(name) or {}).items():
                wrong = _wrong(value, word, limit)
                if wrong is not None:
                    yield wrong.sum().alias(f"rule:{word}|{name}")

    @staticmethod
    def _duplicates(rows: pl.LazyFrame, columns: Sequence[Mapping[str, Any]], total: int) -> float:
        import polars as pl

        if not columns:
            return 0.0
        same = pl.struct(column["logged"] for column in columns).hash(seed=0)
        distinct = same.n_unique() if total <= EXACT else same.approx_n_unique()
        found = int(rows.select(distinct).collect(engine="streaming").item())
        share = max(0.0, 1 - found / total)
        return share if total <= EXACT or share > 0.05 else 0.0  # the estimate is good to two parts in a hundred

    @staticmethod
    def _longest_gap(rows: pl.LazyFrame, window: Window, silence: float) -> float:
        """Return the longest time without a prediction, in seconds, to a hundredth of the window."""
        import polars as pl

        step = max(1, round((window.until - window.since).total_seconds() * 1e4))  # microseconds of a hundredth
        begin = round(window.since.timestamp() * 1e6)
        found = rows.select(((pl.col("time").to_physical() - begin) // step).alias("part")).unique()
        parts = sorted(found.collect(engine="streaming").to_series().to_list())
        inner = max((after - before - 1 for before, after in pairwise(parts)), default=0)
        return max(inner * step / 1e6, silence, parts[0] * step / 1e6 if parts and window.before else 0.0)

    # -------------------------------------------------------------------------------------------- alarms

    def _column(
        self,
        name: str,
        total: int,
        found: Mapping[str, int],
        rules: Mapping[str, int],
        was: Known | None,
        limits: Mapping[str, Any],
    ) -> Iterator[Alarm]:
        told = total - found["missing"]
        for word, count in rules.items():
            if not count:
                continue
            share = count / total
            yield Alarm(
                f"quality/rule/{name}/{word}",
                "problem" if share >= self.broken else "warning",
                f"{count:,} values of {name} ({share:.2%}) break the rule {word}: {limits.get(word)}.",
                {"rows": total, "count": count, "share": share, "rule": word, "limit": limits.get(word)},
                "the system that the rows come from has changed, or a unit or a format has",
                f"look at these rows; where the new values are right, change data.schema.columns.{name} and train again",
                column=name,
            )
        if was is None or total < LEAST:
            return
        share = found["missing"] / total
        if abs(share - was.missing) >= self.missing and _apart(share, total, was.missing, was.rows):
            more = share > was.missing
            yield Alarm(
                f"quality/missing/{name}",
                "problem" if abs(share - was.missing) >= 0.25 else "warning",
                f"{share:.1%} of {name} is missing; in training it was {was.missing:.1%}.",
                {"rows": total, "share": share, "in_training": was.missing},
                f"the system that fills {name} does so {'less' if more else 'more'} often than before",
                f"ask who fills {name}; if it stays so, train again with rows that look like this",
                column=name,
            )
        for what, text, cause in (
            ("new", "are of categories that training never saw", "new categories, or another spelling of old ones"),
            (
                "beyond",
                "lie outside the range of training",
                "another unit, a broken sensor or form, or a world that has moved",
            ),
        ):
            count = found.get("new", 0) if what == "new" else found.get("low", 0) + found.get("high", 0)
            expected = was.rare if what == "new" else 2 / (was.rows + 1)
            share = count / max(1, told)
            if told < LEAST or share - expected < self.unseen or not _apart(share, told, expected, was.rows):
                continue
            evidence: dict[str, Any] = {"rows": told, "count": count, "share": share}
            if what == "beyond":
                evidence |= {
                    "below": found.get("low", 0),
                    "above": found.get("high", 0),
                    "least_in_training": was.low,
                    "most_in_training": was.high,
                }
            yield Alarm(
                f"quality/unseen/{name}",
                "problem" if share >= 0.25 else "warning",
                f"{count:,} values of {name} ({share:.1%}) {text}"
                + (f" ({was.low:g} to {was.high:g})." if what == "beyond" else "."),
                evidence,
                cause,
                "look at these rows; if they are right, train again with some of them, labeled",
                column=name,
            )

    def _repeats(self, share: float, window: Window, total: int) -> Iterator[Alarm]:
        earlier = _earlier(window, "duplicate_share")
        if len(earlier) < EARLIER or share <= max(earlier) + self.duplicates or total < LEAST:
            return
        yield Alarm(
            "quality/duplicates",
            "warning",
            f"{share:.1%} of the rows are the same as another one; it was {max(earlier):.1%} at most in {len(earlier)} windows before.",
            {"rows": total, "share": share, "most_before": max(earlier), "windows": len(earlier)},
            "a caller that sends rows again and again, or a source that repeats itself",
            "look at callers and request ids in the prediction log",
        )

    def _volume(self, window: Window) -> Iterator[Alarm]:
        earlier = [
            float(row["rows"])
            for row in window.before[-200:]
            if row["until"] - row["since"] == window.until - window.since
        ]
        if len(earlier) < EARLIER:
            return
        rows, most, least = window.rows, max(earlier), min(earlier)
        # A count wanders by the root of itself.
        if rows > self.volume * most and rows - most > SURE * math.sqrt(rows + most):
            word, edge, action = "more", most, "see who calls more often; look at latency beside it"
        elif (
            window.now >= window.until and rows * self.volume < least and least - rows > SURE * math.sqrt(rows + least)
        ):
            word, edge, action = "fewer", least, "see whether callers fail to reach the server"
        else:
            return
        yield Alarm(
            "quality/volume",
            "warning",
            f"{rows:,} predictions are {word} than in any of {len(earlier)} windows before ({least:,.0f} to {most:,.0f}).",
            {
                "rows": rows,
                "least_before": least,
                "most_before": most,
                "windows": len(earlier),
                "ratio": rows / max(1.0, edge),
            },
            f"callers ask {'more' if word == 'more' else 'less'} often, or requests come {'twice' if word == 'more' else 'no longer'}",
            action,
        )

    def _silence(self, silence: float, window: Window) -> Iterator[Alarm]:
        gaps = [
            float(row["state"]["gap"]) for row in window.before[-200:] if (row["state"] or {}).get("gap") is not None
        ]
        if len(gaps) < EARLIER or silence <= 1.5 * max(gaps) or silence < 60:
            return
        yield Alarm(
            "quality/freshness",
            "warning",
            f"Nothing was predicted for the last {silence / 60:,.0f} minutes of the window; {max(gaps) / 60:,.0f} minutes was the longest silence before.",
            {"silence_s": silence, "longest_before_s": max(gaps), "windows": len(gaps)},
            "callers that stopped, or a server that does not run",
            "look at the server's status page and at its callers",
        )


def _wrong(value: pl.Expr, word: str, limit: Any) -> pl.Expr | None:
    """Return whether a value breaks a rule; a missing value breaks none but `nullable`."""
    import polars as pl

    if word == "nullable":
        return value.is_null() if limit is False else None
    simple: dict[str, Callable[[], pl.Expr]] = {
        "min": lambda: value < limit,
        "max": lambda: value > limit,
        "above": lambda: value <= limit,
        "below": lambda: value >= limit,
        "allowed": lambda: ~value.is_in(list(limit)),
        "forbidden": lambda: value.is_in(list(limit)),
        "pattern": lambda: ~value.cast(pl.String).str.contains(f"^(?:{limit})"),
        "min_length": lambda: value.cast(pl.String).str.len_chars() < limit,
        "max_length": lambda: value.cast(pl.String).str.len_chars() > limit,
    }
    return simple[word]() if word in simple else None


def _apart(share: float, rows: int, before: float, rows_before: int) -> bool:
    """Whether two shares differ by more than chance."""
    pooled = (share * rows + before * rows_before) / max(1, rows + rows_before)
    error = math.sqrt(max(pooled * (1 - pooled), 0.0) * (1 / max(1, rows) + 1 / max(1, rows_before)))
    return abs(share - before) > SURE * error


def _earlier(window: Window, name: str) -> list[float]:
    return [float(row["figures"][name]["value"]) for row in window.before[-200:] if name in row["figures"]]


def _clock(future: int, total: int) -> Iterator[Alarm]:
    if future:
        yield Alarm(
            "quality/clock",
            "warning",
            f"{future:,} of {total:,} predictions have times more than {SKEW.total_seconds():.0f} s after now.",
            {"rows": total, "count": future},
            "the clock of a prediction server is ahead of this machine's",
            "let both machines keep time by NTP",
        )


def _labels(window: Window) -> Iterator[Alarm]:
    """Find rows that were told different labels."""
    import polars as pl

    if "labels" not in window.feedback.collect_schema():
        return
    counts = window.feedback.select(pl.len().alias("rows"), (pl.col("labels") > 1).sum().alias("torn")).collect()
    rows, torn = (int(value or 0) for value in counts.row(0))
    if torn >= 5 and torn >= 0.01 * rows:
        yield Alarm(
            "quality/labels",
            "problem" if torn >= 0.1 * rows else "warning",
            f"{torn:,} of {rows:,} rows with feedback ({torn / rows:.1%}) were told different labels; the latest counts.",
            {"rows": rows, "count": torn, "share": torn / rows},
            "two systems that send labels disagree, or people correct themselves",
            "settle who knows the truth; look at the feedback's callers",
        )
