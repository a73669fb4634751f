"""The tree that is deployed: leaves are fitted models, inner nodes make one output of several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from mlframe.contracts import Features, Featurizer
from mlframe.errors import ConfigError

if TYPE_CHECKING:
    import polars as pl

    from mlframe.contracts.learning import Array

__all__ = ["Member", "Node", "Part", "Rows", "combined", "leaves", "stacked"]

Part: TypeAlias = Union["Member", "Node"]
"""A leaf or an inner node."""


@dataclass
class Rows:
    """Rows that a tree reads; a featurizer that several leaves share turns them into numbers once.

    Args:
        frame: the rows; None when `made` holds all that is asked for.
        made: what is known already: identity of a featurizer to its features.
    """

    frame: pl.DataFrame | None
    made: dict[int, Features] = field(default_factory=dict)

    def features(self, featurizer: Featurizer) -> Features:
        """Return the rows as numbers."""
        if id(featurizer) not in self.made:
            assert self.frame is not None
            self.made[id(featurizer)] = featurizer.transform(self.frame)
        return self.made[id(featurizer)]


@dataclass
class Member:
    """One fitted estimator behind its featurizer.

    Args:
        featurizer: fitted featurizer; None for the final estimator of a stack that reads outputs only.
        estimator: fitted estimator.
        model: registered name of the model.
        names: feature names, in the estimator's order.
        origins: input column of each feature.
        adapter: the model's adapter, None without one.
        columns: positions of the featurizer's features that the estimator reads, None for all.
        ask: a faster way to the estimator's outputs, None for the ordinary one.
    """

    featurizer: Featurizer | None
    estimator: Any
    model: str
    names: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    adapter: Any = None
    columns: tuple[int, ...] | None = None
    ask: Callable[[Any], Array] | None = None

    def matrix(self, rows: Rows) -> Any:
        """Return the features that the estimator reads."""
        assert self.featurizer is not None
        matrix: Any = rows.features(self.featurizer).matrix
        return matrix if self.columns is None else matrix[:, list(self.columns)]

    def outputs(self, rows: Rows, classes: int) -> Array:
        """Return probabilities (rows, classes) or values (rows,), float64."""
        return self.answer(self.matrix(rows), classes)

    def answer(self, matrix: Any, classes: int) -> Array:
        """Return probabilities (rows, classes) or values (rows,) of features, float64."""
        import numpy as np

        if matrix.shape[0] == 0:
            return np.zeros((0, classes)) if classes else np.zeros(0)
        if not classes:
            return np.asarray((self.ask or self.estimator.predict)(matrix), dtype=np.float64).reshape(-1)
        if not hasattr(self.estimator, "predict_proba"):
            raise ConfigError(
                f"model={self.model} gives no probabilities ({type(self.estimator).__name__} has no predict_proba)",
                where="model",
                hint="pick a model that does; svm is calibrated, for example",
            )
        given = np.asarray((self.ask or self.estimator.predict_proba)(matrix), dtype=np.float64)
        if given.shape[1] == classes:
            return given
        seen = np.asarray(self.estimator.classes_).astype(int)
        full = np.zeros((given.shape[0], classes))  # a class that these train rows did not hold
        full[:, seen] = given
        return full

    def gain(self) -> dict[str, float] | None:
        """Return input column to its share of the gain in training, None when the model cannot tell."""
        if self.adapter is None or not hasattr(self.adapter, "gain"):
            return None
        gains = self.adapter.gain(self.estimator)
        whole = float(gains.sum()) or 1.0
        shares: dict[str, float] = {}
        for origin, value in zip(self.origins, gains, strict=True):
            shares[origin] = shares.get(origin, 0.0) + float(value) / whole
        return shares

    def contributions(self, rows: Rows, names: Sequence[str], codes: Array | None) -> Array | None:
        """Return what each input column adds to the raw score, shape (rows, columns + 1), the baseline last.

        Args:
            rows: the rows.
            names: input columns, in the order wanted.
            codes: the class that is explained, a row a code; None in two classes and for values.

        Returns:
            None when the model cannot tell.
        """
        import numpy as np

        if self.adapter is None or not hasattr(self.adapter, "contributions"):
            return None
        parts = np.asarray(self.adapter.contributions(self.estimator, self.matrix(rows)), dtype=np.float64)
        if parts.ndim == 3:
            if codes is None or parts.shape[1] <= int(codes.max(initial=0)):
                return None  # a class that these train rows did not hold
            parts = parts[np.arange(len(parts)), codes]
        elif codes is not None:
            return None
        place = {name: index for index, name in enumerate(names)}
        whole = np.zeros((len(parts), len(names) + 1))
        for index, origin in enumerate(self.origins):
            whole[:, place[origin]] += parts[:, index]
        whole[:, -1] = parts[:, -1]
        return whole


@dataclass
class Node:
    """One output made of several.

    Args:
        rule: `mean`, `vote` (shares of the votes), `samme` (votes of boosted classifiers), `median` (weighted, of
            boosted regressors) or `stack` (a fitted estimator on the outputs).
        parts: what is combined.
        weights: one a part, None for equal ones.
        final: the fitted estimator of a stack; with a featurizer it also reads the rows themselves.
    """

    rule: str
    parts: list[Part]
    weights: tuple[float, ...] | None = None
    final: Member | None = None

    def outputs(self, rows: Rows, classes: int) -> Array:
        """Return probabilities (rows, classes) or values (rows,), float64."""
        return self.combine([part.outputs(rows, classes) for part in self.parts], rows, classes)

    def combine(self, given: Sequence[Array], rows: Rows, classes: int) -> Array:
        """Make one output of the parts' outputs.

        Args:
            given: outputs of each part for the same rows.
            rows: the rows, for a final estimator that reads them too.
            classes: number of classes, 0 for values.
        """
        if self.final is None:
            return combined(self.rule, given, self.weights, classes)
        own = rows.features(self.final.featurizer) if self.final.featurizer is not None else None
        return self.final.answer(stacked(given, classes, own), classes)

    def gain(self) -> dict[str, float] | None:
        """Return the weighted mean of the parts' shares of gain, None when one cannot tell."""
        if self.final is not None:
            return None
        weights = self.weights or (1.0,) * len(self.parts)
        whole: dict[str, float] = {}
        for part, weight in zip(self.parts, weights, strict=True):
            shares = part.gain()
            if shares is None:
                return None
            for name, share in shares.items():
                whole[name] = whole.get(name, 0.0) + share * weight / sum(weights)
        return whole

    def contributions(self, rows: Rows, names: Sequence[str], codes: Array | None) -> Array | None:
        """Return the weighted mean of the parts' contributions; None when one cannot tell, or they do not add up."""
        if self.rule != "mean":
            return None
        weights = self.weights or (1.0,) * len(self.parts)
        whole: Any = 0.0
        for part, weight in zip(self.parts, weights, strict=True):
            found = part.contributions(rows, names, codes)
            if found is None:
                return None
            whole = whole + found * (weight / sum(weights))
        result: Array = whole
        return result


def leaves(part: Part) -> Iterator[Member]:
    """Give every fitted estimator of a tree, the final ones of stacks too."""
    if isinstance(part, Member):
        yield part
        return
    for inner in part.parts:
        yield from leaves(inner)
    if part.final is not None:
        yield part.final


def combined(rule: str, given: Sequence[Array], weights: Sequence[float] | None, classes: int) -> Array:
    """Combine outputs by a rule that has nothing to learn.

    Args:
        rule: `mean`; `vote`, each part one vote for its likeliest class, the shares are the probabilities; `samme`, the
            same for boosted classifiers, on the scale of their additive model (Zhu, Zou, Rosset and Hastie 2009);
            `median`, the weighted median of values (Drucker 1997).
        given: probabilities (rows, classes) or values (rows,) of each part.
        weights: one a part, None for equal ones.
        classes: number of classes, 0 for values.
    """
    import numpy as np

    if len(given) == 1 and rule == "mean":
        return given[0]
    scale = np.ones(len(given)) if weights is None else np.asarray(weights, dtype=np.float64)
    if rule == "mean":
        total: Any = 0.0
        for outputs, weight in zip(given, scale, strict=True):
            total = total + outputs * weight
        return np.asarray(total / scale.sum())
    if rule == "median":
        values = np.stack(given, axis=1)
        order = np.argsort(values, axis=1, kind="stable")
        reached = np.cumsum(scale[order], axis=1) >= 0.5 * scale.sum()
        first = order[np.arange(len(values)), reached.argmax(axis=1)]
        return np.asarray(values[np.arange(len(values)), first])
    votes = np.zeros((len(given[0]), classes))
    for outputs, weight in zip(given, scale, strict=True):
        votes[np.arange(len(votes)), outputs.argmax(axis=1)] += weight
    if rule == "vote":
        return np.asarray(votes / scale.sum())
    # A vote for k counts 1 for k and -1/(K-1) for the others; the additive model's softmax follows from the paper's (7).
    scores = (votes - (scale.sum() - votes) / (classes - 1)) * ((classes - 1) / classes)
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def stacked(given: Sequence[Array], classes: int, own: Features | None) -> Any:
    """Return the features of a final estimator: each part's outputs, then the rows' own features if any.

    Two classes give one feature a part, the positive one's probability; more classes one each.
    """
    import numpy as np

    columns = [
        outputs.reshape(len(outputs), -1) if classes != 2 else outputs[:, 1:]  # p of the other class says nothing new
        for outputs in given
    ]
    matrix = np.concatenate(columns, axis=1)
    if own is None:
        return matrix
    if isinstance(own.matrix, np.ndarray):
        return np.concatenate([matrix, own.matrix], axis=1)
    import scipy.sparse as sp

    return sp.csr_matrix(sp.hstack([sp.csr_matrix(matrix), own.matrix]))
