"""How featurized folds are kept in the step cache: numbers as arrays, the featurizer through skops."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from mlframe.contracts import Features
from mlframe.steps.candidate import Featurized
from mlframe.store.bundle import kept_skops, load_skops

if TYPE_CHECKING:
    from mlframe.registry import Registry

PARTS = ("learned", "stop", "judged")


def save_featurized(value: Featurized, folder: Path) -> None:
    """Write a featurized fold into an empty folder."""
    (folder / "featurizer.skops").write_bytes(kept_skops(value.featurizer))
    record: dict[str, Any] = {"seconds": value.seconds}
    for part in PARTS:
        features: Features | None = getattr(value, part)
        if features is None:
            continue
        _save_matrix(features.matrix, folder, part)
        record[part] = {"names": features.names, "origins": features.origins, "categorical": features.categorical}
    np.save(folder / "learn_rows.npy", value.learn_rows, allow_pickle=False)
    np.save(folder / "stop_rows.npy", value.stop_rows, allow_pickle=False)
    (folder / "features.json").write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")


def load_featurized(folder: Path, registry: Registry) -> Featurized:
    """Read what `save_featurized` wrote."""
    record = json.loads((folder / "features.json").read_text(encoding="utf-8"))
    seconds = record.pop("seconds", 0.0)
    parts = {
        name: Features(
            _load_matrix(folder, name), tuple(entry["names"]), tuple(entry["origins"]), tuple(entry["categorical"])
        )
        for name, entry in record.items()
    }
    return Featurized(
        featurizer=load_skops(folder / "featurizer.skops", registry.trusted_types()),
        learned=parts["learned"],
        stop=parts.get("stop"),
        judged=parts["judged"],
        learn_rows=np.load(folder / "learn_rows.npy", allow_pickle=False),
        stop_rows=np.load(folder / "stop_rows.npy", allow_pickle=False),
        seconds=seconds,
    )


def _save_matrix(matrix: Any, folder: Path, name: str) -> None:
    if not sp.issparse(matrix):
        np.save(folder / f"{name}.npy", matrix, allow_pickle=False)
        return
    for part in ("data", "indices", "indptr"):
        np.save(folder / f"{name}.{part}.npy", getattr(matrix, part), allow_pickle=False)
    np.save(folder / f"{name}.shape.npy", np.asarray(matrix.shape), allow_pickle=False)


def _load_matrix(folder: Path, name: str) -> Any:
    dense = folder / f"{name}.npy"
    if dense.exists():
        return np.load(dense, allow_pickle=False)
    parts = (np.load(folder / f"{name}.{part}.npy", allow_pickle=False) for part in ("data", "indices", "indptr"))
    shape = tuple(np.load(folder / f"{name}.shape.npy", allow_pickle=False).tolist())
    return sp.csr_matrix(tuple(parts), shape=shape)
