"""The store: runs, the step cache, versions and their aliases, in one workspace folder or on a team's server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlframe.store.store import Store

__all__ = ["Store"]


def __getattr__(name: str) -> Any:
    if name == "Store":  # SQLAlchemy is imported only when a store is opened
        from mlframe.store.store import Store

        return Store
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
