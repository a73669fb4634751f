"""Opens a registered version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlframe.contracts import Step
from mlframe.errors import ConfigError


class Load(Step):
    """Gives `served`: the version's name, and its pipeline."""

    summary = "opens a registered version"
    reads = ("name", "version")
    gives = {"served": "value"}
    cached = False

    def run(self, context: Any, **inputs: Any) -> Mapping[str, Any]:
        """Check every digest, then load."""
        from mlframe.pipeline.opening import open_pipeline  # the step `deploy` needs no numpy
        from mlframe.store.bundle import read_json

        version = context.store.version(wanted_version(context.config))
        folder = context.store.open_bundle(version["reference"])
        context.say(f"{version['reference']}, made by run {version['run_id']}")
        opened = open_pipeline(folder, context.plugins.registry, where=version["reference"])
        for warning in opened.warnings:
            context.say(warning)
        config = read_json(folder / "config.json")
        context.summary["version"] = version["reference"]
        return {"served": {"version": version["reference"], "pipeline": opened.quickest(), "config": config}}


def wanted_version(config: Mapping[str, Any]) -> str:
    """Return the version that a config asks for: `email/7`, or an alias, by default `email@champion`.

    Raises:
        ConfigError: neither a version nor a model is named.
    """
    name, wanted = config["name"], config["version"]
    if not (wanted or name):
        raise ConfigError(
            "No model is named", where="version", hint="give version=email/7, or data=email for that data's champion"
        )
    if not wanted:
        return f"{name}@champion"
    reference = str(wanted)
    if "/" in reference or "@" in reference:
        return reference
    if not name:
        return f"{reference}@champion"
    return f"{name}/{reference}" if reference.isdigit() else f"{name}@{reference}"
