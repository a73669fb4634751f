"""Rows of the tables that are shipped with mlframe."""

from __future__ import annotations

import hashlib

import polars as pl

from mlframe.contracts import Source
from mlframe.datasets import DATASETS
from mlframe.errors import DataError, UnknownNameError
from mlframe.sources.frames import apply_types, drop_repeats

__all__ = ["BundledSource"]

INFER_ROWS = None  # the tables are small: types come from all rows


class BundledSource(Source):
    """Reads a bundled table; the file's digest is checked first.

    Args:
        dataset: churn, diamonds, electricity, email, sms_spam or spambase.
        deduplicate: leave out rows that equal an earlier row in every column.
    """

    def __init__(self, dataset: str, deduplicate: bool = False) -> None:
        if dataset not in DATASETS:
            raise UnknownNameError.from_name("bundled data set", dataset, DATASETS, where="data.source.dataset")
        self.dataset = DATASETS[dataset]
        self.deduplicate = deduplicate

    def read(self) -> pl.DataFrame:
        """Return all rows.

        Raises:
            DataError: the installed file is missing or damaged.
        """
        file = self.dataset.folder / self.dataset.file
        address = f"mlframe/datasets/{self.dataset.name}/{self.dataset.file}"
        try:
            content = file.read_bytes()
        except OSError as error:
            raise DataError("A bundled file is missing", value=address, hint="install mlframe again") from error
        if hashlib.sha256(content).hexdigest() != self.dataset.sha256:
            raise DataError("A bundled file was changed or damaged", value=address, hint="install mlframe again")
        if self.dataset.file.endswith(".parquet"):
            frame = pl.read_parquet(content)
        else:
            frame = pl.read_csv(content, infer_schema_length=INFER_ROWS)
        return drop_repeats(apply_types(frame, None, self.dataset.times, address), self.deduplicate)

    def fingerprint(self) -> str:
        """Return the recorded digest of the file: equal on every machine."""
        return f"{self.dataset.name} {self.dataset.sha256}"
