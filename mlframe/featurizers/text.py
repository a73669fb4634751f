"""Text columns only."""

from __future__ import annotations

from mlframe.contracts import Wants
from mlframe.errors import DataError
from mlframe.featurizers.blocks import Block, Blocks, at_least
from mlframe.featurizers.texts import Text

__all__ = ["TextFeaturizer"]


class TextFeaturizer(Blocks):
    """Text columns as tf-idf; columns of other kinds are left out, and `choices` says so.

    Args:
        max_terms: most terms of a text column.
        min_rows: a term needs so many train rows.
        ngrams: longest phrase in words.
        components: directions of a text column, for models that take no sparse matrix.
        seed: seed of the directions.
    """

    single = True

    def __init__(
        self,
        max_terms: int = 10000,
        min_rows: int = 3,
        ngrams: int = 2,
        components: int = 100,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        at_least("text", 1, max_terms=max_terms, min_rows=min_rows, ngrams=ngrams, components=components)
        self.max_terms = max_terms
        self.min_rows = min_rows
        self.ngrams = ngrams
        self.components = components
        self.seed = seed

    def arrange(self, kinds: dict[str, list[str]], wants: Wants) -> list[Block]:
        """Arrange one block a text column.

        Raises:
            DataError: there is no text column.
        """
        names = kinds.get("text", [])
        if not names:
            raise DataError(
                "featurizer=text needs a text column, and none has the role 'feature' and the kind 'text'",
                value=kinds,
                where="featurizer, data.columns",
                hint="set data.columns.<name>.kind=text, or pick featurizer=auto",
            )
        return [
            Text(
                name,
                max_terms=self.max_terms,
                min_rows=self.min_rows,
                ngrams=self.ngrams,
                components=None if wants.sparse else self.components,
                nonnegative=wants.nonnegative,
                seed=self.seed,
            )
            for name in names
        ]
