"""Nothing is learned: numbers go to the model as they are."""

from __future__ import annotations

from typing import Literal

from mlframe.contracts import Wants
from mlframe.errors import DataError
from mlframe.featurizers.blocks import Block, Blocks, named
from mlframe.featurizers.numbers import Numbers

__all__ = ["NoneFeaturizer"]


class NoneFeaturizer(Blocks):
    """Numeric and boolean columns as they are (false 0, true 1, missing NaN); other kinds are refused.

    For a model that takes no missing values they become the train rows' median with an indicator; for one that takes no
    negative values the columns are scaled to 0..1.

    Args:
        infinite: `refuse` infinities, or take them as `missing`.
    """

    single = True

    def __init__(self, infinite: Literal["refuse", "missing"] = "refuse") -> None:
        super().__init__()
        self.infinite = infinite

    def arrange(self, kinds: dict[str, list[str]], wants: Wants) -> list[Block]:
        """Arrange one block.

        Raises:
            DataError: a feature column is neither numeric nor boolean.
        """
        others = {name: kind for kind, names in kinds.items() if kind not in ("numeric", "boolean") for name in names}
        if others:
            raise DataError(
                "featurizer=none passes numbers on and cannot turn other columns into numbers",
                value=others,
                where="featurizer, data.columns",
                hint="set their role to 'ignore', or pick featurizer=auto",
            )
        scale: Literal["range", "none"] = "range" if wants.nonnegative else "none"
        names = named(kinds, "numeric", "boolean")
        return [Numbers(names, impute=not wants.missing, scale=scale, infinite=self.infinite)]
