"""Every kind of column, arranged to suit the candidate's model."""

from __future__ import annotations

from typing import Literal

from mlframe.contracts import Wants
from mlframe.featurizers.blocks import Block, Blocks, at_least, keeps_missing, named
from mlframe.featurizers.categories import Codes, OneHot
from mlframe.featurizers.dates import Dates
from mlframe.featurizers.numbers import Numbers
from mlframe.featurizers.texts import Text

__all__ = ["AutoFeaturizer"]


class AutoFeaturizer(Blocks):
    """Choose for each column by its kind and by what the model takes.

    - Model takes missing values: numbers stay as they are, dates become parts (imputed, but not scaled, for a model
      that takes missing values in dense matrices only and the matrix may be sparse). Else numbers are imputed and
      scaled, dates become cycles.
    - Model takes categories: codes. Else one-hot.
    - Model takes sparse matrices: one feature a term of a text. Else some directions of them.

    `choices` says what was chosen.

    Args:
        max_categories: most categories of a column that become codes; the rest share the last one.
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
        max_categories: int = 250,
        max_one_hot: int = 100,
        min_count: int = 5,
        max_terms: int = 2000,
        min_rows: int = 5,
        ngrams: int = 1,
        components: int = 50,
        infinite: Literal["refuse", "missing"] = "refuse",
        seed: int | None = None,
    ) -> None:
        super().__init__()
        at_least("auto", 2, max_categories=max_categories, max_one_hot=max_one_hot)
        at_least("auto", 1, min_count=min_count, max_terms=max_terms, min_rows=min_rows)
        at_least("auto", 1, ngrams=ngrams, components=components)
        self.max_categories = max_categories
        self.max_one_hot = max_one_hot
        self.min_count = min_count
        self.max_terms = max_terms
        self.min_rows = min_rows
        self.ngrams = ngrams
        self.components = components
        self.infinite = infinite
        self.seed = seed

    def arrange(self, kinds: dict[str, list[str]], wants: Wants) -> list[Block]:
        """Pick the blocks that suit the model."""
        self.single = wants.missing
        impute = not keeps_missing(kinds, wants)
        scale: Literal["range", "standard", "none"] = (
            "range" if wants.nonnegative else "none" if wants.missing else "standard"
        )
        blocks: list[Block] = []
        if names := named(kinds, "numeric", "boolean"):
            blocks.append(Numbers(names, impute=impute, scale=scale, infinite=self.infinite))
        if names := named(kinds, "datetime"):
            blocks.append(Dates(names, cycles=not wants.missing, impute=impute, scale=scale))
        if names := named(kinds, "categorical"):
            blocks.append(
                Codes(names, max_categories=self.max_categories, min_count=self.min_count, native=True)
                if wants.categories
                else OneHot(names, max_categories=self.max_one_hot, min_count=self.min_count)
            )
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
