"""What is deployed: a tree of fitted estimators, calibrated, with a threshold; saves and loads itself without pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlframe import stats
from mlframe.contracts import Featurizer, Predictions
from mlframe.errors import BundleError
from mlframe.pipeline.inputs import conform, restore
from mlframe.pipeline.learning import Learning, as_predictions, decide
from mlframe.pipeline.tree import Member, Node, Part, Rows, leaves
from mlframe.table import Table

if TYPE_CHECKING:
    import polars as pl

    from mlframe.contracts.learning import Array
    from mlframe.contracts.learning import Part as PartName
    from mlframe.registry import Registry

__all__ = ["FORMAT", "Pipeline"]

FORMAT = 2
"""Format 1 held a list of members, each with a featurizer of its own, whose outputs were averaged; it is still read."""


@dataclass
class Pipeline:
    """What is deployed: rows in, predictions out.

    Args:
        root: the tree; one leaf, or a node that combines several.
        learning: task and classes.
        columns: records of the feature columns (`Table.column_records`): the input schema.
        calibration: what turns the tree's probabilities into calibrated ones (see `mlframe.stats.calibrate`), or None.
        threshold: in two classes, the probability from which the positive one is predicted; None is more than half.
    """

    root: Part
    learning: Learning
    columns: list[dict[str, Any]] = field(default_factory=list)
    calibration: dict[str, Any] | None = None
    threshold: float | None = None

    @property
    def inputs(self) -> list[str]:
        """Names of the columns that rows must have."""
        return [column["name"] for column in self.columns]

    @property
    def members(self) -> list[Member]:
        """Every fitted estimator of the tree."""
        return list(leaves(self.root))

    def outputs(self, frame: pl.DataFrame) -> Array:
        """Return probabilities (rows, classes) or values (rows,), float64."""
        return self.answer(Rows(frame))

    def answer(self, rows: Rows) -> Array:
        """Return what `outputs` does, of rows that may be known in another form already."""
        raw = self.root.outputs(rows, len(self.learning.classes))
        return raw if self.calibration is None else stats.calibrate(raw, self.calibration)

    def predict(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return y_pred (class name or value) and one `p_<class>` a class, a row a row."""
        return decide(self.outputs(frame), self.learning, self.threshold)

    def score(self, frame: pl.DataFrame, where: str) -> pl.DataFrame:
        """Predict rows as they come: types are mended, classes answered as the data spelled them.

        Args:
            frame: numbered rows with at least the input columns.
            where: what the rows are called in the text of an error.

        Raises:
            DataError: columns are missing, or hold values of another type.
        """
        return restore(self.predict(conform(frame, self.columns, f"input={where}")), self.learning)

    def predictions(self, table: Table, target: pl.Series, weight: Array, part: PartName) -> Predictions:
        """Predict rows whose truth is known."""
        outputs = self.outputs(table.frame)
        return as_predictions(outputs, table.row_ids, target, weight, -1, self.learning, part, self.threshold)

    def gain(self) -> dict[str, float] | None:
        """Return each input column's share of the gain in training, None when the models cannot tell."""
        found = self.root.gain()
        return None if found is None else {**dict.fromkeys(self.inputs, 0.0), **found}

    def contributions(self, frame: pl.DataFrame) -> tuple[Array, list[str]] | None:
        """Return what each input column adds to the raw score, before calibration.

        The score is that of the positive class or the value; in more classes, of the class that is predicted. Of
        several models it is the mean (log-odds, as a rule).

        Returns:
            Contributions of shape (rows, columns + 1), the last one the baseline, and the columns' names; None when a
            model of the tree cannot tell (stacks and votes never can).
        """
        rows = Rows(frame)
        codes = self.answer(rows).argmax(axis=1) if len(self.learning.classes) > 2 else None
        found = self.root.contributions(rows, self.inputs, codes)
        return None if found is None else (found, self.inputs)

    # -------------------------------------------------------------------------------------------- on disk

    def save(self, folder: Path) -> None:
        """Write the pipeline's files: JSON, skops, and the libraries' own formats; a shared featurizer once."""
        from mlframe.store.bundle import dump_skops, kept_skops

        featurizers: dict[int, int] = {}
        numbers: dict[int, int] = {}
        records = []
        for index, member in enumerate(self.members):
            numbers[id(member)] = index
            if member.featurizer is not None and id(member.featurizer) not in featurizers:
                featurizers[id(member.featurizer)] = len(featurizers)
                file = folder / f"featurizer_{featurizers[id(member.featurizer)]}.skops"
                file.write_bytes(kept_skops(member.featurizer))
            native = member.adapter is not None and hasattr(member.adapter, "save")
            if native:
                (folder / f"estimator_{index}.native").write_bytes(member.adapter.save(member.estimator))
            else:
                dump_skops(member.estimator, folder / f"estimator_{index}.skops")
            records.append(
                {
                    "model": member.model,
                    "native": native,
                    "featurizer": None if member.featurizer is None else featurizers[id(member.featurizer)],
                    "columns": member.columns,
                    "names": member.names,
                    "origins": member.origins,
                }
            )
        record = {
            "format": FORMAT,
            "learning": self.learning.record(),
            "columns": self.columns,
            "members": records,
            "tree": _described(self.root, numbers),
            "calibration": self.calibration,
            "threshold": self.threshold,
        }
        (folder / "pipeline.json").write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, registry: Registry) -> Pipeline:
        """Read what `save` wrote; types are trusted by the installed plugins, never by the file.

        Raises:
            BundleError: another format, a type that no installed plugin trusts, or a plugin that is not installed.
        """
        from mlframe.store.bundle import load_skops, read_json

        record = read_json(folder / "pipeline.json")
        if record.get("format") not in (1, FORMAT):
            raise BundleError(
                f"The pipeline has format {record.get('format')}, this mlframe reads 1 and {FORMAT}",
                where=str(folder / "pipeline.json"),
                hint="use the mlframe version that made it, or train again",
            )
        trusted = registry.trusted_types()
        featurizers: dict[int, Featurizer] = {}
        members = []
        for index, entry in enumerate(record["members"]):
            adapter = registry.adapter("model", entry["model"])
            number = entry["featurizer"] if record["format"] == FORMAT else index
            if not isinstance(number, int | None):  # it becomes part of a file's name
                raise BundleError("The pipeline's record is no record", value=number, where=str(folder))
            if number is not None and number not in featurizers:
                path = folder / f"featurizer_{number}.skops"
                featurizers[number] = featurizer = load_skops(path, trusted)
                if not isinstance(featurizer, Featurizer):
                    raise BundleError(
                        "The bundle's featurizer is no Featurizer", value=type(featurizer).__name__, where=str(path)
                    )
            if entry["native"]:
                estimator = adapter.load((folder / f"estimator_{index}.native").read_bytes())
            else:
                estimator = load_skops(folder / f"estimator_{index}.skops", trusted)
            columns = entry.get("columns")
            members.append(
                Member(
                    None if number is None else featurizers[number],
                    estimator,
                    entry["model"],
                    tuple(entry["names"]),
                    tuple(entry["origins"]),
                    adapter,
                    None if columns is None else tuple(columns),
                )
            )
        if record["format"] == FORMAT:
            root = _built(record["tree"], members)
        else:
            root = members[0] if len(members) == 1 else Node("mean", list(members))
        learning = Learning.from_record(record["learning"])
        return cls(root, learning, record["columns"], record.get("calibration"), record.get("threshold"))


def _described(part: Part, numbers: Mapping[int, int]) -> Any:
    """Return a tree as plain values: a leaf is its number."""
    if isinstance(part, Member):
        return numbers[id(part)]
    return {
        "rule": part.rule,
        "weights": part.weights,
        "parts": [_described(inner, numbers) for inner in part.parts],
        "final": None if part.final is None else numbers[id(part.final)],
    }


def _built(record: Any, members: list[Member]) -> Part:
    """Rebuild a tree from `_described`."""
    if isinstance(record, int):
        return members[record]
    weights = None if record["weights"] is None else tuple(record["weights"])
    final = None if record["final"] is None else members[record["final"]]
    return Node(record["rule"], [_built(inner, members) for inner in record["parts"]], weights, final)
