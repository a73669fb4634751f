"""Imputed, scaled, one-hot: what models need that add features up or measure distances."""

from __future__ import annotations

from typing import Literal

from mlframe.contracts import Wants
from mlframe.featurizers.blocks import Block, Blocks, at_least, named
from mlframe.featurizers.categories import OneHot
from mlframe.featurizers.dates import Dates
from mlframe.featurizers.numbers import Numbers
from mlframe.featurizers.texts import Text

__all__ = ["LinearFeaturizer"]


class LinearFeaturizer(Blocks):
    """Numbers imputed by the median with an indicator and scaled, categories one-hot, dates as cycles, text as tf-idf.

    Args:
        scale: `standard` (mean 0, deviation 1), `range` (0..1) or `none`; a model that takes no negative values gets
            `range` whatever is set.
        max_one_hot: most one-hot features of a column; the rest share the last one.
        min_count: a category needs so many train rows to stand alone.
        max_terms: most terms of a text column.
        min_rows: a term needs so many train rows.
        ngrams: longest phrase in words.
        components: directions of a text column, for models that take no sparse matrix.
        infinite: `refuse` infinities, or take them as `missing`.
        seed: seed of the directions.
    """

    def __init__(
        self,
        scale: Literal["standard", "range", "none"] = "standard",
        max_one_hot: int = 100,
        min_count: int = 5,
        max_terms: int = 10000,
        min_rows: int = 3,
        ngrams: int = 2,
        components: int = 50,
        infinite: Literal["refuse", "missing"] = "refuse",
        seed: int | None = None,
    ) -> None:
        super().__init__()
        at_least("linear", 2, max_one_hot=max_one_hot)
        at_least("linear", 1, min_count=min_count, max_terms=max_terms, min_rows=min_rows)
        at_least("linear", 1, ngrams=ngrams, components=components)
        self.scale = scale
        self.max_one_hot = max_one_hot
        self.min_count = min_count
        self.max_terms = max_terms
        self.min_rows = min_rows
        self.ngrams = ngrams
        self.components = components
        self.infinite = infinite
        self.seed = seed

    def arrange(self, kinds: dict[str, list[str]], wants: Wants) -> list[Block]:
        """Arrange one block a kind, and one a text column."""
        scale = "range" if wants.nonnegative else self.scale
        blocks: list[Block] = []
        if names := named(kinds, "numeric", "boolean"):
            blocks.append(Numbers(names, impute=True, scale=scale, infinite=self.infinite))
        if names := named(kinds, "datetime"):
            blocks.append(Dates(names, cycles=True, impute=True, scale=scale))
        if names := named(kinds, "categorical"):
            blocks.append(OneHot(names, max_categories=self.max_one_hot, min_count=self.min_count))
        blocks += [
            Text(
                name,
                max_terms=self.max_terms,
                min_rows=self.min_rows,
                ngrams=self.ngrams,
                components=None if wants.sparse else self.components,
                nonnegative=wants.nonnegative,
                seed=self.seed,
            )
            for name in named(kinds, "text")
        ]
        return blocks
