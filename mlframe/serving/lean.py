"""Keeps libraries out of a worker that others load only because they are installed: they cost seconds and memory."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["ABSENT", "Absent", "with_needed"]

ABSENT = ("dask", "hydra", "matplotlib", "omegaconf", "pandas", "pandera", "pytest", "rich", "wandb")
"""What scikit-learn, LightGBM and others would import if they could; a model that needs one gets it, see `with_needed`."""

T = TypeVar("T")


class Absent:
    """Lets some modules look as if they were not installed.

    Args:
        names: top-level modules.
    """

    def __init__(self, names: tuple[str, ...] = ABSENT) -> None:
        self.names = set(names)

    def install(self) -> Absent:
        """Begin."""
        sys.meta_path.insert(0, self)
        return self

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Refuse a module that is to be absent; others are found as ever."""
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r} (kept out of serving processes)", name=name)


def with_needed(load: Callable[[], T]) -> T:
    """Load something; a library that it cannot do without is let in.

    Args:
        load: loads it; called again when a module that is kept out was missing.
    """
    while True:
        try:
            return load()
        except Exception as error:
            needed = _missing(error)
            keeper = next((finder for finder in sys.meta_path if isinstance(finder, Absent)), None)
            if keeper is None or needed not in keeper.names:
                raise
            keeper.names.discard(needed)


def _missing(error: BaseException | None) -> Any:
    """Return the top-level module whose absence is behind an error, None when that is not the cause."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name:
            return error.name.partition(".")[0]
        error = error.__cause__ or error.__context__
    return None
