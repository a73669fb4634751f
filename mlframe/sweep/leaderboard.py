"""The leaderboard of a sweep: candidates best first, what their folds can tell apart, and which one to train for good.

A sweep and its jobs are the plain records that the store keeps. Candidates are compared with the best by the corrected
resampled t-test on common folds (`mlframe.stats.comparison`). One is tied when its own comparison does not find it worse,
and called worse when that still holds after Holm's correction (1979) for the number of candidates. Between the two it is
likely worse: with dozens of candidates and a handful of folds the correction rejects next to nothing, so it may not
decide what is good enough to be proposed. Of the best and those that are tied and within one standard error of it,
the quickest is proposed.
"""

from __future__ import annotations

import json
import math
import shlex
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from mlframe.stats import corrected_mean, holm, paired_comparison

if TYPE_CHECKING:
    from mlframe.stats import PairedComparison

__all__ = ["SIGNS", "Board", "Failure", "Row", "build", "is_number", "short_names", "size_text", "tell"]

LEVEL = 0.05
ALIKE = 1.25
"""Costs within a quarter of each other count as equal: measured times differ by that from one day to the next."""
COSTS = {"latency_ms": 1.0, "train_seconds": 1.0, "size_bytes": 0.0}
"""What a candidate costs, and the difference that is never worth a proposal: the first job of a process pays for loading
its library, and a millisecond comes and goes with what else the machine does."""
SIGNS = {"★": "best", "≈": "tied", "↓": "likely worse", "✗": "worse", "?": "open"}
NOT_THE_CANDIDATE = ("sweep", "hydra", "group")


@dataclass(frozen=True)
class Row:
    """One candidate.

    Args:
        rank: place, 1 for the best.
        trial: number of the trial.
        label: what varied, in a few words.
        values: swept key to value; keys that the candidate does not have are absent.
        mean: mean score over folds and repeats.
        std: standard deviation over folds and repeats, None for a single score.
        low: lower end of the mean's 95 % interval, None for a single score.
        high: upper end.
        error: the mean's standard error, None where nothing is known of its spread.
        difference: how much higher the mean is than the best's, over the folds of both; None when they share none.
        difference_low: lower end of its 95 % interval, not corrected for the number of candidates.
        difference_high: upper end.
        p_value: of no difference, corrected for the number of candidates; None where nothing can be claimed.
        tied: on its own, the comparison does not find it worse. False for the best, and where nothing can be claimed.
        train_seconds: mean time to fit on all folds, else of the whole job.
        latency_ms: milliseconds a prediction.
        size_bytes: size of the fitted pipeline.
        overrides: overrides of its first job.
        runs: ids of its runs.
    """

    rank: int
    trial: int
    label: str
    values: Mapping[str, Any]
    mean: float
    std: float | None
    low: float | None
    high: float | None
    train_seconds: float | None
    latency_ms: float | None
    size_bytes: float | None
    overrides: tuple[str, ...]
    runs: tuple[str, ...]
    error: float | None = None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    p_value: float | None = None
    tied: bool = False

    @property
    def sign(self) -> str:
        """The row's mark; `SIGNS` says what it means."""
        if self.rank == 1:
            return "★"
        if self.tied:
            return "≈"
        if self.p_value is None:
            return "?"
        return "✗" if self.p_value <= LEVEL else "↓"


@dataclass(frozen=True)
class Failure:
    """A job that gave no score.

    Args:
        number: number of the job.
        overrides: its overrides.
        status: `failed` or `killed`, or `finished` without a score.
        error: what went wrong.
        run: id of its run, None when none began.
    """

    number: int
    overrides: tuple[str, ...]
    status: str
    error: str
    run: str | None


@dataclass(frozen=True)
class Board:
    """A sweep's candidates in order, and what follows from them.

    Args:
        sweep: id of the sweep.
        name: name of the model.
        status: `running`, `finished`, `failed` or `interrupted`.
        metric: name of the score.
        better: which way is better.
        rows: candidates with a score, the best first.
        failed: jobs without one.
        pruned: number of jobs that were stopped early since they could not win.
        unfinished: number of jobs that wait or run.
        varied: keys whose values differ between candidates.
        fixed: overrides that all jobs share.
        proposed: the candidate to train for good, None without a scored one.
        reason: why that one.
        closing: {"run", "version"} of the run that trained it for good, None when there was none.
    """

    sweep: str
    name: str
    status: str
    metric: str
    better: Literal["higher", "lower"]
    rows: tuple[Row, ...]
    failed: tuple[Failure, ...]
    pruned: int
    unfinished: int
    varied: tuple[str, ...]
    fixed: tuple[str, ...]
    proposed: Row | None
    reason: str
    closing: Mapping[str, Any] | None = None

    def command(self, row: Row) -> str:
        """Return the command that trains a candidate for good."""
        return "python -m mlframe " + shlex.join([*self.fixed, *row.overrides])


def build(sweep: Mapping[str, Any], jobs: Sequence[Mapping[str, Any]]) -> Board:
    """Judge a sweep.

    Args:
        sweep: the sweep's record.
        jobs: its jobs' records, of any status. Jobs of one `trial` are repeats of one candidate. Two scores belong
            together when they are of the same fold of the same `split` (key of the cut), or of the same `repeat` where
            a job's record names no split. A trial with a pruned or failed job has no row: the sampler was told that it
            is lost, and the mean of its other seeds would be a luckier one.
    """
    done = [job for job in jobs if job["status"] == "finished" and _number(job.get("score")) is not None]
    metric = done[0]["metric"] if done else None
    better: Literal["higher", "lower"] = done[0]["better"] if done else "higher"
    alien = [job for job in done if job["metric"] != metric]
    lost = {job["trial"] for job in jobs if job["status"] in ("pruned", "failed", "killed")}
    scored = [job for job in done if job not in alien and job["trial"] not in lost]
    trials: dict[int, list[Mapping[str, Any]]] = {}
    for job in sorted(scored, key=lambda job: (job["trial"], job.get("repeat") or 0)):
        trials.setdefault(job["trial"], []).append(job)
    varied = _varied([job["values"] for job in jobs])
    rows = [_row(trial, of_it, varied) for trial, of_it in trials.items()]
    rows.sort(key=lambda row: row.mean, reverse=better == "higher")
    rows = [replace(row, rank=place) for place, row in enumerate(rows, 1)]
    compared = _compare(rows, trials)
    proposed, reason = _propose(compared)
    failed = [
        Failure(job["number"], _own(job), job["status"], str(job.get("error") or "it gave no score"), job.get("run"))
        for job in jobs
        if job["status"] in ("failed", "killed") or (job["status"] == "finished" and job not in done)
    ]
    failed += [
        Failure(job["number"], _own(job), job["status"], f"it is scored by {job['metric']}, and the others by {metric}: "
                "no order holds both", job.get("run"))
        for job in alien
    ]  # fmt: skip
    return Board(
        sweep=sweep["id"],
        name=str(sweep.get("name") or ""),
        status=sweep["status"],
        metric=str(metric),
        better=better,
        rows=tuple(compared),
        failed=tuple(failed),
        pruned=sum(job["status"] == "pruned" for job in jobs),
        unfinished=sum(job["status"] in ("waiting", "running") for job in jobs),
        varied=tuple(varied),
        fixed=_fixed(sweep.get("command") or (), jobs),
        proposed=proposed,
        reason=reason,
        closing=sweep.get("closing"),
    )


def _row(trial: int, jobs: Sequence[Mapping[str, Any]], varied: Sequence[str]) -> Row:
    folds, share = _folds(jobs), _share(jobs)
    every = [value for job in jobs for fold in job.get("per_fold") or () if (value := _number(fold)) is not None]
    mean = statistics.fmean(job["score"] for job in jobs)
    std = statistics.stdev(every) if len(every) > 1 else None
    spread = corrected_mean(list(folds.values()), share) if folds and share else None
    reach = (spread.high - spread.low) / 2 if spread and spread.low is not None and spread.high is not None else None
    values = dict(jobs[0]["values"])
    return Row(
        rank=0,
        trial=trial,
        label=_label(values, varied) or "as configured",
        values=values,
        mean=mean,
        std=std,
        low=None if reach is None else mean - reach,
        high=None if reach is None else mean + reach,
        train_seconds=_mean(jobs, "fit_seconds") or _mean(jobs, "seconds"),
        latency_ms=_mean(jobs, "latency_ms"),
        size_bytes=_mean(jobs, "size_bytes"),
        overrides=_own(jobs[0]),
        runs=tuple(job["run"] for job in jobs if job.get("run")),
        error=None if spread is None else spread.error,
    )


def _compare(rows: Sequence[Row], trials: Mapping[int, Sequence[Mapping[str, Any]]]) -> list[Row]:
    """Compare each row with the first."""
    if not rows:
        return []
    best = trials[rows[0].trial]
    found: list[PairedComparison | None] = []
    for row in rows[1:]:
        shares = [share for share in (_share(best), _share(trials[row.trial])) if share]
        pair = _folds(trials[row.trial]), _folds(best)
        found.append(paired_comparison(*pair, statistics.fmean(shares)) if shares else None)
    claims = [i for i, item in enumerate(found) if item is not None and item.p_value is not None]
    adjusted = dict(zip(claims, holm([found[i].p_value for i in claims]), strict=True))  # type: ignore[union-attr, misc]
    compared = [rows[0]]
    for i, (row, item) in enumerate(zip(rows[1:], found, strict=True)):
        p_value = adjusted.get(i)
        compared.append(
            replace(
                row,
                difference=item.value if item else None,
                difference_low=item.low if item else None,
                difference_high=item.high if item else None,
                p_value=p_value,
                tied=item is not None and item.p_value is not None and item.p_value > LEVEL,
            )
        )
    return compared


def _propose(rows: Sequence[Row]) -> tuple[Row | None, str]:
    """Return the quickest of those that are as good as the best, and why."""
    if not rows:
        return None, "no candidate has a score"
    best, others = rows[0], rows[1:]
    if not others:
        return best, "it is the only candidate with a score"
    if all(row.p_value is None for row in others):
        return best, (
            "it has the best score; with so few folds nothing tells which differences are luck "
            "(a splitter with several folds, or repeats, would)"
        )
    # With few folds nearly everything is tied: what is more than one standard error behind is not proposed
    # (the rule of Breiman, Friedman, Olshen and Stone, 1984, for choosing the simplest of equals).
    reach = math.inf if best.error is None else best.error
    tied = [row for row in others if row.tied and row.difference is not None and abs(row.difference) <= reach]
    if not tied:
        return best, "it has the best score, and no other candidate comes within its standard error"
    picked = _cheapest([best, *tied])
    if picked == best:
        one = len(tied) == 1
        count = (
            f"{len(tied)} other candidate{'' if one else 's'} {'comes' if one else 'come'} within its standard error"
        )
        return best, f"it has the best score; {count}, and {'it is not' if one else 'none is'} cheaper"
    ends = (
        f", {picked.difference_low:+.4f} to {picked.difference_high:+.4f}" if picked.difference_low is not None else ""
    )
    return picked, (
        f"it is tied with the best, trial {best.trial} ({picked.difference:+.4f}{ends}), and {_saving(picked, best)}"
    )


def _cheapest(rows: Sequence[Row]) -> Row:
    """Return the one of least latency, then training time, then size; of equals the best."""
    left = list(rows)
    for cost in COSTS:
        known = [value for row in left if (value := getattr(row, cost)) is not None]
        if len(known) == len(left):
            left = [row for row in left if not _cheaper(min(known), getattr(row, cost), cost)]
    return left[0]


def _cheaper(one: float, other: float, cost: str) -> bool:
    """Whether the one costs less than the other by more than measuring it twice would tell."""
    return other > max(one * ALIKE, one + COSTS[cost])


def _saving(picked: Row, best: Row) -> str:
    words: dict[str, tuple[str, Callable[[float], str]]] = {
        "latency_ms": ("answers in {} instead of {}", lambda value: f"{value:.3g} ms"),
        "train_seconds": ("trains in {} instead of {}", lambda value: f"{value:.3g} s"),
        "size_bytes": ("takes {} instead of {}", size_text),
    }
    for cost, (text, told) in words.items():
        own, other = getattr(picked, cost), getattr(best, cost)
        if own is not None and other is not None and _cheaper(own, other, cost):
            return text.format(told(own), told(other))
    return "costs no more"


def size_text(size: float) -> str:
    """Return a size in the unit that suits it."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


def _folds(jobs: Sequence[Mapping[str, Any]]) -> dict[Any, float]:
    """Return the score of each fold; repeats that judged the same fold become one, their mean."""
    found: dict[Any, list[float]] = {}
    for job in jobs:
        cut = job.get("split") or job.get("repeat") or 0
        for fold, score in enumerate(job.get("per_fold") or ()):
            if (value := _number(score)) is not None:
                found.setdefault((cut, fold), []).append(value)
    return {key: statistics.fmean(values) for key, values in found.items()}


def _share(jobs: Sequence[Mapping[str, Any]]) -> float | None:
    share = _mean(jobs, "test_share")
    return share if share is not None and 0 < share < 1 else None


def _mean(jobs: Sequence[Mapping[str, Any]], name: str) -> float | None:
    known = [value for job in jobs if (value := _number(job.get(name))) is not None]
    return statistics.fmean(known) if known else None


def _number(value: Any) -> float | None:
    return float(value) if is_number(value) and math.isfinite(value) else None


def is_number(value: Any) -> bool:
    """Whether a swept value is a number; true and false are words."""
    return isinstance(value, int | float) and not isinstance(value, bool)


# ------------------------------------------------------------------------------------------------ words and commands


def _varied(values: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the keys whose values differ, or that some candidates lack, in the order in which they appear."""
    keys = dict.fromkeys(key for item in values for key in item)
    return [key for key in keys if len({tell(item[key]) if key in item else None for item in values}) > 1]


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Return the last part of each key, or all of it where two keys end alike."""
    ends = [key.rpartition(".")[2] for key in keys]
    return {key: end if ends.count(end) == 1 else key for key, end in zip(keys, ends, strict=True)}


def _label(values: Mapping[str, Any], varied: Sequence[str]) -> str:
    names = short_names([key for key in varied if key in values])
    # A group's choice speaks for itself; a value needs its name.
    return ", ".join(
        tell(values[key]) if _is_choice(key, values[key]) else f"{name}={tell(values[key])}"
        for key, name in names.items()
    )


def _is_choice(key: str, value: Any) -> bool:
    return "." not in key and isinstance(value, str)


def tell(value: Any) -> str:
    """Return a swept value as text."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _own(job: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(
        line for line in job["overrides"] if _key(line).partition(".")[0].partition("/")[0] not in NOT_THE_CANDIDATE
    )


def _fixed(command: Sequence[str], jobs: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the overrides of the command that are no flags, no settings of the sweep and not swept."""
    from mlframe.config.compose import parse

    own = {_key(line) for job in jobs for line in job["overrides"]}
    plain = _own({"overrides": [word for word in command if not word.startswith("-")]})
    kept = [word for word in plain if _key(word) not in own]
    parsed, errors = parse(kept)
    if errors:
        return tuple(kept)
    return tuple(word for word, read in zip(kept, parsed, strict=True) if not read.is_sweep_override())


def _key(line: str) -> str:
    return line.partition("=")[0].lstrip("+~")
