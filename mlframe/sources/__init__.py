"""Built-in sources: rows from bundled and generated data, CSV, Parquet and JSON, here or at any fsspec address."""

from __future__ import annotations

from mlframe.hookspecs import hookimpl
from mlframe.registry import Component


@hookimpl
def mlframe_sources() -> list[Component]:
    """Offer the built-in sources."""
    return [
        Component("bundled", "mlframe.sources.bundled:BundledSource", "Real data that is shipped with mlframe"),
        Component("csv", "mlframe.sources.csv:CsvSource", "CSV files: one, a glob or a list; plain, .gz or .zst"),
        Component("generated", "mlframe.sources.generated:GeneratedSource", "Made-up rows of which the truth is known"),
        Component(
            "json", "mlframe.sources.json:JsonSource", "JSON: one object a line, or documents with a list of them"
        ),
        Component("parquet", "mlframe.sources.parquet:ParquetSource", "Parquet: file, glob or hive-partitioned folder"),
    ]
