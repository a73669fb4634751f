"""What is learned, how an estimator is fitted for it, and how outputs become predictions."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlframe.contracts import Adapter, Features, Predictions, Stop, Wants
from mlframe.errors import ConfigError, StepError

if TYPE_CHECKING:
    import polars as pl

    from mlframe.contracts.learning import Array, Part

__all__ = ["Learning", "as_predictions", "decide", "fit_estimator", "takes_weight", "wants_of"]


@dataclass(frozen=True)
class Learning:
    """What is learned.

    Args:
        task: `binary`, `multiclass` or `regression`.
        target: name of the target column.
        classes: class names in code order, the positive one last when there are two; empty for regression.
        values: the classes as the data spells them (strings, integers or truth values), in the same order.
    """

    task: str
    target: str
    classes: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()

    def record(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"task": self.task, "target": self.target, "classes": list(self.classes), "values": list(self.values)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Learning:
        """Rebuild from `record`."""
        return cls(record["task"], record["target"], tuple(record["classes"]), tuple(record["values"]))

    def codes(self, target: pl.Series) -> Array:
        """Return codes 0..K-1 (intp) or values (float64), shape (rows,)."""
        import numpy as np
        import polars as pl

        if not self.classes:
            return target.cast(pl.Float64).to_numpy()
        return target.cast(pl.String).cast(pl.Enum(list(self.classes))).to_physical().to_numpy().astype(np.intp)


def wants_of(estimator: Any, adapter: Adapter | None) -> Wants:
    """Ask an estimator's tags and its adapter what it can take."""
    tags = estimator.__sklearn_tags__().input_tags if hasattr(estimator, "__sklearn_tags__") else None
    return Wants(
        sparse=bool(tags and tags.sparse),
        missing=bool(tags and tags.allow_nan),
        categories=bool(adapter and adapter.categories),
        nonnegative=bool(tags and tags.positive_only),
        filled=adapter.filled if adapter else Wants.filled,
    )


def fit_estimator(
    estimator: Any, adapter: Any, features: Features, target: Array, weight: Array | None, stop: Stop | None, label: str
) -> None:
    """Fit an estimator in place, through its adapter where it has one.

    Args:
        estimator: unfitted.
        adapter: the component's adapter or None.
        features: train rows.
        target: codes or values, shape (rows,).
        weight: shape (rows,), None when all rows weigh the same.
        stop: rows for early stopping; given only when the adapter fits.
        label: `model=<name>`, for error texts.

    Raises:
        ConfigError: rows have weights and the estimator cannot take them.
    """
    if adapter is not None and hasattr(adapter, "fit"):
        adapter.fit(estimator, features, target, weight=weight, stop=stop)
        return
    if weight is None:
        estimator.fit(features.matrix, target)
    elif takes_weight(estimator, adapter):
        estimator.fit(features.matrix, target, sample_weight=weight)
    else:
        raise ConfigError(
            f"{label} cannot take row weights, and the data gives some",
            where="data.columns: role weight",
            hint="pick another model, or set that column's role to 'ignore'",
        )


def takes_weight(estimator: Any, adapter: Any) -> bool:
    """Whether an estimator takes row weights; an adapter that fits does."""
    return hasattr(adapter, "fit") or "sample_weight" in inspect.signature(estimator.fit).parameters


def decide(outputs: Array, learning: Learning, threshold: float | None = None) -> pl.DataFrame:
    """Turn probabilities or values into y_pred and one `p_<class>` a class.

    Args:
        outputs: probabilities (rows, classes) or values (rows,).
        learning: task and classes.
        threshold: in two classes, the probability from which the positive one is predicted; None lets the likeliest
            class win.
    """
    import numpy as np
    import polars as pl

    if not learning.classes:
        return pl.DataFrame({"y_pred": np.asarray(outputs, dtype=np.float64)})
    if not np.isfinite(outputs).all():
        raise StepError("The model gave probabilities that are not finite", where="model", hint="check the features")
    # In two classes the positive one needs more than half; equal scores go to the first class in both cases.
    codes = outputs.argmax(axis=1) if threshold is None else (outputs[:, 1] >= threshold).astype(np.intp)
    names = pl.Series("y_pred", list(learning.classes)).gather(codes)
    return pl.DataFrame([names, *(pl.Series(f"p_{name}", outputs[:, i]) for i, name in enumerate(learning.classes))])


def as_predictions(
    outputs: Array,
    row_ids: Array,
    target: pl.Series,
    weight: Array,
    fold: int,
    learning: Learning,
    part: Part,
    threshold: float | None = None,
) -> Predictions:
    """Put outputs beside the truth."""
    import polars as pl

    truth = target.cast(pl.String if learning.classes else pl.Float64).alias("y")
    rows = len(truth)
    frame = pl.DataFrame(
        [
            pl.Series("row_id", row_ids, dtype=pl.UInt32),
            pl.Series("fold", [fold], dtype=pl.Int32).new_from_index(0, rows)
            if rows
            else pl.Series("fold", [], pl.Int32),
            truth,
        ]
    )
    frame = pl.concat([frame, decide(outputs, learning, threshold)], how="horizontal")
    frame = frame.with_columns(pl.Series("weight", weight, dtype=pl.Float64))
    return Predictions(frame, learning.task, learning.classes, part)
