"""Loaded versions: the champion, the one before it, a canary and a shadow; how they are loaded, proven and switched."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlframe.errors import BundleError, MlframeError
from mlframe.serving.lean import with_needed
from mlframe.serving.messages import Request, RequestError
from mlframe.serving.schema import Schema

if TYPE_CHECKING:
    import polars as pl

    from mlframe.contracts.learning import Array
    from mlframe.pipeline import Learning, Pipeline
    from mlframe.pipeline.scorer import Scorer
    from mlframe.registry import Registry
    from mlframe.serving.messages import Asked
    from mlframe.serving.settings import Canary
    from mlframe.store import Store

__all__ = ["TOLERANCE", "Models", "Roles", "ServedModel"]

log = logging.getLogger("mlframe.serving")

TOLERANCE = 1e-9
"""Largest difference between a score and the registered one, relative where scores are above 1."""

RETRY = 60.0
"""Seconds after which a version that could not be loaded is tried again."""

ALONE = 25
"""Examples that are asked one by one too: batches and single rows must agree, and both are warm then."""


@dataclass(eq=False)
class ServedModel:
    """One version in memory.

    Args:
        reference: name and number: `email/7`.
        name: the model's name.
        number: the version's number.
        schema: checks requests.
        scorer: scores columns of plain values.
        pipeline: what was fitted.
        learning: task and classes.
        manifest: the bundle's manifest.
        folder: the bundle.
        difference: largest difference from the registered scores of the bundle's examples, None without examples.
        why_slow: why the fast path is not used; None when it is.
        seconds: what loading took.
    """

    reference: str
    name: str
    number: int
    schema: Schema
    scorer: Scorer
    pipeline: Pipeline
    learning: Learning
    manifest: dict[str, Any]
    folder: Path
    difference: float | None = None
    why_slow: str | None = None
    seconds: float = 0.0

    @property
    def fast(self) -> bool:
        """Whether the fast path is used."""
        return self.scorer.fast

    def takes_what(self, other: ServedModel) -> bool:
        """Whether rows that another version's schema has read can be scored as they are."""
        mine, others = (
            [(column["name"], column["dtype"]) for column in model.pipeline.columns] for model in (self, other)
        )
        return mine == others

    @classmethod
    def load(cls, store: Store, registry: Registry, reference: str, rows: int) -> ServedModel:
        """Check every digest, load, warm, and prove that requests get the scores that were registered.

        Args:
            store: the open store.
            registry: components that vouch for types.
            reference: the version.
            rows: how many rows a request may have.

        Raises:
            BundleError: the bundle is damaged, needs a plugin that is not installed, holds a type that no plugin vouches
                for, or scores differently.
            UnknownNameError: there is no such version.
        """
        from mlframe.pipeline.opening import open_pipeline
        from mlframe.pipeline.scorer import Scorer

        began = time.perf_counter()
        folder = store.open_bundle(reference)
        opened = with_needed(lambda: open_pipeline(folder, registry, where=reference))
        manifest, pipeline = opened.manifest, opened.pipeline
        for warning in opened.warnings:
            log.warning("%s: %s", reference, warning)
        name, _, number = reference.rpartition("/")
        told = manifest.get("fast") or {}
        why = None if told.get("proven") else str(told.get("why") or "the bundle has no proof of a fast path")
        model = cls(
            reference,
            name,
            int(number),
            Schema.load(folder, pipeline.columns, most=rows),
            Scorer(pipeline, fast=why is None),
            pipeline,
            pipeline.learning,
            manifest,
            folder,
            why_slow=why,
        )
        model._prove(Scorer)
        model.seconds = time.perf_counter() - began
        return model

    def _prove(self, scorer: type[Scorer]) -> None:
        """Ask for the bundle's examples as a caller would; without parity there is no fast path, or no version."""
        found = self._difference()
        if self.scorer.fast and not found <= TOLERANCE:
            self.why_slow = f"its scores differ from the registered ones by {found:.3g}"
            self.scorer = scorer(self.pipeline, fast=False)
            found = self._difference()
        if not self.scorer.fast and self.why_slow is None:
            self.why_slow = "the pipeline has none"
        if not found <= TOLERANCE:
            raise BundleError(
                f"{self.reference} does not score its examples as it did when it was registered: they differ by {found:.3g}",
                where=str(self.folder),
                hint="install the library versions that its manifest names, or train again",
            )
        self.difference = found

    def _difference(self) -> float:
        """Return the largest difference from the registered scores, asked through the code that answers requests.

        Raises:
            BundleError: its own schema refuses every example.
        """
        import numpy as np
        import polars as pl

        examples, expected = (pl.read_ipc(self.folder / f"{name}.arrow") for name in ("examples", "expected"))
        classes = [f"p_{name}" for name in self.learning.classes] or ["y_pred"]
        wanted = expected.select(classes).to_numpy()
        wanted = wanted if self.learning.classes else wanted[:, 0]
        size, total = min(self.schema.most, 100), len(examples)
        parts = [range(first, min(first + size, total)) for first in range(0, total, size)]
        parts += [range(row, row + 1) for row in range(min(ALONE, total))]
        differences: list[float] = []
        while parts:
            part = parts.pop()
            try:
                found = self._asked(examples[part.start : part.stop])
            except RequestError as error:  # a row of training that no caller may send: the others count
                log.warning("%s refuses %d of its examples: %s", self.reference, len(part), error.title)
                parts += [range(row, row + 1) for row in part] if len(part) > 1 else []
                continue
            registered = wanted[part.start : part.stop]
            differences.append(float((np.abs(found - registered) / np.maximum(1.0, np.abs(registered))).max()))
        if total and not differences:
            raise BundleError(f"{self.reference} refuses all of its own examples", where=str(self.folder))
        return max(differences, default=0.0)

    def _asked(self, rows: pl.DataFrame) -> Array:
        """Return the scores of rows, asked for as a caller would."""
        from mlframe.serving.protocols import native

        asked = native.read(self, Request("POST", "/predict", body=body_of(rows)))
        outputs = self.scorer.outputs(asked.columns, asked.rows)
        self.scorer.labels(outputs)
        return outputs

    def reasons(self, asked: Asked, outputs: Array) -> list[list[tuple[str, float]]] | None:
        """Return for each row the columns that move its score most, None where the model cannot tell."""
        import numpy as np

        from mlframe.pipeline.inputs import to_frame

        found = self.pipeline.contributions(to_frame(asked.columns, self.pipeline.columns))
        if found is None:
            return None
        parts, names = found
        order = np.argsort(-np.abs(parts[:, :-1]), axis=1, kind="stable")[:, : asked.explain]
        return [
            [(names[column], float(row[column])) for column in best if row[column]]
            for row, best in zip(parts, order, strict=True)
        ]


def body_of(rows: pl.DataFrame) -> bytes:
    """Return a request for rows of a frame, as a caller would write it."""
    import msgspec
    import polars as pl

    times = [name for name, dtype in rows.schema.items() if dtype == pl.Datetime]
    plain = rows.with_columns(pl.col(times).dt.to_string("iso:strict")) if times else rows
    return msgspec.json.encode({"rows": plain.to_dicts()})


@dataclass(frozen=True)
class Roles:
    """Which version does what; replaced as a whole, between two requests.

    Args:
        champion: answers.
        canary: answers a share of the requests.
        shadow: scores the same requests; nobody sees its answers.
        previous: was the champion before, ready for a rollback.
    """

    champion: ServedModel
    canary: ServedModel | None = None
    shadow: ServedModel | None = None
    previous: ServedModel | None = None

    def all(self) -> list[ServedModel]:
        """Return every loaded version once."""
        held = (self.champion, self.canary, self.shadow, self.previous)
        return list({model.reference: model for model in held if model is not None}.values())


@dataclass
class Models:
    """The versions of one worker: looks where the aliases point, loads what is new, gives the roles.

    Args:
        store: the open store.
        registry: components that vouch for types.
        name: the model's name.
        wanted: role to reference or alias; champion, canary and shadow, None for none.
        canary: share of the canary, and what decides.
        rows: how many rows a request may have.
        loaded: told of each version before it may answer.
    """

    store: Store
    registry: Registry
    name: str
    wanted: Mapping[str, str | None]
    canary: Canary
    rows: int
    loaded: Callable[[ServedModel], None]
    errors: dict[str, str] = field(default_factory=dict)
    """Role to what keeps it from doing what it should; shown on the status page."""

    def __post_init__(self) -> None:
        self._failed: dict[str, tuple[float, str]] = {}
        self.failures = 0
        champion = self._load(self.store.resolve(self._full("champion")), None)
        self.roles = Roles(champion)
        self.roles = self.look() or self.roles

    def _full(self, role: str) -> str:
        """Return the reference of a role: `8` and `staging` mean this model's."""
        text = str(self.wanted[role])
        if "/" in text or "@" in text:
            return text
        return f"{self.name}/{text}" if text.isdigit() else f"{self.name}@{text}"

    def look(self) -> Roles | None:
        """Look where the aliases point now and load what is new; called in a thread.

        Returns:
            The roles to switch to, None when nothing changed. What cannot be loaded leaves the old version in its role
            and a text in `errors`.
        """
        before = self.roles
        champion = self._find("champion", before.champion) or before.champion
        canary, shadow = (self._find(role, getattr(before, role), champion) for role in ("canary", "shadow"))
        if canary is champion:
            canary = None
        if shadow is champion or shadow is canary:
            shadow = None
        previous = before.previous if champion is before.champion else before.champion
        after = Roles(champion, canary, shadow, None if previous is champion else previous)
        return None if after == before else after

    def _find(self, role: str, now: ServedModel | None, like: ServedModel | None = None) -> ServedModel | None:
        """Return the version that a role should have; the present one when that cannot be."""
        if not self.wanted.get(role):
            return None
        try:
            reference = self.store.resolve(self._full(role))
            for model in self.roles.all():
                if model.reference == reference:
                    self.errors.pop(role, None)
                    return model
            failed = self._failed.get(reference)
            if failed is not None and time.monotonic() - failed[0] < RETRY:
                self.errors[role] = failed[1]
                return now
            model = self._load(reference, like)
        except Exception as error:
            text = str(error) if isinstance(error, MlframeError) else f"{type(error).__name__}: {error}"
            self.errors[role] = text
            return now
        self.errors.pop(role, None)
        return model

    def _load(self, reference: str, like: ServedModel | None) -> ServedModel:
        try:
            model = ServedModel.load(self.store, self.registry, reference, self.rows)
            if like is not None and model.learning.classes != like.learning.classes:
                raise BundleError(
                    f"{reference} predicts other classes than {like.reference}",
                    value=list(model.learning.classes),
                    hint="name a version of the same target",
                )
            self.loaded(model)
            return model
        except Exception as error:
            text = str(error) if isinstance(error, MlframeError) else f"{type(error).__name__}: {error}"
            self.failures += 1
            log.error("%s cannot be served: %s", reference, text)
            self._failed[reference] = (time.monotonic(), text)
            raise

    def refuse_errors(self) -> None:
        """Raise what keeps a role from being filled; at the start a person is there to mend it.

        Raises:
            BundleError: with every text.
        """
        if self.errors:
            raise BundleError("; ".join(f"{role}: {text}" for role, text in self.errors.items()), where="deployer")

    def switch(self, roles: Roles) -> None:
        """Let other versions answer from the next request on."""
        for role in ("champion", "canary", "shadow"):
            before, after = getattr(self.roles, role), getattr(roles, role)
            if before is not after:
                names = [model.reference if model is not None else "none" for model in (before, after)]
                log.info("The %s is %s now, it was %s", role, names[1], names[0])
        self.roles = roles

    # ------------------------------------------------------------------------------------------ for a request

    def choose(self, key: str) -> tuple[ServedModel, str]:
        """Return the version that answers, and its role; one key always gets the same while the versions stay."""
        roles = self.roles
        if roles.canary is None:
            return roles.champion, "champion"
        digest = hashlib.blake2b(f"{roles.canary.reference}\0{key}".encode(), digest_size=8).digest()
        chosen = int.from_bytes(digest) < self.canary.share * 2**64
        return (roles.canary, "canary") if chosen else (roles.champion, "champion")

    def held(self, number: int) -> ServedModel | None:
        """Return a loaded version by its number."""
        return next((m for m in self.roles.all() if m.number == number and m.name == self.name), None)
