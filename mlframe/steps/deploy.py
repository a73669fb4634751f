"""Puts a version to work: an endpoint, a job or files, by the deployer that the config picks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlframe.contracts import Deployer, Deployment, Step
from mlframe.errors import UnknownNameError
from mlframe.steps.load import wanted_version


class Deploy(Step):
    """Gives `deployed`: plain facts of what is there now, and how to undo it."""

    summary = "puts a version to work"
    reads = ("name", "version", "input", "output", "deployer")
    gives = {"deployed": "value"}
    cached = False

    def run(self, context: Any, **inputs: Any) -> Mapping[str, Any]:
        """Check the bundle's digests, deploy it, stay with what runs until it ends."""
        config, store = context.config, context.store
        asked = wanted_version(config)
        version = store.version(asked)
        reference = version["reference"]
        bundle = store.open_bundle(reference)
        context.summary["version"] = reference

        def pipeline() -> Any:
            from mlframe.pipeline.opening import open_pipeline

            opened = open_pipeline(bundle, context.plugins.registry, where=reference)
            for warning in opened.warnings:
                context.say(warning)
            return opened.quickest()

        order = Deployment(
            name=version["name"],
            reference=reference,
            follows=asked if "@" in asked else None,
            bundle=bundle,
            store_root=store.root,
            store_url=store.url,
            config=config,
            folder=context.run.folder,
            say=context.say,
            opener=pipeline,
            command=_made_by(store, version["run_id"]),
            blocked=tuple(r.name for r in context.plugins.records.values() if r.status == "blocked"),
            input=config["input"],
            output=config["output"],
        )
        deployer: Deployer = context.component("deployer")
        facts = dict(deployer.deploy(order))
        context.summary["deployed"] = {"version": reference, **facts}
        # What is deployed runs for days: its record says so now, not only at the end.
        store.update_run(context.run.id, summary=context.summary)
        context.say(f"{reference} is deployed; to undo it: {facts['undo']}")
        deployer.attend()
        return {"deployed": context.summary["deployed"]}


def _made_by(store: Any, run_id: str) -> tuple[str, ...]:
    """Return the overrides of a run; none when the version came from another store."""
    try:
        return tuple((store.run(run_id)["facts"] or {}).get("command") or ())
    except UnknownNameError:
        return ()
