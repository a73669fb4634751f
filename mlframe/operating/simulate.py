"""Replays a dated table as a stream: what would static, scheduled, triggered and online training have given?

Every row is predicted before its label is learned, and labels are known only after a delay (prequential evaluation: Gama,
Sebastião and Rodrigues 2013, https://doi.org/10.1007/s10994-012-5320-9). A look in the middle of a stream sees what could
have been seen then. Training takes no time of the stream; its cost is counted apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mlframe.errors import DataError
from mlframe.operating.policy import Policy
from mlframe.operating.simulate_alarms import Watch
from mlframe.operating.simulate_learners import Learner, Online
from mlframe.operating.triggers import Situation
from mlframe.operating.windows import micros_of, moment_of
from mlframe.pipeline import Learning
from mlframe.table import Table

__all__ = ["LOWER", "Outcome", "Stream", "figure_of", "last_label", "run_online", "run_policy"]

Array = npt.NDArray[Any]

DAY = 86_400_000_000
KEPT = 60
"""Windows that a policy sees."""
LOWER = ("log_loss", "mae", "rmse")


@dataclass(frozen=True)
class Stream:
    """A table in the order of time, and when its labels become known.

    Args:
        table: the rows, the oldest first.
        target: codes or values, shape (rows,).
        weight: shape (rows,).
        learning: what is learned.
        times: microseconds since 1970 (UTC), shape (rows,).
        delay: microseconds that a label takes.
        begin: the first moment that is judged; what was known then is what every strategy begins with.
        look: microseconds between two looks.
    """

    table: Table
    target: Array
    weight: Array
    learning: Learning
    times: Array
    delay: int
    begin: int
    look: int

    @classmethod
    def of(
        cls,
        table: Table,
        labels: pl.DataFrame,
        learning: Learning,
        *,
        start: float,
        delay: float,
        look: float,
        shuffle: int | None = None,
    ) -> Stream:
        """Put rows in order.

        Args:
            table: the rows; one column has the role time.
            labels: target and weight of each row.
            learning: what is learned.
            start: seconds of the first stretch.
            delay: seconds that a label takes.
            look: seconds between two looks.
            shuffle: a seed that deals rows anew to the moments, so that nothing changes along time; None keeps them.

        Raises:
            DataError: no row has a time, or nothing is left to be judged.
        """
        name = table.one("time")
        if name is None:
            hint = "give one column the role 'time': data.columns.<name>={role: time, kind: datetime}"
            raise DataError(
                "Nothing tells when the rows came, so they cannot be replayed", where="data.columns", hint=hint
            )
        moments = table.frame[name]
        if moments.null_count() or not moments.dtype.is_temporal():
            hint = f"leave rows without a time out, and read the column as a date: '+data.source.times.{name}=\"%Y-%m-%d\"'"
            raise DataError(
                f"The column {name!r} does not tell for every row when it came", where="data.columns", hint=hint
            )
        if getattr(moments.dtype, "time_zone", None):
            moments = moments.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        stamps = moments.cast(pl.Datetime("us")).to_physical().to_numpy()
        order = np.argsort(stamps, kind="stable")
        times = stamps[order]
        if shuffle is not None:
            order = np.random.default_rng(shuffle).permutation(order)
        begin = int(times[0] + start * 1e6)
        if begin >= times[-1]:
            span = (int(times[-1]) - int(times[0])) / DAY
            raise DataError(
                f"The rows span {span:.4g} days, and all of them lie in the first stretch",
                value=f"{start / 86400:g}d",
                where="simulate.start",
                hint="give a shorter stretch to learn from first, such as a fifth of that",
            )
        codes = learning.codes(labels["target"])[order]
        weight = labels["weight"].to_numpy()[order]
        return cls(table.take(order), codes, weight, learning, times, int(delay * 1e6), begin, max(1, int(look * 1e6)))

    @property
    def first(self) -> int:
        """Position of the first row that is judged."""
        return int(np.searchsorted(self.times, self.begin, "left"))

    def known(self, moment: int) -> int:
        """Return how many of the first labels are known at a moment; a row's own is never known when it comes."""
        told = np.searchsorted(self.times, moment - self.delay, "right")
        return int(min(told, np.searchsorted(self.times, moment, "left")))

    def looks(self) -> list[int]:
        """Return the moments at which one looks, from `begin` to the first after the last row."""
        return list(range(self.begin, int(self.times[-1]) + self.look + 1, self.look))


@dataclass
class Outcome:
    """What a strategy gave.

    Args:
        name: of the strategy.
        kind: baseline | static | scheduled | triggered | online.
        outputs: codes (argmax) or values for each judged row, shape (judged rows,).
        chance: probability of the true class for each judged row, NaN where there is none.
        trainings: moment, rows and reasons of each training, the first one too.
        alarms: moment, key, severity and text of each alarm that was new.
        seconds: what learning took (featurizing included).
        predicting: seconds that predicting took.
        lessons: single labels learned from, for online learners.
        notes: what a reader must know.
    """

    name: str
    kind: str
    outputs: Array
    chance: Array
    trainings: list[dict[str, Any]] = field(default_factory=list)
    alarms: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    predicting: float = 0.0
    lessons: int = 0
    notes: list[str] = field(default_factory=list)

    def figures(self, stream: Stream, rows: slice | Array = slice(None)) -> dict[str, dict[str, float | None]]:
        """Return figures of some of the judged rows."""
        return figure_of(stream, self.outputs[rows], self.chance[rows], stream.target[stream.first :][rows])


def figure_of(stream: Stream, outputs: Array, chance: Array, truth: Array) -> dict[str, dict[str, float | None]]:
    """Return accuracy and log loss, or mean absolute and root mean squared error, with 95 % intervals.

    The intervals are those of rows that do not depend on one another (Wilson's for the accuracy).
    """
    rows = len(truth)
    if not rows:
        return {}
    if stream.learning.classes:
        share = float((outputs == truth).mean())
        z, near = 1.96, 1 + 1.96**2 / rows
        middle = (share + z * z / (2 * rows)) / near
        half = z * float(np.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))) / near
        found: dict[str, dict[str, float | None]]
        found = {"accuracy": {"value": share, "low": middle - half, "high": middle + half}}
        known = chance[np.isfinite(chance)]
        if len(known):
            found["log_loss"] = _mean(-np.log(np.clip(known, 1e-15, 1.0)))
        return found
    errors = np.abs(outputs - truth)
    squared = _mean(errors**2)
    root = {name: None if value is None else float(np.sqrt(max(0.0, value))) for name, value in squared.items()}
    return {"mae": _mean(errors), "rmse": root}


def _mean(values: Array) -> dict[str, float | None]:
    mean = float(values.mean())
    if len(values) < 2:
        return {"value": mean, "low": None, "high": None}
    half = 1.96 * float(values.std(ddof=1)) / float(np.sqrt(len(values)))
    return {"value": mean, "low": mean - half, "high": mean + half}


def last_label(stream: Stream) -> Outcome:
    """Predict the latest label that is known: the baseline of data whose labels change slowly."""
    places = np.array([stream.known(int(moment)) for moment in stream.times[stream.first :]], dtype=np.intp)
    if not places[0]:
        raise DataError("No label is known when the first row is judged", where="simulate.start", hint=_longer(stream))
    outputs = stream.target[places - 1]
    return Outcome("no_change", "baseline", outputs, np.full(len(outputs), np.nan))


def run_policy(
    stream: Stream, name: str, kind: str, policy: Policy, learner: Learner, watch: Watch, tell: Callable[[float], None]
) -> Outcome:
    """Replay the stream under an update policy, the very one that `operate` uses.

    Args:
        stream: the rows.
        name: of the strategy.
        kind: of the strategy, for people.
        policy: decides at each look.
        learner: fits and predicts.
        watch: looks for changes.
        tell: told how far it has come, 0 to 1.

    Returns:
        What it gave.
    """
    classes, first = stream.learning.classes, stream.first
    judged = len(stream.times) - first
    done = Outcome(name, kind, np.zeros(judged, dtype=np.intp if classes else np.float64), np.full(judged, np.nan))
    versions = np.full(len(stream.times), -1)
    version, windows, updated = 0, [], None
    looks = stream.looks()
    trained = counted = looks[0]
    rows = np.arange(stream.known(trained))
    _train(stream, done, learner, rows, trained, ["the beginning"], warm=False)
    watch.begin(stream.table.frame[rows])
    for number, (since, until) in enumerate(pairwise(looks)):
        a, b = (int(np.searchsorted(stream.times, moment, "left")) for moment in (since, until))
        if b > a:
            began = time.perf_counter()
            outputs, chance = learner.predict(stream.table.frame[a:b], stream.target[a:b])
            done.predicting += time.perf_counter() - began
            done.outputs[a - first : b - first], done.chance[a - first : b - first] = outputs, chance
            versions[a:b] = version
        if number + 2 == len(looks) or (not policy.triggers and not watch.on):
            continue
        told = np.arange(max(stream.known(since), first), max(stream.known(until), first))
        told = told[versions[told] == version]  # answers of an earlier model say nothing of this one
        now = moment_of(until)
        record = figure_of(stream, done.outputs[told - first], done.chance[told - first], stream.target[told])
        if record:
            windows.append(
                {
                    "since": moment_of(since),
                    "until": now,
                    "version": str(version),
                    "rows": len(told),
                    "record": {"figures": record},
                }
            )
        errors = _errors(stream, done.outputs[told - first], stream.target[told])
        alarms = watch.look(errors, stream.table.frame[a:b], now, str(version))
        done.alarms += [{"when": now, "version": version, **alarm} for alarm in alarms if alarm["first"] == now]
        count = stream.known(until)
        situation = Situation(
            now=now,
            trained=moment_of(trained),
            updated=updated,
            champion=str(version),
            new_rows=b - int(np.searchsorted(stream.times, counted, "left")),
            new_labels=count - stream.known(counted),
            alarms=[{**alarm, "record": {**alarm["record"], "version": str(version)}} for alarm in alarms],
            windows=windows[-KEPT:],
            lower=LOWER,
        )
        fired = policy.decide(situation)
        if fired:
            rows = _window(stream, policy, count, until, counted)
            warm = policy.how == "warm"
            if warm:
                rows = rows[rows >= stream.known(counted)]
            if _train(stream, done, learner, rows, until, [one.text for one in fired], warm=warm):
                version += 1
                trained, windows = until, []
                watch.begin(stream.table.frame[rows] if not warm else stream.table.frame[:count])
            counted, updated = until, now
        if number % 20 == 0:
            tell(number / len(looks))
    return done


def run_online(stream: Stream, name: str, learner: Online, tell: Callable[[float], None]) -> Outcome:
    """Replay the stream with a model that learns from each label as soon as it is known.

    The featurizer stays as the first stretch made it; the model begins with what was known then.
    """
    first, judged = stream.first, len(stream.times) - stream.first
    classes = stream.learning.classes
    done = Outcome(name, "online", np.zeros(judged, dtype=np.intp if classes else np.float64), np.full(judged, np.nan))
    rows = np.arange(stream.known(stream.begin))
    _train(stream, done, learner, rows, stream.begin, ["the beginning"], warm=False)
    began = time.perf_counter()
    learner.prepare(stream.table.frame)
    done.seconds += time.perf_counter() - began
    places = np.array([stream.known(int(moment)) for moment in stream.times], dtype=np.intp)
    told = len(rows)
    at = first
    while at < len(stream.times):
        end = int(np.searchsorted(places, places[at], "right"))  # rows that come before the next label
        began = time.perf_counter()
        if places[at] > told:
            learner.learn(
                np.arange(told, places[at]), stream.target[told : places[at]], stream.weight[told : places[at]]
            )
            done.lessons += int(places[at]) - told
            told = int(places[at])
        middle = time.perf_counter()
        outputs, chance = learner.answer(at, end, stream.target[at:end])
        done.seconds += middle - began
        done.predicting += time.perf_counter() - middle
        done.outputs[at - first : end - first], done.chance[at - first : end - first] = outputs, chance
        at = end
        if at % 1000 < end - at + 1:
            tell(at / len(stream.times))
    return done


def _train(
    stream: Stream,
    done: Outcome,
    learner: Learner | Online,
    rows: Array,
    moment: int,
    why: Sequence[str],
    *,
    warm: bool,
) -> bool:
    """Train on some rows; False where they hold nothing to learn."""
    if not len(rows) or (stream.learning.classes and len(np.unique(stream.target[rows])) < 2 and not warm):
        if not done.trainings:
            raise DataError(
                f"{len(rows):,} labels are known when the first row is judged, and they hold nothing to learn",
                where="simulate.start",
                hint=_longer(stream),
            )
        done.notes.append(f"{moment_of(moment):%Y-%m-%d}: {len(rows):,} rows of one class, nothing was trained")
        return False
    began = time.perf_counter()
    learner.fit(rows, warm=warm)
    seconds = time.perf_counter() - began
    done.seconds += seconds
    done.trainings.append({"when": moment_of(moment), "rows": len(rows), "why": list(why), "seconds": seconds})
    return True


def _window(stream: Stream, policy: Policy, count: int, now: int, last: int) -> Array:
    """Return the positions of the labelled rows that an update learns from."""
    rows = np.arange(count)
    since = policy.window.since(moment_of(now), moment_of(last))
    if policy.window.kind == "since_last":  # by when the label came: a late one is new
        return rows[stream.known(last) :]
    if since is not None:
        return rows[int(np.searchsorted(stream.times, micros_of(since), "left")) :]
    return rows if policy.window.rows is None else rows[-policy.window.rows :]


def _errors(stream: Stream, outputs: Array, truth: Array) -> Array:
    """Return an error between 0 and 1 for each row; of values, the absolute error in units of three training deviations."""
    if stream.learning.classes:
        return np.asarray(outputs != truth, dtype=np.float64)
    scale = 3 * float(stream.target[: stream.first].std()) or 1.0
    return np.asarray(np.clip(np.abs(outputs - truth) / scale, 0.0, 1.0))


def _longer(stream: Stream) -> str:
    return f"give a longer first stretch than the delay of {stream.delay / DAY:g} days, with rows of every class"


def shortened(table: Table, labels: pl.DataFrame, rows: int | None) -> tuple[Table, pl.DataFrame]:
    """Return the first rows in time; None returns all."""
    name = table.one("time")
    if rows is None or name is None or rows >= len(table):
        return table, labels
    order = np.sort(table.frame[name].arg_sort().to_numpy()[:rows])
    return replace(table, frame=table.frame[order]), labels[order]
