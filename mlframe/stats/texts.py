"""Sketches of texts: how long they are, and which hashed words and signs they hold."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mlframe.stats.sketches import Numbers

if TYPE_CHECKING:
    import polars as pl

__all__ = ["BUCKETS", "Texts"]

Array = npt.NDArray[Any]

BUCKETS = 256
"""Words share so many counts: none can be told from the counts alone."""
READ = 5_000
"""Texts of a part of which words are read, evenly spread over it; lengths are those of all."""
BEGINNING = 2_000
"""Characters of a text of which words are read."""
WORD = r"\w+|[^\w\s]"
"""A word, or a sign that is none."""


@dataclass(frozen=True)
class Texts:
    """What is kept of texts; no text, and no word, can be found in it.

    Args:
        length: characters of each text; texts that are missing are missing here.
        words: of the texts that were read, those that hold a word of each bucket, int64, shape (BUCKETS,).
        read: how many texts were read.
    """

    length: Numbers
    words: Array
    read: int

    @classmethod
    def of(cls, values: pl.Series, like: Texts | None = None) -> Texts:
        """Sketch texts.

        Args:
            values: the column; null is missing.
            like: the sketch on whose grid lengths are counted.
        """
        import polars as pl

        texts = values.drop_nulls().cast(pl.String)
        lengths = texts.str.len_chars().to_numpy().astype(np.float64)
        length = Numbers.of(lengths, len(values) - len(texts), None if like is None else like.length)
        if len(texts) > READ:
            texts = texts.gather(np.linspace(0, len(texts) - 1, READ).astype(np.uint32))
        return cls(length, _words(texts), len(texts))

    @property
    def missing(self) -> int:
        """Rows without a text."""
        return self.length.missing

    @property
    def known(self) -> int:
        """Rows that have a text."""
        return self.length.known

    @property
    def rows(self) -> int:
        """All rows."""
        return self.length.rows

    def merge(self, other: Texts) -> Texts:
        """Return the sketch of both parts' rows.

        Raises:
            ValueError: their lengths do not have one grid.
        """
        return Texts(self.length.merge(other.length), self.words + other.words, self.read + other.read)

    def record(self) -> dict[str, Any]:
        """Return the sketch as plain JSON values."""
        return {"sketch": "texts", "length": self.length.record(), "words": self.words.tolist(), "read": self.read}

    @classmethod
    def read_record(cls, record: Mapping[str, Any]) -> Texts:
        """Rebuild a sketch from `record`."""
        from mlframe.stats.sketches import read_sketch

        length = read_sketch(record["length"])
        if not isinstance(length, Numbers):
            raise TypeError("lengths are numbers")
        return cls(length, np.asarray(record["words"], dtype=np.int64), int(record["read"]))


def _words(texts: pl.Series) -> Array:
    """Count the texts that hold a word of each bucket; a word's bucket is its CRC-32, the same everywhere."""
    import polars as pl

    held = (
        pl.DataFrame({"text": texts})
        .with_row_index("row")
        .select("row", word=pl.col("text").str.slice(0, BEGINNING).str.to_lowercase().str.extract_all(WORD))
        .explode("word")
        .drop_nulls()
        .unique()
    )
    if not len(held):
        return np.zeros(BUCKETS, dtype=np.int64)
    different = held["word"].unique()
    buckets = [zlib.crc32(word.encode()) % BUCKETS for word in different.to_list()]
    table = pl.DataFrame({"word": different, "bucket": pl.Series(buckets, dtype=pl.UInt16)})
    pairs = held.join(table, on="word").select("row", "bucket").unique()
    return np.bincount(pairs["bucket"].to_numpy(), minlength=BUCKETS).astype(np.int64)
