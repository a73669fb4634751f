"""Codes and missing values as they are: what models need that cut features in two."""

from __future__ import annotations

from typing import Literal

from mlframe.contracts import Wants
from mlframe.featurizers.blocks import Block, Blocks, at_least, keeps_missing, named
from mlframe.featurizers.categories import Codes
from mlframe.featurizers.dates import Dates
from mlframe.featurizers.numbers import Numbers
from mlframe.featurizers.texts import Text

__all__ = ["TreeFeaturizer"]


class TreeFeaturizer(Blocks):
    """Numbers as they are, categories as codes (native where the model knows them), parts of dates, tf-idf.

    Missing values stay missing. For a model that takes none, numbers get the train rows' median and an indicator,
    categories a code of their own.

    Args:
        max_categories: most codes of a column; the rest share the last one.
        min_count: a category needs so many train rows to stand alone.
        max_terms: most terms of a text column.
        min_rows: a term needs so many train rows.
        ngrams: longest phrase in words.
        components: directions of a text column, for models that take no sparse matrix.
        infinite: `refuse` infinities, or take them as `missing`.
        seed: seed of the directions.
    """

    single = True

    def __init__(
        self,
        max_categories: int = 250,
        min_count: int = 5,
        max_terms: int = 2000,
        min_rows: int = 5,
        ngrams: int = 1,
        components: int = 50,
        infinite: Literal["refuse", "missing"] = "refuse",
        seed: int | None = None,
    ) -> None:
        super().__init__()
        at_least("tree", 2, max_categories=max_categories)
        at_least("tree", 1, min_count=min_count, max_terms=max_terms, min_rows=min_rows)
        at_least("tree", 1, ngrams=ngrams, components=components)
        self.max_categories = max_categories
        self.min_count = min_count
        self.max_terms = max_terms
        self.min_rows = min_rows
        self.ngrams = ngrams
        self.components = components
        self.infinite = infinite
        self.seed = seed

    def arrange(self, kinds: dict[str, list[str]], wants: Wants) -> list[Block]:
        """Arrange one block a kind, and one a text column."""
        fill = not keeps_missing(kinds, wants)
        scale: Literal["range", "none"] = "range" if wants.nonnegative else "none"
        blocks: list[Block] = []
        if names := named(kinds, "numeric", "boolean"):
            blocks.append(Numbers(names, impute=fill, scale=scale, infinite=self.infinite))
        if names := named(kinds, "datetime"):
            blocks.append(Dates(names, impute=fill, scale=scale))
        if names := named(kinds, "categorical"):
            native, sizes = wants.categories, {"max_categories": self.max_categories, "min_count": self.min_count}
            blocks.append(Codes(names, native=native, fill=fill and not native, **sizes))
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
