"""A candidate, fitted: featurizer and estimator that turn rows into predictions, alone or as a mean of several."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlframe.contracts import Adapter, Features, Featurizer, Predictions, Stop, Wants
from mlframe.errors import BundleError, ConfigError, StepError
from mlframe.table import Table

if TYPE_CHECKING:
    import polars as pl

    from mlframe.contracts.learning import Array, Part
    from mlframe.registry import Registry

__all__ = ["Learning", "Member", "Pipeline", "fit_estimator", "wants_of"]

FORMAT = 1


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
    elif "sample_weight" in inspect.signature(estimator.fit).parameters:
        estimator.fit(features.matrix, target, sample_weight=weight)
    else:
        raise ConfigError(
            f"{label} cannot take row weights, and the data gives some",
            where="data.columns: role weight",
            hint="pick another model, or set that column's role to 'ignore'",
        )


@dataclass
class Member:
    """One fitted featurizer and estimator.

    Args:
        featurizer: fitted featurizer.
        estimator: fitted estimator.
        model: registered name of the model.
        names: feature names, in the estimator's order.
        origins: input column of each feature.
    """

    featurizer: Featurizer
    estimator: Any
    model: str
    names: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    adapter: Any = None

    def outputs(self, matrix: Any, classes: int) -> Array:
        """Return probabilities (rows, classes) or values (rows,), float64."""
        import numpy as np

        if matrix.shape[0] == 0:
            return np.zeros((0, classes)) if classes else np.zeros(0)
        if not classes:
            return np.asarray(self.estimator.predict(matrix), dtype=np.float64).reshape(-1)
        if not hasattr(self.estimator, "predict_proba"):
            raise ConfigError(
                f"model={self.model} gives no probabilities ({type(self.estimator).__name__} has no predict_proba)",
                where="model",
                hint="pick a model that does; svm is calibrated, for example",
            )
        given = np.asarray(self.estimator.predict_proba(matrix), dtype=np.float64)
        seen = np.asarray(getattr(self.estimator, "classes_", np.arange(classes))).astype(int)
        if given.shape[1] == classes:
            return given
        full = np.zeros((given.shape[0], classes))  # a class that these train rows did not hold
        full[:, seen] = given
        return full


@dataclass
class Pipeline:
    """What is deployed: rows in, predictions out.

    Args:
        members: one for `refit: full`, the folds' for `refit: folds`; their outputs are averaged.
        learning: task and classes.
        columns: records of the feature columns (`Table.column_records`): the input schema.
    """

    members: list[Member]
    learning: Learning
    columns: list[dict[str, Any]] = field(default_factory=list)

    @property
    def inputs(self) -> list[str]:
        """Names of the columns that rows must have."""
        return [column["name"] for column in self.columns]

    def outputs(self, frame: pl.DataFrame) -> Array:
        """Return probabilities (rows, classes) or values (rows,), float64, the members' mean."""
        total: Any = 0.0
        for member in self.members:
            features = member.featurizer.transform(frame)
            total = total + member.outputs(features.matrix, len(self.learning.classes))
        result: Array = total / len(self.members)
        return result

    def predict(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return y_pred (class name or value) and one `p_<class>` a class, a row a row."""
        return decide(self.outputs(frame), self.learning)

    def predictions(self, table: Table, target: pl.Series, weight: Array, part: Part) -> Predictions:
        """Predict rows whose truth is known."""
        return as_predictions(self.outputs(table.frame), table.row_ids, target, weight, -1, self.learning, part)

    def gain(self) -> dict[str, float] | None:
        """Return each input column's share of the gain in training, None when the models cannot tell."""
        totals: dict[str, float] = dict.fromkeys(self.inputs, 0.0)
        for member in self.members:
            if member.adapter is None or not hasattr(member.adapter, "gain"):
                return None
            gains = member.adapter.gain(member.estimator)
            whole = float(gains.sum()) or 1.0
            for origin, value in zip(member.origins, gains, strict=True):
                totals[origin] = totals.get(origin, 0.0) + float(value) / whole / len(self.members)
        return totals

    # -------------------------------------------------------------------------------------------- on disk

    def save(self, folder: Path) -> None:
        """Write the pipeline's files: JSON, skops, and the libraries' own formats."""
        from mlframe.store.bundle import dump_skops

        records = []
        for index, member in enumerate(self.members):
            dump_skops(member.featurizer, folder / f"featurizer_{index}.skops")
            native = member.adapter is not None and hasattr(member.adapter, "save")
            if native:
                (folder / f"estimator_{index}.native").write_bytes(member.adapter.save(member.estimator))
            else:
                dump_skops(member.estimator, folder / f"estimator_{index}.skops")
            records.append({"model": member.model, "native": native, "names": member.names, "origins": member.origins})
        record = {
            "format": FORMAT,
            "learning": self.learning.record(),
            "columns": self.columns,
            "members": records,
        }
        (folder / "pipeline.json").write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, registry: Registry) -> Pipeline:
        """Read what `save` wrote; types are trusted by the installed plugins, never by the file.

        Raises:
            BundleError: another format, a type that no installed plugin trusts, or a plugin that is not installed.
        """
        from mlframe.store.bundle import load_skops

        record = json.loads((folder / "pipeline.json").read_text(encoding="utf-8"))
        if record.get("format") != FORMAT:
            raise BundleError(
                f"The pipeline has format {record.get('format')}, this mlframe reads {FORMAT}",
                where=str(folder / "pipeline.json"),
                hint="use the mlframe version that made it, or train again",
            )
        trusted = registry.trusted_types()
        members = []
        for index, entry in enumerate(record["members"]):
            adapter = registry.adapter("model", entry["model"])
            featurizer = load_skops(folder / f"featurizer_{index}.skops", trusted)
            if not isinstance(featurizer, Featurizer):
                raise BundleError(
                    "The bundle's featurizer is no Featurizer",
                    value=type(featurizer).__name__,
                    where=str(folder / f"featurizer_{index}.skops"),
                )
            if entry["native"]:
                estimator = adapter.load((folder / f"estimator_{index}.native").read_bytes())
            else:
                estimator = load_skops(folder / f"estimator_{index}.skops", trusted)
            names, origins = tuple(entry["names"]), tuple(entry["origins"])
            members.append(Member(featurizer, estimator, entry["model"], names, origins, adapter))
        return cls(members, Learning.from_record(record["learning"]), record["columns"])


def decide(outputs: Array, learning: Learning) -> pl.DataFrame:
    """Turn probabilities or values into y_pred and one `p_<class>` a class; the likeliest class wins."""
    import numpy as np
    import polars as pl

    if not learning.classes:
        return pl.DataFrame({"y_pred": np.asarray(outputs, dtype=np.float64)})
    if not np.isfinite(outputs).all():
        raise StepError("The model gave probabilities that are not finite", where="model", hint="check the features")
    # In two classes the positive one needs more than half; equal scores go to the first class in both cases.
    codes = outputs.argmax(axis=1)
    names = pl.Series("y_pred", list(learning.classes)).gather(codes)
    return pl.DataFrame([names, *(pl.Series(f"p_{name}", outputs[:, i]) for i, name in enumerate(learning.classes))])


def as_predictions(
    outputs: Array, row_ids: Array, target: pl.Series, weight: Array, fold: int, learning: Learning, part: Part
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
    frame = pl.concat([frame, decide(outputs, learning)], how="horizontal")
    frame = frame.with_columns(pl.Series("weight", weight, dtype=pl.Float64))
    return Predictions(frame, learning.task, learning.classes, part)
