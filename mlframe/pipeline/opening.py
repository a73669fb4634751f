"""Opens a bundle for use: its environment first, then its types, then the pipeline, and the proof that it is the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlframe.errors import BundleError
from mlframe.pipeline.deployed import Pipeline
from mlframe.store.bundle import MANIFEST, check_skops, read_json
from mlframe.store.requirements import unlike

if TYPE_CHECKING:
    from mlframe.registry import Registry

__all__ = ["Opened", "open_pipeline"]

ALIKE = 1e-6
"""Largest difference of an output, relative to values above 1, from what the bundle says was predicted."""


@dataclass(frozen=True)
class Opened:
    """A bundle that can be used.

    Args:
        folder: the bundle.
        manifest: its manifest.
        pipeline: what predicts.
        warnings: a sentence for each library that is here in another version.
        where: how the bundle is called in texts.
    """

    folder: Path
    manifest: dict[str, Any]
    pipeline: Pipeline
    warnings: list[str]
    where: str

    def quickest(self) -> Pipeline:
        """Return the pipeline, its estimators asked in their fastest way where that scores the bundle's examples alike."""
        import polars as pl

        from mlframe.pipeline.scorer import prove, quickened

        if not (self.manifest.get("fast") or {}).get("proven"):
            return self.pipeline
        examples, expected = (pl.read_ipc(self.folder / f"{name}.arrow") for name in ("examples", "expected"))
        return quickened(self.pipeline) if prove(self.pipeline, examples, expected)["proven"] else self.pipeline

    def check_examples(self) -> str:
        """Predict the bundle's own examples, and say how near that is to what was predicted where it was made.

        Raises:
            BundleError: it predicts something else; the text names the worst row and both numbers.
        """
        import numpy as np
        import polars as pl

        try:
            examples = pl.read_ipc(self.folder / "examples.arrow")
            expected = pl.read_ipc(self.folder / "expected.arrow")
            found = self.pipeline.predict(examples) if len(examples) else expected
            columns = [name for name, dtype in expected.schema.items() if dtype.is_numeric()]
            wanted, given = expected.select(columns).to_numpy(), found.select(columns).to_numpy()
        except (OSError, ValueError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise BundleError(
                f"The bundle's examples cannot be read or predicted ({type(error).__name__}: {error})",
                where=self.where,
                hint="do not use it; export or train it again",
            ) from error
        if not wanted.size:
            return "it has no examples to compare"
        off = np.where(wanted == given, 0.0, np.abs(wanted - given) / np.maximum(1.0, np.abs(wanted)))
        row, column = np.unravel_index(int(off.argmax()), off.shape)  # NaN counts as the largest
        if not off[row, column] <= ALIKE:
            raise BundleError(
                f"The bundle does not predict here what it predicted where it was made: {columns[column]} of example "
                f"{row} is {given[row, column]:.6g}, it was {wanted[row, column]:.6g}",
                where=self.where,
                hint="; ".join(self.warnings) or "do not use it; train again here",
            )
        return f"it predicts its {len(examples)} examples as where it was made (largest difference {off.max():.1g})"


def open_pipeline(folder: Path, registry: Registry, *, where: str) -> Opened:
    """Open a bundle whose digests have been checked.

    Args:
        folder: the bundle.
        registry: installed components; only the types that they vouch for are built.
        where: how the bundle is called in texts.

    Raises:
        BundleError: a plugin is missing, a type is not trusted, or a file is no part of a pipeline.
    """
    manifest = read_json(folder / MANIFEST)
    warnings = unlike(manifest, where)
    trusted = registry.trusted_types()
    for path in sorted(folder.rglob("*.skops")):  # all of them, before the first one is built
        check_skops(path, trusted)
    try:
        pipeline = Pipeline.load(folder / "pipeline", registry)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, OSError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(
            f"The bundle's pipeline cannot be read ({type(error).__name__}: {error})",
            where=where,
            hint="do not use it; name another version, or train again",
        ) from error
    return Opened(folder, manifest, pipeline, warnings, where)
