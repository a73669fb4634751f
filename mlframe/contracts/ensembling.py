"""Ensembling: making one candidate of several fits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from mlframe.contracts.learning import Array

__all__ = ["ALONE", "Combination", "Combiner", "Ensembler", "MemberOutputs", "Trainer", "Wrapper", "models_of"]

ALONE = "none"
"""Registered name of the ensembler that leaves a candidate alone; members are fitted under it."""


def models_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a config fits: an ensemble's members, which stand in the model's place, else the model.

    Args:
        config: a resolved config, or what a run has recorded of one.

    Returns:
        Names; a member that is not called as its model is has the model in brackets.
    """
    members = {key: node for key, node in ((config.get("ensembler") or {}).get("members") or {}).items() if node}
    if members:
        return tuple(key if key == node["name"] else f"{key} ({node['name']})" for key, node in members.items())
    name = (config.get("model") or {}).get("name")
    return (str(name),) if name else ()


@dataclass(frozen=True)
class Combination:
    """How outputs become one.

    Args:
        rule: `mean`; `vote`: shares of the votes; `samme`, `median`: boosted classifiers and regressors; `stack`: an
            estimator that learns from the outputs. See `mlframe.pipeline.tree.combined`.
        weights: one a part, 0 leaves the part out; None for equal ones.
        final: node of the model that learns from the outputs, for `stack`.
        passthrough: whether that model also reads the rows' own features.
    """

    rule: Literal["mean", "vote", "samme", "median", "stack"]
    weights: tuple[float, ...] | None = None
    final: Mapping[str, Any] | None = None
    passthrough: bool = False


class Trainer(ABC):
    """Fits the picked model on one fold's train rows, behind the fold's featurizer, as often as a wrapper asks."""

    model: str
    """Registered name of the model, for error texts."""
    task: str
    """One of `mlframe.contracts.TASKS`."""
    classes: int
    """Number of classes, 0 for regression."""
    target: Array
    """Codes or values of the rows learned from, shape (rows,)."""
    weight: Array | None
    """Weights of these rows, shape (rows,), None when all weigh the same."""
    width: int
    """Number of features."""
    takes_weight: bool
    """Whether the model takes row weights."""

    @abstractmethod
    def fit(
        self,
        *,
        rows: Array | None = None,
        weight: Array | None = None,
        columns: Array | None = None,
        seed: int | None = None,
    ) -> int:
        """Fit the model once more.

        Args:
            rows: positions among the rows learned from, with repetition; None for all.
            weight: weights in place of the rows' own, shape (rows,); None keeps those.
            columns: positions of the features to learn from; None for all.
            seed: seed of the model in place of the config's.

        Returns:
            The number of the part, counted from 0.
        """

    @abstractmethod
    def outputs(self, part: int) -> Array:
        """Return a part's probabilities (rows, classes) or values (rows,) for all rows learned from."""


@dataclass(frozen=True)
class MemberOutputs:
    """What members say of rows that they did not learn from.

    Args:
        names: the members.
        outputs: probabilities (members, rows, classes) or values (members, rows).
        target: codes or values, shape (rows,).
        weight: shape (rows,).
        fold: the fold that validated each row, shape (rows,).
        task: one of `mlframe.contracts.TASKS`.
        score: gives the figure that decides, mean over folds, for outputs of these rows; higher is better.
    """

    names: tuple[str, ...]
    outputs: Array
    target: Array
    weight: Array
    fold: Array
    task: str
    score: Callable[[Array], float]


class Ensembler:
    """Makes one candidate of several fits (hook `mlframe_ensemblers`, group `ensembler`): a `Wrapper` or a `Combiner`."""


class Wrapper(Ensembler, ABC):
    """Fits the picked model several times in each fold, behind the fold's featurizer."""

    @abstractmethod
    def wrap(self, trainer: Trainer) -> Combination:
        """Fit as often as needed and say how the parts are combined; weights in the order of the fits."""


class Combiner(Ensembler, ABC):
    """Combines members, each a model config of its own, by their out-of-fold outputs.

    Members are fitted, cached and refitted as if each ran alone. `combine` is asked once for what is deployed, with all
    out-of-fold rows, and once for each fold, with the rows of the other folds, so that a score is never taken on rows
    that the combination was chosen by.
    """

    members: Mapping[str, Any]
    """Name to the node of a model, which may hold the node of a `featurizer` of its own."""
    latency_ms: float | None = None
    """Most milliseconds that predicting one row may take; members are dropped until it fits."""
    seconds: float | None = None
    """Most seconds that fitting the members, and fitting them again on all rows, may take; the first one is always fitted.

    Members come in their order. One that would not be done in time is ended and left out, and so are those after it
    when nothing is left; the run says which. The outcome then depends on the speed of the machine: the same command may keep other members elsewhere, while the same
    members still give the same model. The cache key holds the limit, not the time that was found.
    """
    crossfit: ClassVar[bool] = True
    """Whether `combine` learns from the outputs, so that it has to be asked anew for each fold."""

    @abstractmethod
    def combine(self, given: MemberOutputs) -> Combination:
        """Say how the members are combined; weights in the order of `given.names`."""
