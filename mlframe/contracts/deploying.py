"""Deploying: a version becomes an endpoint, a job or files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Deployer", "Deployment"]


@dataclass(frozen=True)
class Deployment:
    """What is to be deployed.

    Args:
        name: the registered model's name.
        reference: the version, such as `email/7`.
        follows: the alias that was asked for, such as `email@champion`; None when a version was named, which then stays.
        bundle: folder of the version's bundle; every digest has been checked. Not to be changed.
        store_root: folder or fsspec address of the store.
        store_url: SQLAlchemy address of its tables, None for SQLite in the root. It may hold a password: hand it on
            through the environment, never in a file or on a command line.
        config: the resolved config.
        folder: folder of the run's files.
        say: shows one line.
        opener: loads the bundle's pipeline; see `pipeline`.
        command: the overrides of the run that made the version; empty where the store does not know it.
        blocked: plugins that this run does without; whoever loads the pipeline elsewhere leaves them out too.
        input: rows to score, for a deployer that scores files or tables; None when not given.
        output: where their predictions go, None when not given.
    """

    name: str
    reference: str
    follows: str | None
    bundle: Path
    store_root: str
    store_url: str | None
    config: Mapping[str, Any]
    folder: Path
    say: Callable[[str], None]
    opener: Callable[[], Any]
    blocked: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    input: str | None = None
    output: str | None = None

    def pipeline(self) -> Any:
        """Load the fitted pipeline (`mlframe.pipeline.Pipeline`), on the fast path where that is proven."""
        return self.opener()


class Deployer(ABC):
    """Deploys a version (hook `mlframe_deployers`, group `deployer`)."""

    @abstractmethod
    def deploy(self, order: Deployment) -> Mapping[str, Any]:
        """Deploy, and return when it works: an endpoint answers, a job is done, files are written.

        Returns:
            Plain JSON values about what is there now, with `undo`: how a person takes it back, in one sentence.

        Raises:
            MlframeError: it cannot be deployed; nothing of it is left behind.
        """

    def attend(self) -> None:
        """Stay with what runs for as long as it does; an interrupt ends it in good order. Nothing runs: return at once.

        Raises:
            StepError: it has ended by itself.
        """
        return

    def undo(self) -> None:
        """Take back what `deploy` has done, as far as this process can; a second call does nothing."""
        return
