"""`mlframe.load`: a registered or installed model in two lines of Python."""

from __future__ import annotations

import json
import os
import warnings
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlframe.errors import BundleError, UserError
from mlframe.table import ROW, to_polars

if TYPE_CHECKING:
    from mlframe.pipeline import Pipeline
    from mlframe.plugins import Plugins

__all__ = ["INSTALLED", "LoadedModel", "load"]

INSTALLED = "mlframe.bundles"
"""Entry-point group of distributions with a bundle inside (`deployer=package` makes them)."""


class LoadedModel:
    """A version that predicts frames.

    Args:
        version: its reference, such as `email/7`.
        pipeline: the fitted pipeline.
    """

    def __init__(self, version: str, pipeline: Pipeline) -> None:
        self.version = version
        self._pipeline = pipeline

    @property
    def inputs(self) -> list[str]:
        """Names of the columns that rows must have."""
        return self._pipeline.inputs

    @property
    def classes(self) -> list[Any]:
        """The classes as the data spelled them; empty for values."""
        return list(self._pipeline.learning.values or self._pipeline.learning.classes)

    def predict(self, frame: Any) -> Any:
        """Return `y_pred` and one `p_<class>` a class, a row a row.

        Args:
            frame: polars, pandas, pyarrow or what else narwhals understands, with the columns of `inputs`; others are
                not looked at.

        Returns:
            A frame of the same library; a lazy frame is collected.

        Raises:
            DataError: columns are missing, or hold values of another type.
        """
        import polars as pl

        rows = to_polars(frame, where="frame")
        known = rows.select(name for name in self.inputs if name in rows.columns)
        scored = self._pipeline.score(known.with_row_index(ROW), "frame")
        if isinstance(frame, (pl.DataFrame, pl.LazyFrame)):
            return scored
        import narwhals as nw

        library = nw.get_native_namespace(nw.from_native(frame))
        return nw.from_dict(scored.to_dict(as_series=False), backend=library).to_native()

    def __repr__(self) -> str:
        return f"<mlframe model {self.version}: {len(self.inputs)} columns>"


def load(name: str, *, store: str | Path | None = None) -> LoadedModel:
    """Load a model; see `mlframe.load`."""
    from mlframe.plugins import load_plugins

    plugins = load_plugins((), None, Path.cwd())
    if "/" not in name and "@" not in name and store is None:
        found = metadata.entry_points(group=INSTALLED, name=name)
        if found:
            return _installed(next(iter(found)), plugins)
    return _registered(name, store, plugins)


def _installed(point: metadata.EntryPoint, plugins: Plugins) -> LoadedModel:
    from mlframe.store.bundle import read_manifest

    spec = find_spec(point.value)  # nothing of the package is run
    if spec is None or not spec.submodule_search_locations:
        raise BundleError("The installed model's package is gone", value=point.value, hint="install it again")
    folder = Path(spec.submodule_search_locations[0])
    bundle = folder / "bundle"
    read_manifest(bundle)
    version = json.loads((folder / "version.json").read_text(encoding="utf-8"))["version"]
    return _opened(version, bundle, plugins)


def _registered(name: str, store: str | Path | None, plugins: Plugins) -> LoadedModel:
    from mlframe.store.store import Store

    root = str(store or os.environ.get("MLFRAME_HOME") or Path.cwd() / ".mlframe")
    url = None if store else os.environ.get("MLFRAME_STORE_URL")
    installed = sorted({point.name for point in metadata.entry_points(group=INSTALLED)})
    if store is None and "://" not in root and not Path(root).exists():
        raise UserError(
            "No model of this name is installed, and there is no store here",
            value=name,
            where=root,
            hint="install its package (deployer=package makes one), or name a store: mlframe.load(name, store=FOLDER)"
            + (f"; installed are {', '.join(installed)}" if installed else ""),
        )
    with Store.open(root, url, create=False) as opened:
        version = opened.version(name)
        bundle = opened.open_bundle(version["reference"])
        return _opened(version["reference"], bundle, plugins)


def _opened(version: str, bundle: Path, plugins: Plugins) -> LoadedModel:
    from mlframe.pipeline.opening import open_pipeline

    opened = open_pipeline(bundle, plugins.registry, where=version)
    for warning in opened.warnings:
        warnings.warn(warning, stacklevel=4)
    return LoadedModel(version, opened.quickest())
