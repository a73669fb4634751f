"""Text: tf-idf of words and short phrases, or a few dense directions of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from mlframe.featurizers.blocks import Block, Entries, Plain

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer

    from mlframe.contracts import Matrix

__all__ = ["Text"]


class Text(Block):
    """One text column as tf-idf with sublinear term frequency (scikit-learn's TfidfVectorizer, lower case, words).

    Args:
        column: name of the column; a missing text counts as an empty one.
        max_terms: most terms, the most frequent ones.
        min_rows: a term needs so many train rows.
        ngrams: longest phrase in words.
        components: None for one feature a term (CSR); else so many directions of a truncated singular value
            decomposition (latent semantic analysis, Deerwester et al. 1990) as dense features.
        nonnegative: shift and cut the directions at zero, for estimators that take no negative value.
        seed: seed of the decomposition.
    """

    def __init__(
        self,
        column: str,
        *,
        max_terms: int,
        min_rows: int,
        ngrams: int,
        components: int | None = None,
        nonnegative: bool = False,
        seed: int | None = None,
    ) -> None:
        super().__init__([column])
        self.max_terms = max_terms
        self.min_rows = min_rows
        self.ngrams = ngrams
        self.components = components
        self.nonnegative = nonnegative
        self.seed = seed
        self.exact = False
        self.terms: list[str] = []
        self.idf: Any = None
        self.directions: Any = None
        self.lowest: Any = None
        self._ready: TfidfVectorizer | None = None
        self._train: tuple[pl.DataFrame, Any] | None = None

    def fit(self, frame: pl.DataFrame) -> None:
        """Learn terms, their weights and, where asked for, the directions."""
        from sklearn.feature_extraction.text import TfidfVectorizer  # tables without text need neither of the two

        column = self.columns[0]
        vectorizer = TfidfVectorizer(min_df=self.min_rows, max_features=self.max_terms, **self._options())
        try:
            weights = vectorizer.fit_transform(_documents(frame, column))
        except ValueError:  # what scikit-learn raises when no word, or none that is frequent enough, is left
            self.choices[column] = f"text, left out: no word is in {self.min_rows} rows or more"
            return
        self.terms = [str(term) for term in vectorizer.get_feature_names_out()]
        self.idf = np.asarray(vectorizer.idf_)
        self._ready = None
        # The train rows are nearly always transformed next, and counting words is the slow part.
        self._train = (frame, weights)
        if self.components is None:
            self.name(column, [f": {term}" for term in self.terms])
            self.zeros = len(self.names)
            self.choices[column] = f"text, tf-idf of {len(self.terms)} terms"
            return
        count = min(self.components, len(self.terms), weights.shape[0])
        if count < len(self.terms):
            from sklearn.decomposition import TruncatedSVD

            svd = TruncatedSVD(count, random_state=self.seed).fit(weights)
            self.directions = np.ascontiguousarray(svd.components_.T)
        else:  # as many directions as terms: the terms themselves say the same
            self.directions = np.eye(count)
        if self.nonnegative:
            self.lowest = (weights @ self.directions).min(axis=0)
        self.name(column, [f" direction {index + 1}" for index in range(count)])
        self.choices[column] = f"text, {count} directions of the tf-idf of {len(self.terms)} terms"

    def transform(self, frame: pl.DataFrame, dtype: Any) -> Matrix:
        """Return shape (rows, features); CSR without `components`."""
        train, self._train = self._train, None
        if train is not None and train[0] is frame:
            weights = train[1]
        elif frame.height:
            weights = self._vectorizer().transform(_documents(frame, self.columns[0]))
        else:
            weights = sp.csr_matrix((0, len(self.terms)))
        if self.directions is None:
            return weights.astype(dtype, copy=False)
        return self._directed(weights, dtype)

    def plain(self) -> Plain:
        """Return `transform` for plain values: the vectorizer's own words, weighed without its checks of a corpus."""
        column, words = self.columns[0], self._vectorizer().build_analyzer()
        place = {term: index for index, term in enumerate(self.terms)}.get

        def tf_idf(columns: Mapping[str, Sequence[Any]], rows: int, dtype: Any) -> Any:
            places: list[int] = []
            times: list[int] = []
            indptr = [0]
            for text in columns[column]:
                counts: Counter[Any] = Counter(map(place, words(text or "")))
                counts.pop(None, None)
                found = sorted(counts)
                places += found
                times += map(counts.__getitem__, found)
                indptr.append(len(places))
            indices = np.array(places, dtype=np.int32)
            weights = (np.log(np.array(times, dtype=np.float64)) + 1.0) * self.idf[indices]
            squares = weights * weights
            for start, end in pairwise(indptr):
                if start < end:  # added one after the other, as scikit-learn does: another order has other last digits
                    weights[start:end] /= math.sqrt(np.add.accumulate(squares[start:end])[-1])
            made = Entries(weights, indices, np.array(indptr, dtype=np.int32))
            if self.directions is None:
                return made._replace(data=made.data.astype(dtype))
            return self._directed(sp.csr_matrix(tuple(made), shape=(rows, len(self.terms))), dtype)

        return tf_idf

    def _directed(self, weights: Any, dtype: Any) -> Any:
        dense = weights @ self.directions
        if self.lowest is not None:
            dense = np.maximum(dense - self.lowest, 0.0)
        return dense.astype(dtype, copy=False)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the vectorizer out and join the terms: words hold no line break, and one text saves thousands."""
        derived = ("_ready", "_train", "names", "origins")
        state = {name: value for name, value in self.__dict__.items() if name not in derived}
        return {**state, "terms": "\n".join(self.terms)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what `__getstate__` gave; names follow from the terms."""
        self.__dict__.update(state, _ready=None, _train=None, names=[], origins=[])
        self.terms = state["terms"].split("\n") if state["terms"] else []
        if self.directions is None:
            self.name(self.columns[0], [f": {term}" for term in self.terms])
        else:
            count = self.directions.shape[1]
            self.name(self.columns[0], [f" direction {index + 1}" for index in range(count)])

    def _options(self) -> dict[str, Any]:
        return {"ngram_range": (1, self.ngrams), "sublinear_tf": True, "dtype": np.float64}

    def _vectorizer(self) -> TfidfVectorizer:
        if self._ready is None:
            from sklearn.feature_extraction.text import TfidfVectorizer

            vectorizer = TfidfVectorizer(vocabulary={t: i for i, t in enumerate(self.terms)}, **self._options())
            vectorizer.idf_ = self.idf
            self._ready = vectorizer
        return self._ready


def _documents(frame: pl.DataFrame, column: str) -> Sequence[str]:
    return frame[column].cast(pl.String).fill_null("").to_list()
