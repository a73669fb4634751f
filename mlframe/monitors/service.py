"""How the service did: latency, throughput, errors, sizes of requests, and what a thousand predictions cost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from mlframe import stats
from mlframe.contracts import Alarm, Figure, Interval, Monitor, Observation, Reference, Window

__all__ = ["ServiceMonitor"]

SHARES = {"latency_p50_ms": 0.5, "latency_p95_ms": 0.95, "latency_p99_ms": 0.99}
REQUESTS = 100
"""Requests from which on a latency is compared."""
WRONG = {"error_rate": (500, 599), "refused_rate": (400, 499)}
"""Statuses of a figure."""


class ServiceMonitor(Monitor):
    """Measures the service by what the server logs of answered requests, and of those that it refused or failed at.

    Args:
        price_per_hour: what a machine that serves costs in an hour; None says nothing of cost.
        currency: its currency.
        machines: machines that serve, paid whether they are busy or not.
        latency_ms: the most that `latency_p95_ms` may be; None takes the goal's target `latency_ms`, if it has one.
        slower: times the usual `latency_p95_ms` of earlier windows from which on it is an alarm.
        errors: share of requests that may fail (status 5xx), beyond what chance gives.
        refused: how much larger the share of refused requests (4xx) may be than in any earlier window.
    """

    def __init__(
        self,
        price_per_hour: float | None = None,
        currency: str | None = None,
        machines: int = 1,
        latency_ms: float | None = None,
        slower: float = 2.0,
        errors: float = 0.01,
        refused: float = 0.05,
    ) -> None:
        self.price = price_per_hour
        self.currency = currency
        self.machines = machines
        self.latency = latency_ms
        self.slower = slower
        self.errors = errors
        self.refused = refused

    def declares(self) -> Sequence[Figure]:
        """Return latency, throughput, errors, sizes of requests, and cost where there is a price."""
        found = [
            Figure(
                name,
                "lower",
                "ms",
                summary=f"Time within which {share:.0%} of requests were answered",
                measured=True,
                low=0.0,
            )
            for name, share in SHARES.items()
        ]
        found += [
            Figure(
                "error_rate",
                "lower",
                summary="Share of requests that the server failed at",
                measured=True,
                low=0,
                high=1,
            ),
            Figure(
                "refused_rate", "lower", summary="Share of requests that were refused", measured=True, low=0, high=1
            ),
            Figure("requests", "higher", summary="Requests that were answered", measured=True, low=0.0),
            Figure(
                "predictions_per_s",
                "higher",
                "rows/s",
                summary="Predictions in a second, on average",
                measured=True,
                low=0.0,
            ),
            Figure(
                "peak_per_s",
                "higher",
                "rows/s",
                summary="Predictions in a second, in the busiest minute",
                measured=True,
                low=0.0,
            ),
            Figure(
                "rows_per_request", "lower", "rows", summary="Rows of a request, on average", measured=True, low=0.0
            ),
            Figure(
                "rows_per_request_p95",
                "lower",
                "rows",
                summary="95 % of requests have no more rows",
                measured=True,
                low=0.0,
            ),
        ]
        if self.price is not None:
            money = self.currency or "currency"
            found.append(
                Figure(
                    "cost_per_1000",
                    "lower",
                    money,
                    summary="What the machines cost for 1,000 predictions",
                    measured=True,
                    low=0.0,
                )
            )
        return found

    def observe(self, reference: Reference, window: Window) -> Observation:
        """Measure a window; rows without a latency (from a file) have no times to measure."""
        import polars as pl

        rows = window.answered().filter(pl.col("version") == reference.reference)
        first = pl.col("row") == 0
        minute = pl.col("time").dt.truncate("1m")
        moment = pl.col("time")
        facts = (
            rows.select(
                pl.len().alias("rows"),
                moment.min().alias("first"),
                moment.max().alias("last"),
                pl.col("latency_ms").count().alias("timed"),
            )
            .collect(engine="streaming")
            .row(0, named=True)
        )
        notes: list[str] = []
        if not facts["timed"]:
            return Observation(notes=["these rows tell no latency: they were not answered by the prediction server"])
        values = (
            rows.filter(first & pl.col("latency_ms").is_not_null()).select("latency_ms").collect(engine="streaming")
        )
        latencies = values.to_series()
        peak = rows.group_by(minute).len().select(pl.col("len").max()).collect(engine="streaming").item()
        sizes = rows.group_by("row").len().collect(engine="streaming").sort("row")
        figures: dict[str, Interval] = {}
        for name, share in SHARES.items():
            value = latencies.quantile(share, "nearest")
            if value is not None:
                figures[name] = Interval(float(value))
        seconds = self._seconds(window, facts)
        count = int(facts["rows"])
        figures["requests"] = Interval(float(len(latencies)))
        figures["predictions_per_s"] = Interval(count / seconds)
        figures["peak_per_s"] = Interval(max(peak / 60, count / seconds))
        figures |= _request_sizes(sizes)
        if self.price is not None:
            figures["cost_per_1000"] = Interval(self.price * self.machines * seconds / 3600 / count * 1000)
            notes.append(
                f"cost: {self.machines} machine{'s' if self.machines > 1 else ''} at {self.price:g} {self.currency or ''} an hour".rstrip()
                + ", paid for the whole time, busy or not"
            )
        alarms = self._alarms(reference, window, figures, len(latencies))
        if window.failures is not None:
            mine = window.failures.filter(pl.col("version") == reference.reference)
            wrong = mine.group_by("status").agg(pl.col("requests").sum()).collect(engine="streaming")
            counts = dict(zip(wrong["status"].to_list(), wrong["requests"].to_list(), strict=True))
            figures |= _wrong(counts, len(latencies))
            alarms += self._wrong_alarms(window, figures, counts)
            if counts:
                said = ", ".join(f"{count:,} times {status}" for status, count in sorted(counts.items()))
                notes.append(f"requests without a prediction: {said}")
        return Observation(figures=figures, alarms=alarms, notes=notes)

    @staticmethod
    def _seconds(window: Window, facts: dict[str, Any]) -> float:
        """Return the seconds that are looked at: the window, from the first row where it is the first, until now."""
        since = window.since if window.before else max(window.since, facts["first"])
        until = min(window.until, max(window.now, facts["last"] + timedelta(seconds=1)))
        return float(max(1.0, (until - since).total_seconds()))

    def _alarms(self, reference: Reference, window: Window, figures: dict[str, Interval], requests: int) -> list[Alarm]:
        name = "latency_p95_ms"
        if name not in figures or requests < REQUESTS:
            return []
        value = figures[name].value
        target = self.latency
        if target is None:
            target = (reference.goal.get("targets") or {}).get("latency_ms")
        earlier = sorted(row["figures"][name]["value"] for row in window.before[-30:] if name in row["figures"])
        usual = earlier[len(earlier) // 2] if len(earlier) >= 3 else None
        alarms = []
        if target is not None and value > target:
            alarms.append(
                Alarm(
                    "service/latency_target",
                    "problem" if value > 2 * target else "warning",
                    f"95 % of requests were answered within {value:.2f} ms; the target is {target:g} ms.",
                    {"latency_p95_ms": value, "target_ms": target, "requests": requests},
                    "more traffic than the workers can answer, larger requests, or a slower version",
                    "look at throughput and request sizes beside it; add workers (deployer.workers) or machines",
                )
            )
        if usual is not None and value > self.slower * usual and value - usual > 1.0 and value > max(earlier):
            alarms.append(
                Alarm(
                    "service/latency",
                    "warning",
                    f"95 % of requests were answered within {value:.2f} ms; {usual:.2f} ms was usual in {len(earlier)} windows before.",
                    {"latency_p95_ms": value, "usual_ms": usual, "windows": len(earlier), "requests": requests},
                    "more traffic, larger requests, another version, or a machine that is busy with something else",
                    "compare with throughput, request sizes and deployments of the same time",
                )
            )
        return alarms

    def _wrong_alarms(self, window: Window, figures: dict[str, Interval], counts: dict[int, int]) -> list[Alarm]:
        alarms = []
        failed, refused = figures["error_rate"], figures["refused_rate"]
        evidence = {str(status): count for status, count in sorted(counts.items())}
        if failed.low is not None and failed.low > self.errors:
            alarms.append(
                Alarm(
                    "service/errors",
                    "problem" if failed.low > 5 * self.errors else "warning",
                    f"The server failed at {failed.value:.1%} of the requests; {self.errors:.1%} are allowed.",
                    {"error_rate": failed.value, "low": failed.low, "high": failed.high, **evidence},
                    "503: more requests than the workers can answer; 500: an error of the server or of the model",
                    "read the server's log for 500; add workers (deployer.workers) or machines for 503",
                )
            )
        known = [
            row["figures"]["refused_rate"]["value"] for row in window.before[-30:] if "refused_rate" in row["figures"]
        ]
        if len(known) >= 3 and refused.low is not None and refused.low > max(known) + self.refused:
            alarms.append(
                Alarm(
                    "service/refused",
                    "warning",
                    f"{refused.value:.1%} of the requests were refused; at most {max(known):.1%} were in {len(known)} windows before.",
                    {"refused_rate": refused.value, "most_before": max(known), **evidence},
                    "a caller sends another form than the model takes (422), has lost its key (401, 403), or asks what is not there",
                    "the server's access log tells who; the answer to each request says what is wrong with it",
                )
            )
        return alarms


def _wrong(counts: dict[int, int], answered: int) -> dict[str, Interval]:
    """Return the shares of requests that failed and that were refused.

    Args:
        counts: HTTP status to requests that got no prediction.
        answered: requests that got one.
    """
    every = answered + sum(counts.values())
    return {
        name: Interval(*stats.share_interval(sum(n for status, n in counts.items() if low <= status <= high), every))
        for name, (low, high) in WRONG.items()
    }


def _request_sizes(sizes: Any) -> dict[str, Interval]:
    """Return mean and 95 % quantile of rows a request.

    Args:
        sizes: `row` and `len`: as many requests have more than `row` rows as there are rows of this number.
    """
    numbers, counts = sizes["row"].to_numpy(), sizes["len"].to_numpy()
    requests = int(counts[0]) if len(numbers) and numbers[0] == 0 else 0
    if not requests:
        return {}
    beyond = counts <= 0.05 * requests  # so few requests have more than `row` rows
    quantile = int(numbers[beyond][0]) if beyond.any() else int(numbers[-1]) + 1
    return {
        "rows_per_request": Interval(float(counts.sum()) / requests),
        "rows_per_request_p95": Interval(float(max(1, quantile))),
    }
