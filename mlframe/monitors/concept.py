"""Whether what holds for the same rows has changed: P(y|x), told apart from other rows, P(x)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from mlframe.charts.svg import number
from mlframe.contracts import Alarm, Figure, Interval, Monitor, Observation, Reference, Window
from mlframe.monitors.known_labels import Known, known_rows, positive_number
from mlframe.stats.detectors import Ddm, PageHinkley, StreamAdwin

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ConceptMonitor"]

Array = npt.NDArray[Any]

FOLDS = 5
MOST_WEIGHT = 20.0
SURE = 3.0
"""Standard errors from which a change is told."""
AGAIN = 200
"""Windows after which kept rows are written down once more: a monitor is shown the 500 newest windows only."""
UNLIKE = ("text", "datetime")
"""Kinds of columns that are not compared: words, and dates, which move on by themselves."""
CODES = 16
"""Names of a categorical column are told apart by a number of so many, the same in every window."""

FIGURES = (
    Figure("loss_change", "lower", summary="Mean loss above that of the version's first labelled rows", measured=True),
    Figure("loss_change_rows", "lower", summary="The part of it that comes from other rows: P(x)", measured=True),
    Figure(
        "loss_change_concept", "lower", summary="The part of it that comes from another relation: P(y|x)", measured=True
    ),
    Figure(
        "comparable_share",
        "higher",
        summary="Effective sample size of the comparison, as a share",
        measured=True,
        low=0,
        high=1,
    ),
)


class ConceptMonitor(Monitor):
    """Compare labelled rows with the first labelled rows of the same version, as if both were the same kind of rows.

    The change of the mean loss is split in two. The loss that the old relation would have on the new rows is estimated doubly
    robust: a model of the loss, fitted on the old rows, corrected by density ratios (both cross-fitted); it is right where one
    of the two is. What is left is another relation. Beside it three detectors read the stream of losses in order of time and go
    on from window to window: they witness since when, and only raise an alarm together with the comparison.

    Args:
        reference: labelled rows of the version's first windows that are kept to compare with.
        sample: labelled rows of a window that are compared with them.
        stream: labelled rows of a window that the detectors read; of more, a fixed sample.
        columns: input columns that the comparison sees, the most important ones first; no text, no dates.
        margin: share of the old loss that a change must exceed.
        overlap: least effective sample size, as a share, at which the two kinds of rows can be compared.
        least: fewest labelled rows, of either.
        seed: seed of folds and models.

    Raises:
        ParameterError: a number is out of range.

    Source: V. Chernozhukov et al. (2018), Double/debiased machine learning; S. Bickel, M. Brückner and T. Scheffer (2009),
    Discriminative learning under covariate shift (density ratios by a classifier).
    """

    def __init__(
        self,
        reference: int = 1000,
        sample: int = 4000,
        stream: int = 100_000,
        columns: int = 8,
        margin: float = 0.1,
        overlap: float = 0.1,
        least: int = 200,
        seed: int = 0,
    ) -> None:
        positive_number("concept", 50, reference=reference, sample=sample, stream=stream, least=least)
        positive_number("concept", 0, columns=columns, margin=margin, overlap=overlap, seed=seed)
        self.reference, self.sample, self.stream, self.columns = reference, sample, stream, columns
        self.margin, self.overlap, self.least, self.seed = margin, overlap, least, seed

    def declares(self) -> Sequence[Figure]:
        """Return the change of the loss, its two parts, and how comparable the rows are."""
        return FIGURES

    def observe(self, reference: Reference, window: Window) -> Observation:
        """Compare a window's labelled rows with the kept ones; the first windows give the rows to keep."""
        chosen = self._chosen(reference, window)
        known = known_rows(reference, window, extra=[str(column["logged"]) for column in chosen], most=self.stream)
        mine = [row for row in window.before if row.get("version") == reference.reference and row.get("state")]
        latest = next((row["state"]["detectors"] for row in reversed(mine) if row["state"].get("detectors")), None)
        names = [str(column["name"]) for column in chosen]
        kept, again = _kept(reference, window, names)
        state: dict[str, Any] = {}
        if again:
            state = {"kept": {"columns": names, "rows": kept, "whole": True}, "detectors": latest}
        if not len(known):
            note = "no label has come yet, so nothing can be said of the relation of rows and labels"
            return Observation(notes=[note], state=state or None)
        numbers = _numbers(known, chosen, reference)
        loss = known.losses(reference.task)
        if len(kept) < min(self.reference, self.least):
            return self._first(known, numbers, loss, names, kept, again, latest)
        old = np.array(kept[: self.reference], dtype=np.float64)
        x_old, l_old = old[:, :-1], old[:, -1]
        rng = np.random.default_rng(self.seed)
        at = np.sort(rng.permutation(len(known))[: self.sample])
        model = _LossModel(x_old, l_old, self.seed)
        expected = model(numbers)
        seen, state["detectors"] = self._detect(known, loss, loss - expected, l_old, latest)
        table = _table(seen)
        if len(at) < self.least:
            note = f"{len(known):,} labelled rows are few; the comparison needs {self.least:,}"
            return Observation(tables={"detectors": table}, notes=[note], state=state)
        split = _decompose(x_old, l_old, model.out_of_fold, numbers[at], loss[at], expected[at], self.seed)
        figures = {
            "loss_change": Interval(*_ends(split["change"], split["change_error"])),
            "comparable_share": Interval(min(1.0, split["overlap"])),
        }
        notes = [
            f"compared with {len(old):,} labelled rows of {reference.reference}'s first windows by {', '.join([*names, 'the answer'])};"
            " a relation that changes only with columns that are not among these cannot be told from other rows"
        ]
        if split["overlap"] < self.overlap:
            notes.append(
                f"the rows are too unlike the old ones to compare (effective sample size {split['overlap']:.0%} of"
                f" {len(old):,}): whether the relation has changed cannot be told"
            )
            return Observation(figures, tables={"detectors": table}, notes=notes, state=state)
        figures["loss_change_rows"] = Interval(*_ends(split["rows"], split["rows_error"]))
        figures["loss_change_concept"] = Interval(*_ends(split["concept"], split["concept_error"]))
        alarms = self._alarms(reference, split, seen, len(at), float(l_old.mean()))
        if not alarms and split["change"] > SURE * split["change_error"] and split["rows"] > split["concept"]:
            notes.append("the loss is higher because the rows are others: what holds for a row seems to hold still")
        return Observation(figures, alarms, {"detectors": table}, notes=notes, state=state)

    # ------------------------------------------------------------------------------------------------ parts

    def _chosen(self, reference: Reference, window: Window) -> list[Mapping[str, Any]]:
        """Return the input columns that are compared: those that predictions depend on most."""
        have = window.predictions.collect_schema().names()
        importance = reference.baseline.get("importance") or {}
        columns: list[Mapping[str, Any]] = [{**c, "logged": c.get("logged", c["name"])} for c in reference.inputs]
        usable = [
            c for c in columns if c["logged"] in have and c["kind"] not in UNLIKE and "pii" not in (c.get("tags") or ())
        ]
        usable.sort(key=lambda c: -float(importance.get(c["name"], 0.0)))  # stable: the table's order among equals
        return usable[: self.columns]

    def _first(
        self,
        known: Known,
        numbers: Array,
        loss: Array,
        names: list[str],
        kept: list[list[float]],
        again: bool,
        latest: Mapping[str, Any] | None,
    ) -> Observation:
        """Keep labelled rows of a first window."""
        wanted = self.reference - len(kept)
        at = np.sort(np.random.default_rng(self.seed).permutation(len(known))[:wanted])
        lines = np.column_stack([numbers[at], loss[at]])
        rows = [[float(f"{value:.6g}") for value in line] for line in np.nan_to_num(lines, nan=-1e9).tolist()]
        note = f"the first {len(kept) + len(at):,} labelled rows of this version are kept to compare later ones with"
        part = {"columns": names, "rows": [*kept, *rows] if again else rows, "whole": again}
        return Observation(notes=[note], state={"kept": part, "detectors": latest})

    def _detect(
        self, known: Known, loss: Array, excess: Array, old: Array, latest: Mapping[str, Any] | None
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Run the detectors on, in order of time."""
        edge = float(np.quantile(old, 0.9))
        scale = 2 * max(float(old.max()), 1e-12)
        level = np.clip(0.5 + excess / scale, 0.0, 1.0)
        wrong = known.y != known.scores.predicted if known.scores.proba is not None else loss > edge
        if latest is None:
            spread = max(float(np.std(level)), 1e-6)
            adwin, ddm = StreamAdwin(), Ddm()
            hinkley = PageHinkley(delta=spread / 4, threshold=15 * spread)
        else:
            adwin, ddm = StreamAdwin.from_record(latest["adwin"]), Ddm.from_record(latest["ddm"])
            hinkley = PageHinkley.from_record(latest["page_hinkley"])
        times = known.frame["time"].to_list()

        def moment(place: int) -> datetime | None:
            return times[max(0, place)] if times else None

        changes = [change for change in adwin.changes(level) if change[2] > change[1]]
        places = {
            "adwin": [change[0] for change in changes],
            "ddm": ddm.update(wrong),
            "page_hinkley": hinkley.update(level),
        }
        reads = {
            "adwin": "loss above what such rows had",
            "ddm": "wrong answers" if known.scores.proba is not None else "errors above nine of ten old ones",
            "page_hinkley": "loss above what such rows had",
        }
        seen = [
            {
                "detector": name,
                "reads": reads[name],
                "signals": len(found),
                "first": moment(found[0]) if found else None,
            }
            for name, found in places.items()
        ]
        records = {"adwin": adwin.record(), "ddm": ddm.record(), "page_hinkley": hinkley.record()}
        return seen, records

    def _alarms(
        self, reference: Reference, split: Mapping[str, float], seen: Sequence[Mapping[str, Any]], rows: int, old: float
    ) -> list[Alarm]:
        part, error = split["concept"], split["concept_error"]
        witnesses = [one for one in seen if one["signals"] and one["detector"] != "ddm"]
        sure = part > SURE * error or (part > 2 * error and witnesses)
        if not sure or part - 1.96 * error <= 0 or part <= self.margin * old:
            return []
        firsts = [one["first"] for one in witnesses if one["first"] is not None]
        what = "squared error of the probabilities" if reference.classes else "absolute error"
        return [
            Alarm(
                "concept/relation",
                "problem" if part > 5 * self.margin * old else "warning",
                f"The mean {what} has grown from {number(old)} by {number(split['change'])} on {rows:,} labelled rows; {number(part)} of it"
                f" ({number(part - 1.96 * error)} to {number(part + 1.96 * error)}) is not from other rows: what holds for a row has changed.",
                {
                    "rows": rows,
                    "old_loss": old,
                    **{name: float(value) for name, value in split.items()},
                    "detectors": {one["detector"]: one["signals"] for one in seen},
                },
                "the world behind the rows works otherwise than when this version was trained, or labels are made in another way",
                "ask whether labels mean the same as before; then train again on rows from after the change",
                since=min(firsts) if firsts else None,
            )
        ]


class _LossModel:
    """Expected loss of a row under the old relation: mean of the models of the folds.

    Args:
        x: numbers of the old rows, shape (rows, columns).
        loss: their loss.
        seed: seed of the folds.
    """

    def __init__(self, x: Array, loss: Array, seed: int) -> None:
        fold = np.random.default_rng(seed).permutation(len(x)) % FOLDS
        self.out_of_fold = np.empty(len(x))
        self.models = []
        for k in range(FOLDS):
            model = _trees("squared_error", seed).fit(x[fold != k], loss[fold != k])
            self.out_of_fold[fold == k] = model.predict(x[fold == k])
            self.models.append(model)

    def __call__(self, x: Array) -> Array:
        return np.asarray(np.mean([model.predict(x) for model in self.models], axis=0))


def _trees(loss: str, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    shape: dict[str, Any] = {"max_iter": 40, "max_leaf_nodes": 7, "min_samples_leaf": 30, "learning_rate": 0.1}
    shape |= {"early_stopping": False, "random_state": seed}
    return HistGradientBoostingClassifier(**shape) if loss == "log_loss" else HistGradientBoostingRegressor(**shape)


def _decompose(
    x_old: Array, l_old: Array, m_old: Array, x_new: Array, l_new: Array, m_new: Array, seed: int
) -> dict[str, float]:
    """Split the change of the mean loss into what other rows and what another relation add.

    Args:
        x_old: numbers of the old rows.
        l_old: their losses.
        m_old: what the loss model expects of them, out of fold.
        x_new: numbers of the new rows.
        l_new: their losses.
        m_new: what the loss model expects of them.
        seed: seed of folds and trees.

    Returns:
        change, rows, concept, each with its standard error (`_error`), and `overlap`: effective sample size by old rows,
        less where new rows have no like among them.
    """
    x = np.vstack([x_old, x_new])
    new = np.r_[np.zeros(len(x_old)), np.ones(len(x_new))]
    fold = np.random.default_rng(seed + 1).permutation(len(x)) % FOLDS
    said = np.empty(len(x))
    for k in range(FOLDS):
        said[fold == k] = _trees("log_loss", seed).fit(x[fold != k], new[fold != k]).predict_proba(x[fold == k])[:, 1]
    said = np.clip(said[: len(x_old)], 1e-6, 1 - 1e-6)
    weight = np.minimum(said / (1 - said) * len(x_old) / len(x_new), MOST_WEIGHT)
    share = weight / weight.sum()
    # The old relation on the new rows: expected by the model, corrected by what it misses on weighted old rows.
    missed = l_old - m_old
    moved = float(m_new.mean() + (share * missed).sum())
    correction = float((share**2 * (missed - (share * missed).sum()) ** 2).sum())
    left = l_new - m_new
    old, now = float(l_old.mean()), float(l_new.mean())
    concept_error = math.sqrt(float(left.var()) / len(left) + correction)
    # The mean weight is 1 where every new row has its like among the old ones, and near 0 where none has.
    overlap = min(1.0, float(weight.mean())) / float((share**2).sum()) / len(x_old)
    return {
        "change": now - old,
        "change_error": math.sqrt(float(l_old.var()) / len(l_old) + float(l_new.var()) / len(l_new)),
        "rows": moved - old,
        "rows_error": math.sqrt(float(l_old.var()) / len(l_old) + float(m_new.var()) / len(m_new) + correction),
        "concept": now - moved,
        "concept_error": concept_error,
        "overlap": overlap,
    }


def _kept(reference: Reference, window: Window, names: Sequence[str]) -> tuple[list[list[float]], bool]:
    """Return the rows that earlier windows keep of these columns, and whether they must be written down once more."""
    found: list[list[float]] = []
    far = 0
    for ago, row in enumerate(reversed(window.before), 1):
        part = (row.get("state") or {}).get("kept") if row.get("version") == reference.reference else None
        if part and part["columns"] == names:  # those of other settings are of no use
            found, far = [*part["rows"], *found], ago
            if part.get("whole"):
                break
    return found, far >= AGAIN


def _numbers(known: Known, columns: Sequence[Mapping[str, Any]], reference: Reference) -> Array:
    """Return what the comparison sees, shape (rows, columns + answers), float64; the same values in every window."""
    import polars as pl

    found = []
    for column in columns:
        series = known.frame[str(column["logged"])]
        if column["kind"] in ("categorical", "boolean") or series.dtype == pl.String:
            names = series.cast(pl.String)
            code = {name: float(crc32(name.encode()) % CODES) for name in names.unique().drop_nulls().to_list()}
            values = names.replace_strict(code, default=-1.0, return_dtype=pl.Float64).fill_null(-1.0).to_numpy()
        else:
            numeric = series.to_physical().cast(pl.Float64, strict=False)
            values = np.nan_to_num(numeric.to_numpy().astype(np.float64), nan=-1e9, posinf=1e300, neginf=-1e300)
        found.append(values)
    said = known.scores
    answers = (
        [said.predicted]
        if said.proba is None
        else list(said.proba.T[1:] if len(reference.classes) == 2 else said.proba.T)
    )
    return np.column_stack([*found, *answers]).astype(np.float64)


def _ends(value: float, error: float) -> tuple[float, float, float]:
    return value, value - 1.96 * error, value + 1.96 * error


def _table(seen: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(
        [{**one, "first": None if one["first"] is None else f"{one['first']:%Y-%m-%d %H:%M}"} for one in seen],
        schema={"detector": pl.String, "reads": pl.String, "signals": pl.Int64, "first": pl.String},
    )
