"""Whether a model errs more than it did at first: River's detectors on the stream of its errors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mlframe.contracts import Alarm, Figure, Interval, Monitor, Observation, Reference, Window
from mlframe.errors import ParameterError, UnknownNameError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ErrorMonitor"]

Array = npt.NDArray[Any]

NAMES = ("adwin", "kswin", "page_hinkley", "ddm", "eddm", "hddm_a", "hddm_w")
SURE = 3.0
"""Standard errors from which a rise is told."""
FIGURES = (
    Figure("error_rise", "lower", summary="Mean error above that of the version's first labelled rows", measured=True),
)


class ErrorMonitor(Monitor):
    """Let River's detectors read the errors of labelled predictions in order of time, on from window to window.

    Detectors look again after each row, so one alone speaks up sooner or later where nothing has changed. An alarm needs
    `agree` of them, and a mean error that is above that of the version's first labelled rows beyond doubt and by more than `margin`;
    it stays until that is over. What a detector knows cannot be written down, so the newest errors are kept and read again.

    Args:
        detectors: which; of `adwin`, `kswin`, `page_hinkley` (read losses within 0..1), `ddm`, `eddm`, `hddm_a`, `hddm_w` (read
            wrong answers).
        agree: so many of them must have spoken.
        margin: share of the first mean error that a rise must exceed.
        least: fewest labelled rows, of the first ones and of a window.
        stream: labelled rows of a window that are read; of more, a fixed sample.
        memory: newest errors that the next window's detectors begin with.
        seed: seed of the one that draws (KSWIN).

    Raises:
        ParameterError: a number is out of range, or no detector is named so.
    """

    def __init__(
        self,
        detectors: Sequence[str] = ("adwin", "page_hinkley", "ddm", "hddm_a", "hddm_w"),
        agree: int = 2,
        margin: float = 0.1,
        least: int = 200,
        stream: int = 20_000,
        memory: int = 1000,
        seed: int = 0,
    ) -> None:
        for name in detectors:
            if name not in NAMES:
                raise UnknownNameError.from_name("detector", str(name), NAMES, where="monitors.river_errors.detectors")
        for key, value, low in (
            ("margin", margin, 0),
            ("least", least, 50),
            ("stream", stream, 50),
            ("memory", memory, 50),
        ):
            if not value >= low:
                raise ParameterError(
                    f"river_errors: {key} must be {low} or more", value=value, where=f"monitors.river_errors.{key}"
                )
        if not 1 <= agree <= len(set(detectors)):
            hint = f"1 to {len(set(detectors))}, or name more detectors"
            raise ParameterError(
                "river_errors: more detectors must agree than there are",
                value=agree,
                where="monitors.river_errors.agree",
                hint=hint,
            )
        self.detectors, self.agree, self.margin, self.least = tuple(dict.fromkeys(detectors)), agree, margin, least
        self.stream, self.memory, self.seed = stream, memory, seed

    def declares(self) -> Sequence[Figure]:
        """Return the rise of the mean error."""
        return FIGURES

    def observe(self, reference: Reference, window: Window) -> Observation:
        """Read a window's errors; the first labelled rows of a version tell what is usual."""
        frame, error, wrong = _errors(self._labelled(reference, window), reference)
        mine = [row for row in window.before if row.get("version") == reference.reference and row.get("state")]
        state: dict[str, Any] = dict(mine[-1]["state"]) if mine else {}
        if not len(error):
            return Observation(notes=["no label has come yet, so nothing can be said of errors"], state=state or None)
        if "mean" not in state:
            return self._first(error, state)
        wrong = error > state["edge"] if wrong is None else wrong
        loss = np.clip(error / state["scale"], 0.0, 1.0)
        seen, since = self._read(frame["time"], loss, wrong, state)
        kept = {
            "loss": [*state["loss"], *loss.round(4).tolist()],
            "wrong": [*state["wrong"], *wrong.astype(int).tolist()],
        }
        state |= {key: values[-self.memory :] for key, values in kept.items()}
        table = _table(seen)
        if len(error) < self.least:
            note = f"{len(error):,} labelled rows are few; a rise is judged from {self.least:,} on"
            return Observation(tables={"detectors": table}, notes=[note], state=state)
        rise = float(error.mean()) - state["mean"]
        spread = math.sqrt(float(error.var()) / len(error) + state["variance"] / state["count"])
        figures = {"error_rise": Interval(rise, rise - 1.96 * spread, rise + 1.96 * spread)}
        if rise <= SURE * spread and (rise <= 1.96 * spread or not state["spoke"]):
            state |= {"spoke": {}}  # as good as at first: whoever spoke was wrong, or it is over
        elif len(state["spoke"]) >= self.agree and rise > SURE * spread and rise > self.margin * state["mean"]:
            return Observation(
                figures,
                [self._alarm(reference, state, rise, spread, len(error), since)],
                {"detectors": table},
                state=state,
            )
        return Observation(figures, tables={"detectors": table}, state=state)

    # ------------------------------------------------------------------------------------------------ parts

    def _labelled(self, reference: Reference, window: Window) -> pl.DataFrame:
        """Collect what the version answered as the champion and is known now, in order of time."""
        import polars as pl

        told = window.feedback.filter(pl.col("label").is_not_null())
        count = int(told.select(pl.len()).collect(engine="streaming").item())
        part = max(1, -(-count // self.stream))
        chosen = pl.struct("request_id", pl.col("row").cast(pl.UInt32)).hash(seed=7) % part == 0
        outputs = ["y_pred", *(f"p_{name}" for name in reference.classes)]
        own = pl.col("version").is_null() | (pl.col("version") == reference.reference)
        asked = window.predictions.filter(own & (pl.col("role").is_null() | (pl.col("role") == "champion")), chosen)
        known = told.filter(chosen).select("request_id", pl.col("row").cast(pl.UInt32), "label")
        asked = asked.select("request_id", pl.col("row").cast(pl.UInt32), "time", *outputs)
        found = asked.join(known, on=["request_id", "row"], how="inner").collect(engine="streaming")
        return found.sort("time", "request_id", "row", nulls_last=True)

    def _first(self, error: Array, state: dict[str, Any]) -> Observation:
        """Keep what is usual, as soon as enough labelled rows have come."""
        early = [*state.get("early", ()), *error.round(6).tolist()]
        if len(early) < self.least:
            note = f"{len(early):,} of the {self.least:,} labelled rows that tell what is usual have come"
            return Observation(notes=[note], state={"early": early})
        values = np.array(early)
        edge = float(np.quantile(values, 0.9))
        made = {
            "mean": float(values.mean()), "variance": float(values.var()), "count": len(values),
            "edge": edge, "scale": max(float(values.max()), 2 * edge, 1e-12), "spoke": {}, "loss": [], "wrong": [],
        }  # fmt: skip
        made["spread"] = max(float(np.std(np.clip(values / made["scale"], 0, 1))), 1e-6)
        note = f"the first {len(values):,} labelled rows of this version tell what is usual: a mean error of {made['mean']:.4g}"
        return Observation(notes=[note], state=made)

    def _read(
        self, times: pl.Series, loss: Array, wrong: Array, state: dict[str, Any]
    ) -> tuple[list[dict[str, Any]], datetime | None]:
        """Let the detectors read on; `state["spoke"]` holds who has spoken, and when first. Return when enough had."""
        from mlframe_river.detecting import DETECTORS, signals

        old = len(state["loss"])
        whole = {"loss": np.array([*state["loss"], *loss]), "wrong": np.array([*state["wrong"], *wrong], dtype=bool)}
        seen: list[dict[str, Any]] = []
        spoke = dict(state["spoke"])
        for name in self.detectors:
            reads = DETECTORS[name].reads
            found = [place - old for place in signals(name, whole[reads], spread=state["spread"], seed=self.seed)]
            found = [place for place in found if place >= 0]
            first = times[found[0]] if found else None
            if found and name not in spoke:
                spoke[name] = None if first is None else first.isoformat()
            seen.append({"detector": name, "reads": reads, "signals": len(found), "first": first})
        state["spoke"] = spoke
        moments = sorted(moment for moment in spoke.values() if moment is not None)
        return seen, datetime.fromisoformat(moments[self.agree - 1]) if len(moments) >= self.agree else None

    def _alarm(
        self,
        reference: Reference,
        state: Mapping[str, Any],
        rise: float,
        spread: float,
        rows: int,
        since: datetime | None,
    ) -> Alarm:
        what = "squared error of the probabilities" if reference.classes else "absolute error"
        names = sorted(state["spoke"])
        return Alarm(
            "river_errors/rise",
            "problem" if rise > 5 * self.margin * state["mean"] else "warning",
            f"The mean {what} of {rows:,} labelled rows is {state['mean'] + rise:.4g}, and was {state['mean']:.4g} at first (a rise of"
            f" {rise - 1.96 * spread:.4g} to {rise + 1.96 * spread:.4g}); {', '.join(names)} of {len(self.detectors)} detectors say so.",
            {"rows": rows, "first": state["mean"], "rise": rise, "error": spread, "detectors": dict(state["spoke"])},
            "what holds for a row has changed, or rows have become harder; the monitor concept tells one from the other",
            "look at the monitors concept and drift, then train again on rows from after the change",
            since=since,
        )


def _errors(frame: pl.DataFrame, reference: Reference) -> tuple[pl.DataFrame, Array, Array | None]:
    """Return the rows whose answer and label can be read, each one's error, and for classes whether the answer was wrong.

    The error is half the squared error of the probabilities, within 0..1, or the absolute error.
    """
    import polars as pl

    if not reference.classes:
        error = (pl.col("y_pred").cast(pl.Float64, strict=False) - pl.col("label").cast(pl.Float64, strict=False)).abs()
        known = pl.lit(True)
    else:
        label = pl.col("label").cast(pl.String)
        known = label.is_in(list(reference.classes)) & pl.col("y_pred").is_not_null()
        error = sum(
            (
                (pl.col(f"p_{name}").cast(pl.Float64) - (label == name).cast(pl.Float64)) ** 2 / 2
                for name in reference.classes
            ),
            start=pl.lit(0.0),
        )
    found = frame.with_columns(error=error).filter(known & pl.col("error").is_finite())
    if not reference.classes:
        return found, found["error"].to_numpy(), None
    wrong = found["y_pred"].cast(pl.String) != found["label"].cast(pl.String)
    return found, found["error"].to_numpy(), wrong.to_numpy()


def _table(seen: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    import polars as pl

    kinds: dict[str, Any] = {
        "detector": pl.String,
        "reads": pl.String,
        "signals": pl.Int64,
        "first": pl.Datetime("us", "UTC"),
    }
    return pl.DataFrame(list(seen), schema=kinds)
