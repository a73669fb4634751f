"""What is known of a version from when it was made, as monitors get it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mlframe.contracts import Reference

__all__ = ["reference_of"]


def reference_of(store: Any, registry: Any, name: str, goal: Mapping[str, Any] | None = None) -> Reference:
    """Open a version and tell what is known of it.

    Args:
        store: the open store.
        registry: components; needed when a monitor opens the pipeline.
        name: the version, such as `email/7`.
        goal: the goal to hold it to; the one that it was made for unless given.

    Raises:
        UnknownNameError: there is no such version any more.
        BundleError: its bundle is damaged.
    """
    from mlframe.serving.prediction_log import logged_names
    from mlframe.store.bundle import MANIFEST, read_json

    version = store.version(name)
    bundle = store.open_bundle(version["reference"])
    manifest = read_json(bundle / MANIFEST)
    learning, inputs = manifest["learning"], manifest["inputs"]
    classes = tuple(learning["classes"])
    logged = logged_names([column["name"] for column in inputs], classes)
    held: list[Any] = []

    def open_once() -> Any:
        from mlframe.pipeline.opening import open_pipeline

        if not held:
            held.append(open_pipeline(bundle, registry, where=version["reference"]).pipeline)
        return held[0]

    created = datetime.fromisoformat(str(version["created"]))
    figures = version["figures"] or {}
    return Reference(
        reference=version["reference"],
        bundle=bundle,
        created=created if created.tzinfo else created.replace(tzinfo=UTC),
        task=learning["task"],
        classes=classes,
        positive=classes[-1] if learning["task"] == "binary" else None,
        inputs=[{**column, "logged": logged[column["name"]]} for column in inputs],
        baseline=read_json(bundle / "baseline.json"),
        rules=read_json(bundle / "schema.json").get("rules") or {},
        figures=figures.get("holdout") or figures.get("folds") or {},
        goal=goal or read_json(bundle / "config.json").get("goal") or {},
        opener=open_once,
        beside=store.beside(version["reference"]),
    )
